//! One thing that is read, a list or a pinned version, and how reading it goes.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use tokio::sync::watch;

use super::disk::Digest;
use crate::catalog::Config;

/// So long a miss is believed before the server is asked again for it.
const MISS_IS_KNOWN: Duration = Duration::from_secs(5);

/// Many may wait for it, one reads.
#[derive(Default)]
pub struct Slot {
    state: Mutex<State>,
    /// Counts: something came, from the cache or the server; a read ended.
    progress: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    /// Since when a read is under way.
    begun_at: Option<Instant>,
    /// When the last one ended.
    ended_at: Option<Instant>,
    /// Why it failed, if it did.
    failure: Option<String>,
    /// The cache was looked into.
    restored: bool,
    known: Option<Known>,
    /// Of a pinned version: what it is.
    config: Option<Arc<Config>>,
}

/// What stands for the last good answer.
#[derive(Clone)]
pub struct Known {
    pub etag: Option<String>,
    pub digest: Digest,
    /// When the server last said so.
    pub at: SystemTime,
}

/// Whether a read may bring what is missing.
pub enum Prospect {
    /// One is under way, since then.
    UnderWay(Instant),
    MayHelp,
    /// It was asked for a short while ago, in vain; why, if that failed.
    Settled(Option<String>),
}

/// A read under way. It ends as soon as this is dropped, however that comes about.
pub struct Reading {
    slot: Arc<Slot>,
    outcome: Result<(), String>,
}

impl Slot {
    pub fn prospect(&self, now: Instant) -> Prospect {
        let state = self.state.lock();
        match (state.begun_at, state.ended_at) {
            (Some(since), _) => Prospect::UnderWay(since),
            (None, Some(at)) if now.duration_since(at) < MISS_IS_KNOWN => {
                Prospect::Settled(state.failure.clone())
            }
            _ => Prospect::MayHelp,
        }
    }

    /// `None` if a read is under way already.
    pub fn begin(self: &Arc<Self>) -> Option<Reading> {
        let mut state = self.state.lock();
        if state.begun_at.is_some() {
            return None;
        }
        state.begun_at = Some(Instant::now());
        Some(Reading {
            slot: Arc::clone(self),
            outcome: Err("the tracer met an error of its own".to_owned()),
        })
    }

    /// How often something came so far. To be asked for before looking whether it did: what comes between the look
    /// and the waiting is not missed then.
    pub fn progress(&self) -> u64 {
        *self.progress.borrow()
    }

    /// Waits until something came after `seen`.
    pub async fn after(&self, seen: u64) {
        let mut watch = self.progress.subscribe();
        // The sender lives as long as `self`.
        let _ = watch.wait_for(|progress| *progress != seen).await;
    }

    /// Something came: those who wait may ask again.
    pub fn tell(&self) {
        self.progress.send_modify(|progress| *progress += 1);
    }

    pub fn is_restored(&self) -> bool {
        self.state.lock().restored
    }

    pub fn set_restored(&self) {
        self.state.lock().restored = true;
        self.tell();
    }

    pub fn known(&self) -> Option<Known> {
        self.state.lock().known.clone()
    }

    pub fn set_known(&self, known: Option<Known>) {
        self.state.lock().known = known;
    }

    pub fn config(&self) -> Option<Arc<Config>> {
        self.state.lock().config.clone()
    }

    pub fn set_config(&self, config: Option<Arc<Config>>) {
        self.state.lock().config = config;
    }
}

impl Reading {
    pub fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }

    pub fn end(mut self, outcome: Result<(), String>) {
        self.outcome = outcome;
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        let outcome = std::mem::replace(&mut self.outcome, Ok(()));
        {
            let mut state = self.slot.state.lock();
            state.begun_at = None;
            state.ended_at = Some(Instant::now());
            state.failure = outcome.err();
        }
        self.slot.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_was_dropped_half_way_does_not_keep_the_next_from_beginning() {
        let slot = Arc::new(Slot::default());
        let reading = slot.begin().unwrap();
        assert!(slot.begin().is_none());
        assert!(matches!(slot.prospect(Instant::now()), Prospect::UnderWay(_)));
        drop(reading);
        assert!(matches!(slot.prospect(Instant::now()), Prospect::Settled(Some(_))));
        assert!(slot.begin().is_some());
    }

    #[test]
    fn a_miss_is_believed_for_a_while() {
        let slot = Arc::new(Slot::default());
        assert!(matches!(slot.prospect(Instant::now()), Prospect::MayHelp));
        slot.begin().unwrap().end(Ok(()));
        let now = Instant::now();
        assert!(matches!(slot.prospect(now), Prospect::Settled(None)));
        assert!(matches!(slot.prospect(now + MISS_IS_KNOWN), Prospect::MayHelp));
    }

    #[test]
    fn who_waits_is_told_of_what_came_before_the_waiting_and_after_the_look() {
        let slot = Arc::new(Slot::default());
        let seen = slot.progress();
        slot.begin().unwrap().end(Ok(()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(slot.after(seen));
    }
}
