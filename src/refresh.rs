//! Keeps the catalog fresh: reads the lists when the core starts, every `refreshMs`, and when a key is missing.
//!
//! However many calls miss at once, a list is asked for once. A failed read keeps the last good list. A key that
//! was missing, or a server that did not answer, is not asked again for a while: an application that asks for a
//! prompt which does not exist must not become a load.

mod assignments;
mod reader;
mod service;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::runtime::Handle;

use crate::assignment::targeting::Context;
use crate::catalog::{AssignedModel, CatalogError, List, RenderedPrompt, Variables};
use crate::settings::{Endpoint, Settings};
use crate::transport::Http;
use assignments::Assignments;
use reader::{READ_TIMEOUT, Reader, Version};

/// A refresh of 0 ms would be a busy loop.
const LEAST_REFRESH: Duration = Duration::from_millis(5);

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
    runtime: Handle,
    reader: Arc<Reader>,
    timing: Arc<RwLock<Timing>>,
    assignments: Arc<Assignments>,
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

impl Catalog {
    pub fn start(runtime: &Handle, settings: &Settings, http: Arc<Http>) -> Self {
        let reader = Arc::new(Reader::new(settings, http));
        let timing = Arc::new(RwLock::new(settings.into()));
        for read in [Read::Prompts, Read::Configs] {
            runtime.spawn(keep_fresh(Arc::clone(&reader), Arc::clone(&timing), read));
        }
        Catalog { runtime: runtime.clone(), reader, timing, assignments: Arc::default() }
    }

    pub fn set_timing(&self, settings: &Settings) {
        *self.timing.write() = settings.into();
    }

    /// Another key or URL for one service; what is known of the old one is forgotten.
    pub fn reconfigure(&self, read: &Read, endpoint: Endpoint) {
        if !self.reader.reconfigure(read, endpoint) {
            return;
        }
        let (reader, read) = (Arc::clone(&self.reader), read.clone());
        self.runtime.spawn(async move { reader.read(&read, Instant::now()).await });
    }

    /// # Errors
    /// [`Miss`]: what to read first, or the error for the user.
    pub fn prompt(
        &self,
        key: &str,
        version: Option<i64>,
        variables: &Variables,
    ) -> Result<RenderedPrompt, Miss> {
        let found = self.reader.snapshot().prompt(key, version, variables);
        found.map_err(|error| self.miss(Read::Prompts, &error))
    }

    /// # Errors
    /// As [`Catalog::prompt`].
    pub fn prompt_ab(
        &self,
        test: &str,
        session_id: &str,
        variables: &Variables,
    ) -> Result<RenderedPrompt, Miss> {
        let found = self.reader.snapshot().ab(test, session_id, variables);
        found.map_err(|error| self.miss(Read::Prompts, &error))
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
        let found = self.reader.snapshot().model(key, session_id, version, context);
        let assigned = match (found, version) {
            (Ok(assigned), _) => assigned,
            (Err(error), Some(version)) if error.missing_from().is_some() => {
                self.pinned_model(key, version, session_id, context)?
            }
            (Err(error), _) => return Err(self.miss(Read::Configs, &error)),
        };
        self.post_assignment(key, session_id, &assigned);
        Ok(assigned)
    }

    /// Waits until this was read or given up, at most `getTimeoutMs`.
    pub async fn load(&self, read: &Read) {
        let (reader, wanted, asked) = (Arc::clone(&self.reader), read.clone(), Instant::now());
        // A task of its own: the read goes on, for all who wait, when one gives up.
        let reading = self.runtime.spawn(async move { reader.read(&wanted, asked).await });
        let source = self.reader.service(read).source();
        let timeout = self.timing.read().get_timeout;
        if tokio::time::timeout(timeout, reading).await.is_err() {
            let mut state = source.state.lock();
            state.given_up_at = Some(Instant::now());
            state.failure = Some(format!("no answer within {} ms", timeout.as_millis()));
        }
    }

    fn miss(&self, read: Read, error: &CatalogError) -> Miss {
        let service = self.reader.service(&read);
        if error.missing_from().is_none() || !service.has_key() {
            return Miss::Error(error.to_string());
        }
        let source = service.source();
        let state = source.state.lock();
        if state.may_help(Instant::now()) {
            return Miss::Load(read);
        }
        Miss::Error(match &state.failure {
            Some(failure) => format!("{error} The last try failed: {failure}."),
            None => error.to_string(),
        })
    }

    /// From a version that was read by itself: refreshes of the list do not touch it.
    fn pinned_model(
        &self,
        key: &str,
        version: i64,
        session_id: &str,
        context: &Context,
    ) -> Result<AssignedModel, Miss> {
        let known = match self.reader.version(key, version) {
            Version::Unknown if self.reader.configs.has_key() => {
                return Err(Miss::Load(Read::ConfigVersion(key.to_owned(), version)));
            }
            Version::Unknown | Version::Missing => None,
            Version::Known(config) => Some(config),
        };
        let missing = || CatalogError::VersionNotFound {
            list: List::Configs,
            key: key.to_owned(),
            version,
            known: Vec::new(),
        };
        let assigned = known.ok_or_else(missing).and_then(|config| config.model(session_id, context));
        assigned.map_err(|error| Miss::Error(error.to_string()))
    }

    fn post_assignment(&self, config_key: &str, session_id: &str, assigned: &AssignedModel) {
        let Some(body) = self.assignments.first(config_key, session_id, assigned) else { return };
        let (reader, assignments) = (Arc::clone(&self.reader), Arc::clone(&self.assignments));
        self.runtime.spawn(async move {
            let Some(_turn) = assignments.turn().await else { return };
            let source = reader.configs.source();
            reader.http.post_json(&source.endpoint, "/sessions", body, READ_TIMEOUT).await;
        });
    }
}

/// Reads a service again and again. Jittered, so that a fleet started together does not ask together.
async fn keep_fresh(reader: Arc<Reader>, timing: Arc<RwLock<Timing>>, read: Read) {
    loop {
        reader.read(&read, Instant::now()).await;
        let refresh = timing.read().refresh;
        tokio::time::sleep(refresh.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
    }
}
