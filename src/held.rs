//! The bytes of one span while it waits, in memory or on disk: compressed, where that pays.

use std::borrow::Cow;

use parking_lot::Mutex;
use zstd::bulk::{Compressor, Decompressor};

/// Fast: the thread shares the user's cores.
const LEVEL: i32 = 1;
/// Shorter spans stay as they are: a frame of their own saves little.
const SHORTEST: usize = 256;
/// No span is longer: the most that `maxSpanBytes` takes.
const LONGEST: usize = 256 * 1024 * 1024;

/// A span as it goes on the wire, or its zstd frame (RFC 8878).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    Plain(Box<[u8]>),
    Packed {
        frame: Box<[u8]>,
        /// Bytes before compression.
        plain_len: usize,
    },
}

/// Compresses spans, one at a time. Its tables are large, so they are made once.
pub struct Packer(Mutex<Option<Compressor<'static>>>);

impl Held {
    pub fn plain(bytes: Vec<u8>) -> Self {
        Held::Plain(bytes.into_boxed_slice())
    }

    /// A frame from a file. `None` if it does not hold what it claims to.
    pub fn from_frame(frame: Box<[u8]>, plain_len: usize) -> Option<Self> {
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
            Held::Plain(bytes) | Held::Packed { frame: bytes, .. } => bytes,
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

impl Packer {
    pub fn new() -> Self {
        Packer(Mutex::new(Compressor::new(LEVEL).ok()))
    }

    /// The same span, compressed if that makes it smaller.
    pub fn pack(&self, held: Held) -> Held {
        let Held::Plain(plain) = held else { return held };
        if plain.len() < SHORTEST {
            return Held::Plain(plain);
        }
        let frame = self.0.lock().as_mut().and_then(|compressor| compressor.compress(&plain).ok());
        match frame {
            Some(frame) if frame.len() < plain.len() => {
                Held::Packed { frame: frame.into_boxed_slice(), plain_len: plain.len() }
            }
            _ => Held::Plain(plain),
        }
    }
}

fn unpack(frame: &[u8], plain_len: usize) -> Option<Vec<u8>> {
    if plain_len > LONGEST {
        return None;
    }
    Decompressor::new().ok()?.decompress(frame, plain_len).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_comes_back_as_it_was() {
        let packer = Packer::new();
        for plain in
            [vec![], b"short".to_vec(), b"again and ".repeat(1000), (0..=255).cycle().take(999).collect()]
        {
            let held = packer.pack(Held::plain(plain.clone()));
            assert_eq!((held.wire().into_owned(), held.wire_len()), (plain, held.wire().len()));
        }
    }

    #[test]
    fn what_repeats_itself_takes_less_and_what_is_random_never_more() {
        let packer = Packer::new();
        assert!(packer.pack(Held::plain(b"the same words ".repeat(1000))).len() < 200);
        let random: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(5000).collect();
        assert_eq!(packer.pack(Held::plain(random)).len(), 5000);
    }

    #[test]
    fn a_frame_that_is_not_what_it_claims_is_refused() {
        let Held::Packed { frame, plain_len } = Packer::new().pack(Held::plain(vec![7; 1000])) else {
            panic!("it is compressed");
        };
        assert!(Held::from_frame(frame.clone(), plain_len).is_some());
        assert_eq!(Held::from_frame(frame.clone(), plain_len + 1), None);
        assert_eq!(Held::from_frame(frame.clone(), plain_len - 1), None);
        assert_eq!(Held::from_frame(frame, usize::MAX), None);
        assert_eq!(Held::from_frame(Box::from(*b"no frame"), 8), None);
    }
}
