//! The end of a realm, or of the process.

use napi::Status;
use napi::bindgen_prelude::{Env, Function};
use napi::threadsafe_function::ThreadsafeFunctionCallMode::NonBlocking;
use napi_derive::napi;

use super::guard::guard;
use crate::diagnostics::debug;
use crate::exit;

/// Sees to the end of this realm. `finish_open` finishes its open spans; it is called on the event loop, and does not
/// hold it open. `false` while nothing is traced.
#[napi(catch_unwind)]
pub fn see_to_exit(env: Env, main: bool, finish_open: Function<(), ()>) -> napi::Result<bool> {
    let ask = finish_open.build_threadsafe_function::<()>().weak::<true>().build()?;
    let entered = guard(None, || {
        exit::realm_enters(main, move |answer| {
            let status = ask.call_with_return_value((), NonBlocking, move |_, _| {
                let _ = answer.map(|answer| answer.send(()));
                exit::stand_still();
                Ok(())
            });
            if status != Status::Ok {
                debug(|| format!("a thread could not be asked for its open spans: {status}"));
            }
        })
    });
    let Some(realm) = entered else { return Ok(false) };
    env.add_env_cleanup_hook(realm, |realm| guard((), || exit::realm_gone(realm)))?;
    Ok(true)
}

/// The user's last listener for a signal is gone.
#[napi(catch_unwind)]
pub fn arm_signals() {
    guard((), exit::arm_signals);
}

/// The realm's `exit` event. Blocks until all is delivered, at most `exitTimeoutMs`.
#[napi(catch_unwind)]
pub fn drain() {
    guard((), exit::realm_exits);
}
