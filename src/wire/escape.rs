//! How text is escaped on its way into JSON: once, to stand in a string; twice, to stand in a string of JSON text that
//! itself stands in a string. What needs no escape, which is nearly all of it, is copied a block at a time.

/// Bytes that are looked at in one go.
pub(super) const BLOCK: usize = 16;
/// UTF-16 units that are looked at in one go.
const UNITS: usize = BLOCK / 2;
/// No escape is longer.
pub(super) const LONGEST: usize = 8;

/// What stands for one byte.
#[derive(Clone, Copy)]
pub(super) struct Escape {
    pub bytes: [u8; LONGEST],
    pub len: usize,
}

/// Bytes below this are escaped, beside the quote and the backslash.
const CONTROLS: usize = 0x20;
const ONCE: [Escape; CONTROLS + 2] = table(false);
const TWICE: [Escape; CONTROLS + 2] = table(true);

const fn table(twice: bool) -> [Escape; CONTROLS + 2] {
    let mut table = [Escape { bytes: [0; LONGEST], len: 0 }; CONTROLS + 2];
    let mut at = 0;
    while at < table.len() {
        let byte = match at {
            CONTROLS => b'"',
            at if at > CONTROLS => b'\\',
            at => at as u8,
        };
        table[at] = once(byte);
        if twice {
            table[at] = again(table[at]);
        }
        at += 1;
    }
    table
}

/// As `JSON.stringify` and serde_json do.
const fn once(byte: u8) -> Escape {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0C => b'f',
        _ => {
            let digits = b"0123456789abcdef";
            let (high, low) = (digits[(byte >> 4) as usize], digits[(byte & 0xF) as usize]);
            return Escape { bytes: [b'\\', b'u', b'0', b'0', high, low, 0, 0], len: 6 };
        }
    };
    Escape { bytes: [b'\\', short, 0, 0, 0, 0, 0, 0], len: 2 }
}

const fn again(escape: Escape) -> Escape {
    let mut twice = Escape { bytes: [0; LONGEST], len: 0 };
    let mut at = 0;
    while at < escape.len {
        if matches!(escape.bytes[at], b'"' | b'\\') {
            twice.bytes[twice.len] = b'\\';
            twice.len += 1;
        }
        twice.bytes[twice.len] = escape.bytes[at];
        twice.len += 1;
        at += 1;
    }
    twice
}

/// What stands for a byte that must be escaped.
#[inline(always)]
pub(super) fn escape<const IS_TWICE: bool>(byte: u8) -> Escape {
    let at = match byte {
        b'"' => CONTROLS,
        b'\\' => CONTROLS + 1,
        control => usize::from(control) % CONTROLS,
    };
    if IS_TWICE { TWICE[at] } else { ONCE[at] }
}

/// What was copied.
pub(super) struct Run {
    pub len: usize,
    /// There may be bytes in it, or right behind it, that are not ASCII.
    pub beyond_ascii: bool,
}

/// Bytes that are copied in one step, where there are so many.
const STEP: usize = 2 * BLOCK;

/// Copies up to the first byte that must be escaped. `to` is at least a block longer than `from`.
#[inline]
pub(super) fn copy_plain(from: &[u8], to: &mut [u8]) -> Run {
    let (steps, tail) = from.as_chunks::<STEP>();
    let mut run = copy_steps(steps, to.as_chunks_mut().0);
    if run.len < steps.len() * STEP {
        return run;
    }
    let (block, tail) = tail.split_at(if tail.len() > BLOCK { BLOCK } else { 0 });
    for part in [block, tail] {
        let Some(place) = to.get_mut(run.len..).and_then(<[u8]>::first_chunk_mut) else { return run };
        let (plain, beyond_ascii) = copy_short(part, place);
        run.beyond_ascii |= beyond_ascii;
        run.len += plain;
        if plain < part.len() {
            return run;
        }
    }
    run
}

/// The same for as many bytes as a block has at most.
#[inline(always)]
pub(super) fn copy_short(from: &[u8], to: &mut [u8; BLOCK]) -> (usize, bool) {
    *to = padded(from);
    let (plain, beyond_ascii) = plain_bytes(to);
    (plain.min(from.len()), beyond_ascii)
}

/// Fewer bytes than a block, as a block. Not by `memcpy`, whose call would cost more than the copy.
#[inline(always)]
fn padded(tail: &[u8]) -> [u8; BLOCK] {
    let mut block = [b' '; BLOCK];
    let len = tail.len();
    if let (Some(first), Some(last)) = (tail.first_chunk::<8>(), tail.last_chunk::<8>()) {
        block[..8].copy_from_slice(first);
        if let Some(place) = block.get_mut(len - 8..len) {
            place.copy_from_slice(last);
        }
    } else if let (Some(first), Some(last)) = (tail.first_chunk::<4>(), tail.last_chunk::<4>()) {
        block[..4].copy_from_slice(first);
        if let Some(place) = block.get_mut(len - 4..len) {
            place.copy_from_slice(last);
        }
    } else {
        block.iter_mut().zip(tail).for_each(|(place, byte)| *place = *byte);
    }
    block
}

/// How many bytes stand in a block before the first that must be escaped; and whether any in it is not ASCII.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "the vector instructions of x86-64 itself")]
#[inline(always)]
fn plain_bytes(block: &[u8; BLOCK]) -> (usize, bool) {
    use std::arch::x86_64::{_mm_loadu_si128, _mm_movemask_epi8};
    // SAFETY: each x86-64 has SSE2, and a block has as many bytes as are loaded.
    unsafe {
        let bytes = _mm_loadu_si128(block.as_ptr().cast());
        let stops = _mm_movemask_epi8(special(bytes)) | 1 << BLOCK;
        (stops.trailing_zeros() as usize, _mm_movemask_epi8(bytes) != 0)
    }
}

/// Copies step by step, up to the first byte that must be escaped.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "the vector instructions of x86-64 itself")]
#[inline(always)]
fn copy_steps(from: &[[u8; STEP]], to: &mut [[u8; STEP]]) -> Run {
    use std::arch::x86_64::*;
    // SAFETY: each x86-64 has SSE2, and a step has as many bytes as are loaded and stored.
    unsafe {
        let none = _mm_setzero_si128();
        let mut seen = none;
        let mut len = 0;
        for (step, place) in from.iter().zip(to) {
            let [first, second] = [0, BLOCK].map(|at| _mm_loadu_si128(step.as_ptr().add(at).cast()));
            _mm_storeu_si128(place.as_mut_ptr().cast(), first);
            _mm_storeu_si128(place.as_mut_ptr().add(BLOCK).cast(), second);
            seen = _mm_or_si128(seen, _mm_or_si128(first, second));
            let [first, second] = [above_special(first), above_special(second)];
            let stops = _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_min_epu8(first, second), none));
            if stops != 0 {
                let first = _mm_movemask_epi8(_mm_cmpeq_epi8(first, none));
                let stops = if first != 0 { first } else { stops << BLOCK };
                len += stops.trailing_zeros() as usize;
                break;
            }
            len += STEP;
        }
        Run { len, beyond_ascii: _mm_movemask_epi8(seen) != 0 }
    }
}

/// How many units stand before the first that is not ASCII or must be escaped; and all of them as bytes.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "the vector instructions of x86-64 itself")]
#[inline(always)]
fn plain_units(block: &[u8; BLOCK]) -> (usize, [u8; UNITS]) {
    use std::arch::x86_64::*;
    // SAFETY: each x86-64 has SSE2, and a block has as many bytes as are loaded.
    unsafe {
        let units = _mm_loadu_si128(block.as_ptr().cast());
        let high = _mm_and_si128(units, _mm_set1_epi16(!0x7F));
        let ascii = _mm_cmpeq_epi16(high, _mm_setzero_si128());
        let bytes = _mm_packus_epi16(units, units);
        let special = _mm_movemask_epi8(special(bytes));
        let ascii = _mm_movemask_epi8(_mm_packs_epi16(ascii, ascii));
        let stops = special | !ascii | 1 << UNITS;
        (stops.trailing_zeros() as usize, _mm_cvtsi128_si64(bytes).to_le_bytes())
    }
}

/// The bytes that must be escaped.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "the vector instructions of x86-64 itself")]
#[inline(always)]
fn special(bytes: std::arch::x86_64::__m128i) -> std::arch::x86_64::__m128i {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_setzero_si128};
    // SAFETY: each x86-64 has SSE2.
    unsafe { _mm_cmpeq_epi8(above_special(bytes), _mm_setzero_si128()) }
}

/// Zero for each byte that must be escaped, and for no other.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "the vector instructions of x86-64 itself")]
#[inline(always)]
fn above_special(bytes: std::arch::x86_64::__m128i) -> std::arch::x86_64::__m128i {
    use std::arch::x86_64::*;
    // SAFETY: each x86-64 has SSE2.
    unsafe {
        let controls = _mm_subs_epu8(bytes, _mm_set1_epi8(0x1F));
        let quotes = _mm_xor_si128(bytes, _mm_set1_epi8(b'"' as i8));
        let backslashes = _mm_xor_si128(bytes, _mm_set1_epi8(b'\\' as i8));
        _mm_min_epu8(controls, _mm_min_epu8(quotes, backslashes))
    }
}

/// The same by arithmetic on eight bytes at once.
#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable {
    use super::{BLOCK, Run, STEP, UNITS};

    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;

    pub fn plain_bytes(block: &[u8; BLOCK]) -> (usize, bool) {
        let (halves, _) = block.as_chunks::<8>();
        let mut plain = 0;
        for half in halves {
            let stops = special(u64::from_le_bytes(*half));
            plain += stops.trailing_zeros() as usize / 8;
            if stops != 0 {
                break;
            }
        }
        (plain, !block.is_ascii())
    }

    pub fn copy_steps(from: &[[u8; STEP]], to: &mut [[u8; STEP]]) -> Run {
        let mut run = Run { len: 0, beyond_ascii: false };
        for (step, place) in from.iter().zip(to) {
            *place = *step;
            run.beyond_ascii |= !step.is_ascii();
            for block in step.as_chunks::<BLOCK>().0 {
                let (plain, _) = plain_bytes(block);
                run.len += plain;
                if plain < BLOCK {
                    return run;
                }
            }
        }
        run
    }

    pub fn plain_units(block: &[u8; BLOCK]) -> (usize, [u8; UNITS]) {
        let (units, _) = block.as_chunks::<2>();
        let mut bytes = [0; UNITS];
        for (byte, unit) in bytes.iter_mut().zip(units) {
            // What is not ASCII stops, as what must be escaped does.
            *byte = u8::try_from(u16::from_le_bytes(*unit)).ok().filter(u8::is_ascii).unwrap_or(0);
        }
        ((special(u64::from_le_bytes(bytes)).trailing_zeros() / 8) as usize, bytes)
    }

    /// The lowest bit that is set belongs to the first byte that must be escaped.
    fn special(bytes: u64) -> u64 {
        let is_zero = |bytes: u64| bytes.wrapping_sub(ONES) & !bytes;
        let controls = bytes.wrapping_sub(ONES * 0x20) & !bytes;
        let quotes = is_zero(bytes ^ (ONES * u64::from(b'"')));
        let backslashes = is_zero(bytes ^ (ONES * u64::from(b'\\')));
        (controls | quotes | backslashes) & HIGH
    }
}

#[cfg(not(target_arch = "x86_64"))]
use portable::{copy_steps, plain_bytes, plain_units};

/// Copies UTF-16 units, two bytes each, as bytes up to the first that is not ASCII or must be escaped. `to` has at least a
/// block more places than there are units.
#[inline]
pub(super) fn copy_plain_units(from: &[[u8; 2]], to: &mut [u8]) -> usize {
    let (blocks, tail) = from.as_chunks::<UNITS>();
    let (places, _) = to.as_chunks_mut::<UNITS>();
    let mut copied = 0;
    for (block, place) in blocks.iter().zip(places) {
        let (plain, bytes) = plain_units(&flat(block));
        *place = bytes;
        copied += plain;
        if plain < UNITS {
            return copied;
        }
    }
    for (place, unit) in to.iter_mut().skip(copied).zip(tail) {
        match unit {
            [byte @ 0x20..0x80, 0] if !matches!(byte, b'"' | b'\\') => *place = *byte,
            _ => break,
        }
        copied += 1;
    }
    copied
}

#[inline(always)]
fn flat(units: &[[u8; 2]; UNITS]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    block.copy_from_slice(units.as_flattened());
    block
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_way_of_looking_at_a_block_sees_the_same(block: [u8; BLOCK], plain in "[ -~]{16}", at in 0..BLOCK) {
            let mut mixed = [0; BLOCK];
            mixed.copy_from_slice(plain.as_bytes());
            mixed[at] = block[at];
            for block in [block, mixed] {
                prop_assert_eq!(plain_bytes(&block), portable::plain_bytes(&block));
                let (count, bytes) = plain_units(&block);
                let (portable, same) = portable::plain_units(&block);
                prop_assert_eq!(count, portable);
                prop_assert_eq!(&bytes[..count], &same[..count]);
            }
            let mut steps = [[b' '; STEP]; 2];
            for at in (0..2 * STEP).step_by(BLOCK) {
                steps.as_flattened_mut()[at..at + BLOCK].copy_from_slice(&mixed);
                let (mut to, mut same) = ([[0; STEP]; 2], [[0; STEP]; 2]);
                let (run, portable) = (copy_steps(&steps, &mut to), portable::copy_steps(&steps, &mut same));
                prop_assert_eq!((run.len, run.beyond_ascii), (portable.len, portable.beyond_ascii));
                prop_assert_eq!(&to.as_flattened()[..run.len], &steps.as_flattened()[..run.len]);
                prop_assert_eq!(&same.as_flattened()[..run.len], &steps.as_flattened()[..run.len]);
                steps.as_flattened_mut()[at..at + BLOCK].fill(b' ');
            }
            let mut units = [0; BLOCK];
            units.iter_mut().step_by(2).zip(plain.bytes()).for_each(|(unit, byte)| *unit = byte);
            units[at] = block[at];
            let (count, bytes) = plain_units(&units);
            let (portable, same) = portable::plain_units(&units);
            prop_assert_eq!(count, portable);
            prop_assert_eq!(&bytes[..count], &same[..count]);
        }
    }
}
