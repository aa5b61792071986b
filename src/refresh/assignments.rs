//! Which assignments were told to the server: each once per session, config and version (`wire.md`).

use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;
use serde::Serialize;

use crate::catalog::AssignedModel;

/// Assignments remembered, the least recently used forgotten first (and told again).
const MOST_TOLD: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

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
}

impl Default for Assignments {
    fn default() -> Self {
        Assignments {
            told: Mutex::new(LruCache::new(MOST_TOLD)),
        }
    }
}

impl Assignments {
    /// The body to post, if this assignment was not told yet.
    pub fn first(&self, config_key: &str, session_id: &str, assigned: &AssignedModel) -> Option<Vec<u8>> {
        let told = (
            config_key.to_owned(),
            session_id.to_owned(),
            assigned.config_version,
        );
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
