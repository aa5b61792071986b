//! A segment of the spool is read, whatever was written, torn or changed in it: the promises of `src/spool/mod.rs`.
//! Input: a letter, and what it says:
//!
//! - `r`: the file.
//! - `m`: the file, in which all checksums are set right first.
//! - `p`: lines that build one. `s text`: a span · `z text`: one that is compressed, of the text again and again ·
//!   `d first last`: these are settled · `t text`: torn bytes · `x at`: a changed byte · `c at`: cut off here.

use std::collections::BTreeMap;

use fallom_trace::held::{Held, Packer};
use fallom_trace::spool::{Contents, HEADER, SpanAt, read, write_settled, write_span};

use super::{line, number};

const MARKER: [u8; 4] = [0xF5, 0xFA, 0x11, 0x0A];
/// Of a record, before its payload.
const FRONT: usize = 29;
const SINCE_MS: i64 = 1_700_000_000_000;
/// Of a text that is compressed.
const TIMES: usize = 40;

pub fn target(input: &[u8]) {
    match input.split_first() {
        Some((b'p', lines)) => Program::run(lines),
        Some((b'm', file)) => holds(&mended(file.to_vec())),
        Some((_, file)) => holds(file),
        None => holds(&[]),
    }
}

/// What holds for the bytes of any file.
fn holds(file: &[u8]) {
    let contents = read(file);
    lie_apart(&contents, file.len() as u64);
    for span in &contents.spans {
        stands_alone(file, span);
        is_a_span_or_refused(payload(file, span), span);
    }
    are_the_same_when_written_again(file, &contents);
}

fn lie_apart(contents: &Contents, length: u64) {
    assert!(contents.spans.is_sorted_by(|one, next| one.index < next.index));
    let mut ranges: Vec<_> = contents.spans.iter().map(|span| span.payload.clone()).collect();
    ranges.sort_by_key(|range| range.start);
    let mut end = 0;
    for range in &ranges {
        assert!(range.start >= end + FRONT as u64 && range.start <= range.end, "{ranges:?}");
        end = range.end;
    }
    assert!(end <= length, "{ranges:?} in {length} bytes");
    let records: u64 = ranges.iter().map(|range| range.end - range.start + FRONT as u64).sum();
    assert!(contents.torn + records <= length, "{} torn", contents.torn);
}

fn payload<'f>(file: &'f [u8], span: &SpanAt) -> &'f [u8] {
    &file[span.payload.start as usize..span.payload.end as usize]
}

/// A record needs nothing else of the file.
fn stands_alone(file: &[u8], span: &SpanAt) {
    let start = span.payload.start as usize - FRONT;
    let alone = read(&file[start..span.payload.end as usize]);
    let payload = FRONT as u64..span.payload.end - start as u64;
    assert_eq!(alone, Contents { spans: vec![SpanAt { payload, ..span.clone() }], torn: 0 });
}

fn is_a_span_or_refused(payload: &[u8], span: &SpanAt) {
    let plain_len = span.plain_len as usize;
    if let Some(held) = span.packed.then(|| Held::from_frame(payload.to_vec().into(), plain_len)).flatten() {
        assert_eq!((held.bytes(), held.wire_len(), held.wire().len()), (payload, plain_len, plain_len));
    }
}

fn are_the_same_when_written_again(file: &[u8], before: &Contents) {
    let mut again = HEADER.to_vec();
    for span in &before.spans {
        let (bytes, plain_len) = (payload(file, span), span.plain_len as usize);
        let held = if span.packed {
            Held::Packed { frame: bytes.to_vec().into(), plain_len }
        } else {
            Held::plain(bytes.to_vec())
        };
        write_span(&mut again, span.index, span.since_ms, &held);
    }
    let after = read(&again);
    assert_eq!((after.torn, after.spans.len()), (0, before.spans.len()));
    for (one, other) in before.spans.iter().zip(&after.spans) {
        assert_eq!((one.index, one.since_ms, one.packed), (other.index, other.since_ms, other.packed));
        assert_eq!(payload(file, one), payload(&again, other));
        assert_eq!(other.plain_len as u64, if one.packed { one.plain_len.into() } else { len(one) });
    }
    let indexes: Vec<u32> = before.spans.iter().map(|span| span.index).collect();
    write_settled(&mut again, &indexes);
    assert_eq!(read(&again), Contents::default());
}

fn len(span: &SpanAt) -> u64 {
    span.payload.end - span.payload.start
}

/// From the last to the first, so that the record around another one is right, too.
fn mended(mut file: Vec<u8>) -> Vec<u8> {
    for at in (0..file.len().saturating_sub(FRONT - 1)).rev() {
        if !file[at..].starts_with(&MARKER) {
            continue;
        }
        let length = file[at + FRONT - 4..at + FRONT].try_into().map_or(0, u32::from_le_bytes) as usize;
        if let Some(checked) = file.get(at + 8..at + FRONT + length) {
            let sum = crc32fast::hash(checked);
            file[at + 4..at + 8].copy_from_slice(&sum.to_le_bytes());
        }
    }
    file
}

/// A file, and what must be read of it.
#[derive(Default)]
struct Program {
    file: Vec<u8>,
    written: BTreeMap<u32, Vec<u8>>,
    settled: Vec<(u32, u32)>,
    torn: u64,
    /// Bytes were changed or cut off.
    changed: bool,
    /// A text may hold a whole record.
    nested: bool,
}

impl Program {
    fn run(mut lines: &[u8]) {
        let packer = Packer::default();
        let mut program = Program { file: HEADER.to_vec(), ..Program::default() };
        while !lines.is_empty() {
            let (step, rest) = line(lines);
            lines = rest;
            program.step(&packer, step.first().copied(), step.get(2..).unwrap_or_default());
        }
        holds(&program.file);
        if !program.nested {
            program.comes_back();
        }
    }

    fn step(&mut self, packer: &Packer, what: Option<u8>, text: &[u8]) {
        self.nested |= text.contains(&MARKER[0]);
        match what {
            Some(b's') => self.span(Held::plain(text.to_vec())),
            Some(b'z') => {
                let mut held = Held::plain(text.repeat(TIMES));
                packer.compress(&mut held);
                self.span(held);
            }
            Some(b'd') => {
                let space = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
                let (first, last) = text.split_at(space);
                let index = |text| u32::try_from(number(text)).unwrap_or(u32::MAX);
                self.settle(index(first), index(last));
            }
            Some(b't') => {
                self.file.extend_from_slice(text);
                self.torn += text.len() as u64;
            }
            Some(b'x') => {
                let at = number(text) % self.file.len().max(1);
                self.file.iter_mut().skip(at).take(1).for_each(|byte| *byte = !*byte);
                self.changed = true;
            }
            Some(b'c') => {
                self.file.truncate(number(text));
                self.changed = true;
            }
            _ => {}
        }
    }

    fn span(&mut self, held: Held) {
        let index = self.written.len() as u32;
        write_span(&mut self.file, index, SINCE_MS, &held);
        self.written.insert(index, held.wire().into_owned());
    }

    /// As the spool does, only what was written.
    fn settle(&mut self, first: u32, last: u32) {
        let indexes: Vec<u32> =
            self.written.keys().copied().filter(|index| (first..=last).contains(index)).collect();
        write_settled(&mut self.file, &indexes);
        self.settled.extend(indexes.first().copied().zip(indexes.last().copied()));
    }

    fn comes_back(&self) {
        let contents = read(&self.file);
        let mut back = BTreeMap::new();
        for span in &contents.spans {
            let bytes = payload(&self.file, span);
            let held = match span.packed {
                true => Held::from_frame(bytes.to_vec().into(), span.plain_len as usize)
                    .expect("it was compressed here"),
                false => Held::plain(bytes.to_vec()),
            };
            assert_eq!(span.since_ms, SINCE_MS);
            back.insert(span.index, held.wire().into_owned());
        }
        let settled = |index| self.settled.iter().any(|(first, last)| (*first..=*last).contains(&index));
        if self.changed {
            // Some may be lost, but none comes from nowhere.
            assert!(back.iter().all(|(index, wire)| self.written.get(index) == Some(wire)));
        } else {
            let left = self.written.iter().filter(|(index, _)| !settled(**index));
            assert!(back.iter().eq(left), "{back:?}");
            assert_eq!(contents.torn, self.torn);
        }
    }
}
