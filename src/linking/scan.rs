//! Finds known texts inside longer ones: in time that grows with the longer text, not with how many are known.
//!
//! A hash rolls over the text; where it is that of the beginning of a known text, it is rolled on to the lengths that
//! such texts have. What it finds is then held against the text's own, stronger hash.

use std::collections::{BTreeMap, HashMap};

use md5::{Digest, Md5};

/// What stands for a text: its hash, so that nobody's words are kept.
pub type TextHash = [u8; 16];

/// Bytes of a text's beginning, by which it is found.
pub const ANCHOR_BYTES: usize = 32;
/// Places in the filter; a power of two.
const FILTER: usize = 1 << FILTER_BITS;
const FILTER_BITS: u32 = 16;
/// Bytes that may be looked at a second time in one call, because a known text might begin there. Real calls need a
/// thousandth of it; it is for texts that are made to cost much.
const MOST_COMPARED: usize = 16 * 1024 * 1024;
/// What looking for one length costs, in bytes looked at.
const A_LOOK: usize = 32;

/// Odd, without pattern (the golden ratio of 64 bits).
const BASE: u64 = 0x9E37_79B9_7F4A_7C15;
/// What the byte that leaves the window counted for: `BASE` to the power of `ANCHOR_BYTES`.
const LEAVING: u64 = {
    let mut power: u64 = 1;
    let mut i = 0;
    while i < ANCHOR_BYTES {
        power = power.wrapping_mul(BASE);
        i += 1;
    }
    power
};

pub fn text_hash(text: &str) -> TextHash {
    Md5::digest(text.as_bytes()).into()
}

/// Where in the index a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    anchor: u64,
    length: usize,
    whole: u64,
}

impl Place {
    /// `None` for a text that is shorter than an anchor.
    pub fn of(text: &str) -> Option<Self> {
        let (first, rest) = text.as_bytes().split_at_checked(ANCHOR_BYTES)?;
        let anchor = rolled(0, first);
        Some(Place { anchor, length: text.len(), whole: rolled(anchor, rest) })
    }
}

/// The texts that are looked for.
pub struct Index {
    /// By the hash of their beginning, then by length, then by the hash of the whole.
    anchors: HashMap<u64, BTreeMap<usize, HashMap<u64, TextHash>>>,
    /// How many beginnings fall on each place; one that is full stays so.
    filter: Vec<u8>,
}

impl Default for Index {
    fn default() -> Self {
        Index { anchors: HashMap::new(), filter: vec![0; FILTER] }
    }
}

impl Index {
    pub fn insert(&mut self, place: Place, hash: TextHash) {
        let lengths = self.anchors.entry(place.anchor).or_insert_with(|| {
            let count = &mut self.filter[slot(place.anchor)];
            *count = count.saturating_add(1);
            BTreeMap::new()
        });
        lengths.entry(place.length).or_default().insert(place.whole, hash);
    }

    pub fn remove(&mut self, place: Place) {
        let Some(lengths) = self.anchors.get_mut(&place.anchor) else { return };
        if let Some(wholes) = lengths.get_mut(&place.length) {
            wholes.remove(&place.whole);
            if wholes.is_empty() {
                lengths.remove(&place.length);
            }
        }
        if lengths.is_empty() {
            self.anchors.remove(&place.anchor);
            let count = &mut self.filter[slot(place.anchor)];
            if *count < u8::MAX {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// Whether a text of this length and beginning is among them: spares hashing a long one that is not.
    pub fn may_hold(&self, text: &str) -> bool {
        let Some(first) = text.as_bytes().get(..ANCHOR_BYTES) else { return true };
        let anchor = rolled(0, first);
        self.filter[slot(anchor)] > 0
            && self.anchors.get(&anchor).is_some_and(|lengths| lengths.contains_key(&text.len()))
    }
}

/// Looks for the longest text inside some others.
pub struct Scan<'i> {
    index: &'i Index,
    budget: usize,
    /// The length of the longest found so far.
    pub longest: usize,
    /// Those of that length.
    pub found: Vec<TextHash>,
}

impl<'i> Scan<'i> {
    pub fn new(index: &'i Index) -> Self {
        Scan { index, budget: MOST_COMPARED, longest: 0, found: Vec::new() }
    }

    /// Looks through `text`, for texts that `counts`. `false` if that would take too long: what was found up to there
    /// may not be the longest.
    pub fn through(&mut self, text: &str, counts: impl Fn(&TextHash) -> bool) -> bool {
        let index = self.index;
        let bytes = text.as_bytes();
        if index.anchors.is_empty() || bytes.len() < ANCHOR_BYTES {
            return true;
        }
        let mut window = rolled(0, &bytes[..ANCHOR_BYTES]);
        for start in 0..=bytes.len() - ANCHOR_BYTES {
            if index.filter[slot(window)] > 0
                && let Some(lengths) = index.anchors.get(&window)
                && !self.at(&bytes[start..], window, lengths, &counts)
            {
                return false;
            }
            if let Some(entering) = bytes.get(start + ANCHOR_BYTES) {
                let leaving = value(bytes[start]).wrapping_mul(LEAVING);
                window = window.wrapping_mul(BASE).wrapping_add(value(*entering)).wrapping_sub(leaving);
            }
        }
        true
    }

    /// What of these begins where `rest` does.
    fn at(
        &mut self,
        rest: &[u8],
        anchor: u64,
        lengths: &BTreeMap<usize, HashMap<u64, TextHash>>,
        counts: &impl Fn(&TextHash) -> bool,
    ) -> bool {
        let (mut rolled_to, mut hash) = (ANCHOR_BYTES, anchor);
        let shortest = self.longest.max(ANCHOR_BYTES);
        if shortest > rest.len() {
            return true;
        }
        for (&length, wholes) in lengths.range(shortest..=rest.len()) {
            if !self.may_spend(length - rolled_to + A_LOOK) {
                return false;
            }
            hash = rolled(hash, &rest[rolled_to..length]);
            rolled_to = length;
            let Some(known) = wholes.get(&hash) else { continue };
            if !counts(known) || self.found.contains(known) && self.longest == length {
                continue;
            }
            if !self.may_spend(length) {
                return false;
            }
            if Md5::digest(&rest[..length]).as_slice() == known {
                if length > self.longest {
                    self.longest = length;
                    self.found.clear();
                }
                self.found.push(*known);
            }
        }
        true
    }

    fn may_spend(&mut self, bytes: usize) -> bool {
        let left = self.budget.checked_sub(bytes);
        self.budget = left.unwrap_or(0);
        left.is_some()
    }
}

fn rolled(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| hash.wrapping_mul(BASE).wrapping_add(value(*byte)))
}

/// No byte counts for nothing.
fn value(byte: u8) -> u64 {
    u64::from(byte) + 1
}

/// The upper bits: the lower ones of such a hash depend on few bytes.
fn slot(hash: u64) -> usize {
    (hash.wrapping_mul(BASE) >> (u64::BITS - FILTER_BITS)) as usize
}
