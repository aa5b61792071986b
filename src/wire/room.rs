//! Where a span is written: memory that somebody lends.

use super::escape::{self, BLOCK, Run};
use super::time::iso_bytes;

/// Beyond what is written there is always so much, for whole blocks are stored where a few bytes are wanted.
const SLACK: usize = 2 * BLOCK;

/// Text in the making. Each method that writes gives `None` where the memory is too short for it.
pub struct Room<'m> {
    bytes: &'m mut [u8],
    at: usize,
    most: usize,
    is_full: bool,
}

impl<'m> Room<'m> {
    /// The text is of no use if it is longer than `most`. That is looked at only where the memory is too short.
    pub fn new(bytes: &'m mut [u8], most: usize) -> Self {
        Room { bytes, at: 0, most, is_full: false }
    }

    /// Whether more memory would have helped.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Where the next byte will stand.
    pub fn at(&self) -> usize {
        self.at
    }

    pub fn get(&self, range: std::ops::Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// Takes back what was written since.
    pub fn rewind(&mut self, at: usize) {
        self.at = self.at.min(at);
    }

    /// Puts what was written last, from `from` on, in the place of `range`, and gives by how many bytes what stood behind
    /// that has moved.
    pub fn replace(&mut self, range: std::ops::Range<usize>, from: usize) -> Option<isize> {
        let new = self.bytes.get(from..self.at)?.to_vec();
        let moved = isize::try_from(new.len()).ok()? - isize::try_from(range.len()).ok()?;
        let behind = range.start.checked_add(new.len())?;
        // What stood behind ends no later than the new one did.
        self.bytes.get(range.end..from)?;
        self.bytes.copy_within(range.end..from, behind);
        self.bytes.get_mut(range.start..behind)?.copy_from_slice(&new);
        self.at = from.checked_add_signed(moved)?;
        Some(moved)
    }

    /// There is room for `more` bytes and the slack. If not, the text would take `least` of them.
    #[inline(always)]
    fn reserve(&mut self, more: usize, least: usize) -> Option<()> {
        if self.bytes.len() - self.at < more + SLACK { self.refuse(least) } else { Some(()) }
    }

    #[cold]
    fn refuse(&mut self, least: usize) -> Option<()> {
        self.is_full = self.at.saturating_add(least) <= self.most;
        None
    }

    /// Bytes as they are.
    #[inline(always)]
    pub fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.reserve(bytes.len(), bytes.len())?;
        let end = self.at + bytes.len();
        self.bytes.get_mut(self.at..end)?.copy_from_slice(bytes);
        self.at = end;
        Some(())
    }

    /// What was written there, once more.
    pub fn put_again(&mut self, range: std::ops::Range<usize>) -> Option<()> {
        let len = range.len();
        self.reserve(len, len)?;
        self.bytes.get(range.clone())?;
        self.bytes.copy_within(range, self.at);
        self.at += len;
        Some(())
    }

    /// Text in UTF-8, escaped. Says whether it may have other characters than ASCII.
    #[inline]
    pub fn put_utf8<const IS_TWICE: bool>(&mut self, text: &[u8]) -> Option<bool> {
        // Names and ids, most of them.
        if text.len() <= BLOCK {
            self.reserve(text.len(), text.len())?;
            let place = self.bytes.get_mut(self.at..)?.first_chunk_mut()?;
            let (plain, beyond_ascii) = escape::copy_short(text, place);
            if plain == text.len() {
                self.at += plain;
                return Some(beyond_ascii);
            }
        }
        self.put_long::<IS_TWICE>(text)
    }

    fn put_long<const IS_TWICE: bool>(&mut self, text: &[u8]) -> Option<bool> {
        let mut rest = text;
        let mut beyond = false;
        loop {
            self.reserve(rest.len(), rest.len())?;
            let Run { len, beyond_ascii } = escape::copy_plain(rest, self.bytes.get_mut(self.at..)?);
            self.at += len;
            beyond |= beyond_ascii;
            let Some((special, after)) = rest.get(len..)?.split_first() else { return Some(beyond) };
            self.put_escape::<IS_TWICE>(*special)?;
            rest = after;
        }
    }

    /// Text in UTF-16, escaped. Half of a surrogate pair becomes U+FFFD.
    pub fn put_utf16<const IS_TWICE: bool>(&mut self, text: &[u8]) -> Option<()> {
        let (mut rest, _) = text.as_chunks::<2>();
        loop {
            // A unit takes three bytes at most, but for what is escaped.
            self.reserve(3 * rest.len(), rest.len())?;
            let copied = escape::copy_plain_units(rest, self.bytes.get_mut(self.at..)?);
            self.at += copied;
            rest = rest.get(copied..)?;
            let Some((first, after)) = rest.split_first() else { return Some(()) };
            if let [byte @ ..0x80, 0] = first {
                self.put_escape::<IS_TWICE>(*byte)?;
                rest = after;
                continue;
            }
            while let Some((first, after)) = rest.split_first() {
                let unit = u16::from_le_bytes(*first);
                if unit < 0x80 {
                    break;
                }
                let taken = self.put_character(unit, after.first().copied())?;
                rest = rest.get(taken..)?;
            }
        }
    }

    /// A character beyond ASCII that begins with `unit`. Says how many units it takes.
    #[inline(always)]
    fn put_character(&mut self, unit: u16, next: Option<[u8; 2]>) -> Option<usize> {
        let place: &mut [u8; 4] = self.bytes.get_mut(self.at..)?.first_chunk_mut()?;
        let tail = |code: u32| 0x80 | (code & 0x3F) as u8;
        let mut code = u32::from(unit);
        if code < 0x800 {
            *place = [0xC0 | (code >> 6) as u8, tail(code), 0, 0];
            self.at += 2;
            return Some(1);
        }
        if unit & 0xF800 == 0xD800 {
            let low = next.map(u16::from_le_bytes).filter(|low| low & 0xFC00 == 0xDC00);
            if let (0xD800..0xDC00, Some(low)) = (unit, low) {
                code = 0x10000 + ((code & 0x3FF) << 10) + u32::from(low & 0x3FF);
                *place = [0xF0 | (code >> 18) as u8, tail(code >> 12), tail(code >> 6), tail(code)];
                self.at += 4;
                return Some(2);
            }
            code = u32::from(char::REPLACEMENT_CHARACTER);
        }
        *place = [0xE0 | (code >> 12) as u8, tail(code >> 6), tail(code), 0];
        self.at += 3;
        Some(1)
    }

    #[inline(always)]
    fn put_escape<const IS_TWICE: bool>(&mut self, special: u8) -> Option<()> {
        let escape = escape::escape::<IS_TWICE>(special);
        *self.bytes.get_mut(self.at..)?.first_chunk_mut()? = escape.bytes;
        self.at += escape.len;
        Some(())
    }

    pub fn put_whole(&mut self, number: i64) -> Option<()> {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut left = number.unsigned_abs();
        loop {
            at -= 1;
            *digits.get_mut(at)? = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        if number < 0 {
            self.put(b"-")?;
        }
        self.put(digits.get(at..)?)
    }

    /// A time in ms since 1970.
    pub fn put_iso(&mut self, ms: i64) -> Option<()> {
        self.put(&iso_bytes(ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn written(write: impl FnOnce(&mut Room) -> Option<()>) -> String {
        let mut bytes = [0; 4096];
        let mut room = Room::new(&mut bytes, usize::MAX);
        write(&mut room).unwrap();
        String::from_utf8(room.get(0..room.at()).to_vec()).unwrap()
    }

    /// The inside of a JSON string.
    fn inside(text: &str) -> String {
        let json = serde_json::to_string(text).unwrap();
        json[1..json.len() - 1].to_owned()
    }

    proptest! {
        #[test]
        fn text_is_escaped_once_and_twice_as_serde_json_does(text in "(?s)(.|[ -~]{20}|[\"\\\\\u{0}-\u{20}]){0,60}") {
            let utf8 = text.as_bytes();
            prop_assert_eq!(written(|room| room.put_utf8::<false>(utf8).map(drop)), inside(&text));
            prop_assert_eq!(written(|room| room.put_utf8::<true>(utf8).map(drop)), inside(&inside(&text)));
        }

        #[test]
        fn utf16_comes_out_as_javascript_would_make_it_well_formed(units in prop::collection::vec(
            prop_oneof![4 => 0x20u16..0x7F, 1 => 0..0x20u16, 1 => any::<u16>(), 1 => 0xD800u16..0xE000], 0..80)) {
            let bytes: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
            let text = String::from_utf16_lossy(&units);
            prop_assert_eq!(written(|room| room.put_utf16::<false>(&bytes)), inside(&text));
            prop_assert_eq!(written(|room| room.put_utf16::<true>(&bytes)), inside(&inside(&text)));
        }

        #[test]
        fn numbers_are_written_in_digits(number: i64) {
            prop_assert_eq!(written(|room| room.put_whole(number)), number.to_string());
        }
    }

    #[test]
    fn what_has_no_room_is_not_written_and_it_is_known_whether_more_memory_would_help() {
        let mut bytes = [0; 1000];
        for (most, helps) in [(2000, true), (1999, false)] {
            let mut room = Room::new(&mut bytes, most);
            assert_eq!(room.put(b"1234567890"), Some(()));
            assert_eq!((room.put_utf8::<true>(&[b'a'; 1990]), room.is_full()), (None, helps));
        }
    }

    #[test]
    fn what_was_written_last_takes_the_place_of_what_stood_before() {
        for (new, whole) in [("x", "a-x-c"), ("xyz", "a-xyz-c"), ("", "a--c")] {
            let text = written(|room| {
                room.put(b"a-bb-c")?;
                let from = room.at();
                room.put(new.as_bytes())?;
                assert_eq!(room.replace(2..4, from), Some(new.len() as isize - 2));
                Some(())
            });
            assert_eq!(text, whole);
        }
    }
}
