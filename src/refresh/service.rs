//! A service that lists are read from: where it is, and how the last read went.

use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use crate::settings::Endpoint;

/// So long a miss is believed before the list is read again for it.
pub const MISS_IS_KNOWN: Duration = Duration::from_secs(5);

pub struct Service {
    pub endpoint: RwLock<Endpoint>,
    /// Held while it is read: those who come meanwhile wait for that read.
    pub reading: tokio::sync::Mutex<()>,
    pub state: Mutex<ServiceState>,
}

#[derive(Default)]
pub struct ServiceState {
    /// When the last read ended.
    pub read_at: Option<Instant>,
    /// When somebody last gave up waiting for one.
    pub given_up_at: Option<Instant>,
    /// Why the last read failed, if it did.
    pub failure: Option<String>,
}

impl Service {
    pub fn new(endpoint: Endpoint) -> Self {
        Service {
            endpoint: RwLock::new(endpoint),
            reading: tokio::sync::Mutex::new(()),
            state: Mutex::default(),
        }
    }

    pub fn has_key(&self) -> bool {
        self.endpoint.read().api_key.is_some()
    }
}

impl ServiceState {
    /// Whether a read now may bring what is missing.
    pub fn may_help(&self, now: Instant) -> bool {
        let recent = |at: Option<Instant>| at.is_some_and(|at| now.duration_since(at) < MISS_IS_KNOWN);
        !recent(self.read_at) && !recent(self.given_up_at)
    }
}
