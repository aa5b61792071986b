//! A service that lists are read from: where it is, and what is read there.

use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use parking_lot::{Mutex, RwLock};

use super::Read;
use super::slot::Slot;
use crate::catalog::List;
use crate::settings::Endpoint;

/// Pinned versions of configs remembered, the least recently used forgotten first.
const MOST_VERSIONS: NonZeroUsize = NonZeroUsize::new(1000).unwrap();

/// `init` may bring another source at any time. A read of the old one that is still under way delays nobody then,
/// and what it brings is not kept.
pub struct Service(RwLock<Arc<Source>>);

/// One key and URL, and how reading from there goes.
pub struct Source {
    pub endpoint: Endpoint,
    lists: [Arc<Slot>; 3],
    versions: Mutex<LruCache<(String, i64), Arc<Slot>>>,
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
}

impl Source {
    fn new(endpoint: Endpoint) -> Arc<Self> {
        let versions = Mutex::new(LruCache::new(MOST_VERSIONS));
        Arc::new(Source { endpoint, lists: Default::default(), versions })
    }

    pub fn has_key(&self) -> bool {
        self.endpoint.api_key.is_some()
    }

    /// How reading this goes.
    pub fn slot(&self, read: &Read) -> Arc<Slot> {
        match read {
            Read::List(List::Prompts) => Arc::clone(&self.lists[0]),
            Read::List(List::PromptAbTests) => Arc::clone(&self.lists[1]),
            Read::List(List::Configs) => Arc::clone(&self.lists[2]),
            Read::ConfigVersion(key, version) => {
                let mut versions = self.versions.lock();
                Arc::clone(versions.get_or_insert_mut((key.clone(), *version), Arc::default))
            }
        }
    }
}
