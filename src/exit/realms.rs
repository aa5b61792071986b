//! The JavaScript threads that record spans, and how each is made to finish those that are open.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Queues, on the realm's event loop, the finishing of its open spans; then the sender is told, or dropped if it
/// cannot come to that. Must not block, nor hold the loop open.
pub type Finish = Box<dyn Fn(Option<Sender<()>>) + Send + Sync>;

struct Realm {
    id: u64,
    main: bool,
    open: Arc<AtomicU64>,
    finish: Finish,
}

impl Realm {
    fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire) > 0
    }
}

/// How often a thread that waits for answers looks whether there is still something to wait for.
const LOOK: Duration = Duration::from_millis(5);

static REALMS: Mutex<Vec<Realm>> = Mutex::new(Vec::new());
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// Spans that were opened on this thread and have not ended.
    static OPEN: Arc<AtomicU64> = Arc::default();
    static MAIN: Cell<bool> = const { Cell::new(false) };
}

/// A span was opened on this thread.
pub fn opened() {
    let _ = OPEN.try_with(|open| open.fetch_add(1, Ordering::Relaxed));
}

/// A span of this thread has ended, and the core has it.
pub fn closed() {
    let _ = OPEN.try_with(|open| {
        open.fetch_update(Ordering::Release, Ordering::Relaxed, |count| count.checked_sub(1))
    });
}

/// The spans of this thread that will never end: from now on they are the caller's.
pub fn take_open() -> u64 {
    OPEN.try_with(|open| open.swap(0, Ordering::Relaxed)).unwrap_or(0)
}

/// The calling thread records from now on.
pub fn enter(main: bool, finish: Finish) -> u64 {
    let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
    MAIN.set(main);
    REALMS.lock().push(Realm { id, main, open: OPEN.with(Arc::clone), finish });
    id
}

/// The realm is gone. Says whether the main thread's is still there.
pub fn leave(id: u64) -> bool {
    let mut realms = REALMS.lock();
    let gone = realms.iter().position(|realm| realm.id == id).map(|at| realms.swap_remove(at));
    let main_remains = realms.iter().any(|realm| realm.main);
    drop(realms);
    // Outside the lock: this ends a function of Node.
    drop(gone);
    main_remains
}

/// Whether the calling thread is the main thread.
pub fn here_is_main() -> bool {
    MAIN.get()
}

/// Whether the main thread records.
pub fn main_is_here() -> bool {
    REALMS.lock().iter().any(|realm| realm.main)
}

/// Makes all realms but the calling one finish their open spans, and waits for it.
pub fn finish_others(within: Duration) {
    let here = OPEN.with(Arc::clone);
    let (awaited, answers) = ask(|realm| !Arc::ptr_eq(&realm.open, &here) && realm.is_open());
    wait_for(&awaited, &answers, within);
}

/// As [`finish_others`], for all. Those without open spans are told, too: nothing is to happen there any more.
#[cfg(unix)]
pub fn finish_all(within: Duration) {
    let (awaited, answers) = ask(|_| true);
    wait_for(&awaited, &answers, within);
}

/// Asks the realms that `whom` picks. Returns the counts of those whose answer matters, and where answers come in.
fn ask(whom: impl Fn(&Realm) -> bool) -> (Vec<Arc<AtomicU64>>, Receiver<()>) {
    let (sender, answers) = mpsc::channel();
    let mut awaited = Vec::new();
    for realm in REALMS.lock().iter().filter(|realm| whom(realm)) {
        let is_open = realm.is_open();
        if is_open {
            awaited.push(Arc::clone(&realm.open));
        }
        (realm.finish)(is_open.then(|| sender.clone()));
    }
    (awaited, answers)
}

/// A realm that is at its own end finishes its spans without being asked, and then never answers.
fn wait_for(awaited: &[Arc<AtomicU64>], answers: &Receiver<()>, within: Duration) {
    let until = Instant::now() + within;
    let mut missing = awaited.len();
    while missing > 0 && awaited.iter().any(|open| open.load(Ordering::Acquire) > 0) {
        let left = until.saturating_duration_since(Instant::now());
        match answers.recv_timeout(left.min(LOOK)) {
            Ok(()) => missing -= 1,
            Err(RecvTimeoutError::Timeout) if !left.is_zero() => {}
            // No time is left, or nobody who could answer.
            Err(_) => return,
        }
    }
}
