//! What came in is encoded, compressed where it may have to wait, and written to the spool, before it is queued.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::batch::Left;
use super::disk::Disk;
use super::encode::{EncodeError, Written, likely_len};
use super::inbox::{Block, Raw};
use super::ledger::DropReason;
use super::lines::Lines;
use super::shared::Shared;
use super::unit::Queued;
use super::waiting::tidy;
use crate::diagnostics::warn_once;
use crate::held::{Held, Line};
use crate::settings::{Batch, Settings};

/// With a spool, the first spans of a block are on disk before the last ones are encoded.
const WRITTEN_AT_ONCE: usize = 32;

/// Memory for a span apart that is kept for good, and for a while.
const MOST_APART: usize = 64 * 1024;
const MOST_APART_FOR_A_WHILE: usize = 1024 * 1024;

/// When more than this share of the queue is written, it is queued: what is held can be packed there, or make room.
const MOST_WRITTEN: usize = 8;

/// Encodes what came in. Spans that go in one batch lie together: they are queued when it is full, or has to go.
#[derive(Default)]
pub struct Intake {
    lines: Lines,
    /// Where a span is written for which they have no room.
    apart: Vec<u8>,
    /// The spans of these lines.
    written: Vec<Waiting>,
    /// Their length.
    bytes: usize,
    /// The length that they had in the inbox.
    before: usize,
    /// What the batch takes yet in which they will go.
    left: Left,
}

struct Waiting {
    seq: u64,
    since: Instant,
    at: Range<usize>,
}

/// Where a span was written.
enum Place {
    Line(Range<usize>),
    /// It does not fit there any more, and stands apart: so many bytes.
    Apart(usize),
}

impl Intake {
    /// Encodes a block of what came in. Says whether there was something to do.
    pub fn encode_some(&mut self, shared: &Shared, settings: &Settings, disk: &mut Disk) -> bool {
        tidy(shared);
        let block = {
            let mut state = shared.state();
            if self.written.is_empty() {
                self.left = state.left_in_batch(&settings.batch);
            }
            state.take_inbox()
        };
        let came = block.is_some();
        let mut queue = Queue { shared, settings, disk };
        if let Some(block) = block {
            self.encode_block(&block, &mut queue);
            let unneeded = shared.state().give_back(block);
            drop(unneeded);
        }
        let goes = self.goes(&queue);
        if goes {
            self.queue(&mut queue, false);
        }
        came || goes
    }

    /// Queues what is written, whether it fills a batch or not.
    pub fn queue_all(&mut self, shared: &Shared, settings: &Settings, disk: &mut Disk) {
        self.queue(&mut Queue { shared, settings, disk }, false);
    }

    /// When what is written has to go, though it fills no batch.
    pub fn due(&self, batch: &Batch) -> Option<Instant> {
        self.written.first().map(|oldest| oldest.since + batch.max_delay)
    }

    fn goes(&self, queue: &Queue) -> bool {
        let (Some(oldest), Some(due)) = (self.written.first(), self.due(&queue.settings.batch)) else {
            return false;
        };
        let in_batches = || {
            let Settings { traces, transport, .. } = queue.settings;
            queue.shared.http.negotiation.form(&traces.url, transport).ndjson
        };
        let state = queue.shared.state();
        let has_to = oldest.seq < state.due || due <= Instant::now();
        state.waits() || queue.disk.is_there() || has_to && state.inbox.is_empty() || !in_batches()
    }

    fn encode_block(&mut self, block: &Block, queue: &mut Queue) {
        for span in &block.spans {
            match self.encode(queue.shared, queue.settings, span, block.bytes(span)) {
                Some(Place::Line(at)) => self.note(span, at),
                Some(Place::Apart(len)) => {
                    let is_full = !self.left.takes(len);
                    self.queue(queue, is_full);
                    self.begin(queue, span, len);
                }
                None => {}
            }
            let is_full = self.left.is_none();
            let is_much = self.bytes > queue.settings.max_queue_bytes / MOST_WRITTEN;
            if is_full || is_much || queue.disk.is_there() && self.written.len() >= WRITTEN_AT_ONCE {
                self.queue(queue, is_full);
            }
        }
        if self.apart.len() > MOST_APART_FOR_A_WHILE {
            self.apart = Vec::new();
        }
    }

    /// Whether it keeps more memory than it should for long.
    pub fn keeps_much(&self) -> bool {
        self.apart.len() > MOST_APART || self.lines.buffers().keeps_many()
    }

    /// Frees what a large span was written to, and lines that were not needed since the last call, but for a few.
    pub fn free_unneeded(&mut self) {
        if self.apart.len() > MOST_APART {
            self.apart = Vec::new();
        }
        self.lines.buffers().free_unneeded();
    }

    fn encode(&mut self, shared: &Shared, settings: &Settings, raw: &Raw, bytes: &[u8]) -> Option<Place> {
        let (memory, apart) = (self.lines.rest(likely_len(bytes)), &mut self.apart);
        // A bug of ours costs this span, and not all that came in with it.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            shared.encoder.encode_into(bytes, settings.max_span_bytes, memory, apart)
        }));
        let written = outcome.unwrap_or(Err(EncodeError::Bug));
        match written.and_then(|written| self.place(written).ok_or(EncodeError::Bug)) {
            Ok(place) => Some(place),
            Err(error) => {
                let reason = match &error {
                    EncodeError::TooLarge => DropReason::TooLarge,
                    EncodeError::Unreadable(_) | EncodeError::Bug => DropReason::Rejected,
                };
                shared.state().give_up_raw(raw, reason);
                warn_once(&format!("A span could not be written and was dropped: {error}"));
                None
            }
        }
    }

    /// Where a span stays that was written there: what the batch takes is a line of it.
    fn place(&mut self, written: Written) -> Option<Place> {
        match written {
            Written::There(len) if self.left.takes(len) => self.lines.take_in(len).map(Place::Line),
            Written::There(len) => {
                let line = self.lines.rest(len).get(..len)?;
                if self.apart.len() < len {
                    self.apart.resize(len, 0);
                }
                self.apart.get_mut(..len)?.copy_from_slice(line);
                Some(Place::Apart(len))
            }
            Written::Apart(len) => {
                let line = self.apart.get(..len)?;
                let at = if self.left.takes(len) { self.lines.put(line) } else { None };
                Some(at.map_or(Place::Apart(len), Place::Line))
            }
        }
    }

    fn note(&mut self, raw: &Raw, at: Range<usize>) {
        self.left.take(at.len());
        self.bytes += at.len();
        self.before += raw.at.len();
        self.written.push(Waiting { seq: raw.seq, since: raw.since, at });
    }

    /// The first of the next lines: what stands apart. A span that is longer than all of them may be stays alone.
    fn begin(&mut self, queue: &mut Queue, raw: &Raw, len: usize) {
        if !self.left.takes(len) {
            self.left = Left::whole(&queue.settings.batch);
        }
        let line = self.apart.get(..len).unwrap_or_default();
        match self.lines.put(line) {
            Some(at) => self.note(raw, at),
            None => {
                let held = Held::plain(line.to_vec());
                let span = Queued { seq: raw.seq, since: raw.since, held, spooled: None };
                self.left = queue.put(vec![span], raw.at.len(), false);
            }
        }
    }

    /// Queues what is written. `full`: with it, the batch is, since the next span does not fit.
    fn queue(&mut self, queue: &mut Queue, full: bool) {
        if self.written.is_empty() {
            if full {
                queue.shared.state().are_full();
            }
            return;
        }
        let lines = self.lines.take();
        self.bytes = 0;
        let queued = |Waiting { seq, since, at }| {
            let held = Held::Plain(Line::among(&lines, at));
            Queued { seq, since, held, spooled: None }
        };
        let spans = self.written.drain(..).map(queued).collect();
        self.left = queue.put(spans, std::mem::take(&mut self.before), full);
    }
}

/// Where encoded spans go.
struct Queue<'r> {
    shared: &'r Shared,
    settings: &'r Settings,
    disk: &'r mut Disk,
}

impl Queue<'_> {
    /// `before` is the length that they had in the inbox. Gives what the batch takes yet in which the next ones will go.
    fn put(&mut self, mut spans: Vec<Queued>, before: usize, full: bool) -> Left {
        let Queue { shared, settings, disk } = self;
        let waits = shared.state().waits();
        disk.write(&shared.packer, waits, spans.iter_mut());
        if waits {
            spans.iter_mut().for_each(|span| shared.packer.pack(&mut span.held));
        }
        let mut state = shared.state();
        state.ready(spans, before);
        if waits {
            state.are_packed();
        }
        if full {
            state.are_full();
        }
        if state.unauthorized {
            // The key was refused while they were encoded.
            state.drop_queue(DropReason::Unauthorized);
        }
        state.left_in_batch(&settings.batch)
    }
}
