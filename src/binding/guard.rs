//! A panic in a plain napi function aborts the process: none may leave this crate.

use std::panic::{AssertUnwindSafe, catch_unwind, set_hook};
use std::sync::Once;

use crate::diagnostics::{debug, warn_once};

static QUIET: Once = Once::new();

/// What Rust would print of a panic may quote content (a text that was cut at the wrong byte, say): only its place is
/// said, and only with `debug`. This is no other addon's business; each has a runtime of its own.
pub fn quiet_panics() {
    QUIET.call_once(|| {
        set_hook(Box::new(|panic| {
            debug(|| format!("a panic at {}", panic.location().map(ToString::to_string).unwrap_or_default()));
        }));
    });
}

/// What `work` gives; `otherwise` if it panicked, which is said once.
pub fn guard<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        warn_once(
            "The tracer met an error of its own; a span or an answer may be missing. Please report it.",
        );
        otherwise
    })
}
