//! Warnings and debug lines of the shim go the same way as the core's.

use napi_derive::napi;

use super::guard::guard;
use crate::diagnostics;

#[napi(catch_unwind)]
pub fn warn(message: String) {
    guard((), || diagnostics::warn_once(&message));
}

#[napi(catch_unwind)]
pub fn debug(message: String) {
    guard((), || diagnostics::debug(|| message));
}
