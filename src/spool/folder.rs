//! The folder of one traces URL and key, and the segments in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ring::digest;

/// Ends the name of every segment.
const EXTENSION: &str = "spans";

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

    /// Makes it, if it is not there, for this user alone: it holds what customers wrote.
    pub fn create(&self) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.0)
    }

    /// A name that no other segment has; by name, segments stand in their order of age.
    pub fn new_segment(&self) -> PathBuf {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (ms, pid, random) = (now.as_millis(), std::process::id(), fastrand::u32(..));
        self.0.join(format!("{ms:013}-{pid}-{random:08x}.{EXTENSION}"))
    }

    pub fn holds(&self, segment: &Path) -> bool {
        segment.parent() == Some(&self.0)
    }

    /// All segments, oldest first. A folder that is not there holds none.
    pub fn segments(&self) -> Vec<Found> {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        let mut found: Vec<Found> = entries
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == EXTENSION))
            .filter_map(|entry| {
                let bytes = entry.metadata().ok().filter(fs::Metadata::is_file)?.len();
                Some(Found { path: entry.path(), bytes })
            })
            .collect();
        found.sort_by(|one, other| one.path.cmp(&other.path));
        found
    }
}
