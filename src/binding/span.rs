//! A span crosses twice at most: without arguments when it starts, with its bytes when it ends.
//!
//! These two calls speak Node-API themselves: what napi's macro puts around one with arguments (it keeps lists of what is
//! borrowed) takes several times as long as what they do.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;

use napi::bindgen_prelude::{Env, JsObjectValue, Object, Uint8Array};
use napi::sys::{
    self, Status as status, napi_callback_info as CallInfo, napi_env as RawEnv, napi_value as RawValue,
};
use napi_derive::napi;

use super::guard::guard;
use crate::core;
use crate::diagnostics::warn_once;
use crate::exit;

const RECORDING: u32 = 1;
const CAPTURE: u32 = 2;

/// Makes `open` and `record` known to JavaScript.
#[napi(module_exports)]
pub fn export_span(mut exports: Object, env: Env) -> napi::Result<()> {
    exports.set_named_property("open", env.create_function::<(), u32>("open", open)?)?;
    exports.set_named_property("record", env.create_function::<(Uint8Array, u32, u32), ()>("record", record)?)
}

/// Counts a span as open; bits of `OpenFlags`, 0 if it is not to be recorded.
extern "C" fn open(env: RawEnv, _: CallInfo) -> RawValue {
    let flags = never_unwinds(0, || {
        let Some(core) = core::running() else {
            warn_once("fallom.init was not called: the application runs untraced.");
            return 0;
        };
        core.open().map_or(0, |opened| {
            exit::opened();
            let capture = if opened.capture_content { CAPTURE } else { 0 };
            RECORDING | capture
        })
    });
    let mut value = null_mut();
    #[expect(unsafe_code, reason = "a call of Node's, in the environment that it named")]
    // SAFETY: the value is written, or stays what says `undefined`.
    unsafe {
        sys::napi_create_uint32(env, flags, &raw mut value);
    }
    value
}

/// Takes a finished span: the envelope that stands there in `bytes`, which are copied.
extern "C" fn record(env: RawEnv, info: CallInfo) -> RawValue {
    never_unwinds((), || {
        #[expect(unsafe_code, reason = "the bytes are JavaScript's")]
        // SAFETY: `env` and `info` are of this call, and no JavaScript runs before it returns.
        let envelope = unsafe { envelope(env, info) };
        let Some(core) = core::running() else { return };
        match envelope {
            Some(envelope) => core.record(envelope),
            // It was opened, so it counts.
            None => core.abandon(1),
        }
        exit::closed();
    });
    // `undefined`
    null_mut()
}

/// What a call with `(bytes, from, to)` means; `None` if these are not what they should be.
#[expect(unsafe_code, reason = "Node's own calls, and a slice of an array of JavaScript's")]
/// # Safety
/// `env` and `info` are those of the call, and the slice is gone before JavaScript goes on.
unsafe fn envelope<'call>(env: RawEnv, info: CallInfo) -> Option<&'call [u8]> {
    let (mut given, mut count) = ([null_mut(); 3], 3);
    let (mut kind, mut length, mut data) = (0, 0, null_mut());
    let (mut from, mut to) = (0, 0);
    // SAFETY: all that is pointed to lives here. What is not asked for may be null, and arguments that are missing are
    // `undefined`. An array that was detached has no length, and no data.
    let bytes = unsafe {
        let done = [
            sys::napi_get_cb_info(env, info, &raw mut count, given.as_mut_ptr(), null_mut(), null_mut()),
            sys::napi_get_typedarray_info(
                env,
                given[0],
                &raw mut kind,
                &raw mut length,
                &raw mut data,
                null_mut(),
                null_mut(),
            ),
            sys::napi_get_value_uint32(env, given[1], &raw mut from),
            sys::napi_get_value_uint32(env, given[2], &raw mut to),
        ];
        let fits = done.iter().all(|done| *done == status::napi_ok);
        if !fits || kind != sys::TypedarrayType::uint8_array || data.is_null() {
            return None;
        }
        std::slice::from_raw_parts(data.cast::<u8>(), length)
    };
    bytes.get(from as usize..to as usize)
}

/// As [`guard`]; and should that fail, too, nothing is said. Nobody above would catch it.
fn never_unwinds<T: Copy>(otherwise: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(|| guard(otherwise, work))).unwrap_or(otherwise)
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
