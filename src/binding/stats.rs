//! `stats`.

use napi_derive::napi;

use super::guard::guard;
use crate::core;

/// JSON text of `Stats`.
#[napi(catch_unwind)]
pub fn stats() -> String {
    guard(String::new(), || {
        let stats = core::running().map(|core| core.stats()).unwrap_or_default();
        serde_json::to_string(&stats).unwrap_or_default()
    })
}
