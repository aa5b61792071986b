//! Encoded spans one behind the other, as the lines of a body: a batch of them goes as it stands, without a copy.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;

use crate::buffer::Buffer;
use crate::held::LINE_FEED;
use crate::pool::Pool;

/// Bytes that spans have together; a longer one has memory of its own. Tests fill more than one with little.
const BUFFER: usize = if cfg!(test) { 4 * 1024 } else { 1024 * 1024 };

/// The buffers that are written into again when the last of their spans is gone.
#[derive(Clone, Default)]
pub struct Buffers(Arc<Mutex<Pool<Buffer>>>);

/// The lines that are being written.
#[derive(Default)]
pub struct Lines {
    buffers: Buffers,
    buffer: Option<Buffer>,
}

/// Goes back when nobody needs its lines any more.
struct Lent {
    /// There till it is dropped.
    buffer: Option<Buffer>,
    buffers: Buffers,
}

impl Lines {
    /// Writes a line behind those that are there, and gives where it stands; `None` if there is no room.
    pub fn put(&mut self, line: &[u8]) -> Option<Range<usize>> {
        self.rest(line.len()).get_mut(..line.len())?.copy_from_slice(line);
        self.take_in(line.len())
    }

    /// Memory for the next line, which is written there and taken in then; none, if there are not so many bytes as it is
    /// `likely` to have.
    pub fn rest(&mut self, likely: usize) -> &mut [u8] {
        let buffer = self.buffer.get_or_insert_with(|| self.buffers.take());
        let feed = feed_behind(buffer);
        let rest = buffer.rest(feed.len() + likely).and_then(|rest| rest.split_at_mut_checked(feed.len()));
        let Some((place, rest)) = rest else { return &mut [] };
        place.copy_from_slice(feed);
        rest
    }

    /// The line was written: so many bytes of `rest`. Gives where it stands.
    pub fn take_in(&mut self, len: usize) -> Option<Range<usize>> {
        let buffer = self.buffer.as_mut()?;
        buffer.take_in(feed_behind(buffer).len());
        let from = buffer.as_ref().len();
        buffer.take_in(len);
        Some(from..buffer.as_ref().len())
    }

    /// All lines, of which none is left here.
    pub fn take(&mut self) -> Bytes {
        let Some(mut buffer) = self.buffer.take() else { return Bytes::new() };
        if buffer.is_well_used() {
            let buffers = self.buffers.clone();
            return Bytes::from_owner(Lent { buffer: Some(buffer), buffers });
        }
        // Few spans must not hold a whole one while they wait.
        let lines = Bytes::copy_from_slice(buffer.as_ref());
        buffer.truncate(0);
        self.buffer = Some(buffer);
        lines
    }

    pub fn buffers(&self) -> &Buffers {
        &self.buffers
    }
}

/// What stands between these lines and the next one.
fn feed_behind(lines: &Buffer) -> &'static [u8] {
    if lines.as_ref().is_empty() { b"" } else { LINE_FEED }
}

impl Buffers {
    fn take(&self) -> Buffer {
        let spare = self.0.lock().take();
        spare.unwrap_or_else(|| Buffer::new(BUFFER))
    }

    /// Whether more are kept than should be for long.
    pub fn keeps_many(&self) -> bool {
        self.0.lock().keeps_many()
    }

    /// Frees those that were not needed since the last call, but for a few.
    pub fn free_unneeded(&self) {
        let unneeded = self.0.lock().unneeded();
        drop(unneeded);
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.buffer.as_ref().map(Buffer::as_ref).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut buffer) = self.buffer.take() else { return };
        buffer.truncate(0);
        let unneeded = self.buffers.0.lock().give_back(buffer);
        drop(unneeded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_written_to_again_when_the_last_of_its_lines_is_gone() {
        let mut lines = Lines::default();
        let [first, second] = [1, 2].map(|byte| lines.put(&[byte; 1900]).unwrap());
        assert_eq!((second.start, lines.put(&[3; 300])), (first.end + LINE_FEED.len(), None));
        let all = lines.take();
        assert_eq!(all.len(), second.end);
        let line = all.slice(second);
        drop(all);
        assert!(lines.buffers.0.lock().take().is_none());
        drop(line);
        assert!(lines.buffers.0.lock().take().is_some());
    }

    #[test]
    fn a_few_lines_hold_no_buffer() {
        let mut lines = Lines::default();
        lines.put(b"a").unwrap();
        lines.rest(1)[0] = b'b';
        assert_eq!(lines.take_in(1), Some(2..3));
        assert_eq!(&lines.take()[..], b"a\nb");
        assert_eq!((lines.buffer.is_some(), lines.take().len()), (true, 0));
    }
}
