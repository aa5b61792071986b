//! A span's bytes among those of others, as the lines of a request's body.

use std::ops::{Deref, Range};

use bytes::Bytes;

/// What stands between lines.
pub const LINE_FEED: &[u8] = b"\n";

/// A line of what may be several.
#[derive(Clone, Debug)]
pub struct Line {
    lines: Bytes,
    at: Range<usize>,
}

impl Line {
    pub fn alone(bytes: Bytes) -> Self {
        let at = 0..bytes.len();
        Line { lines: bytes, at }
    }

    /// What stands there in `lines`.
    pub fn among(lines: &Bytes, at: Range<usize>) -> Self {
        let end = at.end.min(lines.len());
        Line { lines: lines.clone(), at: at.start.min(end)..end }
    }

    /// Whether `next` stands behind it, with a line feed between them.
    pub fn is_before(&self, next: &Line) -> bool {
        let lines = |line: &Line| (line.lines.as_ptr(), line.lines.len());
        lines(self) == lines(next) && self.at.end + LINE_FEED.len() == next.at.start
    }

    /// It and all up to the end of `last`, without a copy.
    pub fn through(&self, last: &Line) -> Bytes {
        self.lines.slice(self.at.start..last.at.end.max(self.at.start).min(self.lines.len()))
    }
}

impl Deref for Line {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.lines.get(self.at.clone()).unwrap_or_default()
    }
}
