//! When a span is sent, on one thread of its own.
//!
//! The event loop hands bytes in (`inbox`) and is gone. The thread encodes them (`intake`, `encode`), those that go in one
//! batch one behind the other (`lines`), keeps them in a queue bounded in bytes, oldest dropped first (`queue`), small if
//! they have to wait (`waiting`), and sends them when a batch is full or old enough (`batch`, `body`), with retries
//! (`outcome`). Every span is counted in exactly one place at all times (`ledger`): each change of place happens under the
//! one lock of `queue::State`. A flush waits for the spans that were there when it was called
//! (`flush`). With a spool, a span is on disk before it is sent, and may stay there when memory has no room for it.

mod batch;
mod body;
mod disk;
mod encode;
mod flush;
mod inbox;
mod intake;
mod ledger;
mod lines;
mod outcome;
mod queue;
mod shared;
mod unit;
mod waiting;
mod wake;
mod worker;

pub use encode::{EncodeError, Encoder};
pub use flush::FlushResult;
pub use ledger::{DropReason, Dropped, Stats};
pub use worker::Pipeline;

#[cfg(test)]
mod tests;
