//! The last known good answers on disk, so that a process can start without the server (`options.md`, `cache`).
//!
//! A file for each thing that is read: one line of JSON that says what follows, then the body as it came. Written
//! whole or not at all: to a file beside it, which is then renamed. The key is only in the name, as part of a hash.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use serde::{Deserialize, Serialize};

use super::Read;
use crate::diagnostics::{debug, warn};
use crate::owner;
use crate::settings::Endpoint;

/// A larger file is none of ours.
const MOST_BYTES: u64 = 128 * 1024 * 1024;
/// Bytes of a hash in a name.
const NAME_BYTES: usize = 16;

pub type Digest = [u8; SHA256_OUTPUT_LEN];

/// The first line of a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    /// What kind of file this is, and of which form.
    fallom_catalog: u32,
    etag: Option<String>,
    /// Of the ETag and the body.
    sha256: String,
}

const FORM: u32 = 1;

/// What was kept.
#[derive(Debug, PartialEq, Eq)]
pub struct Kept {
    pub body: Vec<u8>,
    pub etag: Option<String>,
    /// When the server last said so.
    pub at: SystemTime,
}

/// A folder of such files. Several processes may share it.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    /// Trouble is a warning once, and then a line for those who look.
    warned: AtomicBool,
}

impl Disk {
    pub fn new(folder: PathBuf) -> Self {
        Disk { folder, warned: AtomicBool::new(false) }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was kept under this name. A file that cannot be used is as good as none, with a warning.
    pub fn read(&self, name: &str) -> Option<Kept> {
        match self.try_read(name) {
            Ok(kept) => kept,
            Err(reason) => {
                self.warn(&format!("cannot be used ({name}: {reason}): Fallom is read instead"));
                None
            }
        }
    }

    /// Keeps a body in place of what was there. What cannot be kept is a warning.
    pub fn write(&self, name: &str, etag: Option<&str>, body: &[u8]) {
        if let Err(error) = self.try_write(name, etag, body) {
            self.warn(&format!("cannot be written ({error}): the next process will start without it"));
        }
    }

    /// The server said again that what is kept is what there is. Says whether it is still there.
    pub fn confirm(&self, name: &str) -> bool {
        let file = OpenOptions::new().write(true).open(self.folder.join(name));
        file.and_then(|file| file.set_modified(SystemTime::now())).is_ok()
    }

    /// There is no such thing any more.
    pub fn remove(&self, name: &str) {
        let _ = fs::remove_file(self.folder.join(name));
    }

    fn warn(&self, what: &str) {
        let text = || format!("The cache in {} {what}.", self.folder.display());
        if self.warned.swap(true, Ordering::Relaxed) {
            debug(text);
        } else {
            warn(&text());
        }
    }

    fn try_read(&self, name: &str) -> Result<Option<Kept>, String> {
        let path = self.folder.join(name);
        // Before it is opened: that would wait for ever if it were a pipe.
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
            Ok(found) if !found.is_file() || found.len() > MOST_BYTES => {
                return Err("it is no file of ours".to_owned());
            }
            Ok(_) => {}
        }
        let mut file = File::open(&path).map_err(|error| error.to_string())?;
        let metadata = file.metadata().map_err(|error| error.to_string())?;
        if !owner::is_trusted(&metadata) {
            return Err("it belongs to another user".to_owned());
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let at = metadata.modified().map_err(|error| error.to_string())?;
        let (etag, body) = parse(&bytes).ok_or("it is damaged, or of another form")?;
        Ok(Some(Kept { body, etag, at }))
    }

    fn try_write(&self, name: &str, etag: Option<&str>, body: &[u8]) -> io::Result<()> {
        owner::create_folder(&self.folder)?;
        let draft = self.folder.join(format!("{name}.{}.new", std::process::id()));
        let written =
            write_draft(&draft, etag, body).and_then(|()| fs::rename(&draft, self.folder.join(name)));
        if written.is_err() {
            let _ = fs::remove_file(&draft);
        }
        written
    }
}

/// The file for what is read from there: a name for each URL and key.
pub fn name_of(endpoint: &Endpoint, read: &Read) -> String {
    let key = endpoint.api_key.as_deref().unwrap_or_default();
    let source = hex(&digest(&[endpoint.url.as_bytes(), b"\0", key.as_bytes()])[..NAME_BYTES]);
    match read {
        Read::List(list) => format!("{source}-{}.cache", list.field()),
        Read::ConfigVersion(key, version) => {
            let config = hex(&digest(&[key.as_bytes()])[..NAME_BYTES]);
            format!("{source}-config-{config}-{version}.cache")
        }
    }
}

/// The SHA-256 of these, one after the other.
pub fn digest(parts: &[&[u8]]) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut digest = [0; SHA256_OUTPUT_LEN];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// How long ago, as a person would say it.
pub fn ago(at: SystemTime) -> String {
    let seconds = at.elapsed().unwrap_or(Duration::ZERO).as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

fn write_draft(path: &Path, etag: Option<&str>, body: &[u8]) -> io::Result<()> {
    let head = Head { fallom_catalog: FORM, etag: etag.map(str::to_owned), sha256: checksum(etag, body) };
    // What a process of this id left behind when it was killed.
    let _ = fs::remove_file(path);
    let mut file = owner::new_file().write(true).open(path)?;
    file.write_all(serde_json::to_string(&head)?.as_bytes())?;
    file.write_all(b"\n")?;
    file.write_all(body)
}

fn parse(bytes: &[u8]) -> Option<(Option<String>, Vec<u8>)> {
    let end = memchr::memchr(b'\n', bytes)?;
    let head: Head = serde_json::from_slice(&bytes[..end]).ok()?;
    let body = &bytes[end + 1..];
    let whole = head.fallom_catalog == FORM && head.sha256 == checksum(head.etag.as_deref(), body);
    whole.then(|| (head.etag, body.to_vec()))
}

fn checksum(etag: Option<&str>, body: &[u8]) -> String {
    hex(&digest(&[etag.unwrap_or_default().as_bytes(), b"\n", body]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
