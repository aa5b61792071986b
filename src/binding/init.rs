//! `fallom.init`, `prompts.init`, `models.init`.

use napi_derive::napi;

use super::guard::{guard, quiet_panics};
use crate::core;
use crate::refresh::ServiceName;
use crate::settings::Environment;

/// Checks the options and starts the core. Throws an error that names the misused option.
#[napi(catch_unwind)]
pub fn init(options: String, environment: String) -> napi::Result<()> {
    quiet_panics();
    guard(Ok(()), || core::init(&options, &Environment::from_json(&environment)))
        .map_err(napi::Error::from_reason)
}

/// Another key or URL for `"prompts"` or `"configs"`.
#[napi(catch_unwind)]
pub fn init_catalog(which: String, options: String, environment: String) -> napi::Result<()> {
    quiet_panics();
    let name = if which == "prompts" { ServiceName::Prompts } else { ServiceName::Configs };
    guard(Ok(()), || core::init_catalog(name, &options, &Environment::from_json(&environment)))
        .map_err(napi::Error::from_reason)
}
