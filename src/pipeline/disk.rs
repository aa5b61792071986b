//! The thread's side of the spool: the lock is never held while the disk works.

use std::sync::Arc;
use std::time::Instant;

use super::queue::Moved;
use super::shared::Shared;
use super::unit::Queued;
use crate::held::{Held, Packer};
use crate::settings::Settings;
use crate::spool::Spool;
use crate::transport::Form;

/// The spool, if there is one.
#[derive(Default)]
pub struct Disk {
    spool: Option<Spool>,
    /// The settings that it follows.
    settings: Option<Arc<Settings>>,
}

impl Disk {
    /// Whether these are the settings that it follows.
    pub fn follows(&self, settings: &Arc<Settings>) -> bool {
        self.settings.as_ref().is_some_and(|followed| Arc::ptr_eq(followed, settings))
    }

    /// Another `init` may bring a spool, or another URL or key, to which other files belong.
    pub fn follow(&mut self, shared: &Shared, settings: &Arc<Settings>) {
        self.settings = Some(Arc::clone(settings));
        match (&mut self.spool, &settings.spool) {
            (Some(spool), _) => spool.aim(&settings.traces),
            (None, Some(options)) => {
                self.spool = Some(Spool::new(options.clone(), &settings.traces));
                shared.state().start_spool();
            }
            (None, None) => {}
        }
    }

    /// Whether there is a spool, which promises to have a span soon.
    pub fn is_there(&self) -> bool {
        self.spool.is_some()
    }

    /// Writes these spans as they were encoded, so that they outlive the process. Where that fails, they are in memory
    /// alone. Those that `wait` are packed then, too: what the file holds compressed is not compressed again.
    pub fn write<'q>(&mut self, packer: &Packer, wait: bool, spans: impl Iterator<Item = &'q mut Queued>) {
        let Some(spool) = &mut self.spool else { return };
        let spans: Vec<&mut Queued> = spans.collect();
        if spans.is_empty() {
            return;
        }
        let frames: Vec<Option<Held>> = spans.iter().map(|span| packer.compressed(&span.held)).collect();
        let written: Vec<(&Held, _)> = spans
            .iter()
            .zip(&frames)
            .map(|(span, frame)| (frame.as_ref().unwrap_or(&span.held), span.since.elapsed()))
            .collect();
        let Some(addresses) = spool.append(&written) else { return };
        for ((span, address), frame) in spans.into_iter().zip(addresses).zip(frames) {
            span.spooled = Some(address);
            if wait && let Some(packed) = packer.share(&span.held).or(frame) {
                span.held = packed;
            }
        }
    }

    /// Tells the spool which spans have left, and the queue and the ledger what changed on disk. Ends the flushes that
    /// have come to their end: only now, or the process might end before its files know what was delivered.
    pub fn keep_up(&mut self, shared: &Shared, settings: &Settings) {
        if let Some(spool) = &mut self.spool {
            spool.look(Instant::now());
            let Moved { settled, waiting } = shared.state().take_moved();
            spool.wait(&waiting);
            spool.settle(&settled);
            // What was found must be counted before it can go back to the queue.
            shared.state().spool_changed(spool.take_changes());
            let form = shared.http.negotiation.form(&settings.traces.url, &settings.transport);
            replay(shared, settings, spool, form);
        }
        let mut state = shared.state();
        if let Some(spool) = &mut self.spool {
            state.spool_changed(spool.take_changes());
            state.stats.spooled_bytes = spool.waiting_bytes();
        }
        state.told();
    }

    /// Whether spans wait on disk alone.
    pub fn has_waiting(&self) -> bool {
        self.spool.as_ref().is_some_and(Spool::has_waiting)
    }

    /// When the spool has something to do by itself.
    pub fn next_look(&self) -> Option<Instant> {
        self.spool.as_ref().and_then(Spool::next_look)
    }
}

/// Queues the oldest spans that wait on disk, if the server takes spans: as many as go in one turn.
fn replay(shared: &Shared, settings: &Settings, spool: &mut Spool, form: Form) {
    let most_requests = settings.transport.max_concurrent;
    if spool.has_waiting() && shared.state().can_take_from_spool(Instant::now(), most_requests) {
        let most_spans = if form.ndjson { settings.batch.max_spans } else { most_requests };
        let spans = spool.replay(most_spans, settings.batch.max_bytes);
        shared.state().returned(spans);
    }
}
