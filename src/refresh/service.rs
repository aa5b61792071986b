//! A service that lists are read from: where it is, and how the last read went.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use crate::settings::Endpoint;

/// So long a miss is believed before the list is read again for it.
pub const MISS_IS_KNOWN: Duration = Duration::from_secs(5);

/// `init` may bring another source at any time. A read of the old one that is still under way delays nobody then,
/// and what it brings is not kept.
pub struct Service(RwLock<Arc<Source>>);

/// One key and URL, and how reading from there goes.
pub struct Source {
    pub endpoint: Endpoint,
    /// Held while it is read: those who come meanwhile wait for that read.
    pub reading: tokio::sync::Mutex<()>,
    pub state: Mutex<SourceState>,
}

#[derive(Default)]
pub struct SourceState {
    /// When the last read ended.
    pub read_at: Option<Instant>,
    /// When somebody last gave up waiting for one.
    pub given_up_at: Option<Instant>,
    /// Whether the last read failed; with `failure`, which giving up sets, too, an outage would begin twice.
    pub failing: bool,
    /// Why the last read failed, if it did.
    pub failure: Option<String>,
}

impl Service {
    pub fn new(endpoint: Endpoint) -> Self {
        Service(RwLock::new(Source::new(endpoint)))
    }

    /// Where it is read from now.
    pub fn source(&self) -> Arc<Source> {
        Arc::clone(&self.0.read())
    }

    pub fn is_at(&self, source: &Arc<Source>) -> bool {
        Arc::ptr_eq(&self.0.read(), source)
    }

    pub fn move_to(&self, endpoint: Endpoint) {
        *self.0.write() = Source::new(endpoint);
    }

    pub fn has_key(&self) -> bool {
        self.0.read().endpoint.api_key.is_some()
    }
}

impl Source {
    fn new(endpoint: Endpoint) -> Arc<Self> {
        Arc::new(Source { endpoint, reading: tokio::sync::Mutex::new(()), state: Mutex::default() })
    }
}

impl SourceState {
    /// Whether a read now may bring what is missing.
    pub fn may_help(&self, now: Instant) -> bool {
        let recent = |at: Option<Instant>| at.is_some_and(|at| now.duration_since(at) < MISS_IS_KNOWN);
        !recent(self.read_at) && !recent(self.given_up_at)
    }
}
