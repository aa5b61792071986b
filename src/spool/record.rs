//! How records stand in a segment, and how they are read back from bytes that anything may have happened to.

use std::collections::BTreeMap;
use std::ops::Range;

use memchr::memmem;

use crate::held::Held;

/// A segment begins with this.
pub const HEADER: &[u8; 16] = b"FALLOM-SPOOL-1\n\0";
/// A record begins with this: no UTF-8, and no start of a zstd frame.
const MARKER: [u8; 4] = [0xF5, 0xFA, 0x11, 0x0A];
/// Marker, checksum, kind, index, since, plain_len, len.
const FRONT: usize = 4 + 4 + 1 + 4 + 8 + 4 + 4;
/// Checksums that come out wrong may cover so many times the file, all together; then, what claims to be a record is
/// none. Else a file full of markers would be hashed from each of them to its end.
const MOST_HASHED_IN_VAIN: usize = 64;
/// The checksum covers what comes after it.
const CHECKED_FROM: usize = 8;

const SPAN: u8 = 1;
const PACKED_SPAN: u8 = 2;
const SETTLED: u8 = 3;

/// A span in a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpanAt {
    /// Numbered as written.
    pub index: u32,
    /// When it was handed in, ms since 1970.
    pub since_ms: i64,
    pub packed: bool,
    /// Bytes before compression.
    pub plain_len: u32,
    /// Where its bytes stand in the file.
    pub payload: Range<u64>,
}

/// What could be read of a segment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The spans that were not settled, by index.
    pub spans: Vec<SpanAt>,
    /// Bytes that were no record.
    pub torn: u64,
}

/// Appends the record of a span to `out`. Its last bytes are the payload: says how many.
pub fn write_span(out: &mut Vec<u8>, index: u32, since_ms: i64, held: &Held) -> usize {
    let (packed, payload) = held.alone();
    let kind = if packed { PACKED_SPAN } else { SPAN };
    write(out, kind, index, since_ms, held.wire_len() as u32, &payload);
    payload.len()
}

/// Appends the record that says that these spans, in ascending order, are settled.
pub fn write_settled(out: &mut Vec<u8>, indexes: &[u32]) {
    let mut payload = Vec::new();
    for run in indexes.chunk_by(|before, after| after.wrapping_sub(*before) == 1) {
        if let (Some(first), Some(last)) = (run.first(), run.last()) {
            payload.extend_from_slice(&first.to_le_bytes());
            payload.extend_from_slice(&last.to_le_bytes());
        }
    }
    write(out, SETTLED, 0, 0, 0, &payload);
}

fn write(out: &mut Vec<u8>, kind: u8, index: u32, since_ms: i64, plain_len: u32, payload: &[u8]) {
    let start = out.len();
    out.extend_from_slice(&MARKER);
    out.extend_from_slice(&[0; 4]);
    out.push(kind);
    out.extend_from_slice(&index.to_le_bytes());
    out.extend_from_slice(&since_ms.to_le_bytes());
    out.extend_from_slice(&plain_len.to_le_bytes());
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(payload);
    let sum = crc32fast::hash(&out[start + CHECKED_FROM..]);
    out[start + MARKER.len()..start + CHECKED_FROM].copy_from_slice(&sum.to_le_bytes());
}

/// Reads a segment, whatever the bytes are. What is no valid record is skipped up to the next one that is.
pub fn read(file: &[u8]) -> Contents {
    let mut at = if file.starts_with(HEADER) { HEADER.len() } else { 0 };
    let mut torn = 0;
    let mut spans = BTreeMap::new();
    let mut settled = Vec::new();
    let mut patience = file.len().saturating_mul(MOST_HASHED_IN_VAIN);
    while at < file.len() {
        let Some((record, len)) = Record::at(file, at, &mut patience) else {
            let next = memmem::find(&file[at + 1..], &MARKER).map_or(file.len(), |found| at + 1 + found);
            torn += (next - at) as u64;
            at = next;
            continue;
        };
        match record {
            Record::Span(span) => {
                spans.entry(span.index).or_insert(SpanAt {
                    payload: span.payload.start + at as u64..span.payload.end + at as u64,
                    ..span
                });
            }
            Record::Settled(ranges) => settled.extend(ranges),
        }
        at += len;
    }
    for (first, last) in settled {
        let gone: Vec<u32> = spans.range(first..=last).map(|(index, _)| *index).collect();
        for index in gone {
            spans.remove(&index);
        }
    }
    Contents { spans: spans.into_values().collect(), torn }
}

enum Record {
    /// Its payload counted from the record's start.
    Span(SpanAt),
    Settled(Vec<(u32, u32)>),
}

impl Record {
    /// The record that begins at `at`, and its length; `None` if none does. `patience`: bytes that may be hashed in vain.
    fn at(file: &[u8], at: usize, patience: &mut usize) -> Option<(Record, usize)> {
        let bytes = file.get(at..)?;
        let front = bytes.get(..FRONT)?;
        if !front.starts_with(&MARKER) {
            return None;
        }
        let u32_at = |from: usize| front.get(from..from + 4)?.try_into().ok().map(u32::from_le_bytes);
        let len = FRONT.checked_add(u32_at(25)? as usize)?;
        let checked = bytes.get(CHECKED_FROM..len)?;
        let patience_left = patience.checked_sub(len)?;
        if crc32fast::hash(checked) != u32_at(4)? {
            *patience = patience_left;
            return None;
        }
        let record = match front.get(CHECKED_FROM)? {
            kind @ &(SPAN | PACKED_SPAN) => Record::Span(SpanAt {
                index: u32_at(9)?,
                since_ms: i64::from_le_bytes(front.get(13..21)?.try_into().ok()?),
                packed: *kind == PACKED_SPAN,
                plain_len: u32_at(21)?,
                payload: FRONT as u64..len as u64,
            }),
            &SETTLED => Record::Settled(pairs(bytes.get(FRONT..len)?)),
            _ => return None,
        };
        Some((record, len))
    }
}

/// Pairs of first and last index; one that runs backwards says nothing.
fn pairs(payload: &[u8]) -> Vec<(u32, u32)> {
    let numbers = payload.chunks_exact(4).filter_map(|four| four.try_into().ok().map(u32::from_le_bytes));
    let numbers: Vec<u32> = numbers.collect();
    numbers.chunks_exact(2).map(|pair| (pair[0], pair[1])).filter(|(first, last)| first <= last).collect()
}
