//! The thread that encodes and sends, and the handle by which the event loop reaches it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::disk::Disk;
use super::encode::Encoder;
use super::flush::FlushResult;
use super::intake::Intake;
use super::ledger::{DropReason, Place, Stats};
use super::outcome::Parts;
use super::queue::State;
use super::shared::Shared;
use super::unit::Unit;
use super::waiting;
use super::wake::{NAP, Pace};
use crate::diagnostics::{self, Event, Kind, debug, warn_once};
use crate::settings::Settings;
use crate::transport::{Answer, Form, Http, Post};

/// With nothing to do, the thread still looks once in this time.
const IDLE: Duration = Duration::from_secs(3600);
const REST_AFTER_BUG: Duration = Duration::from_secs(1);
/// Memory that a burst needed is kept so long for another.
const KEEP_MEMORY: Duration = Duration::from_secs(30);

/// Takes finished spans and delivers them.
#[derive(Clone)]
pub struct Pipeline {
    shared: Arc<Shared>,
}

impl Pipeline {
    /// Starts delivering on the given runtime.
    pub fn start(
        runtime: &tokio::runtime::Handle,
        settings: Arc<Settings>,
        http: Arc<Http>,
        encoder: Encoder,
    ) -> Self {
        let shared = Arc::new(Shared::new(settings, http, encoder));
        runtime.spawn(keep_running(Arc::clone(&shared)));
        Pipeline { shared }
    }

    /// Another `init`: it ends a shutdown. A new key or URL also ends what the old one was refused or asked for; the
    /// same again does not, or an application that calls `init` for each request would knock without end.
    pub fn reconfigure(&self, settings: Arc<Settings>) {
        let before = std::mem::replace(&mut *self.shared.settings.write(), Arc::clone(&settings));
        {
            let mut state = self.shared.state();
            state.stopped = false;
            state.set_bound(settings.max_queue_bytes);
            if before.traces != settings.traces {
                state.unauthorized = false;
                state.circuit.succeeded();
                state.asked_to_wait_until = None;
            }
        }
        self.shared.wake.now();
    }

    /// Counts a span as open. `false` after a shutdown: it is not to be recorded.
    pub fn open(&self) -> bool {
        let mut state = self.shared.state();
        if state.stopped {
            return false;
        }
        state.stats.start();
        true
    }

    /// Gives up spans that are open and will never end.
    pub fn abandon(&self, spans: u64) {
        self.shared.state().stats.drop_from(Place::Open, DropReason::Disabled, spans);
    }

    /// Takes a finished span's envelope.
    pub fn record(&self, envelope: &[u8]) {
        let many = self.shared.state().push(envelope);
        self.shared.wake.for_span(many);
    }

    /// Waits for all that is queued and in flight now, at the call and not at the first poll; at most `timeout`.
    pub fn flush(&self, timeout: Duration) -> impl Future<Output = FlushResult> + Send + use<> {
        self.wait(timeout, false)
    }

    /// As `flush`; but while the server is down, spans on disk are not waited for.
    pub fn drain(&self, timeout: Duration) -> impl Future<Output = FlushResult> + Send + use<> {
        self.wait(timeout, true)
    }

    /// Whether there is nothing to wait for.
    pub fn is_quiet(&self) -> bool {
        self.shared.state().is_quiet()
    }

    fn wait(&self, timeout: Duration, or_safe: bool) -> impl Future<Output = FlushResult> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        let (id, done) = shared.state().begin_flush(Instant::now() + timeout, or_safe);
        shared.wake.now();
        async move {
            let _ = tokio::time::timeout(timeout, done).await;
            shared.state().end_flush(id)
        }
    }

    /// Flushes, then takes no more spans.
    pub fn shutdown(&self, timeout: Duration) -> impl Future<Output = FlushResult> + Send + use<> {
        let shared = Arc::clone(&self.shared);
        let flushed = self.flush(timeout);
        async move {
            let result = flushed.await;
            shared.state().stopped = true;
            result
        }
    }

    pub fn stats(&self) -> Stats {
        let state = self.shared.state();
        Stats { queued_bytes: state.queued_bytes() as u64, ..state.stats.clone() }
    }
}

/// A bug of ours may cost a span, but never ends all delivery.
async fn keep_running(shared: Arc<Shared>) {
    // What is encoded outlives it.
    let intake = Arc::default();
    while tokio::spawn(run(Arc::clone(&shared), Arc::clone(&intake))).await.is_err() {
        warn_once("The tracer failed at its work and begins again. Please report this.");
        tokio::time::sleep(REST_AFTER_BUG).await;
    }
}

/// The life of the thread: encode what came in, send what is due, sleep until there is more.
async fn run(shared: Arc<Shared>, intake: Arc<Mutex<Intake>>) {
    let mut disk = Disk::default();
    let mut pace = Pace::default();
    let mut tidied = Instant::now();
    loop {
        let settings = Arc::clone(&shared.settings.read());
        if !disk.follows(&settings) {
            // A spool must know of all that it does not have.
            intake.lock().queue_all(&shared, &settings, &mut disk);
            disk.follow(&shared, &settings);
        }
        let mut came = false;
        while intake.lock().encode_some(&shared, &settings, &mut disk) {
            came = true;
            disk.keep_up(&shared, &settings);
            send_due(&shared);
            tokio::task::yield_now().await;
        }
        waiting::tidy(&shared);
        disk.keep_up(&shared, &settings);
        send_due(&shared);
        let nap = pace.note(came) && !disk.is_there();
        shared.wake.rest(nap);
        let now = Instant::now();
        if now.duration_since(tidied) >= KEEP_MEMORY {
            tidied = now;
            let unneeded = shared.state().inbox.unneeded();
            drop(unneeded);
            intake.lock().free_unneeded();
        }
        let (written, keeps_much) = {
            let intake = intake.lock();
            (intake.due(&settings.batch), intake.keeps_much())
        };
        let (due, rested, tidy, more) = {
            let state = shared.state();
            let due = state.next_wake(&settings.batch, settings.transport.max_concurrent);
            let tidy = (keeps_much || state.inbox.keeps_many()).then(|| tidied + KEEP_MEMORY);
            // Then spans may come back from the disk.
            (due, state.resting_until(now).filter(|_| disk.has_waiting()), tidy, !state.inbox.is_empty())
        };
        if more {
            shared.wake.stay_awake();
            continue;
        }
        let next = [due, written, rested, tidy, disk.next_look(), nap.then(|| now + NAP)]
            .into_iter()
            .flatten()
            .min();
        shared.wake.rest_until(next.unwrap_or(now + IDLE)).await;
    }
}

/// Starts every request that may go now.
fn send_due(shared: &Arc<Shared>) {
    let settings = Arc::clone(&shared.settings.read());
    loop {
        let form = shared.http.negotiation.form(&settings.traces.url, &settings.transport);
        let unit = {
            let mut state = shared.state();
            state.next_unit(Instant::now(), &settings.batch, settings.transport.max_concurrent, form)
        };
        let Some(unit) = unit else { return };
        let form = form.within(unit.limit);
        tokio::spawn(send(Arc::clone(shared), Arc::clone(&settings), unit, form));
    }
}

async fn send(shared: Arc<Shared>, settings: Arc<Settings>, mut unit: Unit, form: Form) {
    let (body, encoding) = {
        let mut bodies = shared.bodies.lock().await;
        bodies.of(&unit.spans, form.encoding, || give_way(&shared)).await
    };
    let post = Post { ndjson: form.ndjson, body, encoding, timeout: settings.transport.timeout };
    let begun = Instant::now();
    let (answer, bytes) = shared.http.post_spans(&settings.traces, post).await;
    debug(|| {
        let (spans, ms) = (unit.spans.len(), begun.elapsed().as_millis());
        format!("sent {spans} spans, {bytes} bytes, {form}: {answer}, {ms} ms")
    });
    shared.state().stats.sent_bytes += bytes;
    if matches!(answer, Answer::Retry { .. }) {
        waiting::pack(&shared, &mut unit.spans);
    }
    settle(&shared, &settings, unit, form, answer);
    shared.wake.now();
}

/// The event loop writes to memory that is used again while it is in the processor's caches, if what came in is encoded
/// soon: that goes first.
async fn give_way(shared: &Shared) {
    let first = shared.state().has_much_to_encode();
    if first {
        tokio::task::yield_now().await;
    }
}

/// What the server's answer means for the spans of the request.
fn settle(shared: &Shared, settings: &Settings, unit: Unit, form: Form, answer: Answer) {
    let several = unit.spans.len() > 1;
    let count = unit.spans.len();
    let mut state = shared.state();
    match answer {
        Answer::Delivered => {
            let delivered = state.delivered(unit);
            drop(state);
            drop(delivered);
        }
        Answer::Retry { status, after, reason } => {
            state.note_error(&reason, status);
            state.retry(unit, after, &settings.retry);
            let down = state.circuit.is_down();
            drop(state);
            if down {
                let url = settings.traces.shown();
                warn_once(&format!(
                    "{url} does not take spans: they are kept and sent again (stats().lastError says why)."
                ));
            }
            let event =
                Event { kind: Kind::Retrying, message: reason.into(), count: count as u64, reason: None };
            diagnostics::report(Event { reason: Some(status.map_or("connection", |_| "status")), ..event });
        }
        Answer::Unauthorized { status } => {
            state.note_error("the apiKey was refused", Some(status));
            let first = !std::mem::replace(&mut state.unauthorized, true);
            state.dropped(unit, DropReason::Unauthorized);
            state.drop_queue(DropReason::Unauthorized);
            drop(state);
            if first {
                let message = format!(
                    "the server refused the apiKey ({status}): nothing is sent until init brings another"
                );
                diagnostics::report(Event {
                    kind: Kind::Unauthorized,
                    message: message.into(),
                    count: 0,
                    reason: None,
                });
            }
            warn_once(&format!(
                "The server refused the key ({status}): spans are dropped until init brings another apiKey (FALLOM_API_KEY)."
            ));
        }
        Answer::UnsupportedForm if form != Form::PLAIN => {
            shared.http.negotiation.refuse(&settings.traces.url, form);
            state.resend(unit, Parts::Plainly);
        }
        Answer::TooLarge if several => state.resend(unit, Parts::BySize),
        Answer::Refused { .. } if form != Form::PLAIN => state.resend(unit, Parts::Plainly),
        Answer::TooLarge => {
            state.note_error("the server takes no span of this size", Some(413));
            state.dropped(unit, DropReason::TooLarge);
            drop(state);
            warn_once("A span was larger than the server takes and was dropped. Lower maxSpanBytes.");
        }
        Answer::UnsupportedForm => reject(shared, state, unit, 415),
        Answer::Refused { status } => reject(shared, state, unit, status),
    }
}

fn reject(shared: &Shared, mut state: parking_lot::MutexGuard<'_, State>, unit: Unit, status: u16) {
    let url = shared.settings.read().traces.shown();
    state.note_error("the server refused a span", Some(status));
    state.dropped(unit, DropReason::Rejected);
    drop(state);
    warn_once(&format!("{url} refused a span ({status}); it was dropped. Is tracesUrl right?"));
}
