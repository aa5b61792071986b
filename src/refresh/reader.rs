//! Reads the lists, and puts what came into the snapshot.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;
use parking_lot::{Mutex, RwLock};

use super::Read;
use super::service::{MISS_IS_KNOWN, Service, Source};
use crate::catalog::{Config, List, Snapshot, lists};
use crate::diagnostics::{self, Event, Kind, debug, warn_once};
use crate::settings::{Endpoint, Settings};
use crate::transport::Http;

/// Of one read (`wire.md`, "Reading configs, prompts and A/B tests").
pub const READ_TIMEOUT: Duration = Duration::from_secs(2);
/// Of one list.
const MOST_BYTES: usize = 64 * 1024 * 1024;
/// Pinned versions of configs remembered, the least recently used forgotten first.
const MOST_VERSIONS: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

/// A pinned version of a config: what it is, or when it was found not to exist.
enum Pinned {
    Known(Arc<Config>),
    MissingSince(Instant),
}

/// What is known of a pinned version.
pub enum Version {
    Known(Arc<Config>),
    /// Asked for a short while ago, in vain.
    Missing,
    Unknown,
}

pub struct Reader {
    pub http: Arc<Http>,
    pub prompts: Service,
    pub configs: Service,
    snapshot: RwLock<Arc<Snapshot>>,
    versions: Mutex<LruCache<(String, i64), Pinned>>,
}

impl Reader {
    pub fn new(settings: &Settings, http: Arc<Http>) -> Self {
        Reader {
            http,
            prompts: Service::new(settings.prompts.clone()),
            configs: Service::new(settings.configs.clone()),
            snapshot: RwLock::default(),
            versions: Mutex::new(LruCache::new(MOST_VERSIONS)),
        }
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.read())
    }

    pub fn service(&self, read: &Read) -> &Service {
        match read {
            Read::Prompts => &self.prompts,
            Read::Configs | Read::ConfigVersion(..) => &self.configs,
        }
    }

    pub fn version(&self, key: &str, version: i64) -> Version {
        match self.versions.lock().get(&(key.to_owned(), version)) {
            Some(Pinned::Known(config)) => Version::Known(Arc::clone(config)),
            Some(Pinned::MissingSince(at)) if at.elapsed() < MISS_IS_KNOWN => Version::Missing,
            _ => Version::Unknown,
        }
    }

    /// Another key or URL: what is known of the old one is forgotten. Says whether anything changed.
    pub fn reconfigure(&self, read: &Read, endpoint: Endpoint) -> bool {
        let service = self.service(read);
        if service.source().endpoint == endpoint {
            return false;
        }
        let lists: &[List] = match read {
            Read::Prompts => &[List::Prompts, List::PromptAbTests],
            Read::Configs | Read::ConfigVersion(..) => &[List::Configs],
        };
        let mut snapshot = self.snapshot.write();
        service.move_to(endpoint);
        *snapshot = Arc::new(snapshot.without(lists));
        self.versions.lock().clear();
        true
    }

    /// Reads what is wanted, unless a read that ended after `asked` has done so already.
    pub async fn read(&self, read: &Read, asked: Instant) {
        if let Read::ConfigVersion(key, version) = read {
            return self.read_version(key, *version).await;
        }
        let source = self.service(read).source();
        let _reading = source.reading.lock().await;
        if source.endpoint.api_key.is_none() || source.state.lock().read_at.is_some_and(|at| at >= asked) {
            return;
        }
        let outcome = match read {
            Read::Prompts => self.read_prompts(&source).await,
            Read::Configs | Read::ConfigVersion(..) => self.read_configs(&source).await,
        };
        let first = {
            let mut state = source.state.lock();
            state.read_at = Some(Instant::now());
            state.failure = outcome.as_ref().err().cloned();
            !std::mem::replace(&mut state.failing, outcome.is_err())
        };
        say(read, &source.endpoint, outcome, first);
    }

    async fn read_prompts(&self, source: &Arc<Source>) -> Result<(), String> {
        let (prompts, tests) =
            tokio::join!(self.get(source, "/prompts"), self.get(source, "/prompt-ab-tests"));
        let prompts = prompts.and_then(|body| lists::prompts(&body).map_err(|error| error.to_string()));
        let tests = tests.and_then(|body| lists::prompt_ab_tests(&body).map_err(|error| error.to_string()));
        let mut failure = Ok(());
        // One list that fails does not spoil the other.
        self.swap(&self.prompts, source, |snapshot| {
            let mut next = snapshot.clone();
            match prompts {
                Ok(parsed) => next = next.with_prompts(parsed.entries),
                Err(reason) => failure = Err(format!("/prompts: {reason}")),
            }
            match tests {
                Ok(parsed) => next = next.with_tests(parsed.entries),
                Err(reason) if failure.is_ok() => failure = Err(format!("/prompt-ab-tests: {reason}")),
                Err(_) => {}
            }
            next
        });
        failure
    }

    async fn read_configs(&self, source: &Arc<Source>) -> Result<(), String> {
        let body = self.get(source, "/configs").await.map_err(|reason| format!("/configs: {reason}"))?;
        let parsed = lists::configs(&body).map_err(|error| format!("/configs: {error}"))?;
        self.swap(&self.configs, source, |snapshot| snapshot.with_configs(parsed.entries));
        Ok(())
    }

    async fn read_version(&self, key: &str, version: i64) {
        let source = self.configs.source();
        let path = format!("/configs/{}/version/{version}", percent_encoded(key));
        let found = self.get(&source, &path).await;
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
        if self.configs.is_at(&source) {
            versions.put((key.to_owned(), version), pinned);
        }
    }

    /// Makes the next snapshot, unless the service has another key or URL by now.
    fn swap(&self, service: &Service, source: &Arc<Source>, next: impl FnOnce(&Snapshot) -> Snapshot) {
        let mut snapshot = self.snapshot.write();
        if service.is_at(source) {
            *snapshot = Arc::new(next(&snapshot));
        }
    }

    async fn get(&self, source: &Source, path: &str) -> Result<Vec<u8>, String> {
        self.http.get(&source.endpoint, path, READ_TIMEOUT, MOST_BYTES).await
    }
}

/// How a read went. Of an outage, the beginning is an event.
fn say(read: &Read, endpoint: &Endpoint, outcome: Result<(), String>, first: bool) {
    let what = if *read == Read::Prompts { "prompts" } else { "configs" };
    let url = endpoint.shown();
    let Err(reason) = outcome else {
        return debug(|| format!("{what} were read from {url}"));
    };
    if first {
        let message = format!("{url} could not be read: {reason}").into();
        diagnostics::report(Event { kind: Kind::RefreshFailed, message, count: 0, reason: Some(what) });
    } else {
        debug(|| format!("{what} still could not be read from {url}: {reason}"));
    }
    warn_once(&format!("{url} could not be read: {reason}."));
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
