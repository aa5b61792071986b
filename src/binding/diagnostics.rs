//! What is said, from both sides: warnings and debug lines of the shim go the same way as the core's, and events go to
//! the user's function.

use std::cell::Cell;

use napi::bindgen_prelude::{Env, Function};
use napi::threadsafe_function::ThreadsafeFunctionCallMode::NonBlocking;
use napi_derive::napi;
use serde_json::json;

use super::guard::guard;
use crate::diagnostics::{self, Event};

/// Events that wait for the event loop; it may be blocked for long. What comes on top is lost.
const MOST_WAITING: usize = 1024;

thread_local! {
    /// The listener of this realm.
    static LISTENER: Cell<Option<u64>> = const { Cell::new(None) };
    static SEEN_TO: Cell<bool> = const { Cell::new(false) };
}

#[napi(catch_unwind)]
pub fn warn(message: String) {
    guard((), || diagnostics::warn_once(&message));
}

#[napi(catch_unwind)]
pub fn debug(message: String) {
    guard((), || diagnostics::debug(|| message));
}

/// From now on, `hear` is this realm's listener, in the place of the one before; nothing: there is none any more. It is
/// called on the event loop with JSON text of a `Diagnostic`, does not hold the loop open, and must not throw.
#[napi(catch_unwind)]
pub fn on_diagnostic(env: Env, hear: Option<Function<String, ()>>) -> napi::Result<()> {
    let heard = match hear {
        None => None,
        Some(hear) => {
            let builder = hear.build_threadsafe_function::<String>();
            let call = builder.weak::<true>().max_queue_size::<MOST_WAITING>().build()?;
            Some(move |event: &Event<'_>| {
                // Full, or at its end: there is nobody to tell.
                let _ = call.call(json_of(event), NonBlocking);
            })
        }
    };
    guard((), || replace(heard.map(diagnostics::listen)));
    if !SEEN_TO.replace(true) {
        env.add_env_cleanup_hook((), |()| guard((), || replace(None)))?;
    }
    Ok(())
}

fn replace(listener: Option<u64>) {
    if let Some(before) = LISTENER.replace(listener) {
        diagnostics::stop_listening(before);
    }
}

fn json_of(event: &Event<'_>) -> String {
    let mut fields = json!({ "type": event.kind.name(), "message": event.message });
    if event.count > 0 {
        fields["count"] = event.count.into();
    }
    if let Some(reason) = event.reason {
        fields["reason"] = reason.into();
    }
    fields.to_string()
}
