//! The folder of one traces URL and key, and the segments in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use ring::digest;

use crate::owner;

/// Ends the name of every segment.
const EXTENSION: &str = "spans";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Where the segments of one scope lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(PathBuf);

/// A segment that lies there, whoever owns it.
#[derive(Debug)]
pub struct Found {
    pub path: PathBuf,
    pub bytes: u64,
}

impl Folder {
    /// The hash keeps the key from being read off the folder's name.
    pub fn of(dir: &Path, url: &str, key: &str) -> Self {
        let hash = digest::digest(&digest::SHA256, format!("{url}\n{key}").as_bytes());
        let name: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Folder(dir.join(name))
    }

    /// Makes it, if it is not there. It holds what customers wrote.
    pub fn create(&self) -> io::Result<()> {
        owner::create_folder(&self.0)
    }

    /// A name that no other segment has; by name, segments stand in their order of age.
    pub fn new_segment(&self) -> PathBuf {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (ms, pid, random) = (now.as_millis(), std::process::id(), fastrand::u32(..));
        // Of one millisecond, too.
        let count = NEXT.fetch_add(1, Ordering::Relaxed);
        self.0.join(format!("{ms:013}-{pid}-{count:08x}-{random:08x}.{EXTENSION}"))
    }

    pub fn holds(&self, segment: &Path) -> bool {
        segment.parent() == Some(&self.0)
    }

    /// All segments, oldest first; not those of another user, which would be sent under our key. A folder that is not
    /// there holds none.
    pub fn segments(&self) -> Vec<Found> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut found: Vec<Found> = entries
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == EXTENSION))
            .filter_map(|entry| {
                let metadata =
                    entry.metadata().ok().filter(|found| found.is_file() && owner::is_trusted(found))?;
                Some(Found { path: entry.path(), bytes: metadata.len() })
            })
            .collect();
        found.sort_by(|one, other| one.path.cmp(&other.path));
        found
    }
}
