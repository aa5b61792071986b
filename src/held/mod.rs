//! The bytes of one span while it waits, in memory or on disk: compressed, where that pays, and without what it has in
//! common with others.

mod line;
mod messages;
mod packer;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

pub use line::{LINE_FEED, Line};
pub use messages::{Messages, Shared};
pub use packer::{Packer, Unpacker};

use crate::pages::Pages;

/// Spans of fewer bytes together get no pages of their own.
const LEAST_PAGES: usize = 16 * 1024;

/// A span as it goes on the wire, or its zstd frame (RFC 8878), or that of what it shares with no other; a piece of the
/// memory in which it lies with others.
#[derive(Debug)]
pub enum Held {
    Plain(Line),
    Packed {
        frame: Bytes,
        /// Bytes before compression.
        plain_len: usize,
    },
    /// Its messages are held once for all spans that have them.
    Shared(Box<Shared>),
}

#[allow(clippy::len_without_is_empty, reason = "nobody asks")]
impl Held {
    pub fn plain(bytes: Vec<u8>) -> Self {
        Held::Plain(Line::alone(bytes.into()))
    }

    /// A frame from a file. `None` if it does not hold what it claims to.
    pub fn from_frame(frame: Bytes, plain_len: usize) -> Option<Self> {
        Unpacker::default().unpack(&frame, plain_len)?;
        Some(Held::Packed { frame, plain_len })
    }

    /// Bytes of memory that it takes, and no other span with it.
    pub fn len(&self) -> usize {
        match self {
            Held::Plain(line) => line.len(),
            Held::Packed { frame, .. } => frame.len(),
            Held::Shared(shared) => shared.len(),
        }
    }

    /// The bytes that are its own as they are held, compressed or not.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Held::Plain(line) => line,
            Held::Packed { frame, .. } => frame,
            Held::Shared(shared) => shared.own.bytes(),
        }
    }

    /// The same bytes, elsewhere in memory.
    fn move_to(&mut self, bytes: Bytes) {
        match self {
            Held::Plain(line) => *line = Line::alone(bytes),
            Held::Packed { frame, .. } => *frame = bytes,
            Held::Shared(shared) => shared.own.move_to(bytes),
        }
    }

    /// Bytes that it takes on the wire, before the request is compressed.
    pub fn wire_len(&self) -> usize {
        match self {
            Held::Plain(line) => line.len(),
            Held::Packed { plain_len, .. } => *plain_len,
            Held::Shared(shared) => shared.wire_len,
        }
    }

    /// Hands the bytes as they go on the wire to `take`, one part after the other.
    pub fn each(&self, unpacker: &mut Unpacker, take: &mut dyn FnMut(&[u8])) {
        match self {
            Held::Plain(line) => take(line),
            // A frame was made here or checked when it was read, so it can be unpacked.
            Held::Packed { frame, plain_len } => take(unpacker.unpack(frame, *plain_len).unwrap_or_default()),
            Held::Shared(shared) => shared.each(unpacker, take),
        }
    }

    /// As it stands by itself, in a file: whether it is a frame, and the bytes.
    pub fn alone(&self) -> (bool, Cow<'_, [u8]>) {
        match self {
            Held::Packed { frame, .. } => (true, Cow::Borrowed(frame)),
            Held::Plain(_) | Held::Shared(_) => (false, self.wire()),
        }
    }

    /// The bytes as they go on the wire.
    pub fn wire(&self) -> Cow<'_, [u8]> {
        if let Held::Plain(line) = self {
            return Cow::Borrowed(line);
        }
        let mut wire = Vec::with_capacity(self.wire_len());
        self.each(&mut Unpacker::default(), &mut |part| wire.extend_from_slice(part));
        Cow::Owned(wire)
    }
}

/// Moves spans that came one after the other into pages of their own, which go when the last of them does: many small
/// pieces would leave holes in the allocator that nothing fits into.
pub fn gather<'h>(spans: impl Iterator<Item = &'h mut Held>) {
    let spans: Vec<&mut Held> = spans.collect();
    let bytes = spans.iter().map(|held| held.bytes().len()).sum();
    if bytes < LEAST_PAGES {
        // A page would be mostly empty; but they must not keep those pages whole in which they lay so far.
        for held in spans {
            held.move_to(Bytes::copy_from_slice(held.bytes()));
        }
        return;
    }
    let mut pages = Pages::new(bytes);
    let mut end = 0;
    let places: Vec<Range<usize>> = spans
        .iter()
        .map(|held| {
            let at = end..end + held.bytes().len();
            if let Some(place) = pages.get_mut(at.clone()) {
                place.copy_from_slice(held.bytes());
            }
            end = at.end;
            at
        })
        .collect();
    let together = Bytes::from_owner(pages);
    for (held, at) in spans.into_iter().zip(places) {
        held.move_to(together.slice(at));
    }
}
