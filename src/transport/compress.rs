//! Request bodies, compressed as they are written.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective::{self, ZSTD_e_continue, ZSTD_e_end};
use zstd::zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, ResetDirective, Strategy};

use super::Encoding;

/// Longer bodies are batches, in which much comes again.
const BATCH: usize = 64 * 1024;
/// The level for one span: at this length, all of them are quick.
const SPAN_LEVEL: i32 = 3;
/// For batches: as small as gzip at its own default, in a thirteenth of its time. The levels of zstd that are quicker
/// leave more; those that leave as little look into two tables, this into one, but a large one, and for longer repeats.
const BATCH_PARAMETERS: [CParameter; 6] = [
    CParameter::CompressionLevel(1),
    CParameter::Strategy(Strategy::ZSTD_fast),
    CParameter::WindowLog(20),
    CParameter::HashLog(17),
    CParameter::MinMatch(7),
    CParameter::TargetLength(0),
];
const GZIP_LEVEL: u32 = 1;
/// Room to work in that is kept.
const MOST_ROOM: usize = 1024 * 1024;
/// Room for what is given out next.
const STEP: usize = 128 * 1024;

/// Compresses bodies. Its tables are large, so they are made once; so is the room that it works in.
#[derive(Default)]
pub struct Compressor {
    zstd: Option<CCtx<'static>>,
    room: Vec<u8>,
}

/// A body in the making.
pub enum Compressed<'c> {
    Zstd { context: &'c mut CCtx<'static>, room: &'c mut Vec<u8> },
    Gzip(GzEncoder<Vec<u8>>),
}

impl Compressor {
    /// Begins a body of `length` bytes; `None` if it is not to be compressed, or cannot be.
    pub fn begin(&mut self, encoding: Encoding, length: usize) -> Option<Compressed<'_>> {
        match encoding {
            Encoding::Identity => None,
            Encoding::Gzip => {
                Some(Compressed::Gzip(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL))))
            }
            Encoding::Zstd => self.zstd(length),
        }
    }

    fn zstd(&mut self, length: usize) -> Option<Compressed<'_>> {
        if self.zstd.is_none() {
            self.zstd = CCtx::try_create();
        }
        let context = self.zstd.as_mut()?;
        context.reset(ResetDirective::SessionAndParameters).ok()?;
        let one = [CParameter::CompressionLevel(SPAN_LEVEL)];
        let parameters: &[CParameter] = if length < BATCH { &one } else { &BATCH_PARAMETERS };
        for parameter in parameters {
            context.set_parameter(*parameter).ok()?;
        }
        context.set_pledged_src_size(Some(length as u64)).ok()?;
        self.room.clear();
        Some(Compressed::Zstd { context, room: &mut self.room })
    }
}

impl Compressed<'_> {
    /// The next part; `None` if it failed, and then the body is of no use.
    pub fn feed(&mut self, part: &[u8]) -> Option<()> {
        match self {
            Compressed::Zstd { context, room } => feed(context, room, part, ZSTD_e_continue),
            Compressed::Gzip(encoder) => encoder.write_all(part).ok(),
        }
    }

    /// All of it.
    pub fn end(self) -> Option<Bytes> {
        match self {
            Compressed::Zstd { context, room } => {
                feed(context, room, &[], ZSTD_e_end)?;
                let body = Bytes::copy_from_slice(room);
                room.clear();
                room.shrink_to(MOST_ROOM);
                Some(body)
            }
            Compressed::Gzip(encoder) => encoder.finish().ok().map(Bytes::from),
        }
    }
}

/// Compresses a part behind what `out` holds.
fn feed(context: &mut CCtx, out: &mut Vec<u8>, part: &[u8], end: ZSTD_EndDirective) -> Option<()> {
    let mut input = InBuffer::around(part);
    loop {
        let at = out.len();
        out.reserve(STEP);
        let left = context.compress_stream2(&mut OutBuffer::around_pos(out, at), &mut input, end).ok()?;
        let taken = input.pos() == part.len();
        if taken && (end == ZSTD_e_continue || left == 0) {
            return Some(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn compressed(compressor: &mut Compressor, encoding: Encoding, parts: &[&[u8]]) -> Bytes {
        let length = parts.iter().map(|part| part.len()).sum();
        let mut body = compressor.begin(encoding, length).unwrap();
        parts.iter().for_each(|part| body.feed(part).unwrap());
        body.end().unwrap()
    }

    #[test]
    fn bodies_of_all_sizes_come_back_from_the_same_tables_whatever_they_held_before() {
        let mut compressor = Compressor::default();
        let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(700_000).collect();
        let words = b"the same words again and ".repeat(40_000);
        let bodies: [&[&[u8]]; 6] =
            [&[b"{}"], &[&noise, b"\n", &words], &[b""], &[], &[&words[..100], &words], &[b"a", b"\n", b"b"]];
        for parts in bodies {
            let zstd = compressed(&mut compressor, Encoding::Zstd, parts);
            assert!(zstd::decode_all(&zstd[..]).unwrap() == parts.concat());
            let gzip = compressed(&mut compressor, Encoding::Gzip, parts);
            let mut back = Vec::new();
            flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut back).unwrap();
            assert!(back == parts.concat());
        }
    }

    #[test]
    fn a_history_that_a_batch_repeats_costs_next_to_nothing() {
        let history: Vec<u8> =
            std::iter::repeat_with(|| fastrand::alphanumeric() as u8).take(200_000).collect();
        let mut compressor = Compressor::default();
        let once = compressed(&mut compressor, Encoding::Zstd, &[&history]).len();
        let four_times =
            compressed(&mut compressor, Encoding::Zstd, &[&history, &history, &history, &history]).len();
        assert!(four_times < once + once / 20, "{four_times}, {once} for one");
    }
}
