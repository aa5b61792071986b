//! A flush waits for what was queued and in flight when it was called.

use serde::Serialize;
use tokio::sync::oneshot;

/// What became of the spans that were there when `flush` was called (`options.md`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FlushResult {
    pub delivered: u64,
    pub spooled: u64,
    pub dropped: u64,
    pub pending: u64,
    pub timed_out: bool,
}

impl std::fmt::Display for FlushResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let FlushResult { delivered, spooled, dropped, pending, timed_out } = self;
        write!(f, "{delivered} delivered, {spooled} spooled, {dropped} dropped, {pending} pending")?;
        if *timed_out { write!(f, ", out of time") } else { Ok(()) }
    }
}

/// How a span's way ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    Delivered,
    Dropped,
    /// It waits on disk.
    Spooled,
}

/// One flush under way.
struct Waiter {
    id: u64,
    /// Spans numbered below this were there when it began.
    mark: u64,
    so_far: FlushResult,
    /// What is on disk need not be waited for while the server is down.
    or_safe: bool,
    done: oneshot::Sender<()>,
}

/// The flushes under way.
#[derive(Default)]
pub struct Waiters {
    waiting: Vec<Waiter>,
    /// Results that nobody has taken yet, by the flush's id.
    next_id: u64,
    finished: Vec<(u64, FlushResult)>,
}

impl Waiters {
    /// Begins a flush of the `pending` spans numbered below `mark`. The receiver fires when all have settled and
    /// [`Waiters::finish_those_done`] was called.
    pub fn begin(&mut self, mark: u64, pending: u64, or_safe: bool) -> (u64, oneshot::Receiver<()>) {
        let (done, receiver) = oneshot::channel();
        let id = self.next_id;
        self.next_id += 1;
        let so_far = FlushResult { pending, ..FlushResult::default() };
        self.waiting.push(Waiter { id, mark, so_far, or_safe, done });
        (id, receiver)
    }

    /// Ends a flush and says what became of its spans. `memory_only`: with a spool, how many of the spans below a mark
    /// are not on disk.
    pub fn end(&mut self, id: u64, memory_only: impl FnOnce(u64) -> Option<u64>) -> FlushResult {
        if let Some(at) = self.finished.iter().position(|(finished, _)| *finished == id) {
            return self.finished.swap_remove(at).1;
        }
        let Some(at) = self.waiting.iter().position(|waiter| waiter.id == id) else {
            return FlushResult::default();
        };
        let Waiter { mark, so_far, .. } = self.waiting.swap_remove(at);
        let under_way = so_far.pending;
        let pending = memory_only(mark).map_or(under_way, |unsafe_ones| unsafe_ones.min(under_way));
        let spooled = so_far.spooled + under_way - pending;
        FlushResult { pending, spooled, timed_out: under_way > 0, ..so_far }
    }

    /// Ends those flushes that are content with the disk; spans numbered from `first_unsafe` on may not be on it.
    pub fn release_safe(&mut self, first_unsafe: Option<u64>) {
        let safe = |waiter: &Waiter| waiter.or_safe && first_unsafe.is_none_or(|first| first >= waiter.mark);
        for waiter in self.waiting.iter_mut().filter(|waiter| safe(waiter)) {
            waiter.so_far.spooled += waiter.so_far.pending;
            waiter.so_far.pending = 0;
        }
    }

    /// The span numbered `seq` has settled.
    pub fn settle(&mut self, seq: u64, how: Settled) {
        if self.waiting.is_empty() {
            return;
        }
        for waiter in self.waiting.iter_mut().filter(|waiter| seq < waiter.mark) {
            waiter.so_far.pending = waiter.so_far.pending.saturating_sub(1);
            match how {
                Settled::Delivered => waiter.so_far.delivered += 1,
                Settled::Dropped => waiter.so_far.dropped += 1,
                Settled::Spooled => waiter.so_far.spooled += 1,
            }
        }
    }

    /// Ends the flushes whose spans have all settled.
    pub fn finish_those_done(&mut self) {
        let mut at = 0;
        while let Some(waiter) = self.waiting.get(at) {
            if waiter.so_far.pending > 0 {
                at += 1;
                continue;
            }
            let waiter = self.waiting.swap_remove(at);
            self.finished.push((waiter.id, waiter.so_far));
            let _ = waiter.done.send(());
        }
    }
}
