//! Spans that have to wait are held small, and close together. One that goes soon is not worth the work.

use super::queue::State;
use super::shared::Shared;
use super::unit::Queued;
use crate::held::gather;

/// The queue is filling up when this share of it is encoded. Until then, a server that takes spans will have taken them
/// before they were packed; what is packed at once holds up the thread for some ten ms.
const FILLS_UP_ABOVE: usize = 4;
/// When little room is left, this share is worth being packed.
const WORTH_IT_ABOVE: usize = 16;
/// Spans of so many bytes are moved into pages of their own.
const GATHERED: usize = 64 * 1024;

/// Ready spans that are worth the work. They stay counted as queued.
pub struct Loose {
    spans: Vec<Queued>,
    /// What they held.
    before: usize,
}

impl State {
    /// Whether spans have to wait: the server does not take them, or not as fast as the thread encodes them. What it
    /// has yet to encode does not count: packing makes nothing of that smaller, and takes the time that it lacks.
    pub fn waits(&self) -> bool {
        let is_nearly_full = self.all_bytes() > self.max_bytes / 4 * 3;
        let fills_up_above = if is_nearly_full { WORTH_IT_ABOVE } else { FILLS_UP_ABOVE };
        self.circuit.has_failed() || self.encoded_bytes() > self.max_bytes / fills_up_above
    }

    /// Whether what came in fills a block, and may be encoded before what is encoded is sent: the queue has room for it.
    pub fn has_much_to_encode(&self) -> bool {
        let has_room = !self.waits() && self.encoded_bytes() < self.max_bytes / (2 * FILLS_UP_ABOVE);
        has_room && self.inbox.has_a_full_block()
    }

    fn encoded_bytes(&self) -> usize {
        self.all_bytes() - self.raw_bytes
    }

    /// The last ready spans were packed before they were queued.
    pub fn are_packed(&mut self) {
        self.plain = 0;
    }

    /// If spans have to wait: those that lie each in memory of its own, if there are enough of them, or some that are not
    /// packed. [`State::put_back`] comes after it.
    fn take_loose(&mut self) -> Option<Loose> {
        let first = self.ready.len().saturating_sub(self.loose);
        self.loose = self.ready.len() - first;
        self.plain = self.plain.min(self.loose);
        if !self.waits() {
            return None;
        }
        let before = held_bytes(self.ready.range(first..));
        (self.plain > 0 || before >= GATHERED).then(|| {
            self.plain = 0;
            Loose { spans: self.ready.split_off(first).into(), before }
        })
    }

    fn put_back(&mut self, loose: Loose, gathered: bool) {
        self.held_bytes = self.held_bytes - loose.before + held_bytes(&loose.spans);
        self.ready.extend(loose.spans);
        if gathered {
            self.loose = 0;
        }
        self.make_room(0);
    }
}

fn held_bytes<'q>(spans: impl IntoIterator<Item = &'q Queued>) -> usize {
    spans.into_iter().map(|span| span.held.len()).sum()
}

/// Makes the queue small, if spans have to wait.
pub fn tidy(shared: &Shared) {
    let Some(mut loose) = shared.state().take_loose() else { return };
    loose.spans.iter_mut().for_each(|span| shared.packer.pack(&mut span.held));
    let gathered = held_bytes(&loose.spans) >= GATHERED;
    if gathered {
        gather(loose.spans.iter_mut().map(|span| &mut span.held));
    }
    shared.state().put_back(loose, gathered);
}

/// Packs spans whose request failed: they will wait.
pub fn pack(shared: &Shared, spans: &mut [Queued]) {
    spans.iter_mut().for_each(|span| shared.packer.pack(&mut span.held));
    gather(spans.iter_mut().map(|span| &mut span.held));
}
