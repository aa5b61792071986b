//! What the tracer says on stderr: warnings once for each text, and one line per decision with `debug`.
//!
//! Neither ever holds the key or content.

use std::collections::HashSet;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

/// Texts that vary without end (a path in each, say) must not grow the set of what was said without end.
const MOST_WARNINGS: usize = 256;

static DEBUG: AtomicBool = AtomicBool::new(false);
static SAID: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// Turns the debug lines on or off for the process (`init({ debug })`, `FALLOM_DEBUG`).
pub fn set_debug(on: bool) {
    DEBUG.store(on, Ordering::Relaxed);
}

/// Says a warning, once per process for each text.
pub fn warn_once(text: &str) {
    {
        let mut guard = SAID.lock();
        let said = guard.get_or_insert_with(HashSet::new);
        if said.len() >= MOST_WARNINGS || !said.insert(text.to_owned()) {
            return;
        }
    }
    say(text);
}

/// Says a warning each time. For what the caller itself says rarely enough.
pub fn warn(text: &str) {
    say(text);
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

/// A closed stderr is no reason to panic, so this is not `eprintln!`.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "[fallom] {text}");
}
