//! What the tracer says: warnings and debug lines on stderr, and events to whoever listens (`init({ onDiagnostic })`).
//!
//! This is the one place where anything is said. Nothing of it ever holds the key or content, and whoever calls in may
//! hold a lock: no JavaScript runs before the call returns, and nothing is waited for.

mod sums;

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::{Mutex, RwLock};

pub use sums::{due, flush_due, when_held_back};

/// Texts that vary without end (a path in each, say) must not grow the set of what was said without end.
const MOST_WARNINGS: usize = 256;

static DEBUG: AtomicBool = AtomicBool::new(false);
static SAID: Mutex<Option<HashSet<String>>> = Mutex::new(None);
static LISTENERS: RwLock<Vec<Listener>> = RwLock::new(Vec::new());
static LISTENED: AtomicBool = AtomicBool::new(false);
static NEXT_LISTENER: AtomicU64 = AtomicU64::new(1);

/// What an event is about: the `type` of a `Diagnostic` (`options.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Spans were given up. The reason is the ledger's.
    Dropped,
    /// Spans will be sent again.
    Retrying,
    /// The key was refused.
    Unauthorized,
    /// Content of spans was cut.
    Truncated,
    /// Prompts, tests or configs could not be read.
    RefreshFailed,
    /// What became of spans on disk.
    Spool,
    /// What a server says that it takes, or refused to take.
    Negotiated,
    /// What stands on stderr as a warning.
    Warning,
}

impl Kind {
    /// As JavaScript knows it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Dropped => "dropped",
            Kind::Retrying => "retrying",
            Kind::Unauthorized => "unauthorized",
            Kind::Truncated => "truncated",
            Kind::RefreshFailed => "refresh-failed",
            Kind::Spool => "spool",
            Kind::Negotiated => "negotiated",
            Kind::Warning => "warning",
        }
    }

    /// Whether there may be thousands a second. The others are rare, and each has a text of its own.
    fn is_summed(self) -> bool {
        !matches!(self, Kind::Negotiated | Kind::Warning)
    }
}

/// A structured diagnostic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event<'m> {
    pub kind: Kind,
    /// For people. Never the key, never content, never a user's own error text.
    pub message: Cow<'m, str>,
    /// How many spans, or how often; 0 where nothing is counted.
    pub count: u64,
    pub reason: Option<&'static str>,
}

struct Listener {
    id: u64,
    hear: Box<dyn Fn(&Event<'_>) + Send + Sync>,
}

/// Turns the debug lines on or off for the process (`init({ debug })`, `FALLOM_DEBUG`).
pub fn set_debug(on: bool) {
    DEBUG.store(on, Ordering::Relaxed);
}

/// Says a warning, once per process for each text; that once, it is an event, too.
pub fn warn_once(text: &str) {
    {
        let mut guard = SAID.lock();
        let said = guard.get_or_insert_with(HashSet::new);
        if said.len() >= MOST_WARNINGS || !said.insert(text.to_owned()) {
            return;
        }
    }
    warn(text);
}

/// Says a warning each time. For what the caller itself says rarely enough.
pub fn warn(text: &str) {
    say(text);
    tell(&Event { kind: Kind::Warning, message: text.into(), count: 0, reason: None });
}

/// Whether `debug` is on.
pub fn debugging() -> bool {
    DEBUG.load(Ordering::Relaxed)
}

/// Says one line if `debug` is on; the text is made only then.
pub fn debug(text: impl FnOnce() -> String) {
    if debugging() {
        say(&text());
    }
}

/// Reports an event: one debug line, and a call of each listener. The first of its kind and reason goes at once; those
/// of the next second are summed in `count` and go as one behind it, when [`flush_due`] is called ([`due`] says when).
/// Of equal texts that are summed, there is one debug line.
pub fn report(event: Event<'_>) {
    if !LISTENED.load(Ordering::Relaxed) && !DEBUG.load(Ordering::Relaxed) {
        return;
    }
    let held = event.kind.is_summed().then(|| sums::hold(&event, Instant::now()));
    match held {
        Some(sums::Hold::Silently) => {}
        Some(sums::Hold::Aloud) => debug(|| line(&event)),
        Some(sums::Hold::No) | None => {
            debug(|| line(&event));
            tell(&event);
        }
    }
}

/// From now on `hear` is called with every event, on whichever thread it happens: it must neither block nor report
/// something itself. The number is for [`stop_listening`].
pub fn listen(hear: impl Fn(&Event<'_>) + Send + Sync + 'static) -> u64 {
    let id = NEXT_LISTENER.fetch_add(1, Ordering::Relaxed);
    LISTENERS.write().push(Listener { id, hear: Box::new(hear) });
    LISTENED.store(true, Ordering::Relaxed);
    id
}

/// Ends what [`listen`] began. A number that is not known does nothing.
pub fn stop_listening(id: u64) {
    let mut listeners = LISTENERS.write();
    let gone = listeners.iter().position(|listener| listener.id == id).map(|at| listeners.swap_remove(at));
    LISTENED.store(!listeners.is_empty(), Ordering::Relaxed);
    drop(listeners);
    // Outside the lock: this may end a function of Node.
    drop(gone);
}

fn tell(event: &Event<'_>) {
    for listener in LISTENERS.read().iter() {
        (listener.hear)(event);
    }
}

/// An event as a debug line.
fn line(event: &Event<'_>) -> String {
    let reason = event.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
    let count = if event.count > 1 { format!(" ×{}", event.count) } else { String::new() };
    format!("{}{reason}{count}: {}", event.kind.name(), event.message)
}

/// A closed stderr is no reason to panic, so this is not `eprintln!`. In one write, so that no other thread's text comes
/// between.
fn say(text: &str) {
    let _ = std::io::stderr().lock().write_all(format!("[fallom] {text}\n").as_bytes());
}

#[cfg(test)]
mod tests;
