//! What goes in one request, and when.

use std::time::Instant;

use super::queue::State;
use super::unit::{Queued, Unit};
use crate::settings::Batch;
use crate::transport::Form;

/// Of more ready spans it is not looked at where their batches end: that is done under the lock.
const MOST_LOOKED_AT: usize = 1024;

/// What a batch takes yet.
#[derive(Default)]
pub struct Left {
    spans: usize,
    bytes: usize,
}

impl Left {
    /// Of an empty one.
    pub fn whole(batch: &Batch) -> Self {
        Left { spans: batch.max_spans, bytes: batch.max_bytes }
    }

    /// Whether it takes another span of this length. A span that not even an empty one takes goes alone.
    pub fn takes(&self, wire_len: usize) -> bool {
        self.spans > 0 && wire_len < self.bytes
    }

    /// Whether it takes none, however short.
    pub fn is_none(&self) -> bool {
        self.spans == 0 || self.bytes == 0
    }

    /// The line feed counts, too.
    pub fn take(&mut self, wire_len: usize) {
        self.spans = self.spans.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(wire_len + 1);
    }
}

impl State {
    /// The next request to send now, if there is one. Its spans are counted as in flight.
    pub fn next_unit(
        &mut self,
        now: Instant,
        batch: &Batch,
        most_requests: usize,
        form: Form,
    ) -> Option<Unit> {
        if self.requests >= self.circuit.most_concurrent(most_requests) || self.resting_until(now).is_some() {
            return None;
        }
        let mut unit = self
            .prepared
            .pop_front()
            .or_else(|| self.pop_delayed(now))
            .or_else(|| self.cut(now, batch, form))?;
        if !form.within(unit.limit).ndjson && unit.spans.len() > 1 {
            // Cut for NDJSON, which has been refused meanwhile.
            let Unit { attempts, limit, .. } = unit;
            let rest = unit.spans.split_off(1);
            self.prepared
                .extend(rest.into_iter().map(|span| Unit { limit, ..Unit::new(vec![span], attempts) }));
        }
        unit.held_bytes = unit.spans.iter().map(|span| span.held.len()).sum();
        self.in_flight_bytes += unit.held_bytes;
        self.requests += 1;
        self.stats.send(unit.spans.len() as u64);
        self.stats.requests += 1;
        if unit.attempts > 0 {
            self.stats.retries += 1;
        }
        Some(unit)
    }

    fn pop_delayed(&mut self, now: Instant) -> Option<Unit> {
        let at = self.delayed.iter().position(|delayed| delayed.until <= now)?;
        Some(self.delayed.swap_remove(at).unit)
    }

    /// Takes the oldest span out of the units that are not under way.
    pub(super) fn pop_delayed_oldest(&mut self) -> Option<Queued> {
        let units = self.prepared.iter_mut().chain(self.delayed.iter_mut().map(|delayed| &mut delayed.unit));
        let oldest = units
            .filter(|unit| !unit.spans.is_empty())
            .min_by_key(|unit| unit.spans.first().map(|span| span.seq))?;
        let span = oldest.spans.remove(0);
        if oldest.spans.is_empty() {
            self.delayed.retain(|delayed| !delayed.unit.spans.is_empty());
            self.prepared.retain(|unit| !unit.spans.is_empty());
        }
        Some(span)
    }

    /// Cuts a batch off the ready spans, if one is full or old enough.
    fn cut(&mut self, now: Instant, batch: &Batch, form: Form) -> Option<Unit> {
        let oldest = self.ready.front()?;
        let full = self.full_batch(batch);
        if now.duration_since(oldest.since) >= batch.max_delay {
            self.due = self.due.max(self.ready.back()?.seq + 1);
        } else if let Some(end) = full {
            self.due = self.due.max(end);
        }
        if form.ndjson && full.is_none() && !self.inbox.is_empty() {
            // More is on its way that may go with it.
            return None;
        }
        let mut spans = Vec::new();
        let mut left = if form.ndjson { Left::whole(batch) } else { Left::default() };
        while let Some(next) = self.ready.front() {
            let wire_len = next.held.wire_len();
            if next.seq >= self.due || !spans.is_empty() && !left.takes(wire_len) {
                break;
            }
            left.take(wire_len);
            self.ready_bytes -= wire_len;
            spans.extend(self.ready.pop_front());
        }
        (!spans.is_empty()).then(|| Unit::new(spans, 0))
    }

    /// The number below which the ready spans are a full batch, if they are.
    fn full_batch(&self, batch: &Batch) -> Option<u64> {
        if self.ready.len() < batch.max_spans && self.ready_bytes < batch.max_bytes {
            return self.ready.front().filter(|span| span.seq < self.full_below).map(|_| self.full_below);
        }
        let mut left = Left::whole(batch);
        for (count, span) in self.ready.iter().enumerate() {
            let wire_len = span.held.wire_len();
            if count > 0 && !left.takes(wire_len) {
                return Some(span.seq);
            }
            left.take(wire_len);
        }
        self.ready.back().map(|span| span.seq + 1)
    }

    /// The last ready spans fill a batch, since the next one does not fit.
    pub fn are_full(&mut self) {
        self.full_below = self.ready.back().map_or(self.full_below, |span| span.seq + 1);
    }

    /// What the last batch of the ready spans takes yet.
    pub fn left_in_batch(&self, batch: &Batch) -> Left {
        let mut left = Left::whole(batch);
        if self.ready.back().is_some_and(|span| span.seq < self.full_below) {
            return left;
        }
        if self.ready.len() > MOST_LOOKED_AT {
            return left;
        }
        for span in &self.ready {
            let wire_len = span.held.wire_len();
            if !left.takes(wire_len) {
                left = Left::whole(batch);
            }
            left.take(wire_len);
        }
        left
    }

    /// When there is something to do next, if nothing else happens before.
    pub fn next_wake(&self, batch: &Batch, most_requests: usize) -> Option<Instant> {
        if self.requests >= self.circuit.most_concurrent(most_requests) {
            // The end of a request is what comes next.
            return None;
        }
        let now = Instant::now();
        let batch_due = |span: &Queued| if span.seq < self.due { now } else { span.since + batch.max_delay };
        let batch_due = self.ready.front().map(batch_due);
        let prepared_due = (!self.prepared.is_empty()).then_some(now);
        let retry_due = self.delayed.iter().map(|delayed| delayed.until).min();
        let soonest = [batch_due, prepared_due, retry_due].into_iter().flatten().min()?;
        Some(self.resting_until(now).map_or(soonest, |rested| soonest.max(rested)))
    }
}
