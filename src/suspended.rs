//! Runs that wait for approval or data, so that what resumes one goes on in its trace (`spans.md`).

use std::num::NonZeroUsize;

use lru::LruCache;
use parking_lot::Mutex;

/// Runs remembered, the least recently used forgotten first: many are never resumed.
const MOST_RUNS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// By Mastra's id of the run. What is said of one is the shim's own.
pub struct SuspendedRuns {
    runs: Mutex<LruCache<String, String>>,
}

impl Default for SuspendedRuns {
    fn default() -> Self {
        SuspendedRuns { runs: Mutex::new(LruCache::new(MOST_RUNS)) }
    }
}

impl SuspendedRuns {
    pub fn remember(&self, run_id: String, run: String) {
        self.runs.lock().put(run_id, run);
    }

    pub fn recall(&self, run_id: &str) -> Option<String> {
        self.runs.lock().get(run_id).cloned()
    }
}
