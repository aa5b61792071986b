//! Events that are held back for a while, so that 100,000 drops do not become 100,000 calls.

use std::borrow::Cow;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::{Event, Kind, debug, line, tell};

/// After an event, those of its kind and reason are summed for so long.
const QUIET: Duration = Duration::from_secs(1);

/// A kind and reason that was said lately. There are only as many as the source has pairs of them.
struct Lately {
    kind: Kind,
    reason: Option<&'static str>,
    until: Instant,
    /// Of the latest.
    message: String,
    /// Events held back, and the sum of their counts.
    events: u64,
    count: u64,
    /// The sum of the counts that no debug line has told yet.
    unsaid: u64,
}

/// What becomes of an event for now.
pub enum Hold {
    /// Not held back.
    No,
    /// Held back, with a text that was not said yet.
    Aloud,
    /// Held back, with the text of the one before.
    Silently,
}

static LATELY: Mutex<Vec<Lately>> = Mutex::new(Vec::new());
static WAKE: OnceLock<fn()> = OnceLock::new();

/// `wake` is called whenever [`due`] has become earlier. It must not block. Only the first call counts.
pub fn when_held_back(wake: fn()) {
    let _ = WAKE.set(wake);
}

/// Holds an event back if one like it was said lately.
pub fn hold(event: &Event<'_>, now: Instant) -> Hold {
    let mut all = LATELY.lock();
    let Some(lately) = all.iter_mut().find(|one| one.kind == event.kind && one.reason == event.reason) else {
        all.push(Lately {
            kind: event.kind,
            reason: event.reason,
            until: now + QUIET,
            message: event.message.to_string(),
            events: 0,
            count: 0,
            unsaid: 0,
        });
        return Hold::No;
    };
    if lately.events == 0 && lately.until <= now {
        lately.until = now + QUIET;
        event.message.as_ref().clone_into(&mut lately.message);
        return Hold::No;
    }
    lately.events += 1;
    lately.count += event.count;
    let first = lately.events == 1;
    let hold = if lately.message == event.message {
        lately.unsaid += event.count;
        Hold::Silently
    } else {
        event.message.as_ref().clone_into(&mut lately.message);
        Hold::Aloud
    };
    drop(all);
    if first && let Some(wake) = WAKE.get() {
        wake();
    }
    hold
}

/// When [`flush_due`] has something to say; `None` while nothing is held back.
pub fn due() -> Option<Instant> {
    LATELY.lock().iter().filter(|lately| lately.events > 0).map(|lately| lately.until).min()
}

/// Says what was held back until now.
pub fn flush_due(now: Instant) {
    let sums: Vec<(Event<'static>, u64)> = {
        let mut all = LATELY.lock();
        all.iter_mut().filter(|lately| lately.events > 0 && lately.until <= now).map(|l| l.sum(now)).collect()
    };
    for (sum, unsaid) in sums {
        if unsaid > 0 {
            debug(|| line(&Event { count: unsaid, ..sum.clone() }));
        }
        tell(&sum);
    }
}

impl Lately {
    /// What was held back, in one, and how much of it no debug line has told. Another second begins.
    fn sum(&mut self, now: Instant) -> (Event<'static>, u64) {
        let event = Event {
            kind: self.kind,
            message: Cow::Owned(self.message.clone()),
            count: self.count,
            reason: self.reason,
        };
        let unsaid = self.unsaid;
        (self.until, self.events, self.count, self.unsaid) = (now + QUIET, 0, 0, 0);
        (event, unsaid)
    }
}
