//! Keeps the catalog fresh: reads the lists when the core starts, every `refreshMs`, and when a key is missing.
//!
//! However many calls miss at once, a list is asked for once. A failed read keeps the last good list. A key that
//! was missing, or a server that did not answer, is not asked again for a while: an application that asks for a
//! prompt which does not exist must not become a load.

mod assignments;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;

use crate::assignment::targeting::Context;
use crate::catalog::{AssignedModel, CatalogError, Config, List, RenderedPrompt, Snapshot, Variables, lists};
use crate::diagnostics::{debug, warn_once};
use crate::settings::{Endpoint, Settings};
use crate::transport::Http;
use assignments::Assignments;

/// Of one read (`wire.md`, "Reading configs, prompts and A/B tests").
const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// Of one list.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// So long a miss is believed before the list is read again for it.
const MISS_IS_KNOWN: Duration = Duration::from_secs(5);
/// A refresh of 0 ms would be a busy loop.
const LEAST_REFRESH: Duration = Duration::from_millis(5);
/// Pinned versions of configs remembered, the least recently used forgotten first.
const MOST_VERSIONS: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

/// What must be read before a question can be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// Prompts and A/B tests.
    Prompts,
    Configs,
    /// One version of a config that the list does not hold.
    ConfigVersion(String, i64),
}

/// Why there is no value now.
#[derive(Debug)]
pub enum Miss {
    /// A read may bring it.
    Load(Read),
    /// For the user.
    Error(String),
}

/// The catalog, and what keeps it fresh. One per process.
pub struct Catalog {
    shared: Arc<Shared>,
}

struct Shared {
    runtime: Handle,
    http: Arc<Http>,
    timing: RwLock<Timing>,
    snapshot: RwLock<Arc<Snapshot>>,
    prompts: Service,
    configs: Service,
    versions: Mutex<LruCache<(String, i64), Pinned>>,
    assignments: Assignments,
}

/// How often, and how long.
#[derive(Clone, Copy)]
struct Timing {
    refresh: Duration,
    get_timeout: Duration,
}

impl From<&Settings> for Timing {
    fn from(settings: &Settings) -> Self {
        Timing { refresh: settings.refresh.max(LEAST_REFRESH), get_timeout: settings.get_timeout }
    }
}

/// Where a service is read from now. `init` may bring another source at any time; what a read of the old one still
/// brings is not kept then.
struct Service(RwLock<Arc<Source>>);

/// One key and URL, and how reading from there went.
struct Source {
    endpoint: Endpoint,
    /// Held while it is read: those who come meanwhile wait for that read.
    reading: tokio::sync::Mutex<()>,
    state: Mutex<SourceState>,
}

#[derive(Default)]
struct SourceState {
    /// When the last read ended.
    read_at: Option<Instant>,
    /// When somebody last gave up waiting for one.
    given_up_at: Option<Instant>,
    /// Why the last read failed, if it did.
    failure: Option<String>,
}

/// A pinned version of a config: what it is, or when it was found not to exist.
enum Pinned {
    Known(Arc<Config>),
    MissingSince(Instant),
}

impl Catalog {
    pub fn start(runtime: &Handle, settings: &Settings, http: Arc<Http>) -> Self {
        let shared = Arc::new(Shared {
            runtime: runtime.clone(),
            http,
            timing: RwLock::new(settings.into()),
            snapshot: RwLock::default(),
            prompts: Service::new(settings.prompts.clone()),
            configs: Service::new(settings.configs.clone()),
            versions: Mutex::new(LruCache::new(MOST_VERSIONS)),
            assignments: Assignments::default(),
        });
        for read in [Read::Prompts, Read::Configs] {
            runtime.spawn(keep_fresh(Arc::clone(&shared), read));
        }
        Catalog { shared }
    }

    pub fn set_timing(&self, settings: &Settings) {
        *self.shared.timing.write() = settings.into();
    }

    /// Another key or URL for one service; what is known of the old one is forgotten if the URL or the key differ.
    pub fn reconfigure(&self, read: &Read, endpoint: Endpoint) {
        let service = self.shared.service(read);
        if service.source().endpoint == endpoint {
            return;
        }
        *service.0.write() = Source::new(endpoint);
        self.shared.forget(read);
        let shared = Arc::clone(&self.shared);
        let read = read.clone();
        self.shared.runtime.spawn(async move { shared.read(&read, Instant::now()).await });
    }

    /// The endpoint that a service is read from now.
    pub fn endpoint(&self, read: &Read) -> Endpoint {
        self.shared.service(read).source().endpoint.clone()
    }

    /// # Errors
    /// [`Miss`]: what to read first, or the error for the user.
    pub fn prompt(
        &self,
        key: &str,
        version: Option<i64>,
        variables: &Variables,
    ) -> Result<RenderedPrompt, Miss> {
        self.shared
            .snapshot()
            .prompt(key, version, variables)
            .map_err(|error| self.shared.miss(Read::Prompts, &error))
    }

    /// # Errors
    /// As [`Catalog::prompt`].
    pub fn prompt_ab(
        &self,
        test: &str,
        session_id: &str,
        variables: &Variables,
    ) -> Result<RenderedPrompt, Miss> {
        self.shared
            .snapshot()
            .ab(test, session_id, variables)
            .map_err(|error| self.shared.miss(Read::Prompts, &error))
    }

    /// # Errors
    /// As [`Catalog::prompt`].
    pub fn model(
        &self,
        key: &str,
        session_id: &str,
        version: Option<i64>,
        context: &Context,
    ) -> Result<AssignedModel, Miss> {
        let found = self.shared.snapshot().model(key, session_id, version, context);
        let assigned = match (found, version) {
            (Ok(assigned), _) => Ok(assigned),
            (Err(error), Some(version)) if error.missing_from().is_some() => {
                self.shared.pinned_model(key, version, session_id, context)
            }
            (Err(error), _) => Err(self.shared.miss(Read::Configs, &error)),
        }?;
        self.post_assignment(key, session_id, &assigned);
        Ok(assigned)
    }

    /// Waits until this was read or given up, at most `getTimeoutMs`.
    pub async fn load(&self, read: &Read) {
        let asked = Instant::now();
        let shared = Arc::clone(&self.shared);
        let wanted = read.clone();
        // A task of its own: the read goes on, for all who wait, when one gives up.
        let reading = self.shared.runtime.spawn(async move { shared.read(&wanted, asked).await });
        let timeout = self.shared.timing.read().get_timeout;
        if tokio::time::timeout(timeout, reading).await.is_err() {
            let source = self.shared.service(read).source();
            let mut state = source.state.lock();
            state.given_up_at = Some(Instant::now());
            state.failure = Some(format!("no answer within {} ms", timeout.as_millis()));
        }
    }

    fn post_assignment(&self, config_key: &str, session_id: &str, assigned: &AssignedModel) {
        let Some(body) = self.shared.assignments.first(config_key, session_id, assigned) else {
            return;
        };
        let shared = Arc::clone(&self.shared);
        self.shared.runtime.spawn(async move {
            let _turn = shared.assignments.turn().await;
            let source = shared.configs.source();
            shared.http.post_json(&source.endpoint, "/sessions", body, READ_TIMEOUT).await;
        });
    }
}

impl Service {
    fn new(endpoint: Endpoint) -> Self {
        Service(RwLock::new(Source::new(endpoint)))
    }

    fn source(&self) -> Arc<Source> {
        Arc::clone(&self.0.read())
    }

    /// Whether it is still read from there.
    fn is_at(&self, source: &Arc<Source>) -> bool {
        Arc::ptr_eq(&self.0.read(), source)
    }
}

impl Source {
    fn new(endpoint: Endpoint) -> Arc<Self> {
        Arc::new(Source { endpoint, reading: tokio::sync::Mutex::new(()), state: Mutex::default() })
    }
}

impl SourceState {
    /// Whether a read now may bring what is missing.
    fn may_help(&self, now: Instant) -> bool {
        let recent = |at: Option<Instant>| at.is_some_and(|at| now.duration_since(at) < MISS_IS_KNOWN);
        !recent(self.read_at) && !recent(self.given_up_at)
    }
}

impl Shared {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read())
    }

    fn service(&self, read: &Read) -> &Service {
        match read {
            Read::Prompts => &self.prompts,
            Read::Configs | Read::ConfigVersion(..) => &self.configs,
        }
    }

    fn forget(&self, read: &Read) {
        let mut snapshot = self.snapshot.write();
        let gone: &[List] = match read {
            Read::Prompts => &[List::Prompts, List::PromptAbTests],
            Read::Configs | Read::ConfigVersion(..) => &[List::Configs],
        };
        *snapshot = Arc::new(snapshot.without(gone));
        self.versions.lock().clear();
    }

    fn miss(&self, read: Read, error: &CatalogError) -> Miss {
        let source = self.service(&read).source();
        if error.missing_from().is_none() || source.endpoint.api_key.is_none() {
            return Miss::Error(error.to_string());
        }
        let state = source.state.lock();
        if state.may_help(Instant::now()) {
            return Miss::Load(read);
        }
        Miss::Error(match &state.failure {
            Some(failure) => format!("{error} The last try failed: {failure}."),
            None => error.to_string(),
        })
    }

    fn pinned_model(
        &self,
        key: &str,
        version: i64,
        session_id: &str,
        context: &Context,
    ) -> Result<AssignedModel, Miss> {
        let missing = || CatalogError::VersionNotFound {
            list: List::Configs,
            key: key.to_owned(),
            version,
            known: Vec::new(),
        };
        if self.configs.source().endpoint.api_key.is_none() {
            return Err(Miss::Error(missing().to_string()));
        }
        match self.versions.lock().get(&(key.to_owned(), version)) {
            Some(Pinned::Known(config)) => {
                config.model(session_id, context).map_err(|error| Miss::Error(error.to_string()))
            }
            Some(Pinned::MissingSince(at)) if at.elapsed() < MISS_IS_KNOWN => {
                Err(Miss::Error(missing().to_string()))
            }
            _ => Err(Miss::Load(Read::ConfigVersion(key.to_owned(), version))),
        }
    }

    /// Reads what is wanted, unless a read that ended after `asked` has done so already.
    async fn read(&self, read: &Read, asked: Instant) {
        let source = self.service(read).source();
        if source.endpoint.api_key.is_none() {
            return;
        }
        if let Read::ConfigVersion(key, version) = read {
            return self.read_version(&source, key, *version).await;
        }
        let _reading = source.reading.lock().await;
        if source.state.lock().read_at.is_some_and(|at| at >= asked) {
            return;
        }
        let outcome = match read {
            Read::Prompts => self.read_prompts(&source).await,
            Read::Configs | Read::ConfigVersion(..) => self.read_configs(&source).await,
        };
        if let Err(reason) = &outcome {
            warn_once(&format!("{} could not be read: {reason}.", source.endpoint.url));
        }
        let mut state = source.state.lock();
        state.read_at = Some(Instant::now());
        state.failure = outcome.err();
    }

    async fn read_prompts(&self, source: &Arc<Source>) -> Result<(), String> {
        let (prompts, tests) = tokio::join!(
            self.get(&source.endpoint, "/prompts"),
            self.get(&source.endpoint, "/prompt-ab-tests")
        );
        // One list that fails does not spoil the other.
        let prompts = prompts.and_then(|body| lists::prompts(&body).map_err(|error| error.to_string()));
        let tests = tests.and_then(|body| lists::prompt_ab_tests(&body).map_err(|error| error.to_string()));
        let mut failure = Ok(());
        let mut snapshot = self.snapshot.write();
        if !self.prompts.is_at(source) {
            return failure;
        }
        let mut next = Snapshot::clone(&snapshot);
        match prompts {
            Ok(parsed) => next = next.with_prompts(parsed.entries),
            Err(reason) => failure = Err(format!("/prompts: {reason}")),
        }
        match tests {
            Ok(parsed) => next = next.with_tests(parsed.entries),
            Err(reason) => failure = failure.and(Err(format!("/prompt-ab-tests: {reason}"))),
        }
        *snapshot = Arc::new(next);
        failure
    }

    async fn read_configs(&self, source: &Arc<Source>) -> Result<(), String> {
        let body =
            self.get(&source.endpoint, "/configs").await.map_err(|reason| format!("/configs: {reason}"))?;
        let parsed = lists::configs(&body).map_err(|error| format!("/configs: {error}"))?;
        let mut snapshot = self.snapshot.write();
        if self.configs.is_at(source) {
            *snapshot = Arc::new(snapshot.with_configs(parsed.entries));
        }
        Ok(())
    }

    async fn read_version(&self, source: &Arc<Source>, key: &str, version: i64) {
        let path = format!("/configs/{}/version/{version}", percent_encoded(key));
        let found = self.get(&source.endpoint, &path).await;
        let config = found
            .and_then(|body| lists::config_version(&body, key, version).map_err(|error| error.to_string()));
        let pinned = match config {
            Ok(config) => Pinned::Known(Arc::new(config)),
            Err(reason) => {
                debug(|| format!("{path}: {reason}"));
                Pinned::MissingSince(Instant::now())
            }
        };
        let mut versions = self.versions.lock();
        if self.configs.is_at(source) {
            versions.put((key.to_owned(), version), pinned);
        }
    }

    async fn get(&self, endpoint: &Endpoint, path: &str) -> Result<Vec<u8>, String> {
        self.http.get(endpoint, path, READ_TIMEOUT, MOST_BYTES).await
    }
}

/// Reads a service again and again. Jittered, so that a fleet started together does not ask together.
async fn keep_fresh(shared: Arc<Shared>, read: Read) {
    loop {
        shared.read(&read, Instant::now()).await;
        let refresh = shared.timing.read().refresh;
        tokio::time::sleep(refresh.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
    }
}

/// RFC 3986 unreserved characters as they are, the rest percent-encoded.
fn percent_encoded(key: &str) -> String {
    key.bytes().fold(String::with_capacity(key.len()), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
        out
    })
}
