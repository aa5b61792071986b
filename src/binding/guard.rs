//! A panic in a plain napi function aborts the process: none may leave this crate.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::diagnostics::warn_once;

/// What `work` gives; `otherwise` if it panicked, which is said once.
pub fn guard<T>(otherwise: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        warn_once(
            "The tracer met an error of its own; a span or an answer may be missing. Please report it.",
        );
        otherwise
    })
}
