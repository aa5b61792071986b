//! Memory that is written from its beginning on, and used again: pages that are fresh cost more time than what is copied
//! there.

use std::ops::Range;

use crate::pages::Pages;

/// Bytes of a new buffer whose pages are fetched in one go.
const FETCHED: usize = 32 * 1024;

pub struct Buffer {
    pages: Pages,
    used: usize,
    /// Bytes whose pages are there.
    fetched: usize,
}

impl Buffer {
    /// An empty one that takes so many bytes.
    pub fn new(len: usize) -> Self {
        Buffer { pages: Pages::new(len), used: 0, fetched: 0 }
    }

    /// The most that it takes.
    pub fn capacity(&self) -> usize {
        self.pages.len()
    }

    /// What it takes yet.
    pub fn room(&self) -> usize {
        self.pages.len() - self.used
    }

    /// Writes bytes behind what it holds, and gives where they stand; `None` if there is no room.
    pub fn put(&mut self, bytes: &[u8]) -> Option<Range<usize>> {
        let at = self.used..self.used.checked_add(bytes.len())?;
        if at.end > self.pages.len() {
            return None;
        }
        self.fetch(at.end);
        self.pages.get_mut(at.clone())?.copy_from_slice(bytes);
        self.used = at.end;
        Some(at)
    }

    /// All memory behind what it holds, of which `likely` bytes will be written; `None` if there are not so many.
    pub fn rest(&mut self, likely: usize) -> Option<&mut [u8]> {
        let end = self.used.checked_add(likely).filter(|end| *end <= self.pages.len())?;
        // Likely is not sure: pages that nobody writes to would be there for nothing.
        self.fetch(end.min(self.used + FETCHED));
        self.pages.get_mut(self.used..)
    }

    /// So many bytes of the rest were written, and are held from now on.
    pub fn take_in(&mut self, len: usize) {
        self.used = self.used.saturating_add(len).min(self.pages.len());
        self.fetched = self.fetched.max(self.used);
    }

    /// The pages up to there will be written to.
    fn fetch(&mut self, end: usize) {
        if end > self.fetched {
            let end = end.next_multiple_of(FETCHED).min(self.pages.len());
            self.pages.fetch(self.fetched..end);
            self.fetched = end;
        }
    }

    /// Whether what it holds is most of the memory that it takes, and a good part of its room.
    pub fn is_well_used(&self) -> bool {
        self.used >= self.fetched / 4 * 3 && self.used >= self.pages.len() / 4
    }

    /// Takes back what was written behind so many bytes.
    pub fn truncate(&mut self, used: usize) {
        self.used = self.used.min(used);
    }
}

impl AsRef<[u8]> for Buffer {
    /// What was written.
    fn as_ref(&self) -> &[u8] {
        self.pages.get(..self.used).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stand_one_behind_the_other_and_what_has_no_room_leaves_all_as_it_was() {
        let mut buffer = Buffer::new(100_000);
        assert_eq!(
            (buffer.put(b"ab"), buffer.put(b""), buffer.put(b"c")),
            (Some(0..2), Some(2..2), Some(2..3))
        );
        assert!(!buffer.is_well_used());
        assert_eq!(buffer.put(&[7; 90_000]), Some(3..90_003));
        assert!(buffer.is_well_used());
        assert_eq!((buffer.put(&[8; 9_998]), buffer.room()), (None, 9_997));
        assert_eq!((buffer.as_ref().len(), &buffer.as_ref()[..4]), (90_003, &b"abc\x07"[..]));
        buffer.truncate(0);
        assert_eq!(
            (buffer.put(b"d"), buffer.as_ref(), buffer.is_well_used()),
            (Some(0..1), &b"d"[..], false)
        );
    }

    #[test]
    fn what_was_only_likely_to_be_written_does_not_count_as_memory_that_is_badly_used() {
        let mut buffer = Buffer::new(1_000_000);
        assert_eq!(buffer.rest(900_000).map(|rest| rest.len()), Some(1_000_000));
        buffer.take_in(300_000);
        assert!(buffer.is_well_used());
        assert_eq!(buffer.rest(700_001), None);
    }
}
