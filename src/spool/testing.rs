//! A folder of its own for each test.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::Spool;
use crate::settings::{self, Endpoint};

/// Small enough to be filled by a test: 16 KiB.
pub const SMALL: u64 = 16 * 1024;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Removed when it goes out of scope.
pub struct Scratch {
    pub dir: PathBuf,
    failing: bool,
}

impl Scratch {
    pub fn new() -> Self {
        let name = format!("fallom-spool-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Scratch { dir: std::env::temp_dir().join(name), failing: false }
    }

    pub fn spool(&self, max_bytes: u64) -> Spool {
        self.spool_of("key", max_bytes, Duration::from_secs(3600))
    }

    pub fn spool_of(&self, key: &str, max_bytes: u64, max_age: Duration) -> Spool {
        let options = settings::Spool { dir: self.dir.clone(), max_bytes, max_age };
        Spool::new(options, &endpoint(key))
    }

    /// The next write does not happen.
    pub fn fail_once(&mut self) {
        self.failing = true;
    }

    pub fn fails(&mut self) -> bool {
        std::mem::take(&mut self.failing)
    }

    pub fn segments(&self) -> usize {
        self.files().len()
    }

    /// All files of all scopes, by name.
    pub fn files(&self) -> Vec<PathBuf> {
        let scopes = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = scopes
            .flat_map(|scope| fs::read_dir(scope.path()).into_iter().flatten().flatten())
            .map(|file| file.path())
            .collect();
        files.sort();
        files
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Looks until there is nothing more to find.
pub fn look(spool: &mut Spool) {
    while spool.next_look().is_some_and(|at| at <= Instant::now()) {
        spool.look(Instant::now());
    }
}

pub fn endpoint(key: &str) -> Endpoint {
    Endpoint { url: "http://traces".to_owned(), api_key: Some(key.to_owned()) }
}
