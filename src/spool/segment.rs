//! One file of spans, locked for as long as this process owns it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::record::{self, HEADER, SpanAt};
use crate::held::Held;
use crate::owner;

/// A file longer than this is none of ours.
const LONGEST: u64 = 1024 * 1024 * 1024;

/// Where else a span is, besides this file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In the queue or in flight.
    Held,
    /// Nowhere.
    Waiting,
    /// Nobody needs it any more.
    Settled,
}

struct Entry {
    span: SpanAt,
    place: Place,
}

/// A span on its way back to the queue.
#[derive(Debug)]
pub struct Replayed {
    pub index: u32,
    /// `None`: what stands in the file is no span.
    pub held: Option<Held>,
}

pub struct Segment {
    pub path: PathBuf,
    file: File,
    /// Of the file.
    pub bytes: u64,
    /// By index.
    entries: Vec<Entry>,
    next_index: u32,
    /// Spans that are nowhere else, and their bytes.
    pub waiting: u64,
    pub waiting_bytes: u64,
    unsettled: u64,
}

impl Segment {
    /// A new file, locked.
    pub fn create(path: PathBuf) -> io::Result<Self> {
        let mut file = owner::new_file().read(true).append(true).open(&path)?;
        // The lock comes before the first byte: a file without any is no loss to whoever locked it first.
        let begun =
            lock(&file).and_then(|ours| if ours { file.write_all(HEADER).map(|()| true) } else { Ok(false) });
        match begun {
            Ok(true) if path.try_exists()? => {}
            Ok(_) => return Err(io::Error::other("another process was faster to lock the file")),
            // Not left behind: where files cannot be locked, each try would leave one.
            Err(error) => {
                let _ = fs::remove_file(&path);
                return Err(error);
            }
        }
        let bytes = HEADER.len() as u64;
        Ok(Segment {
            path,
            file,
            bytes,
            entries: Vec::new(),
            next_index: 0,
            waiting: 0,
            waiting_bytes: 0,
            unsettled: 0,
        })
    }

    /// Takes over the file of a process that is gone; `None` while another one owns it. All of its spans wait.
    pub fn adopt(path: &Path) -> io::Result<Option<(Self, u64)>> {
        let mut file = OpenOptions::new().read(true).append(true).open(path)?;
        // Its owner may have delivered all of it and removed it in between.
        if !lock(&file)? || !path.try_exists()? || file.metadata()?.len() > LONGEST {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let contents = record::read(&bytes);
        let waiting = contents.spans.len() as u64;
        let segment = Segment {
            path: path.to_owned(),
            file,
            bytes: bytes.len() as u64,
            // Nothing more is written to it.
            next_index: u32::MAX,
            waiting,
            waiting_bytes: contents.spans.iter().map(len).sum(),
            unsettled: waiting,
            entries: contents.spans.into_iter().map(|span| Entry { span, place: Place::Waiting }).collect(),
        };
        Ok(Some((segment, contents.torn)))
    }

    /// Writes spans that are in memory, too. Says their indexes; after an error, none of them is in the file.
    pub fn append<'h>(&mut self, spans: impl Iterator<Item = (&'h Held, i64)>) -> io::Result<Vec<u32>> {
        let mut records = Vec::new();
        let mut entries = Vec::new();
        let mut index = self.next_index;
        for (held, since_ms) in spans {
            let payload = record::write_span(&mut records, index, since_ms, held) as u64;
            let end = self.bytes + records.len() as u64;
            let span = SpanAt {
                index,
                since_ms,
                packed: matches!(held, Held::Packed { .. }),
                plain_len: held.wire_len() as u32,
                payload: end - payload..end,
            };
            entries.push(Entry { span, place: Place::Held });
            index =
                index.checked_add(1).ok_or_else(|| io::Error::other("the segment has no more indexes"))?;
        }
        self.write(&records)?;
        let indexes = entries.iter().map(|entry| entry.span.index).collect();
        self.next_index = index;
        self.unsettled += entries.len() as u64;
        self.entries.append(&mut entries);
        Ok(indexes)
    }

    /// All of it or nothing: a part that was written is cut off again. If that fails as well, a reader skips it.
    fn write(&mut self, records: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(records);
        match written {
            Ok(()) => self.bytes += records.len() as u64,
            Err(_) if self.file.set_len(self.bytes).is_ok() => {}
            Err(_) => self.bytes = self.file.metadata().map_or(self.bytes, |metadata| metadata.len()),
        }
        written
    }

    /// These spans are delivered or given up.
    pub fn settle(&mut self, indexes: &[u32]) {
        for index in indexes {
            self.move_to(*index, Place::Settled);
        }
        if self.unsettled > 0 {
            let mut sorted = indexes.to_vec();
            sorted.sort_unstable();
            let mut record = Vec::new();
            record::write_settled(&mut record, &sorted);
            // Without the record, a crash may have them delivered twice: the server knows a span by its id.
            let _ = self.write(&record);
        }
    }

    /// A span has left memory undelivered.
    pub fn wait(&mut self, index: u32) {
        self.move_to(index, Place::Waiting);
    }

    fn move_to(&mut self, index: u32, place: Place) {
        let Ok(at) = self.entries.binary_search_by_key(&index, |entry| entry.span.index) else { return };
        let Some(entry) = self.entries.get_mut(at).filter(|entry| entry.place != Place::Settled) else {
            return;
        };
        let bytes = len(&entry.span);
        match (entry.place, place) {
            (Place::Waiting, Place::Held | Place::Settled) => {
                self.waiting -= 1;
                self.waiting_bytes -= bytes;
            }
            (Place::Held, Place::Waiting) => {
                self.waiting += 1;
                self.waiting_bytes += bytes;
            }
            _ => {}
        }
        if place == Place::Settled {
            self.unsettled -= 1;
        }
        entry.place = place;
    }

    /// Reads the oldest waiting spans, of at most so many and so many bytes on the wire, but one at least. They count
    /// as held from now on.
    pub fn replay(&mut self, most_spans: usize, most_bytes: usize) -> Vec<Replayed> {
        let mut chosen = Vec::new();
        let mut bytes = 0;
        for entry in self.entries.iter().filter(|entry| entry.place == Place::Waiting) {
            bytes += entry.span.plain_len as usize + 1;
            if !chosen.is_empty() && (chosen.len() >= most_spans || bytes > most_bytes) {
                break;
            }
            chosen.push(entry.span.clone());
        }
        chosen
            .into_iter()
            .map(|span| {
                self.move_to(span.index, Place::Held);
                let held = self.payload(&span);
                Replayed { index: span.index, held }
            })
            .collect()
    }

    fn payload(&mut self, span: &SpanAt) -> Option<Held> {
        let mut bytes = vec![0; usize::try_from(len(span)).ok()?];
        self.file.seek(SeekFrom::Start(span.payload.start)).ok()?;
        self.file.read_exact(&mut bytes).ok()?;
        if span.packed {
            Held::from_frame(bytes.into(), span.plain_len as usize)
        } else {
            Some(Held::plain(bytes))
        }
    }

    /// The indexes of waiting spans that were handed in before `ms`.
    pub fn waiting_since_before(&self, ms: i64) -> Vec<u32> {
        let old = |entry: &&Entry| entry.place == Place::Waiting && entry.span.since_ms < ms;
        self.entries.iter().filter(old).map(|entry| entry.span.index).collect()
    }

    pub fn is_finished(&self) -> bool {
        self.unsettled == 0
    }

    /// While the lock is held, so that nobody adopts what is about to go. `false`: the file cannot be removed now (a
    /// folder that is read-only, another program on Windows); then at least nothing in it is delivered again.
    pub fn remove(&mut self) -> bool {
        match fs::remove_file(&self.path) {
            Ok(()) => return true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return true,
            Err(_) => {}
        }
        if self.file.set_len(0).is_ok() {
            self.bytes = 0;
        } else if !self.entries.is_empty() {
            let indexes: Vec<u32> = self.entries.iter().map(|entry| entry.span.index).collect();
            let mut record = Vec::new();
            record::write_settled(&mut record, &indexes);
            let _ = self.write(&record);
        }
        self.entries.clear();
        false
    }
}

fn len(span: &SpanAt) -> u64 {
    span.payload.end - span.payload.start
}

/// `false`: another process owns it.
fn lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}
