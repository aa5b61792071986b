//! Messages that spans share while they wait. An agent's span brings the whole history of its conversation, again at each
//! turn: what was said is held once, however many spans repeat it.
//!
//! The items of a span's request are told apart where `},{` stands in its bytes, wherever that is: it decides only what
//! can be shared, for a span is put together from the same bytes that it was taken apart into. A **piece** is a message,
//! or several short ones. Whether it is known already, its hash says: 128 bits, with a key that is drawn for each
//! process (SipHash), so that no two texts meet by chance, and nobody can look for two that do. **Runs** are pieces one
//! after the other: a long history is a few runs and not hundreds of pieces. Where a piece or a run ends, its own content
//! says, so that histories that begin in different places, as when old messages are cut, come to the same ones.
//!
//! A piece goes with the last span that it is in.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::Hasher;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use memchr::memmem;
use parking_lot::Mutex;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::{Held, Unpacker};

/// Before the items of a request that is a list, on the wire.
const REQUEST: &[u8] = b"\"fallom.raw.request\":\"[";
/// Behind them. In the text itself, a backslash would stand before the quote.
const END: &[u8] = b"]\"";
const BETWEEN: &[u8] = b"},{";
/// An item of so many bytes ends a piece.
const LONG: usize = 512;
/// A piece of so many bytes ends.
const LONGEST: usize = 4096;
/// One in so many short items ends a piece, and one in so many pieces a run.
const SHORT_ITEMS: u128 = 8;
const PIECES: u128 = 16;
/// A run of so many pieces ends.
const MOST_PIECES: usize = 64;
/// What a piece or a run takes in memory beside what it holds: counters, its hash, its place in the table.
const BESIDE: usize = 128;

/// The pieces and runs that spans hold now. A clone knows the same ones.
#[derive(Clone, Default)]
pub struct Messages(Arc<Store>);

struct Store {
    key: [u64; 2],
    pieces: Mutex<HashMap<u128, Weak<Piece>>>,
    runs: Mutex<HashMap<u128, Weak<Run>>>,
    /// Memory that they take.
    bytes: AtomicUsize,
}

/// Some items of a request, with the commas between them.
struct Piece {
    hash: u128,
    held: Held,
    store: Arc<Store>,
}

/// Pieces one after the other.
struct Run {
    hash: u128,
    pieces: Box<[Arc<Piece>]>,
    store: Arc<Store>,
}

/// A span whose messages are shared.
pub struct Shared {
    /// What it shares with nobody: all that stands before and behind the pieces.
    pub(super) own: Held,
    /// Where the pieces stand in that.
    at: usize,
    runs: Box<[Arc<Run>]>,
    /// What comes after the runs.
    rest: Box<[Arc<Piece>]>,
    /// Bytes on the wire.
    pub(super) wire_len: usize,
}

/// Items of a request that will be a piece.
struct Found {
    hash: u128,
    at: Range<usize>,
}

impl Messages {
    /// Bytes of memory that all pieces and runs take.
    pub fn bytes(&self) -> usize {
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// A span's wire bytes with its messages shared; `None` if it has not several. `pack` makes of bytes what is held.
    pub(super) fn share(&self, wire: &[u8], pack: impl Fn(&[u8]) -> Held) -> Option<Shared> {
        let found = self.0.pieces_of(wire)?;
        let at = found.first()?.at.start..found.last()?.at.end;
        let own = [wire.get(..at.start)?, wire.get(at.end..)?].concat();
        let (mut runs, mut rest) = (Vec::new(), Vec::new());
        let piece =
            |found: &Found| self.0.piece(found.hash, || pack(wire.get(found.at.clone()).unwrap_or_default()));
        let mut first = 0;
        for (index, last) in found.iter().enumerate() {
            let run = found.get(first..=index).unwrap_or_default();
            if last.hash.is_multiple_of(PIECES) || run.len() == MOST_PIECES {
                runs.push(self.0.run(run, piece));
                first = index + 1;
            }
        }
        rest.extend(found.iter().skip(first).map(piece));
        Some(Shared {
            own: pack(&own),
            at: at.start,
            runs: runs.into(),
            rest: rest.into(),
            wire_len: wire.len(),
        })
    }
}

impl Default for Store {
    fn default() -> Self {
        let key = [fastrand::u64(..), fastrand::u64(..)];
        Store { key, pieces: Mutex::default(), runs: Mutex::default(), bytes: AtomicUsize::new(0) }
    }
}

impl Store {
    fn hash<'b>(&self, bytes: impl IntoIterator<Item = &'b [u8]>) -> u128 {
        let mut hasher = SipHasher13::new_with_keys(self.key[0], self.key[1]);
        bytes.into_iter().for_each(|bytes| hasher.write(bytes));
        hasher.finish128().as_u128()
    }

    /// What of a span may be shared. The last short items belong to no piece: more may come to them at the next turn.
    fn pieces_of(&self, wire: &[u8]) -> Option<Vec<Found>> {
        let start = memmem::find(wire, REQUEST)? + REQUEST.len();
        let end = start + memmem::find(wire.get(start..)?, END)?;
        let items = wire.get(start..end)?;
        let ends = memmem::find_iter(items, BETWEEN).map(|at| at + 1).chain([items.len()]);
        let mut found = Vec::new();
        let (mut from, mut piece_from, mut count) = (0, 0, 0);
        let mut hashes = Vec::new();
        for to in ends {
            let item = items.get(from..to)?;
            from = to + 1;
            if !item.starts_with(b"{") {
                // A marker that says what was cut, and what stands beside it.
                piece_from = from;
                continue;
            }
            count += 1;
            let hash = self.hash([item]);
            hashes.push(hash.to_ne_bytes());
            if item.len() >= LONG || hash.is_multiple_of(SHORT_ITEMS) || to - piece_from >= LONGEST {
                let hash = self.hash(hashes.iter().map(<[u8; 16]>::as_slice));
                found.push(Found { hash, at: start + piece_from..start + to });
                piece_from = from;
                hashes.clear();
            }
        }
        // A request of one item has no history.
        (count > 1).then_some(found)
    }

    fn piece(self: &Arc<Self>, hash: u128, pack: impl FnOnce() -> Held) -> Arc<Piece> {
        if let Some(known) = self.pieces.lock().get(&hash).and_then(Weak::upgrade) {
            return known;
        }
        let piece = Arc::new(Piece { hash, held: pack(), store: Arc::clone(self) });
        self.bytes.fetch_add(piece.cost(), Ordering::Relaxed);
        self.pieces.lock().insert(hash, Arc::downgrade(&piece));
        piece
    }

    fn run(self: &Arc<Self>, found: &[Found], piece: impl Fn(&Found) -> Arc<Piece>) -> Arc<Run> {
        let hashes: Vec<[u8; 16]> = found.iter().map(|found| found.hash.to_ne_bytes()).collect();
        let hash = self.hash(hashes.iter().map(<[u8; 16]>::as_slice));
        if let Some(known) = self.runs.lock().get(&hash).and_then(Weak::upgrade) {
            return known;
        }
        let pieces = found.iter().map(piece).collect();
        let run = Arc::new(Run { hash, pieces, store: Arc::clone(self) });
        self.bytes.fetch_add(run.cost(), Ordering::Relaxed);
        self.runs.lock().insert(hash, Arc::downgrade(&run));
        run
    }
}

impl Piece {
    fn cost(&self) -> usize {
        BESIDE + self.held.len()
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.store.bytes.fetch_sub(self.cost(), Ordering::Relaxed);
        forget(&mut self.store.pieces.lock(), self.hash);
    }
}

impl Run {
    fn cost(&self) -> usize {
        BESIDE + size_of_val(&*self.pieces)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.store.bytes.fetch_sub(self.cost(), Ordering::Relaxed);
        forget(&mut self.store.runs.lock(), self.hash);
    }
}

/// Unless the same was taken in again meanwhile. A table that was large once does not stay so.
fn forget<T>(table: &mut HashMap<u128, Weak<T>>, hash: u128) {
    if table.get(&hash).is_some_and(|held| held.strong_count() == 0) {
        table.remove(&hash);
    }
    if table.capacity() > 64 && table.len() < table.capacity() / 8 {
        table.shrink_to(table.len() * 2);
    }
}

impl Shared {
    /// Bytes of memory that it takes for itself.
    pub(super) fn len(&self) -> usize {
        size_of_val(self) + self.own.len() + size_of_val(&*self.runs) + size_of_val(&*self.rest)
    }

    /// Hands its wire bytes to `take`, one part after the other.
    pub(super) fn each(&self, unpacker: &mut Unpacker, take: &mut dyn FnMut(&[u8])) {
        let mut behind = Vec::new();
        self.own.each(unpacker, &mut |own| {
            let (before, rest) = own.split_at_checked(self.at).unwrap_or((own, &[]));
            take(before);
            behind.extend_from_slice(rest);
        });
        let mut comma: &[u8] = b"";
        for piece in self.runs.iter().flat_map(|run| &run.pieces).chain(&self.rest) {
            take(comma);
            comma = b",";
            piece.held.each(unpacker, take);
        }
        take(&behind);
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pieces = self.runs.iter().map(|run| run.pieces.len()).sum::<usize>() + self.rest.len();
        write!(f, "Shared({} bytes, {pieces} pieces)", self.wire_len)
    }
}
