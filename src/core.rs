//! What there is one of per process, shared by every thread that loads the package: the settings, the pipeline,
//! the catalog, the linking, and the one thread on which they work. Started by the first `init`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use serde_json::{Map, Value};
use tokio::sync::Notify;

use crate::assignment::targeting::Context;
use crate::catalog::{AssignedModel, List, RenderedPrompt, Variables};
use crate::diagnostics::{self, debug, set_debug, warn_once};
use crate::linking::{Linking, Rendering};
use crate::pipeline::{Encoder, FlushResult, Pipeline, Stats};
use crate::refresh::{Catalog, Miss, Patience, Read, ServiceName};
use crate::settings::{Environment, Own, Settings};
use crate::suspended::SuspendedRuns;
use crate::transport::Http;
use crate::wire::fallom::PromptLink;

/// The name that the thread shows in a debugger.
const THREAD: &str = "fallom-trace";

/// How a span is to be recorded, or that it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    pub capture_content: bool,
}

/// The running core.
pub struct Core {
    runtime: tokio::runtime::Handle,
    settings: RwLock<Arc<Settings>>,
    /// Whether `init` was called, and not only `prompts.init` or `models.init`.
    initialized: AtomicBool,
    pipeline: Pipeline,
    catalog: Catalog,
    own_prompts: Mutex<Own>,
    own_configs: Mutex<Own>,
    linking: Arc<Linking>,
    suspended: SuspendedRuns,
}

static CORE: RwLock<Option<Arc<Core>>> = RwLock::new(None);
/// Two threads that call `init` at once start one core.
static STARTING: Mutex<()> = Mutex::new(());
/// Events were held back, to be said in one.
static HELD_BACK: Notify = Notify::const_new();

/// The running core, if `init` was called.
pub fn running() -> Option<Arc<Core>> {
    CORE.read().clone()
}

/// `fallom.init`: checks the options and starts the core, or changes its key and URLs.
///
/// # Errors
/// A text for the user that names the misused option.
pub fn init(options: &str, environment: &Environment) -> Result<(), String> {
    let _starting = STARTING.lock();
    let Some(core) = running() else {
        start(first_settings(options, environment)?, true);
        return Ok(());
    };
    if !core.initialized.swap(true, Ordering::Relaxed) {
        // So far only `prompts.init` or `models.init` was called: this is the first that speaks of tracing.
        core.reconfigure(first_settings(options, environment)?);
        return Ok(());
    }
    let current = Arc::clone(&core.settings.read());
    let (settings, ignored) = current.again(options, environment)?;
    if !ignored.is_empty() {
        warn_once(&format!("init was called before: its {} stay as they were.", ignored.join(", ")));
    }
    core.reconfigure(settings);
    Ok(())
}

fn first_settings(options: &str, environment: &Environment) -> Result<Settings, String> {
    let settings = Settings::from_options(options, environment)?;
    if settings.enabled && settings.traces.api_key.is_none() {
        warn_once(
            "There is no apiKey: the application runs untraced. Pass apiKey to init, or set FALLOM_API_KEY.",
        );
    }
    Ok(settings)
}

/// `prompts.init` and `models.init`: another key or URL for one service. Starts the core, if nothing has.
///
/// # Errors
/// As [`init`].
pub fn init_catalog(name: ServiceName, options: &str, environment: &Environment) -> Result<(), String> {
    let _starting = STARTING.lock();
    let own = Own::from_options(options, environment)?;
    let core = match running() {
        Some(core) => core,
        // Without a key of its own, tracing stays off until `init`.
        None => match start(Settings::from_options("{}", &environment.without_key())?, false) {
            Some(core) => core,
            None => return Ok(()),
        },
    };
    {
        let mut named = core.own(name).lock();
        *named = own.or(&named);
    }
    core.aim(name);
    Ok(())
}

/// Starts the thread. If that fails, the application runs untraced.
fn start(settings: Settings, initialized: bool) -> Option<Arc<Core>> {
    set_debug(settings.debug);
    debug(|| settings.to_string());
    let started = Core::start(settings, initialized).map_err(|reason| {
        warn_once(&format!("The tracer could not start ({reason}): the application runs untraced."));
    });
    let core = Arc::new(started.ok()?);
    *CORE.write() = Some(Arc::clone(&core));
    Some(core)
}

impl Core {
    fn start(settings: Settings, initialized: bool) -> std::io::Result<Self> {
        let http = Arc::new(Http::new(settings.extra_ca_certs.clone()));
        let runtime = spawn_runtime()?;
        diagnostics::when_held_back(|| HELD_BACK.notify_one());
        runtime.spawn(say_held_back());
        let settings = Arc::new(settings);
        let linking = Arc::new(Linking::default());
        let encoder = Encoder::new(Arc::clone(&linking));
        Ok(Core {
            pipeline: Pipeline::start(&runtime, Arc::clone(&settings), Arc::clone(&http), encoder),
            catalog: Catalog::start(&runtime, &settings, http),
            settings: RwLock::new(settings),
            initialized: AtomicBool::new(initialized),
            own_prompts: Mutex::default(),
            own_configs: Mutex::default(),
            linking,
            suspended: SuspendedRuns::default(),
            runtime,
        })
    }

    fn reconfigure(&self, settings: Settings) {
        set_debug(settings.debug);
        debug(|| settings.to_string());
        let settings = Arc::new(settings);
        *self.settings.write() = Arc::clone(&settings);
        self.catalog.set_options(&settings);
        self.aim(ServiceName::Prompts);
        self.aim(ServiceName::Configs);
        self.pipeline.reconfigure(settings);
    }

    fn own(&self, name: ServiceName) -> &Mutex<Own> {
        match name {
            ServiceName::Prompts => &self.own_prompts,
            ServiceName::Configs => &self.own_configs,
        }
    }

    /// Has a service read from where all that was said of it puts it.
    fn aim(&self, name: ServiceName) {
        let settings = Arc::clone(&self.settings.read());
        let general = match name {
            ServiceName::Prompts => &settings.prompts,
            ServiceName::Configs => &settings.configs,
        };
        let mut endpoint = self.own(name).lock().over(general);
        endpoint.api_key = endpoint.api_key.filter(|_| settings.enabled);
        self.catalog.reconfigure(name, endpoint);
    }

    /// Counts a span as open. Nothing if it is not to be recorded at all.
    pub fn open(&self) -> Option<Opened> {
        let opened = {
            let settings = self.settings.read();
            if !traces(&settings) {
                return None;
            }
            Opened { capture_content: settings.capture_content }
        };
        self.pipeline.open().then_some(opened)
    }

    /// Whether spans are recorded at all.
    pub fn tracing(&self) -> bool {
        traces(&self.settings.read())
    }

    /// Spans that nobody can end any more: their thread is gone, and what was known of them with it.
    pub fn abandon(&self, spans: u64) {
        self.pipeline.abandon(spans);
    }

    pub fn record(&self, envelope: &[u8]) {
        self.pipeline.record(envelope);
    }

    /// A suspended run, as the shim described it, for the call that resumes it.
    pub fn remember_run(&self, run_id: String, run: String) {
        self.suspended.remember(run_id, run);
    }

    pub fn recall_run(&self, run_id: &str) -> Option<String> {
        self.suspended.recall(run_id)
    }

    pub fn max_open(&self) -> Duration {
        self.settings.read().max_open
    }

    /// The longest that delivery may delay the end of the process.
    pub fn exit_timeout(&self) -> Duration {
        self.settings.read().exit_timeout
    }

    /// Blocks until all that is queued or in flight now has settled, at most so long; while the server is down, until it
    /// is on disk, if there is a spool. Not for what comes in meanwhile: other threads may go on for ever.
    pub fn drain(&self, timeout: Duration) {
        if self.is_quiet() {
            return;
        }
        let (settled, waiting) = mpsc::sync_channel(1);
        let drained = self.pipeline.drain(timeout);
        self.runtime.spawn(async move {
            drained.await;
            let _ = settled.send(());
        });
        let _ = waiting.recv_timeout(timeout);
    }

    /// Whether nothing is queued or in flight.
    pub fn is_quiet(&self) -> bool {
        self.pipeline.is_quiet()
    }

    pub fn stats(&self) -> Stats {
        self.pipeline.stats()
    }

    /// Flushes in the background; `done` is called on the core's thread.
    pub fn flush(&self, timeout: Duration, then_stop: bool, done: impl FnOnce(FlushResult) + Send + 'static) {
        let pipeline = &self.pipeline;
        let done = move |result: FlushResult| {
            debug(|| format!("flush: {result}"));
            done(result);
        };
        if then_stop {
            let stopped = pipeline.shutdown(timeout);
            self.runtime.spawn(async move { done(stopped.await) });
        } else {
            let flushed = pipeline.flush(timeout);
            self.runtime.spawn(async move { done(flushed.await) });
        }
    }

    /// Reads what an answer lacked; `done` is called on the core's thread, with whether anything came.
    pub fn load(
        self: &Arc<Self>,
        (read, seen): (Read, Option<u64>),
        patience: Patience,
        done: impl FnOnce(bool) + Send + 'static,
    ) {
        let core = Arc::clone(self);
        self.runtime.spawn(async move { done(core.catalog.load(&read, seen, patience).await) });
    }

    /// Whether a list of the catalog is known.
    pub fn has(&self, list: List) -> bool {
        self.catalog.has(list)
    }

    /// # Errors
    /// [`Miss`].
    pub fn prompt(
        &self,
        key: &str,
        version: Option<i64>,
        variables: &Variables,
        strict: bool,
    ) -> Result<RenderedPrompt, Miss> {
        let prompt = self.catalog.prompt(key, version, variables, strict)?;
        self.remember(&prompt);
        Ok(prompt)
    }

    /// # Errors
    /// [`Miss`].
    pub fn prompt_ab(
        &self,
        test: &str,
        session_id: &str,
        variables: &Variables,
        strict: bool,
    ) -> Result<RenderedPrompt, Miss> {
        let prompt = self.catalog.prompt_ab(test, session_id, variables, strict)?;
        self.remember(&prompt);
        if let Some(choice) = &prompt.ab {
            let link = PromptLink {
                prompt_key: Some(prompt.key.clone()),
                prompt_version: Some(prompt.version),
                prompt_ab_test_key: Some(choice.test_key.clone()),
                prompt_variant_index: Some(choice.variant_index),
            };
            debug(|| {
                let (key, version) = (&prompt.key, prompt.version);
                let (test, index) = (&choice.test_key, choice.variant_index);
                format!("A/B test {test}: variant {index}, prompt {key} version {version}")
            });
            let due = self.linking.assigned(session_id, link);
            self.settle_linking(due);
        }
        Ok(prompt)
    }

    /// # Errors
    /// [`Miss`].
    pub fn model(
        &self,
        key: &str,
        session_id: &str,
        version: Option<i64>,
        customer_id: Option<&str>,
        context: Map<String, Value>,
    ) -> Result<AssignedModel, Miss> {
        let assigned = self.catalog.model(key, session_id, version, &Context::new(context, customer_id))?;
        debug(|| format!("config {key} version {}: model {}", assigned.config_version, assigned.model));
        Ok(assigned)
    }

    /// A prompt was asked for by this session itself.
    pub fn prompt_for(&self, session_id: &str, key: &str, version: i64) {
        let due = self.linking.rendered_for(session_id, key, version);
        self.settle_linking(due);
    }

    /// Whether the texts of calls are wanted, to link them to prompts.
    pub fn links(&self) -> bool {
        self.linking.any()
    }

    fn remember(&self, prompt: &RenderedPrompt) {
        let renderings = [(&prompt.system, prompt.system_own), (&prompt.user, prompt.user_own)]
            .map(|(text, own)| Rendering { text, own });
        let due = self.linking.rendered(&prompt.key, prompt.version, renderings);
        self.settle_linking(due);
    }

    /// Has the core's thread take in what was noted, so that it does not pile up where no span is recorded.
    fn settle_linking(&self, due: bool) {
        if due {
            let linking = Arc::clone(&self.linking);
            self.runtime.spawn(async move { linking.settle() });
        }
    }
}

fn traces(settings: &Settings) -> bool {
    settings.enabled && settings.traces.api_key.is_some()
}

/// Says the events that were held back, when they are due.
async fn say_held_back() {
    loop {
        match diagnostics::due() {
            None => HELD_BACK.notified().await,
            Some(due) => {
                tokio::time::sleep_until(due.into()).await;
                diagnostics::flush_due(Instant::now());
            }
        }
    }
}

/// One current-thread runtime on a thread of its own: the user's event loop and its thread pool stay free, and a
/// private thread does not hold the process open.
fn spawn_runtime() -> std::io::Result<tokio::runtime::Handle> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    std::thread::Builder::new()
        .name(THREAD.to_owned())
        .spawn(move || runtime.block_on(std::future::pending::<()>()))?;
    Ok(handle)
}
