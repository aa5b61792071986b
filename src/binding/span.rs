//! A span crosses twice at most: without arguments when it starts, with its bytes when it ends.

use napi_derive::napi;

use super::guard::guard;
use crate::core;
use crate::diagnostics::warn_once;
use crate::exit;

const RECORDING: u32 = 1;
const CAPTURE: u32 = 2;

/// Counts a span as open; bits of `OpenFlags`, 0 if it is not to be recorded.
#[napi(catch_unwind)]
pub fn open() -> u32 {
    guard(0, || {
        let Some(core) = core::running() else {
            warn_once("fallom.init was not called: the application runs untraced.");
            return 0;
        };
        core.open().map_or(0, |opened| {
            exit::opened();
            let capture = if opened.capture_content { CAPTURE } else { 0 };
            RECORDING | capture
        })
    })
}

/// Takes a finished span: the envelope that stands there in `bytes`, which are copied.
#[napi(catch_unwind)]
pub fn record(bytes: &[u8], from: u32, to: u32) {
    guard((), || {
        if let (Some(core), Some(envelope)) = (core::running(), bytes.get(from as usize..to as usize)) {
            core.record(envelope);
            exit::closed();
        }
    });
}

/// How long a span may stay open, in ms.
#[napi(catch_unwind)]
pub fn max_open_ms() -> f64 {
    guard(f64::MAX, || core::running().map_or(f64::MAX, |core| core.max_open().as_secs_f64() * 1000.0))
}

/// Keeps where a suspended run stands in its trace.
#[napi(catch_unwind)]
pub fn remember_run(run_id: String, run: String) {
    guard((), || {
        if let Some(core) = core::running() {
            core.remember_run(run_id, run);
        }
    });
}

/// What was remembered of a run, `null` as text if nothing was.
#[napi(catch_unwind)]
pub fn recall_run(run_id: String) -> String {
    guard(None, || core::running()?.recall_run(&run_id)).unwrap_or_else(|| "null".to_owned())
}
