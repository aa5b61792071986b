//! When a span is sent, on one thread of its own.
//!
//! The event loop hands bytes in (`record`) and is gone. The thread encodes them (`encode`), keeps them in a queue
//! bounded in bytes, oldest dropped first (`queue`), and sends them when a batch is full or old enough (`worker`),
//! with retries. Every span is counted in exactly one place at all times (`ledger`): each change of place happens
//! under the one lock of `queue::State`. A flush waits for the spans that were there when it was called (`flush`).

mod encode;
mod flush;
mod ledger;
mod queue;
mod worker;

pub use encode::Encoder;
pub use flush::FlushResult;
pub use ledger::{DropReason, Dropped, Stats};
pub use worker::Pipeline;

#[cfg(test)]
mod tests;
