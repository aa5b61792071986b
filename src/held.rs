//! The bytes of one span while it waits, in memory or on disk: compressed, where that pays.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;
use parking_lot::Mutex;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe;

use crate::pages::Pages;

/// Fast: the thread shares the user's cores.
const LEVEL: i32 = 1;
/// Shorter spans stay as they are: a frame of their own saves little.
const SHORTEST: usize = 256;
/// Spans of fewer bytes together get no pages of their own.
const LEAST_PAGES: usize = 16 * 1024;
/// Room to compress into that is kept.
const MOST_ROOM: usize = 1024 * 1024;
/// No span is longer: the most that `maxSpanBytes` takes.
const LONGEST: usize = 256 * 1024 * 1024;

/// A span as it goes on the wire, or its zstd frame (RFC 8878); a piece of the memory that it shares with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    Plain(Bytes),
    Packed {
        frame: Bytes,
        /// Bytes before compression.
        plain_len: usize,
    },
}

/// Compresses spans. Its tables are large, so they are made once; so is the room that it works in.
pub struct Packer(Mutex<Tools>);

struct Tools {
    compressor: Option<Compressor<'static>>,
    room: Vec<u8>,
}

#[allow(clippy::len_without_is_empty, reason = "nobody asks")]
impl Held {
    pub fn plain(bytes: Vec<u8>) -> Self {
        Held::Plain(bytes.into())
    }

    /// A frame from a file. `None` if it does not hold what it claims to.
    pub fn from_frame(frame: Bytes, plain_len: usize) -> Option<Self> {
        let plain = unpack(&frame, plain_len)?;
        (plain.len() == plain_len).then_some(Held::Packed { frame, plain_len })
    }

    /// Bytes of memory that it takes.
    pub fn len(&self) -> usize {
        self.bytes().len()
    }

    /// The bytes as they are held, compressed or not.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Held::Plain(bytes) => bytes,
            Held::Packed { frame, .. } => frame,
        }
    }

    /// Bytes that it takes on the wire, before the request is compressed.
    pub fn wire_len(&self) -> usize {
        match self {
            Held::Plain(bytes) => bytes.len(),
            Held::Packed { plain_len, .. } => *plain_len,
        }
    }

    /// The bytes as they go on the wire.
    pub fn wire(&self) -> Cow<'_, [u8]> {
        match self {
            Held::Plain(bytes) => Cow::Borrowed(bytes),
            // A frame was made here or checked when it was read, so it can be unpacked.
            Held::Packed { frame, plain_len } => Cow::Owned(unpack(frame, *plain_len).unwrap_or_default()),
        }
    }
}

impl Default for Packer {
    fn default() -> Self {
        Packer(Mutex::new(Tools { compressor: Compressor::new(LEVEL).ok(), room: Vec::new() }))
    }
}

impl Packer {
    /// The span, compressed if that makes it smaller.
    pub fn compress(&self, held: &mut Held) {
        if matches!(held, Held::Plain(_))
            && let Some(frame) = self.0.lock().compress(held.bytes())
        {
            *held = Held::Packed { plain_len: held.wire_len(), frame };
        }
    }
}

impl Tools {
    /// `None` if it would be no smaller.
    fn compress(&mut self, plain: &[u8]) -> Option<Bytes> {
        if plain.len() < SHORTEST {
            return None;
        }
        self.room.resize(zstd::zstd_safe::compress_bound(plain.len()), 0);
        let len = self.compressor.as_mut()?.compress_to_buffer(plain, &mut self.room[..]).ok()?;
        let frame =
            self.room.get(..len).filter(|frame| frame.len() < plain.len()).map(Bytes::copy_from_slice);
        self.room.truncate(MOST_ROOM);
        self.room.shrink_to(MOST_ROOM);
        frame
    }
}

/// Moves spans that came one after the other into pages of their own, which go when the last of them does: many small
/// pieces would leave holes in the allocator that nothing fits into.
pub fn gather<'h>(spans: impl Iterator<Item = &'h mut Held>) {
    let spans: Vec<&mut Held> = spans.collect();
    let bytes = spans.iter().map(|held| held.len()).sum();
    if bytes < LEAST_PAGES {
        // A page would be mostly empty; but they must not keep those pages whole in which they lay so far.
        for held in spans {
            let (Held::Plain(bytes) | Held::Packed { frame: bytes, .. }) = held;
            *bytes = Bytes::copy_from_slice(bytes);
        }
        return;
    }
    let mut pages = Pages::new(bytes);
    let mut end = 0;
    let places: Vec<Range<usize>> = spans
        .iter()
        .map(|held| {
            let at = end..end + held.len();
            if let Some(place) = pages.get_mut(at.clone()) {
                place.copy_from_slice(held.bytes());
            }
            end = at.end;
            at
        })
        .collect();
    let together = Bytes::from_owner(pages);
    for (held, at) in spans.into_iter().zip(places) {
        match held {
            Held::Plain(bytes) | Held::Packed { frame: bytes, .. } => *bytes = together.slice(at),
        }
    }
}

fn unpack(frame: &[u8], plain_len: usize) -> Option<Vec<u8>> {
    // The frame says its length, too: what a broken file claims reserves no memory.
    let claimed = zstd_safe::get_frame_content_size(frame).ok()??;
    if plain_len > LONGEST || claimed != plain_len as u64 {
        return None;
    }
    Decompressor::new().ok()?.decompress(frame, plain_len).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(plain: Vec<u8>) -> Held {
        let mut held = Held::plain(plain);
        Packer::default().compress(&mut held);
        held
    }

    #[test]
    fn spans_come_back_as_they_were_compressed_and_put_together() {
        let plain = [
            vec![],
            b"short".to_vec(),
            b"again and ".repeat(1000),
            (0..=255).cycle().take(999).collect(),
            vec![7; 300],
        ];
        let mut spans: Vec<Held> = plain.iter().cloned().map(pack).collect();
        for _ in 0..2 {
            for (held, plain) in spans.iter().zip(&plain) {
                assert_eq!((held.wire().as_ref(), held.wire_len()), (plain.as_slice(), plain.len()));
            }
            gather(spans.iter_mut());
        }
    }

    #[test]
    fn what_repeats_itself_takes_less_and_what_is_random_never_more() {
        assert!(pack(b"the same words ".repeat(1000)).len() < 200);
        assert_eq!(pack(std::iter::repeat_with(|| fastrand::u8(..)).take(5000).collect()).len(), 5000);
    }

    #[test]
    fn a_frame_that_is_not_what_it_claims_is_refused() {
        let Held::Packed { frame, plain_len } = pack(vec![7; 1000]) else {
            panic!("it is compressed");
        };
        assert!(Held::from_frame(frame.clone(), plain_len).is_some());
        assert_eq!(Held::from_frame(frame.clone(), plain_len + 1), None);
        assert_eq!(Held::from_frame(frame.clone(), plain_len - 1), None);
        assert_eq!(Held::from_frame(frame, usize::MAX), None);
        assert_eq!(Held::from_frame(Bytes::from_static(b"no frame"), 8), None);
    }
}
