//! The queue, bounded in bytes, and the one lock under which a span changes its place.

use std::collections::{BTreeSet, VecDeque};
use std::time::Instant;

use super::flush::{FlushResult, Settled, Waiters};
use super::inbox::{Block, Inbox, Raw};
use super::ledger::{DropReason, LastError, Place, Stats};
use super::unit::{Delayed, Queued, Unit};
use crate::diagnostics::warn_once;
use crate::held::Messages;
use crate::spool::{Address, Changes, Returned};
use crate::transport::Circuit;
use crate::wire::time::iso_now;

/// Spans on disk whose place has changed: the thread passes it on, since nothing is written under the lock.
#[derive(Debug, Default)]
pub struct Moved {
    /// Delivered or given up.
    pub settled: Vec<Address>,
    /// On disk alone from now on.
    pub waiting: Vec<Address>,
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
    pub(super) inbox: Inbox,
    /// Encoded, in their order.
    pub(super) ready: VecDeque<Queued>,
    /// So many of the last ready spans lie each in memory of its own.
    pub(super) loose: usize,
    /// So many of the last ready spans are as they were encoded.
    pub(super) plain: usize,
    pub(super) delayed: Vec<Delayed>,
    /// Units that go before anything else: the parts of one that was refused as a whole, or spans from the spool.
    pub(super) prepared: VecDeque<Unit>,
    next_seq: u64,
    /// Ready spans numbered below this go without waiting for a batch to fill.
    pub(super) due: u64,
    /// Those numbered below this fill batches.
    pub(super) full_below: u64,
    /// Bytes on the wire of the ready spans.
    pub(super) ready_bytes: usize,
    /// All bytes held, in flight included, but for messages that spans share.
    pub(super) held_bytes: usize,
    /// Of them, those of spans that are as they were handed in.
    pub(super) raw_bytes: usize,
    /// Those messages.
    pub(super) messages: Messages,
    /// The most that may be held.
    pub(super) max_bytes: usize,
    pub(super) in_flight_bytes: usize,
    /// With a spool: the unsettled spans that are not on disk, by number.
    memory_only: Option<BTreeSet<u64>>,
    /// Segments that had to make room in the spool.
    gone: BTreeSet<u32>,
    moved: Moved,
    /// The spool is being told of what has moved.
    telling: bool,
}

impl State {
    pub fn new(max_queue_bytes: usize) -> Self {
        State {
            stats: Stats::default(),
            waiters: Waiters::default(),
            circuit: Circuit::default(),
            unauthorized: false,
            stopped: false,
            requests: 0,
            asked_to_wait_until: None,
            hurry_until: None,
            inbox: Inbox::default(),
            ready: VecDeque::new(),
            loose: 0,
            plain: 0,
            delayed: Vec::new(),
            prepared: VecDeque::new(),
            next_seq: 0,
            due: 0,
            full_below: 0,
            ready_bytes: 0,
            held_bytes: 0,
            raw_bytes: 0,
            messages: Messages::default(),
            max_bytes: max_queue_bytes,
            in_flight_bytes: 0,
            memory_only: None,
            gone: BTreeSet::new(),
            moved: Moved::default(),
            telling: false,
        }
    }

    /// The messages that spans in this queue share.
    pub fn messages(&self) -> Messages {
        self.messages.clone()
    }

    /// From now on there is a spool.
    pub fn start_spool(&mut self) {
        // Spans that came in before the thread got so far are not on disk.
        let delayed = self.delayed.iter().map(|delayed| &delayed.unit);
        let units = self.prepared.iter().chain(delayed).flat_map(|unit| &unit.spans);
        let here = units.chain(&self.ready).map(|span| span.seq).chain(self.inbox.numbers());
        self.memory_only.get_or_insert_with(|| here.collect());
    }

    /// Takes a finished span in, or counts it as dropped. Says whether many wait by now to be encoded.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        let refused = if self.stopped {
            Some(DropReason::Disabled)
        } else if self.unauthorized {
            Some(DropReason::Unauthorized)
        } else if bytes.len() > self.max_bytes {
            Some(DropReason::TooLarge)
        } else {
            None
        };
        if let Some(reason) = refused {
            self.stats.drop_from(Place::Open, reason, 1);
            return false;
        }
        self.make_room(bytes.len());
        self.stats.queue();
        let seq = self.number();
        self.held_bytes += bytes.len();
        self.raw_bytes += bytes.len();
        self.inbox.push(seq, bytes);
        if let Some(memory_only) = &mut self.memory_only {
            memory_only.insert(seq);
        }
        self.inbox.has_a_full_block()
    }

    fn number(&mut self) -> u64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        seq
    }

    /// Takes the next spans out of the inbox to encode them. They stay counted as queued.
    pub fn take_inbox(&mut self) -> Option<Block> {
        self.inbox.take()
    }

    /// All of its spans were encoded. It comes back if it is not needed any more.
    pub fn give_back(&mut self, block: Block) -> Option<Block> {
        self.inbox.give_back(block)
    }

    /// Encoded spans come back from the encoder, in their order; `before` is the length that they had in the inbox.
    pub fn ready(&mut self, spans: impl IntoIterator<Item = Queued>, before: usize) {
        let first = self.ready.len();
        self.ready.extend(spans);
        let (mut held, mut wire) = (0, 0);
        for span in self.ready.range(first..) {
            held += span.held.len();
            wire += span.held.wire_len();
            if let Some(memory_only) = self.memory_only.as_mut().filter(|_| span.spooled.is_some()) {
                memory_only.remove(&span.seq);
            }
        }
        self.raw_bytes -= before;
        self.held_bytes = self.held_bytes + held - before;
        self.ready_bytes += wire;
        self.loose += self.ready.len() - first;
        self.plain += self.ready.len() - first;
        self.make_room(0);
    }

    /// A span that is still as it was handed in is given up.
    pub fn give_up_raw(&mut self, span: &Raw, reason: DropReason) {
        self.held_bytes -= span.at.len();
        self.raw_bytes -= span.at.len();
        self.stats.drop_from(Place::Queued, reason, 1);
        self.settled(span.seq, None, Settled::Dropped);
    }

    /// Spans that waited in the spool are queued again, to go next.
    pub fn returned(&mut self, spans: Vec<Returned>) {
        if spans.is_empty() {
            return;
        }
        let since = Instant::now();
        let queue = |Returned { held, address }| {
            self.held_bytes += held.len();
            Queued { seq: self.number(), held, since, spooled: Some(address) }
        };
        let spans: Vec<Queued> = spans.into_iter().map(queue).collect();
        self.stats.unspool(spans.len() as u64);
        self.prepared.push_back(Unit::new(spans, 0));
    }

    /// What changed in the spool by itself.
    pub fn spool_changed(&mut self, changes: Changes) {
        if !changes.gone.is_empty() {
            self.gone.extend(changes.gone);
            self.forget_gone();
        }
        self.stats.find(changes.found);
        self.stats.drop_from(Place::Spooled, DropReason::SpoolFull, changes.full);
        self.stats.drop_from(Place::Spooled, DropReason::Expired, changes.expired);
        // They were on their way back, but never arrived.
        self.stats.drop_from(Place::Spooled, DropReason::Rejected, changes.unreadable);
    }

    /// What stood in a segment that is gone is in memory alone.
    fn forget_gone(&mut self) {
        let delayed = self.delayed.iter_mut().map(|delayed| &mut delayed.unit);
        let units = self.prepared.iter_mut().chain(delayed).flat_map(|unit| &mut unit.spans);
        for span in units.chain(&mut self.ready) {
            forget(&self.gone, &mut self.memory_only, span);
        }
    }

    /// As [`State::forget_gone`], for spans that were in flight.
    pub(super) fn forget_gone_of(&mut self, unit: &mut Unit) {
        for span in &mut unit.spans {
            forget(&self.gone, &mut self.memory_only, span);
        }
    }

    /// Whether spans from the spool may be queued again: the server takes spans, or nothing else is left to find out
    /// whether it does.
    pub fn can_take_from_spool(&self, now: Instant, most_requests: usize) -> bool {
        let try_it = !self.circuit.has_failed() || self.stats.unsettled() == 0;
        !(self.unauthorized || self.stopped)
            && try_it
            && self.resting_until(now).is_none()
            && self.prepared.is_empty()
            && self.requests <= most_requests / 2
            && self.all_bytes() < self.max_bytes / 2
    }

    /// The oldest spans go until `more` bytes fit.
    pub(super) fn make_room(&mut self, more: usize) {
        while self.all_bytes() + more > self.max_bytes {
            let oldest = self.pop_delayed_oldest().or_else(|| {
                self.ready.pop_front().inspect(|span| {
                    self.ready_bytes -= span.held.wire_len();
                })
            });
            let waits = if let Some(oldest) = oldest {
                self.held_bytes -= oldest.held.len();
                self.leave_memory(Place::Queued, &oldest, DropReason::QueueFull)
            } else if let Some(oldest) = self.inbox.pop() {
                self.give_up_raw(&oldest, DropReason::QueueFull);
                false
            } else {
                return;
            };
            if !waits {
                warn_once(
                    "The queue is full: the oldest spans are dropped. Raise maxQueueBytes, or see that the server can be reached.",
                );
            }
        }
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

    /// Begins a flush of all that is queued or in flight. `or_safe`: what is on disk need not be waited for while the
    /// server is down.
    pub fn begin_flush(
        &mut self,
        until: Instant,
        or_safe: bool,
    ) -> (u64, tokio::sync::oneshot::Receiver<()>) {
        self.hurry(until);
        let begun = self.waiters.begin(self.next_seq, self.stats.unsettled(), or_safe);
        if self.is_quiet() {
            self.waiters.finish_those_done();
        }
        begun
    }

    /// Nothing is under way, and the files say so, too.
    pub fn is_quiet(&self) -> bool {
        self.stats.unsettled() == 0 && self.moved.settled.is_empty() && !self.telling
    }

    /// Ends a flush: of what is still under way, the spans on disk count as spooled.
    pub fn end_flush(&mut self, id: u64) -> FlushResult {
        let memory_only = self.memory_only.as_ref();
        self.waiters.end(id, |mark| memory_only.map(|spans| spans.range(..mark).count() as u64))
    }

    /// When requests may go again, if none may now.
    pub(super) fn resting_until(&self, now: Instant) -> Option<Instant> {
        let asked = self.asked_to_wait_until.filter(|until| *until > now);
        asked.max(self.circuit.resting_until(now))
    }

    /// Another `init`.
    pub fn set_bound(&mut self, max_queue_bytes: usize) {
        self.max_bytes = max_queue_bytes;
    }

    /// All that is held, each message that spans share once.
    pub(super) fn all_bytes(&self) -> usize {
        self.held_bytes + self.messages.bytes()
    }

    /// What of that is queued. Messages count as queued as long as any span is.
    pub fn queued_bytes(&self) -> usize {
        let shared = if self.stats.queued > 0 { self.messages.bytes() } else { 0 };
        self.held_bytes - self.in_flight_bytes + shared
    }

    /// The changes of place that the spool has not been told of; [`State::told`] comes after it.
    pub fn take_moved(&mut self) -> Moved {
        self.telling = true;
        std::mem::take(&mut self.moved)
    }

    /// The files are up to date: flushes whose spans have settled end, and those that are content with the disk while
    /// the server is down.
    pub fn told(&mut self) {
        self.telling = false;
        if let Some(memory_only) = self.memory_only.as_ref().filter(|_| self.circuit.is_down()) {
            self.waiters.release_safe(memory_only.first().copied());
        }
        if self.moved.settled.is_empty() {
            self.waiters.finish_those_done();
        }
    }

    pub fn note_error(&mut self, message: &str, status: Option<u16>) {
        self.stats.last_error = Some(LastError { at: iso_now(), message: message.to_owned(), status });
    }

    pub(super) fn deliver(&mut self, spans: &[Queued]) {
        self.stats.deliver(spans.len() as u64);
        for span in spans {
            self.settled(span.seq, span.spooled, Settled::Delivered);
        }
    }

    pub(super) fn give_up(&mut self, place: Place, span: &Queued, reason: DropReason) {
        self.stats.drop_from(place, reason, 1);
        self.settled(span.seq, span.spooled, Settled::Dropped);
    }

    /// Memory has no room or no time left for a span: it waits on disk, or is given up. Says whether it waits.
    pub(super) fn leave_memory(&mut self, place: Place, span: &Queued, reason: DropReason) -> bool {
        let Some(address) = span.spooled else {
            self.give_up(place, span, reason);
            return false;
        };
        self.stats.spool_from(place);
        self.moved.waiting.push(address);
        self.waiters.settle(span.seq, Settled::Spooled);
        true
    }

    fn settled(&mut self, seq: u64, spooled: Option<Address>, how: Settled) {
        match (spooled, &mut self.memory_only) {
            (Some(address), _) => self.moved.settled.push(address),
            (None, Some(memory_only)) => {
                memory_only.remove(&seq);
            }
            (None, None) => {}
        }
        self.waiters.settle(seq, how);
    }
}

fn forget(gone: &BTreeSet<u32>, memory_only: &mut Option<BTreeSet<u64>>, span: &mut Queued) {
    if span.spooled.is_some_and(|address| address.is_in(gone)) {
        span.spooled = None;
        memory_only.get_or_insert_default().insert(span.seq);
    }
}
