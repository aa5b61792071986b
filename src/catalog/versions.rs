//! One list, indexed by key and version.

use super::error::{CatalogError, List};
use std::collections::HashMap;

/// What a list of the server holds.
pub(super) trait Entry {
    const LIST: List;
    fn key(&self) -> &str;
    fn version(&self) -> i64;
}

/// All versions of all keys of one list. Lookups take constant time.
#[derive(Clone, Debug)]
pub(super) struct Versions<T>(HashMap<String, Key<T>>);

#[derive(Clone, Debug)]
struct Key<T> {
    current: i64,
    versions: HashMap<i64, T>,
}

impl<T: Entry> Versions<T> {
    /// The last entry of a key is its current version (`wire.md`); of a version given twice, the last counts.
    pub(super) fn index(entries: Vec<T>) -> Self {
        let mut keys: HashMap<String, Key<T>> = HashMap::new();
        for entry in entries {
            let version = entry.version();
            match keys.get_mut(entry.key()) {
                Some(key) => {
                    key.current = version;
                    key.versions.insert(version, entry);
                }
                None => {
                    let key = entry.key().to_owned();
                    keys.insert(key, Key { current: version, versions: HashMap::from([(version, entry)]) });
                }
            }
        }
        Self(keys)
    }

    /// The entry of a key in this version, or in its current one.
    pub(super) fn find(&self, key: &str, version: Option<i64>) -> Result<&T, CatalogError> {
        let Some(Key { current, versions }) = self.0.get(key) else {
            return Err(CatalogError::NotFound { list: T::LIST, key: key.to_owned(), loaded: true });
        };
        let version = version.unwrap_or(*current);
        versions.get(&version).ok_or_else(|| {
            let mut known: Vec<_> = versions.keys().copied().collect();
            known.sort_unstable();
            CatalogError::VersionNotFound { list: T::LIST, key: key.to_owned(), version, known }
        })
    }
}
