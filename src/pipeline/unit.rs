//! A span in the queue, and spans that go together.

use std::time::Instant;

use crate::held::Held;
use crate::spool::Address;
use crate::transport::Limit;

/// What the queue holds of one span.
#[derive(Debug)]
pub struct Queued {
    /// Numbered as handed in.
    pub seq: u64,
    pub held: Held,
    pub since: Instant,
    /// Where it stands on disk as well.
    pub spooled: Option<Address>,
}

/// Spans that go in one request.
#[derive(Debug)]
pub struct Unit {
    pub spans: Vec<Queued>,
    /// Tries that failed.
    pub attempts: u32,
    /// The forms that are left to them.
    pub limit: Limit,
    /// What the spans held when they left.
    pub(super) held_bytes: usize,
}

/// A unit that failed and waits for its backoff.
pub struct Delayed {
    pub unit: Unit,
    pub until: Instant,
}

impl Unit {
    pub fn new(spans: Vec<Queued>, attempts: u32) -> Self {
        Unit { spans, attempts, limit: Limit::None, held_bytes: 0 }
    }
}
