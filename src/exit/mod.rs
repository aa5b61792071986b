//! How the process ends, or one thread of it: what has ended is delivered, what is still open is sent as it stands.
//!
//! A **realm** is one JavaScript thread that records spans: the main thread, or a worker. The ways to end:
//!
//! - *`exit` event*: natural end, `process.exit()`, an uncaught exception, an unhandled rejection. The realm finishes
//!   its own open spans and calls [`realm_exits`]. The main thread takes the whole process along, so it asks the
//!   other realms to finish theirs (`realms`), and waits till all is delivered.
//! - *A signal* that nobody handles: `signals`. JavaScript has no part in it but to finish open spans, if it can.
//! - *`worker.terminate()`*, and every other end of a thread: Node runs the environment's clean-up hook, and no
//!   JavaScript: [`realm_gone`]. Its open spans are lost with it, and counted as dropped.
//!
//! No way takes longer than `exitTimeoutMs`, nor any time at all while there is nothing to send.

mod realms;
#[cfg(unix)]
mod signals;
/// Windows has no dispositions to keep: a signal that nobody listens to is no signal but an end.
#[cfg(not(unix))]
mod signals {
    pub fn arm() {}
    pub fn stand_still() {}
}

use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::core::{self, Core};
use crate::diagnostics::debug;

pub use realms::{closed, opened};
pub use signals::{arm as arm_signals, stand_still};

/// Realms get so long to finish their open spans. One whose event loop is free needs less than 1 ms; one whose loop
/// is blocked will not answer at all.
const ANSWER: Duration = Duration::from_millis(100);
/// An end that begins so soon after another was given up belongs to it: Node ends the workers of a process one by one.
const ONE_END: Duration = Duration::from_millis(500);

/// Till when the end under way may take, or the one that was given up last.
static UNTIL: Mutex<Option<Instant>> = Mutex::new(None);

/// A realm begins to record. `finish` makes it finish its open spans, from any thread, and then tell the sender; see
/// [`realms::Finish`]. Says by which number it is known to [`realm_gone`]; `None` while nothing is traced.
pub fn realm_enters(main: bool, finish: impl Fn(Option<Sender<()>>) + Send + Sync + 'static) -> Option<u64> {
    if !core::running()?.tracing() {
        return None;
    }
    arm_signals();
    Some(realms::enter(main, Box::new(finish)))
}

/// The `exit` event of the calling realm, whose own open spans are finished.
pub fn realm_exits() {
    // A process that dies of a signal must not come to another end first.
    stand_still();
    let Some(core) = core::running() else { return };
    if realms::here_is_main() {
        let until = begin(&core);
        realms::finish_others(ANSWER.min(left(until)));
        drain(&core, until, "the process exits");
    } else if !realms::main_is_here() {
        drain(&core, begin(&core), "the only thread that records exits");
    }
    stand_still();
}

/// The environment of a realm is torn down, on the realm's own thread. It can run no JavaScript any more.
pub fn realm_gone(realm: u64) {
    let main_remains = realms::leave(realm);
    stand_still();
    let Some(core) = core::running() else { return };
    core.abandon(realms::take_open());
    // While the main thread has its `exit` event ahead, that is the time to wait.
    if !main_remains {
        drain(&core, begin(&core), "the last thread that records is gone");
    }
}

/// All that remains to be done before the process may die of a signal.
#[cfg(unix)]
fn process_dies() {
    let Some(core) = core::running() else { return };
    if core.stats().open == 0 && core.is_quiet() {
        return;
    }
    let until = begin(&core);
    realms::finish_all(ANSWER.min(left(until)));
    drain(&core, until, "a signal ends the process");
}

/// An end begins: till when it may take. One that falls into another (a signal into an `exit` event) gets no time of
/// its own.
fn begin(core: &Core) -> Instant {
    let now = Instant::now();
    let mut until = UNTIL.lock();
    match *until {
        Some(until) if now < until + ONE_END => until,
        _ => *until.insert(now + core.exit_timeout()),
    }
}

fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now())
}

fn drain(core: &Core, until: Instant, why: &str) {
    let (begun, before) = (Instant::now(), core.stats().unsettled());
    core.drain(left(until));
    debug(|| {
        let (ms, after) = (begun.elapsed().as_millis(), core.stats().unsettled());
        format!("{why}: {before} spans were to be sent, {after} are left after {ms} ms")
    });
    if !left(until).is_zero() {
        *UNTIL.lock() = None;
    }
}
