//! Keeps the catalog fresh: reads the lists when the core starts, every `refreshMs`, and when a key is missing.
//!
//! However many calls miss at once, a list is asked for once. A failed read keeps the last good list, and is said
//! once for each outage. A key that was missing, or a server that did not answer, is not asked again for a while: an
//! application that asks for a prompt which does not exist must not become a load. Nobody waits for one read for
//! longer than their timeout, counted from its beginning: a server that hangs delays the first calls, not each.
//!
//! - `reader`: reads, and swaps the snapshot
//! - `source`: where a service is, and what is read there
//! - `slot`: one thing that is read, and how that goes
//! - `disk`: the last known good answers, for the next process
//! - `outages`: what is said of failures
//! - `assignments`: what is told to the server

mod assignments;
mod disk;
mod outages;
mod reader;
mod slot;
mod source;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::runtime::Handle;

use crate::assignment::targeting::Context;
use crate::catalog::{AssignedModel, CatalogError, List, RenderedPrompt, Snapshot, Variables, mismatch};
use crate::diagnostics::{debug, debugging};
use crate::settings::{Endpoint, Settings};
use crate::transport::Http;
use assignments::Assignments;
use reader::{READ_TIMEOUT, Reader};
use slot::{Prospect, Slot};
use source::Source;

/// A refresh of 0 ms would be a busy loop.
const LEAST_REFRESH: Duration = Duration::from_millis(5);

/// What can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    List(List),
    /// One version of a config that the list does not hold.
    ConfigVersion(String, i64),
}

/// What has a URL and a key of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceName {
    /// Prompts and A/B tests.
    Prompts,
    Configs,
}

/// Why there is no value now.
#[derive(Debug)]
pub enum Miss {
    /// A read may bring it.
    Load(Wanted),
    /// For the user, unless there is a fallback.
    Error(String),
    /// For the user: the call is wrong.
    Misuse(String),
}

/// What a call lacks.
#[derive(Debug)]
pub struct Wanted {
    pub read: Read,
    /// How often something of it had come when it was looked for.
    pub seen: u64,
    /// For those who will not wait, or have waited in vain.
    pub error: String,
}

/// How long a call waits for a read.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Default: `getTimeoutMs`.
    pub timeout: Option<Duration>,
    /// What of it is spent.
    pub waited: Duration,
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

impl ServiceName {
    fn of(list: List) -> Self {
        if list == List::Configs { ServiceName::Configs } else { ServiceName::Prompts }
    }

    /// As diagnostics name it.
    fn name(self) -> &'static str {
        match self {
            ServiceName::Prompts => "prompts",
            ServiceName::Configs => "configs",
        }
    }

    fn lists(self) -> &'static [List] {
        match self {
            ServiceName::Prompts => &[List::Prompts, List::PromptAbTests],
            ServiceName::Configs => &[List::Configs],
        }
    }
}

impl Read {
    fn service(&self) -> ServiceName {
        match self {
            Read::List(list) => ServiceName::of(*list),
            Read::ConfigVersion(..) => ServiceName::Configs,
        }
    }

    /// Where it is read (`wire.md`, "Reading configs, prompts and A/B tests").
    fn path(&self) -> String {
        match self {
            Read::List(List::Prompts) => "/prompts".to_owned(),
            Read::List(List::PromptAbTests) => "/prompt-ab-tests".to_owned(),
            Read::List(List::Configs) => "/configs".to_owned(),
            Read::ConfigVersion(key, version) => {
                format!("/configs/{}/version/{version}", percent_encoded(key))
            }
        }
    }
}

impl Catalog {
    pub fn start(runtime: &Handle, settings: &Settings, http: Arc<Http>) -> Self {
        let reader = Arc::new(Reader::new(settings, http));
        let timing = Arc::new(RwLock::new(settings.into()));
        for list in [List::Prompts, List::PromptAbTests, List::Configs] {
            runtime.spawn(keep_fresh(Arc::clone(&reader), Arc::clone(&timing), list));
        }
        Catalog { runtime: runtime.clone(), reader, timing, assignments: Arc::default() }
    }

    /// How often, how long, and where it is kept on disk.
    pub fn set_options(&self, settings: &Settings) {
        *self.timing.write() = settings.into();
        self.reader.keep_in(settings);
    }

    /// Another key or URL for one service; what is known of the old one is forgotten.
    pub fn reconfigure(&self, name: ServiceName, endpoint: Endpoint) {
        if !self.reader.reconfigure(name, endpoint) {
            return;
        }
        let source = self.reader.service(name).source();
        for &list in name.lists() {
            self.begin(&source, &Read::List(list));
        }
    }

    /// # Errors
    /// [`Miss`]: what to read first, or the error for the user.
    pub fn prompt(
        &self,
        key: &str,
        version: Option<i64>,
        variables: &Variables,
        strict: bool,
    ) -> Result<RenderedPrompt, Miss> {
        let prompt = self.look(|snapshot| snapshot.prompt(key, version, variables))?;
        checked(prompt, variables, strict)
    }

    /// # Errors
    /// As [`Catalog::prompt`].
    pub fn prompt_ab(
        &self,
        test: &str,
        session_id: &str,
        variables: &Variables,
        strict: bool,
    ) -> Result<RenderedPrompt, Miss> {
        let prompt = self.look(|snapshot| snapshot.ab(test, session_id, variables))?;
        checked(prompt, variables, strict)
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
        let assigned = match version {
            None => self.look(|snapshot| snapshot.model(key, session_id, None, context))?,
            Some(version) => self.pinned_model(key, version, session_id, context)?,
        };
        self.post_assignment(key, session_id, &assigned);
        Ok(assigned)
    }

    /// Whether a list is known, be it from the cache.
    pub fn has(&self, list: List) -> bool {
        self.reader.snapshot().has(list)
    }

    /// Waits until something of this came after `seen`, at most as long as the caller's patience; without `seen`, for
    /// a list that is not known. `false`: nothing did.
    pub async fn load(&self, read: &Read, seen: Option<u64>, patience: Patience) -> bool {
        let source = self.reader.service(read.service()).source();
        if !source.has_key() {
            return false;
        }
        let timeout = patience.timeout.unwrap_or(self.timing.read().get_timeout);
        let slot = source.slot(read);
        let progress = slot.progress();
        if seen.map_or_else(|| matches!(read, Read::List(list) if self.has(*list)), |seen| seen != progress) {
            return true;
        }
        let now = Instant::now();
        let since = match slot.prospect(now) {
            Prospect::UnderWay(since) => since,
            Prospect::MayHelp => {
                self.begin(&source, read);
                now
            }
            Prospect::Settled(_) => return slot.progress() != progress,
        };
        let deadline = (now + timeout.saturating_sub(patience.waited)).min(since + timeout);
        tokio::time::timeout_at(deadline.into(), slot.after(progress)).await.is_ok()
    }

    /// Reads it in the background, unless that is under way.
    fn begin(&self, source: &Arc<Source>, read: &Read) {
        if !source.has_key() {
            return;
        }
        if let Some(reading) = source.slot(read).begin() {
            let (reader, source, read) = (Arc::clone(&self.reader), Arc::clone(source), read.clone());
            self.runtime.spawn(async move { reader.read(&source, &read, reading).await });
        }
    }

    /// Looks something up. What is missing is looked for again once the progress of its list is known, so that what
    /// comes meanwhile is not waited for.
    fn look<T>(&self, find: impl Fn(&Snapshot) -> Result<T, CatalogError>) -> Result<T, Miss> {
        let mut looked: Option<(List, u64)> = None;
        loop {
            let error = match find(&self.reader.snapshot()) {
                Ok(found) => return Ok(found),
                Err(error) => error,
            };
            let Some(list) = error.missing_from() else { return Err(Miss::Error(error.to_string())) };
            let read = Read::List(list);
            match looked {
                Some((same, seen)) if same == list => return Err(self.miss(read, seen, &error)),
                _ => looked = Some((list, self.slot(&read).progress())),
            }
        }
    }

    fn slot(&self, read: &Read) -> Arc<Slot> {
        self.reader.service(read.service()).source().slot(read)
    }

    fn miss(&self, read: Read, seen: u64, error: &CatalogError) -> Miss {
        let source = self.reader.service(read.service()).source();
        if !source.has_key() {
            return Miss::Error(error.to_string());
        }
        let wanted = |read, error| Miss::Load(Wanted { read, seen, error });
        match source.slot(&read).prospect(Instant::now()) {
            Prospect::MayHelp => wanted(read, error.to_string()),
            Prospect::UnderWay(_) => {
                wanted(read, format!("{error} Fallom was asked and has not answered yet."))
            }
            Prospect::Settled(None) => Miss::Error(error.to_string()),
            Prospect::Settled(Some(reason)) => Miss::Error(format!("{error} The last try failed: {reason}.")),
        }
    }

    /// From the list, or from a version that was read by itself: refreshes of the list do not touch that.
    fn pinned_model(
        &self,
        key: &str,
        version: i64,
        session_id: &str,
        context: &Context,
    ) -> Result<AssignedModel, Miss> {
        let find = || self.reader.snapshot().model(key, session_id, Some(version), context);
        if let Ok(assigned) = find() {
            return Ok(assigned);
        }
        let list = Read::List(List::Configs);
        let in_list = self.slot(&list);
        // As in `look`: what comes after this is not waited for in vain.
        let (seen, restored) = (in_list.progress(), in_list.is_restored());
        let listed = match find() {
            Err(error) if error.missing_from().is_some() => error,
            found => return found.map_err(|error| Miss::Error(error.to_string())),
        };
        let alone = Read::ConfigVersion(key.to_owned(), version);
        let slot = self.slot(&alone);
        let seen_alone = slot.progress();
        if let Some(config) = slot.config() {
            return config.model(session_id, context).map_err(|error| Miss::Error(error.to_string()));
        }
        // The list in the cache may have it, and is at hand.
        if self.reader.has_disk() && !restored {
            return Err(self.miss(list, seen, &listed));
        }
        let missing = match listed {
            CatalogError::VersionNotFound { .. } => listed,
            _ => CatalogError::VersionNotFound {
                list: List::Configs,
                key: key.to_owned(),
                version,
                known: Vec::new(),
            },
        };
        Err(self.miss(alone, seen_alone, &missing))
    }

    fn post_assignment(&self, config_key: &str, session_id: &str, assigned: &AssignedModel) {
        let Some((body, place)) = self.assignments.first(config_key, session_id, assigned) else { return };
        let (reader, assignments) = (Arc::clone(&self.reader), Arc::clone(&self.assignments));
        self.runtime.spawn(async move {
            let _place = place;
            let Some(_turn) = assignments.turn().await else { return };
            let source = reader.service(ServiceName::Configs).source();
            reader.http.post_json(&source.endpoint, "/sessions", body, READ_TIMEOUT).await;
        });
    }
}

/// Holds what was given against what the prompt uses: an error if the call is strict, else a line for those who look.
fn checked(prompt: RenderedPrompt, given: &Variables, strict: bool) -> Result<RenderedPrompt, Miss> {
    if !strict && !debugging() {
        return Ok(prompt);
    }
    match mismatch(&prompt.variables, given) {
        Some(mismatch) if strict => {
            let error = CatalogError::Variables { key: prompt.key, version: prompt.version, mismatch };
            Err(Miss::Misuse(error.to_string()))
        }
        Some(mismatch) => {
            debug(|| format!("prompt '{}' version {}: {mismatch}", prompt.key, prompt.version));
            Ok(prompt)
        }
        None => Ok(prompt),
    }
}

/// Reads a list again and again. Jittered, so that a fleet started together does not ask together.
async fn keep_fresh(reader: Arc<Reader>, timing: Arc<RwLock<Timing>>, list: List) {
    let read = Read::List(list);
    loop {
        let source = reader.service(read.service()).source();
        if source.has_key()
            && let Some(reading) = source.slot(&read).begin()
        {
            reader.read(&source, &read, reading).await;
        }
        let refresh = timing.read().refresh;
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
