//! The spool of this process: the segments that it owns, their bounds, and those that it takes over.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::folder::Folder;
use super::segment::{Replayed, Segment};
use crate::diagnostics::{self, Event, Kind, debug, warn_once};
use crate::held::Held;
use crate::settings::{self, Endpoint};

/// A segment is closed for writing at this share of `maxBytes`, within the two bounds.
const SEGMENT_SHARE: u64 = 16;
const SMALLEST_SEGMENT: u64 = 64 * 1024;
const LARGEST_SEGMENT: u64 = 4 * 1024 * 1024;
/// Segments of other processes owned at once: each keeps a file open.
const MOST_ADOPTED: usize = 64;
/// How often the folder is looked at for segments without an owner, and spans for their age.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// After a failure, the disk is left alone for so long.
const REST: Duration = Duration::from_secs(5);

/// Segments are numbered through the life of the process: an address must never mean another span, even when the
/// pipeline begins again after a bug.
static NEXT_ID: AtomicU32 = AtomicU32::new(0);

/// Where a span stands in the spool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    segment: u32,
    index: u32,
}

impl Address {
    /// Whether it is in one of these segments.
    pub fn is_in(self, segments: &BTreeSet<u32>) -> bool {
        segments.contains(&self.segment)
    }
}

/// What changed in the spool by itself, for the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Segments that had to make room: what of them is held as well is in memory alone.
    pub gone: Vec<u32>,
    /// Waiting spans of other processes, now ours.
    pub found: u64,
    /// Waiting spans that had to make room.
    pub full: u64,
    /// Waiting spans older than `maxAgeMs`.
    pub expired: u64,
    /// Waiting spans that could not be read back.
    pub unreadable: u64,
}

/// A span that goes back to the queue.
#[derive(Debug)]
pub struct Returned {
    pub held: Held,
    pub address: Address,
}

pub struct Spool {
    options: settings::Spool,
    /// `None` without a key.
    folder: Option<Folder>,
    /// Oldest first, by the name of the file.
    segments: Vec<(u32, Segment)>,
    /// The one that is written to.
    writing: Option<u32>,
    /// Bytes in the folder that others own.
    others_bytes: u64,
    next_look: Instant,
    resting_until: Option<Instant>,
    changes: Changes,
}

impl Spool {
    /// Touches nothing yet.
    pub fn new(options: settings::Spool, traces: &Endpoint) -> Self {
        Spool {
            folder: folder(&options, traces),
            options,
            segments: Vec::new(),
            writing: None,
            others_bytes: 0,
            next_look: Instant::now(),
            resting_until: None,
            changes: Changes::default(),
        }
    }

    /// Another URL or key: another folder. What waits in the old one stays there for a process with the old key.
    pub fn aim(&mut self, traces: &Endpoint) {
        let folder = folder(&self.options, traces);
        if folder != self.folder {
            self.folder = folder;
            self.writing = None;
            self.others_bytes = 0;
            self.next_look = Instant::now();
        }
    }

    /// Writes spans of these ages that stay in memory, too. `None` for all if the disk does not take them.
    pub fn append(&mut self, spans: &[(&Held, Duration)]) -> Option<Vec<Address>> {
        let now = now_ms();
        let bytes = spans.iter().map(|(held, _)| held.len() as u64 + 64).sum();
        if self.others_bytes + bytes > self.options.max_bytes {
            // What waits here would go in vain.
            warn_once("The spool has no room for a span, however much is removed. Raise spool.maxBytes.");
            return None;
        }
        if self.is_resting() || !self.make_room(bytes) {
            return None;
        }
        let spans = spans.iter().map(|(held, age)| (*held, now - ms(*age)));
        let written = self.segment_to_write().and_then(|(id, segment)| {
            let indexes = segment.append(spans)?;
            Ok(indexes.into_iter().map(|index| Address { segment: id, index }).collect())
        });
        written.map_err(|error| self.failed(&error)).ok()
    }

    fn segment_to_write(&mut self) -> io::Result<(u32, &mut Segment)> {
        let largest = (self.options.max_bytes / SEGMENT_SHARE).clamp(SMALLEST_SEGMENT, LARGEST_SEGMENT);
        let open = self.writing.and_then(|id| self.position(id));
        let at = match open.filter(|at| self.segments.get(*at).is_some_and(|(_, open)| open.bytes < largest))
        {
            Some(at) => at,
            None => self.start_segment()?,
        };
        let (id, segment) = self.segments.get_mut(at).ok_or_else(|| io::Error::other("it is gone"))?;
        Ok((*id, segment))
    }

    fn start_segment(&mut self) -> io::Result<usize> {
        let folder = self.folder.as_ref().ok_or_else(|| io::Error::other("there is no key"))?;
        folder.create()?;
        // A sibling that looks around may take the new file for one without an owner; the next one is ours.
        let segment =
            Segment::create(folder.new_segment()).or_else(|_| Segment::create(folder.new_segment()))?;
        let at = self.own(segment);
        self.writing = self.segments.get(at).map(|(id, _)| *id);
        Ok(at)
    }

    fn own(&mut self, segment: Segment) -> usize {
        let at = self.segments.partition_point(|(_, other)| other.path < segment.path);
        self.segments.insert(at, (NEXT_ID.fetch_add(1, Ordering::Relaxed), segment));
        at
    }

    /// The oldest segments go until so many bytes more fit. `false`: they never will.
    fn make_room(&mut self, more: u64) -> bool {
        while self.file_bytes() + self.others_bytes + more > self.options.max_bytes {
            let Some(at) = self.segments.iter().position(|(_, segment)| self.is_current(segment)) else {
                return false;
            };
            let (id, mut segment) = self.segments.remove(at);
            if self.writing == Some(id) {
                self.writing = None;
            }
            self.changes.full += segment.waiting;
            self.changes.gone.push(id);
            segment.remove();
            warn_once("The spool is full: the oldest spans in it are dropped. Raise spool.maxBytes.");
        }
        true
    }

    /// These spans are delivered or given up.
    pub fn settle(&mut self, addresses: &[Address]) {
        for (id, indexes) in by_segment(addresses) {
            let Some(at) = self.position(id) else { continue };
            if let Some((_, segment)) = self.segments.get_mut(at) {
                segment.settle(&indexes);
            }
            self.remove_if_finished(at);
        }
    }

    /// These spans have left memory undelivered. The ledger counts them as spooled.
    pub fn wait(&mut self, addresses: &[Address]) {
        if !addresses.is_empty() {
            report("spans wait on disk for the server", addresses.len() as u64, "waiting");
        }
        for address in addresses {
            match self.position(address.segment).and_then(|at| self.segments.get_mut(at)) {
                Some((_, segment)) => segment.wait(address.index),
                // It had to make room meanwhile.
                None => self.changes.full += 1,
            }
        }
    }

    /// Whether spans of the current scope wait.
    pub fn has_waiting(&self) -> bool {
        self.segments.iter().any(|(_, segment)| self.is_current(segment) && segment.waiting > 0)
    }

    /// The oldest waiting spans, of at most so many and so many bytes on the wire. They count as held from now on.
    pub fn replay(&mut self, most_spans: usize, most_bytes: usize) -> Vec<Returned> {
        let folder = self.folder.clone();
        let current = |segment: &Segment| folder.as_ref().is_some_and(|folder| folder.holds(&segment.path));
        let oldest = self.segments.iter_mut().find(|(_, segment)| current(segment) && segment.waiting > 0);
        let Some((id, segment)) = oldest else { return Vec::new() };
        let id = *id;
        let replayed = segment.replay(most_spans, most_bytes);
        let mut returned = Vec::new();
        let mut unreadable = Vec::new();
        for Replayed { index, held } in replayed {
            let address = Address { segment: id, index };
            match held {
                Some(held) => returned.push(Returned { held, address }),
                None => unreadable.push(address),
            }
        }
        self.changes.unreadable += unreadable.len() as u64;
        self.settle(&unreadable);
        returned
    }

    /// From time to time: takes over a segment whose process is gone, and gives up spans that are too old. One segment
    /// at a time, since spans that come in meanwhile must be written soon.
    pub fn look(&mut self, now: Instant) {
        if now < self.next_look || self.is_resting() {
            return;
        }
        if !self.adopt_one() {
            self.next_look = now + LOOK_EVERY;
        }
        self.expire();
        self.make_room(0);
    }

    /// Whether there may be another one.
    fn adopt_one(&mut self) -> bool {
        let Some(folder) = self.folder.clone() else { return false };
        self.others_bytes = 0;
        let mut adopted = false;
        for found in folder.segments() {
            if self.segments.iter().any(|(_, segment)| segment.path == found.path) {
                continue;
            }
            let room = !adopted && self.segments.len() < MOST_ADOPTED;
            match if room { Segment::adopt(&found.path) } else { Ok(None) } {
                Ok(Some((segment, torn))) => {
                    adopted = true;
                    self.adopted(segment, torn);
                }
                Ok(None) => self.others_bytes += found.bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    self.others_bytes += found.bytes;
                    debug(|| format!("a file of the spool cannot be read ({error}): it is left alone"));
                }
            }
        }
        adopted
    }

    fn adopted(&mut self, segment: Segment, torn: u64) {
        self.changes.found += segment.waiting;
        if segment.waiting > 0 {
            report("spans of an earlier process were found on disk", segment.waiting, "found");
        }
        if torn > 0 {
            report("what is no span, perhaps of a torn write, was skipped", 0, "torn");
        }
        let at = self.own(segment);
        self.remove_if_finished(at);
    }

    /// When there is something to look at next.
    pub fn next_look(&self) -> Option<Instant> {
        self.folder.as_ref().map(|_| self.next_look.max(self.resting_until.unwrap_or(self.next_look)))
    }

    /// What changed since this was asked last.
    pub fn take_changes(&mut self) -> Changes {
        std::mem::take(&mut self.changes)
    }

    /// Of the spans that wait.
    pub fn waiting_bytes(&self) -> u64 {
        self.segments.iter().map(|(_, segment)| segment.waiting_bytes).sum()
    }

    fn file_bytes(&self) -> u64 {
        self.segments.iter().filter(|(_, segment)| self.is_current(segment)).map(|(_, s)| s.bytes).sum()
    }

    fn is_current(&self, segment: &Segment) -> bool {
        self.folder.as_ref().is_some_and(|folder| folder.holds(&segment.path))
    }

    fn expire(&mut self) {
        let oldest = now_ms() - ms(self.options.max_age);
        for at in (0..self.segments.len()).rev() {
            let Some((_, segment)) = self.segments.get_mut(at) else { continue };
            let old = segment.waiting_since_before(oldest);
            if !old.is_empty() {
                self.changes.expired += old.len() as u64;
                segment.settle(&old);
            }
            self.remove_if_finished(at);
        }
    }

    /// A file that cannot be removed stays ours until it can: without an owner, it would be found again at once.
    fn remove_if_finished(&mut self, at: usize) {
        let finished = self.segments.get_mut(at).filter(|(_, segment)| segment.is_finished());
        let Some((id, segment)) = finished else { return };
        if self.writing == Some(*id) {
            self.writing = None;
        }
        if segment.remove() {
            self.segments.remove(at);
        }
    }

    fn position(&self, id: u32) -> Option<usize> {
        self.segments.iter().position(|(other, _)| *other == id)
    }

    fn is_resting(&self) -> bool {
        self.resting_until.is_some_and(|until| Instant::now() < until)
    }

    fn failed(&mut self, error: &io::Error) {
        // What was written so far stays; the next segment is a new file.
        self.writing = None;
        self.resting_until = Some(Instant::now() + REST);
        report("it cannot be written: spans are kept in memory alone", 0, "failed");
        let dir = self.options.dir.display();
        warn_once(&format!(
            "The spool in {dir} cannot be written ({error}): until it can, spans are kept in memory alone."
        ));
    }
}

fn report(message: &str, count: u64, reason: &'static str) {
    diagnostics::report(Event { kind: Kind::Spool, message: message.into(), count, reason: Some(reason) });
}

fn folder(options: &settings::Spool, traces: &Endpoint) -> Option<Folder> {
    let key = traces.api_key.as_deref()?;
    Some(Folder::of(&options.dir, &traces.url, key))
}

/// The addresses by segment.
fn by_segment(addresses: &[Address]) -> Vec<(u32, Vec<u32>)> {
    let mut sorted = addresses.to_vec();
    sorted.sort_unstable_by_key(|address| (address.segment, address.index));
    sorted
        .chunk_by(|one, other| one.segment == other.segment)
        .filter_map(|run| Some((run.first()?.segment, run.iter().map(|address| address.index).collect())))
        .collect()
}

fn now_ms() -> i64 {
    ms(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
