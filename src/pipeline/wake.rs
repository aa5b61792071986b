//! Waking the thread. That costs the event loop a system call, so it is done only where the thread would sleep on: where
//! spans come so often that it had better look by itself soon, it naps, and nobody needs to wake it.

use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How long a nap lasts. What comes in meanwhile has so long to become a batch.
pub const NAP: Duration = Duration::from_millis(5);

/// What the thread does, and how to wake it.
#[derive(Default)]
pub struct Wake {
    notify: Notify,
    rest: AtomicU8,
}

/// The thread works, and looks for more before it rests.
const AWAKE: u8 = 0;
/// It will look by itself within [`NAP`].
const NAPPING: u8 = 1;
const ASLEEP: u8 = 2;

/// How often spans come, as the thread sees it.
#[derive(Default)]
pub struct Pace {
    last: Option<Instant>,
    often: bool,
}

impl Wake {
    /// Wakes the thread, whatever it does.
    pub fn now(&self) {
        self.notify.notify_one();
    }

    /// A span has come in, and `many` wait. To be called after it can be seen under the lock of the state.
    pub fn for_span(&self, many: bool) {
        let rest = self.rest.load(Ordering::Relaxed);
        if (rest == ASLEEP || (rest == NAPPING && many)) && self.rest.swap(AWAKE, Ordering::Relaxed) == rest {
            self.notify.notify_one();
        }
    }

    /// The thread is about to rest until then. It must look once more, under the lock, before it does: what came in
    /// before this was said has woken nobody.
    pub fn rest(&self, napping: bool) {
        self.rest.store(if napping { NAPPING } else { ASLEEP }, Ordering::Relaxed);
    }

    /// The rest of the thread, till somebody wakes it or `until`.
    pub async fn rest_until(&self, until: Instant) {
        tokio::select! {
            () = self.notify.notified() => {}
            () = tokio::time::sleep_until(until.into()) => {}
        }
        self.rest.store(AWAKE, Ordering::Relaxed);
    }

    /// It has found something to do.
    pub fn stay_awake(&self) {
        self.rest.store(AWAKE, Ordering::Relaxed);
    }
}

impl Pace {
    /// Whether a nap is in place: spans came in now, as `came` says, and shortly before.
    pub fn note(&mut self, came: bool) -> bool {
        if came {
            let now = Instant::now();
            self.often = self.last.is_some_and(|last| now.saturating_duration_since(last) < 2 * NAP);
            self.last = Some(now);
        } else {
            self.often = false;
        }
        self.often
    }
}
