//! The queue, bounded in bytes, and the one lock under which a span changes its place.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::flush::{Settled, Waiters};
use super::ledger::{DropReason, LastError, Place, Stats};
use crate::diagnostics::{debug, warn_once};
use crate::settings::{Batch, Retry};
use crate::transport::{Circuit, Form, backoff};
use crate::wire::time::iso_now;

/// What the queue holds of one span.
#[derive(Debug)]
pub struct Queued {
    /// Numbered as handed in.
    pub seq: u64,
    pub bytes: Vec<u8>,
    pub since: Instant,
}

/// Spans that go in one request.
#[derive(Debug)]
pub struct Unit {
    pub spans: Vec<Queued>,
    /// Tries that failed.
    pub attempts: u32,
}

/// How a unit that was refused goes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// As it was, in another form.
    Whole,
    /// Each span must speak for itself.
    Singly,
    /// The span that made it too large by itself; where there is none, two halves.
    BySize,
}

/// A unit that failed and waits for its backoff.
struct Delayed {
    unit: Unit,
    until: Instant,
}

/// All that changes, under one lock.
pub struct State {
    pub stats: Stats,
    pub waiters: Waiters,
    pub circuit: Circuit,
    /// After a 401 or 403, until `init` brings a new key.
    pub unauthorized: bool,
    /// After `shutdown`.
    pub stopped: bool,
    /// Requests under way.
    pub requests: usize,
    /// Until then the server wants no request (`Retry-After`); no hurry beats that.
    pub asked_to_wait_until: Option<Instant>,
    /// While set, backoffs are short: somebody waits (a flush, the end of the process).
    pub hurry_until: Option<Instant>,
    /// Handed in, not yet encoded.
    inbox: VecDeque<Queued>,
    /// Encoded, in their order.
    ready: VecDeque<Queued>,
    delayed: Vec<Delayed>,
    /// Units to send before anything else: the parts of one that was refused as a whole.
    split: VecDeque<Unit>,
    next_seq: u64,
    /// Ready spans numbered below this go without waiting for a batch to fill.
    due: u64,
    ready_bytes: usize,
    /// All bytes held, in flight included.
    held_bytes: usize,
    in_flight_bytes: usize,
}

impl State {
    pub fn new() -> Self {
        State {
            stats: Stats::default(),
            waiters: Waiters::default(),
            circuit: Circuit::default(),
            unauthorized: false,
            stopped: false,
            requests: 0,
            asked_to_wait_until: None,
            hurry_until: None,
            inbox: VecDeque::new(),
            ready: VecDeque::new(),
            delayed: Vec::new(),
            split: VecDeque::new(),
            next_seq: 0,
            due: 0,
            ready_bytes: 0,
            held_bytes: 0,
            in_flight_bytes: 0,
        }
    }

    /// Takes a finished span in, or counts it as dropped.
    pub fn push(&mut self, bytes: Vec<u8>, max_queue_bytes: usize) {
        let refused = if self.stopped {
            Some(DropReason::Disabled)
        } else if self.unauthorized {
            Some(DropReason::Unauthorized)
        } else if bytes.len() > max_queue_bytes {
            Some(DropReason::TooLarge)
        } else {
            None
        };
        if let Some(reason) = refused {
            self.stats.drop_from(Place::Open, reason, 1);
            return;
        }
        self.make_room(bytes.len(), max_queue_bytes);
        self.stats.queue();
        self.held_bytes += bytes.len();
        self.inbox.push_back(Queued { seq: self.next_seq, bytes, since: Instant::now() });
        self.next_seq += 1;
    }

    /// Takes up to `most` spans out of the inbox to encode them. They stay counted as queued.
    pub fn take_inbox(&mut self, most: usize) -> Vec<Queued> {
        let count = most.min(self.inbox.len());
        self.inbox.drain(..count).collect()
    }

    /// An encoded span comes back from the encoder; `before` is the length that it had in the inbox.
    pub fn ready(&mut self, span: Queued, before: usize, max_queue_bytes: usize) {
        self.held_bytes = self.held_bytes + span.bytes.len() - before;
        self.ready_bytes += span.bytes.len();
        self.ready.push_back(span);
        self.make_room(0, max_queue_bytes);
    }

    /// A span could not be encoded.
    pub fn unreadable(&mut self, span: &Queued, reason: DropReason) {
        self.held_bytes -= span.bytes.len();
        self.give_up(Place::Queued, span.seq, reason);
    }

    /// The oldest spans go until `more` bytes fit.
    fn make_room(&mut self, more: usize, max_queue_bytes: usize) {
        while self.held_bytes + more > max_queue_bytes {
            let oldest = self.pop_delayed_oldest().or_else(|| {
                self.ready.pop_front().inspect(|span| {
                    self.ready_bytes -= span.bytes.len();
                })
            });
            let Some(oldest) = oldest.or_else(|| self.inbox.pop_front()) else {
                return;
            };
            self.held_bytes -= oldest.bytes.len();
            self.give_up(Place::Queued, oldest.seq, DropReason::QueueFull);
            warn_once(
                "The queue is full: the oldest spans are dropped. Raise maxQueueBytes, or see that the server can be reached.",
            );
        }
    }

    fn pop_delayed_oldest(&mut self) -> Option<Queued> {
        let units = self.split.iter_mut().chain(self.delayed.iter_mut().map(|delayed| &mut delayed.unit));
        let oldest = units
            .filter(|unit| !unit.spans.is_empty())
            .min_by_key(|unit| unit.spans.first().map(|span| span.seq))?;
        let span = oldest.spans.remove(0);
        self.delayed.retain(|delayed| !delayed.unit.spans.is_empty());
        self.split.retain(|unit| !unit.spans.is_empty());
        Some(span)
    }

    /// All that is here now goes as soon as it can, without waiting for batches or backoffs.
    pub fn hurry(&mut self, until: Instant) {
        self.due = self.next_seq;
        self.hurry_until = Some(self.hurry_until.map_or(until, |before| before.max(until)));
        let now = Instant::now();
        for delayed in &mut self.delayed {
            delayed.until = now;
        }
        self.circuit.hurry();
    }

    /// The number that the next span will have: a flush waits for those below it.
    pub fn mark(&self) -> u64 {
        self.next_seq
    }

    /// When requests may go again, if none may now.
    fn resting_until(&self, now: Instant) -> Option<Instant> {
        let asked = self.asked_to_wait_until.filter(|until| *until > now);
        asked.max(self.circuit.resting_until(now))
    }

    pub fn queued_bytes(&self) -> usize {
        self.held_bytes - self.in_flight_bytes
    }

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
            .split
            .pop_front()
            .or_else(|| self.pop_delayed(now))
            .or_else(|| self.cut(now, batch, form))?;
        if !form.ndjson && unit.spans.len() > 1 {
            // Cut for NDJSON, which has been refused meanwhile.
            let attempts = unit.attempts;
            let rest = unit.spans.split_off(1);
            self.split.extend(rest.into_iter().map(|span| Unit { spans: vec![span], attempts }));
        }
        let bytes: usize = unit.spans.iter().map(|span| span.bytes.len()).sum();
        self.in_flight_bytes += bytes;
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
        let most_spans = if form.ndjson { batch.max_spans } else { 1 };
        let mut spans = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.ready.front() {
            let fits = spans.is_empty() || bytes + next.bytes.len() < batch.max_bytes;
            if next.seq >= self.due || spans.len() >= most_spans || !fits {
                break;
            }
            // The line feed counts too.
            bytes += next.bytes.len() + 1;
            self.ready_bytes -= next.bytes.len();
            spans.extend(self.ready.pop_front());
        }
        (!spans.is_empty()).then_some(Unit { spans, attempts: 0 })
    }

    /// The number below which the ready spans are a full batch, if they are.
    fn full_batch(&self, batch: &Batch) -> Option<u64> {
        if self.ready.len() < batch.max_spans && self.ready_bytes < batch.max_bytes {
            return None;
        }
        let mut bytes = 0;
        for (count, span) in self.ready.iter().enumerate() {
            if count == batch.max_spans || (count > 0 && bytes + span.bytes.len() >= batch.max_bytes) {
                return Some(span.seq);
            }
            bytes += span.bytes.len() + 1;
        }
        self.ready.back().map(|span| span.seq + 1)
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
        let split_due = (!self.split.is_empty()).then_some(now);
        let retry_due = self.delayed.iter().map(|delayed| delayed.until).min();
        let soonest = [batch_due, split_due, retry_due].into_iter().flatten().min()?;
        Some(self.resting_until(now).map_or(soonest, |rested| soonest.max(rested)))
    }

    /// The request of this unit has ended, whichever way.
    fn leave_flight(&mut self, unit: &Unit) {
        self.requests -= 1;
        self.in_flight_bytes -= unit.spans.iter().map(|span| span.bytes.len()).sum::<usize>();
    }

    pub fn delivered(&mut self, unit: Unit) {
        self.leave_flight(&unit);
        self.circuit.succeeded();
        self.stats.deliver(unit.spans.len() as u64);
        for span in unit.spans {
            self.held_bytes -= span.bytes.len();
            self.waiters.settle(span.seq, Settled::Delivered);
        }
    }

    /// All spans of the unit are given up.
    pub fn dropped(&mut self, unit: Unit, reason: DropReason) {
        self.leave_flight(&unit);
        for span in unit.spans {
            self.held_bytes -= span.bytes.len();
            self.give_up(Place::InFlight, span.seq, reason);
        }
    }

    /// The unit goes again after its backoff; spans that are too old for that are given up.
    pub fn retry(&mut self, unit: Unit, after: Option<Duration>, retry: &Retry) {
        let now = Instant::now();
        self.leave_flight(&unit);
        self.circuit.failed(now, retry);
        self.asked_to_wait_until = self.asked_to_wait_until.max(after.map(|after| now + after));
        let (old, spans): (Vec<_>, Vec<_>) =
            unit.spans.into_iter().partition(|span| now.duration_since(span.since) >= retry.max_age);
        for span in old {
            self.held_bytes -= span.bytes.len();
            self.give_up(Place::InFlight, span.seq, DropReason::Expired);
        }
        if spans.is_empty() {
            return;
        }
        self.stats.requeue(spans.len() as u64);
        let attempts = unit.attempts.saturating_add(1);
        let mut wait = backoff(attempts, retry);
        if self.hurry_until.is_some_and(|until| until > now) {
            wait = wait.min(retry.base / 4);
            self.circuit.hurry();
        }
        debug(|| format!("{} spans go again in {} ms, try {}", spans.len(), wait.as_millis(), attempts + 1));
        self.delayed.push(Delayed { unit: Unit { spans, attempts }, until: now + wait });
    }

    /// The unit goes again at once, whole or in parts.
    pub fn resend(&mut self, unit: Unit, parts: Parts) {
        self.leave_flight(&unit);
        self.circuit.succeeded();
        self.stats.requeue(unit.spans.len() as u64);
        let attempts = unit.attempts.saturating_add(1);
        let parts = match parts {
            Parts::Whole => vec![unit.spans],
            Parts::Singly => unit.spans.into_iter().map(|span| vec![span]).collect(),
            Parts::BySize => by_size(unit.spans),
        };
        self.split.extend(parts.into_iter().map(|spans| Unit { spans, attempts }));
    }

    /// Gives up all that is queued: the key was refused.
    pub fn drop_queue(&mut self, reason: DropReason) {
        let delayed = self.delayed.drain(..).map(|delayed| delayed.unit);
        let units: Vec<Unit> = self.split.drain(..).chain(delayed).collect();
        let spans: Vec<Queued> = units
            .into_iter()
            .flat_map(|unit| unit.spans)
            .chain(self.ready.drain(..))
            .chain(self.inbox.drain(..))
            .collect();
        self.ready_bytes = 0;
        for span in spans {
            self.held_bytes -= span.bytes.len();
            self.give_up(Place::Queued, span.seq, reason);
        }
    }

    pub fn note_error(&mut self, message: &str, status: Option<u16>) {
        self.stats.last_error = Some(LastError { at: iso_now(), message: message.to_owned(), status });
    }

    fn give_up(&mut self, place: Place, seq: u64, reason: DropReason) {
        self.stats.drop_from(place, reason, 1);
        self.waiters.settle(seq, Settled::Dropped);
    }
}

/// Two parts: the largest span and the rest if it has more than half of the bytes, else two halves.
fn by_size(mut spans: Vec<Queued>) -> Vec<Vec<Queued>> {
    let bytes: usize = spans.iter().map(|span| span.bytes.len()).sum();
    let largest = spans.iter().enumerate().max_by_key(|(_, span)| span.bytes.len());
    let alone = largest.filter(|(_, span)| span.bytes.len() > bytes / 2).map(|(at, _)| at);
    let rest = match alone {
        Some(at) => vec![spans.remove(at)],
        None => spans.split_off(spans.len() / 2),
    };
    [spans, rest].into_iter().filter(|part| !part.is_empty()).collect()
}
