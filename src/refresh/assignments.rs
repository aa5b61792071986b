//! Which assignments were told to the server: each once per session, config and version (`wire.md`).

use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::catalog::AssignedModel;

/// Assignments remembered, the least recently used forgotten first (and told again).
const MOST_TOLD: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// Told at once: a burst of new sessions must not take the application's file descriptors.
const MOST_AT_ONCE: usize = 4;
/// Waiting for that; what comes on top is not told, since a server so slow must not cost memory without end.
const MOST_WAITING: usize = 10_000;

/// The body of `POST {configs}/sessions`.
#[derive(Serialize)]
struct Assignment<'a> {
    config_key: &'a str,
    config_version: i64,
    session_id: &'a str,
    assigned_model: &'a str,
}

pub struct Assignments {
    told: Mutex<LruCache<(String, String, i64), ()>>,
    places: Semaphore,
    turns: Semaphore,
}

/// What lets one assignment be told, for as long as it is kept.
pub struct Turn<'a> {
    _place: SemaphorePermit<'a>,
    _turn: SemaphorePermit<'a>,
}

impl Default for Assignments {
    fn default() -> Self {
        Assignments {
            told: Mutex::new(LruCache::new(MOST_TOLD)),
            places: Semaphore::new(MOST_WAITING),
            turns: Semaphore::new(MOST_AT_ONCE),
        }
    }
}

impl Assignments {
    /// Waits until another may be told. `None`: too many wait already.
    pub async fn turn(&self) -> Option<Turn<'_>> {
        let place = self.places.try_acquire().ok()?;
        let turn = self.turns.acquire().await.ok()?;
        Some(Turn { _place: place, _turn: turn })
    }

    /// The body to post, if this assignment was not told yet.
    pub fn first(&self, config_key: &str, session_id: &str, assigned: &AssignedModel) -> Option<Vec<u8>> {
        let told = (config_key.to_owned(), session_id.to_owned(), assigned.config_version);
        if self.told.lock().put(told, ()).is_some() {
            return None;
        }
        serde_json::to_vec(&Assignment {
            config_key,
            config_version: assigned.config_version,
            session_id,
            assigned_model: &assigned.model,
        })
        .ok()
    }
}
