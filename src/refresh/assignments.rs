//! Which assignments were told to the server: each once per session, config and version (`wire.md`).

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::catalog::AssignedModel;

/// Assignments remembered, the least recently used forgotten first (and told again).
const MOST_TOLD: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// Told at once: a burst of new sessions must not take the application's file descriptors.
const MOST_AT_ONCE: usize = 4;
/// Waiting for that; what comes on top is left to the session's next call, since a server so slow must not cost
/// memory without end.
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
    places: Arc<Semaphore>,
    turns: Semaphore,
}

impl Default for Assignments {
    fn default() -> Self {
        Assignments {
            told: Mutex::new(LruCache::new(MOST_TOLD)),
            places: Arc::new(Semaphore::new(MOST_WAITING)),
            turns: Semaphore::new(MOST_AT_ONCE),
        }
    }
}

impl Assignments {
    /// Waits until another may be told, for as long as what this gives is kept.
    pub async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }

    /// The body to post, if this assignment was not told yet, and a place among those that wait, to be kept until
    /// it is told.
    pub fn first(
        &self,
        config_key: &str,
        session_id: &str,
        assigned: &AssignedModel,
    ) -> Option<(Vec<u8>, OwnedSemaphorePermit)> {
        let told = (config_key.to_owned(), session_id.to_owned(), assigned.config_version);
        let place = {
            let mut all = self.told.lock();
            if all.get(&told).is_some() {
                return None;
            }
            let place = Arc::clone(&self.places).try_acquire_owned().ok()?;
            all.put(told, ());
            place
        };
        let body = serde_json::to_vec(&Assignment {
            config_key,
            config_version: assigned.config_version,
            session_id,
            assigned_model: &assigned.model,
        });
        Some((body.ok()?, place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(version: i64) -> AssignedModel {
        AssignedModel { model: "m".into(), config_version: version, variant_index: 0 }
    }

    #[test]
    fn an_assignment_is_told_once_for_each_session_config_and_version() {
        let assignments = Assignments::default();
        let (body, _) = assignments.first("c", "s", &assigned(1)).unwrap();
        let told = r#"{"config_key":"c","config_version":1,"session_id":"s","assigned_model":"m"}"#;
        assert_eq!(String::from_utf8(body).unwrap(), told);
        assert!(assignments.first("c", "s", &assigned(1)).is_none());
        assert!(assignments.first("c", "s", &assigned(2)).is_some());
        assert!(assignments.first("d", "s", &assigned(1)).is_some());
        assert!(assignments.first("c", "other", &assigned(1)).is_some());
    }

    #[test]
    fn an_assignment_that_finds_no_place_is_told_at_the_next_call() {
        let assignments = Assignments::default();
        let waiting: Vec<_> = (0..MOST_WAITING)
            .map(|n| assignments.first("c", &n.to_string(), &assigned(1)).unwrap())
            .collect();
        assert!(assignments.first("c", "late", &assigned(1)).is_none());
        drop(waiting);
        assert!(assignments.first("c", "late", &assigned(1)).is_some());
    }
}
