//! Signals that end the process: SIGTERM, SIGINT, SIGHUP. They keep their meaning: the process dies of the signal,
//! with its wait status, only the spans go first.
//!
//! A listener in JavaScript cannot do that: it takes the signal's default action away, and then nothing ends a
//! process whose event loop is blocked. So the handler is native, and put only where nobody else handles the signal:
//!
//! - `SIG_DFL`;
//! - Node's own handler of SIGINT and SIGTERM, which puts the terminal back and raises the signal again (`SignalExit`
//!   in node.cc). `SA_RESETHAND` gives it away: it steps back to `SIG_DFL` by itself, so it ends the process. It is
//!   put back for its turn, before the signal is raised again.
//!
//! Every other disposition is somebody's wish and stays: `SIG_IGN`, another addon's handler, and libuv's, which stands
//! for the user's listeners. A listener that comes later replaces our handler, as libuv sets its own with the first
//! listener of a signal; with the last one it sets `SIG_DFL`, and then the shim calls [`arm`] again. So a user's
//! `once` that raises its signal anew comes to us.
//!
//! The handler does only what POSIX calls async-signal-safe (signal-safety(7)): it writes the number of the signal
//! into a pipe. A thread of ours reads it, does what takes time, and raises the signal again.

use std::ffi::c_int;
use std::io::{ErrorKind, PipeReader, Read, pipe};
use std::os::fd::IntoRawFd;
use std::panic::catch_unwind;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use libc::{SIGHUP, SIGINT, SIGTERM, sigaction};
use parking_lot::Mutex;

use crate::diagnostics::debug;

const SIGNALS: [c_int; 3] = [SIGTERM, SIGINT, SIGHUP];
/// The name that the thread shows in a debugger.
const THREAD: &str = "fallom-exit";
/// A signal that comes again within this time is the same one come twice: Ctrl-C reaches a program under `npm start`
/// from the terminal, and once more from npm. After it, somebody is impatient, and the process dies at once.
const TWICE_MS: i64 = 300;
/// How often a thread that stands still looks whether it may go on.
const LOOK: Duration = Duration::from_millis(5);
/// A thread stands still no longer, should the signal not end the process after all.
const STAND_STILL: Duration = Duration::from_secs(60);

/// What a signal's disposition was before ours.
struct Former {
    handler: AtomicUsize,
    flags: AtomicI32,
}

static FORMER: [Former; 3] =
    [const { Former { handler: AtomicUsize::new(libc::SIG_DFL), flags: AtomicI32::new(0) } }; 3];
/// When the first signal came, by the monotonic clock in ms; 0: none has.
static SINCE: AtomicI64 = AtomicI64::new(0);
/// The writing end of the pipe.
static PIPE: AtomicI32 = AtomicI32::new(-1);
/// The process that the thread lives in. A bare `fork` copies handlers and pipes, but no threads.
static PROCESS: AtomicI32 = AtomicI32::new(0);

/// Puts our handler wherever a signal would end the process.
pub fn arm() {
    static STARTED: OnceLock<bool> = OnceLock::new();
    static ARMING: Mutex<()> = Mutex::new(());
    let _arming = ARMING.lock();
    if SINCE.load(Ordering::SeqCst) != 0 || !STARTED.get_or_init(|| start().is_ok()) {
        return;
    }
    for (signal, former) in SIGNALS.into_iter().zip(&FORMER) {
        take_over(signal, former);
    }
}

/// While the process dies of a signal, does not return: no more of the program is to run, and no other end to come
/// first. Every thread that runs JavaScript must come here, as soon as it can.
pub fn stand_still() {
    let begun = Instant::now();
    while SINCE.load(Ordering::SeqCst) != 0 && begun.elapsed() < STAND_STILL {
        std::thread::sleep(LOOK);
    }
}

fn start() -> std::io::Result<()> {
    let (reader, writer) = pipe()?;
    PIPE.store(writer.into_raw_fd(), Ordering::SeqCst);
    PROCESS.store(std::process::id().cast_signed(), Ordering::SeqCst);
    std::thread::Builder::new().name(THREAD.to_owned()).spawn(move || run(reader))?;
    Ok(())
}

/// The life of the thread.
fn run(mut signals: PipeReader) {
    let mut signal = [0];
    loop {
        match signals.read(&mut signal) {
            Ok(1) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            _ => return,
        }
        let signal = c_int::from(signal[0]);
        debug(|| format!("signal {signal}: what there is to send goes before the process does"));
        // Whatever fails, the process must die.
        let _ = catch_unwind(super::process_dies);
        unblock(signal);
        die(signal);
        // A former handler let the process live.
        SINCE.store(0, Ordering::SeqCst);
    }
}

/// Our handler. It may interrupt anything, a thread that holds a lock or allocates, too.
extern "C" fn on_signal(signal: c_int) {
    let errno = errno();
    let now = now_ms();
    match SINCE.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst) {
        Ok(_) if in_our_process() && tell(signal) => {}
        Err(first) if in_our_process() && now - first < TWICE_MS => {}
        _ => die(signal),
    }
    set_errno(errno);
}

fn take_over(signal: c_int, former: &Former) {
    let Some(current) = disposition(signal, None) else { return };
    if !ends_the_process(&current) {
        return;
    }
    former.handler.store(current.sa_sigaction, Ordering::SeqCst);
    former.flags.store(current.sa_flags, Ordering::SeqCst);
    let replaced = disposition(signal, Some((handler(), libc::SA_RESTART | libc::SA_ONSTACK)));
    // Between the two, a listener may have come.
    if let Some(theirs) = replaced.filter(|replaced| !ends_the_process(replaced)) {
        disposition(signal, Some((theirs.sa_sigaction, theirs.sa_flags)));
    }
}

fn ends_the_process(disposition: &sigaction) -> bool {
    disposition.sa_sigaction == libc::SIG_DFL || disposition.sa_flags & libc::SA_RESETHAND != 0
}

fn handler() -> usize {
    on_signal as extern "C" fn(c_int) as usize
}

/// Dies of the signal, as it would have without us. Async-signal-safe.
fn die(signal: c_int) {
    let at = SIGNALS.into_iter().position(|taken| taken == signal);
    let (former, flags) = at.map_or((libc::SIG_DFL, 0), |at| {
        (FORMER[at].handler.load(Ordering::SeqCst), FORMER[at].flags.load(Ordering::SeqCst))
    });
    disposition(signal, Some((former, flags)));
    #[expect(unsafe_code, reason = "a call of the C library")]
    // SAFETY: takes a number and touches no memory of ours. Inside the handler, the signal waits for its return.
    unsafe {
        libc::raise(signal);
    }
}

/// Sets a signal's disposition, if one is given: a handler and its flags, with all signals blocked meanwhile, which is
/// how libuv and Node set theirs. Returns the one before. Async-signal-safe.
fn disposition(signal: c_int, new: Option<(usize, c_int)>) -> Option<sigaction> {
    #[expect(unsafe_code, reason = "sigaction(2)")]
    // SAFETY: `sigaction` is plain data that may be all zero; both pointers are to such, or null where that is
    // allowed. The handlers that are set are ours, which is async-signal-safe, or one that was set before.
    unsafe {
        let mut old: sigaction = std::mem::zeroed();
        let mut action: sigaction = std::mem::zeroed();
        libc::sigfillset(&raw mut action.sa_mask);
        let action = new.map(|(handler, flags)| {
            action.sa_sigaction = handler;
            action.sa_flags = flags;
            &raw const action
        });
        (libc::sigaction(signal, action.unwrap_or(std::ptr::null()), &raw mut old) == 0).then_some(old)
    }
}

/// A thread inherits the signals that are blocked from its maker; what is blocked here would not be raised.
fn unblock(signal: c_int) {
    #[expect(unsafe_code, reason = "pthread_sigmask(3)")]
    // SAFETY: `sigset_t` is plain data, initialized by `sigemptyset`.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
    }
}

/// Wakes the thread. Async-signal-safe.
fn tell(signal: c_int) -> bool {
    let byte = [u8::try_from(signal).unwrap_or_default()];
    #[expect(unsafe_code, reason = "write(2): what std has for it may lock or allocate")]
    // SAFETY: one byte of a live array.
    let written = unsafe { libc::write(PIPE.load(Ordering::SeqCst), byte.as_ptr().cast(), byte.len()) };
    written == 1
}

/// Async-signal-safe.
fn in_our_process() -> bool {
    #[expect(unsafe_code, reason = "getpid(2)")]
    // SAFETY: takes nothing and cannot fail.
    let process = unsafe { libc::getpid() };
    process == PROCESS.load(Ordering::SeqCst)
}

/// Never 0. Async-signal-safe.
#[allow(clippy::useless_conversion, reason = "the fields are narrower on some platforms")]
fn now_ms() -> i64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    #[expect(unsafe_code, reason = "clock_gettime(2)")]
    // SAFETY: a pointer to a live timespec.
    unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now);
    }
    i64::from(now.tv_sec) * 1000 + i64::from(now.tv_nsec) / 1_000_000 + 1
}

#[cfg(not(any(target_os = "macos", target_os = "ios", target_os = "freebsd")))]
use libc::__errno_location as errno_place;
#[cfg(any(target_os = "macos", target_os = "ios", target_os = "freebsd"))]
use libc::__error as errno_place;

fn errno() -> c_int {
    #[expect(unsafe_code, reason = "what a handler changes of errno, the interrupted code would see")]
    // SAFETY: the thread's own errno, which lives as long as the thread.
    unsafe {
        *errno_place()
    }
}

fn set_errno(errno: c_int) {
    #[expect(unsafe_code, reason = "as in `errno`")]
    // SAFETY: as in `errno`.
    unsafe {
        *errno_place() = errno;
    }
}
