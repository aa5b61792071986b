//! `flush` and `shutdown`.

use std::time::Duration;

use napi::bindgen_prelude::{Env, Function, Object};
use napi::threadsafe_function::ThreadsafeFunctionCallMode::NonBlocking;
use napi_derive::napi;

use super::guard::guard;
use crate::core;
use crate::pipeline::FlushResult;

/// A promise of the JSON text of a `FlushResult`.
#[napi(catch_unwind)]
pub fn flush<'env>(env: &'env Env, timeout_ms: f64) -> napi::Result<Object<'env>> {
    settle(env, timeout_ms, false)
}

/// As `flush`, for who must not hold the event loop open meanwhile, as the promise does: `done` is called at the end, if
/// the loop still runs then.
#[napi(catch_unwind)]
pub fn flush_in_background(timeout_ms: f64, done: Function<(), ()>) -> napi::Result<()> {
    let done = done.build_threadsafe_function::<()>().weak::<true>().build()?;
    let tell = move |_| {
        let _ = done.call((), NonBlocking);
    };
    guard((), || match core::running() {
        Some(core) => core.flush(timeout(timeout_ms), false, tell),
        None => tell(FlushResult::default()),
    });
    Ok(())
}

/// As `flush`; later spans are not taken.
#[napi(catch_unwind)]
pub fn shutdown<'env>(env: &'env Env, timeout_ms: f64) -> napi::Result<Object<'env>> {
    settle(env, timeout_ms, true)
}

fn settle(env: &Env, timeout_ms: f64, then_stop: bool) -> napi::Result<Object<'_>> {
    let (deferred, promise) = env.create_deferred()?;
    let done = move |result: FlushResult| deferred.resolve(move |_| Ok(json(&result)));
    match core::running() {
        Some(core) => core.flush(timeout(timeout_ms), then_stop, done),
        None => done(FlushResult::default()),
    }
    Ok(promise)
}

fn json(result: &FlushResult) -> String {
    serde_json::to_string(result).unwrap_or_default()
}

/// What is no time counts as none at all.
fn timeout(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default()
}
