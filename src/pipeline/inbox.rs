//! Spans as they were handed in, until the thread takes them: copied one behind the other into blocks, so that a burst
//! leaves nothing behind in the allocator.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use crate::pages::Pages;

/// Bytes of a block; a longer span has one of its own. Tests fill more than one with little.
const BLOCK: usize = if cfg!(test) { 1024 } else { 1024 * 1024 };
/// Blocks that are kept for the next spans: fresh pages cost the event loop more time than the span that is copied there.
const MOST_SPARE: usize = 16;
/// Of these, those that are kept though nobody needs them.
const KEPT: usize = 4;
/// Bytes of a new block whose pages are fetched in one go.
const FETCHED: usize = 32 * 1024;
/// Spans that a kept block has room for in its list: making one would cost the event loop an allocation.
const MOST_LISTED: usize = 256;

/// A span in a block.
#[derive(Clone, Debug)]
pub struct Raw {
    /// Numbered as handed in.
    pub seq: u64,
    pub since: Instant,
    pub at: Range<usize>,
}

/// Spans that were handed in one after the other.
pub struct Block {
    pages: Pages,
    used: usize,
    /// Bytes whose pages are there.
    fetched: usize,
    pub spans: VecDeque<Raw>,
}

/// The blocks, oldest first.
#[derive(Default)]
pub struct Inbox {
    blocks: VecDeque<Block>,
    spare: Vec<Block>,
    /// So many of them have not been needed since [`Inbox::unneeded`].
    idle: usize,
}

impl Block {
    fn new(len: usize) -> Self {
        Block { pages: Pages::new(len), used: 0, fetched: 0, spans: VecDeque::new() }
    }

    /// The pages up to there will be written to.
    fn fetch(&mut self, end: usize) {
        if end > self.fetched {
            let end = end.next_multiple_of(FETCHED).min(self.pages.len());
            self.pages.fetch(self.fetched..end);
            self.fetched = end;
        }
    }

    pub fn bytes(&self, span: &Raw) -> &[u8] {
        self.pages.get(span.at.clone()).unwrap_or_default()
    }
}

impl Inbox {
    pub fn push(&mut self, seq: u64, bytes: &[u8]) {
        let since = Instant::now();
        let room = |block: &Block| block.pages.len() - block.used;
        if self.blocks.back().is_none_or(|last| room(last) < bytes.len()) {
            let spare = if bytes.len() <= BLOCK { self.spare.pop() } else { None };
            self.idle = self.idle.min(self.spare.len());
            self.blocks.push_back(spare.unwrap_or_else(|| Block::new(bytes.len().max(BLOCK))));
        }
        if let Some(last) = self.blocks.back_mut() {
            let at = last.used..last.used + bytes.len();
            last.fetch(at.end);
            if let Some(place) = last.pages.get_mut(at.clone()) {
                place.copy_from_slice(bytes);
                last.used = at.end;
                last.spans.push_back(Raw { seq, since, at });
            }
        }
    }

    /// The numbers of its spans.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.blocks.iter().flat_map(|block| &block.spans).map(|span| span.seq)
    }

    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Whether a block waits that takes no more spans.
    pub fn has_a_full_block(&self) -> bool {
        self.blocks.len() > 1
    }

    /// The oldest spans.
    pub fn take(&mut self) -> Option<Block> {
        self.blocks.pop_front()
    }

    /// A block whose spans are done with. It comes back if it is not needed, to be freed where that holds up nobody.
    pub fn give_back(&mut self, mut block: Block) -> Option<Block> {
        if block.pages.len() != BLOCK || self.spare.len() >= MOST_SPARE {
            return Some(block);
        }
        block.used = 0;
        block.spans.clear();
        block.spans.shrink_to(MOST_LISTED);
        self.spare.push(block);
        None
    }

    /// Whether more blocks are kept than should be for long.
    pub fn keeps_many(&self) -> bool {
        self.spare.len() > KEPT
    }

    /// The blocks that were not needed since the last call, to be freed where that holds up nobody. A few are kept.
    pub fn unneeded(&mut self) -> Vec<Block> {
        let from = KEPT.max(self.spare.len() - self.idle).min(self.spare.len());
        let unneeded = self.spare.split_off(from);
        self.idle = self.spare.len();
        unneeded
    }

    /// The oldest span is given up.
    pub fn pop(&mut self) -> Option<Raw> {
        let first = self.blocks.front_mut()?;
        let span = first.spans.pop_front();
        if first.spans.is_empty() {
            let emptied = self.blocks.pop_front();
            emptied.and_then(|block| self.give_back(block));
        }
        span
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spans that fill so many blocks come in, and are taken.
    fn burst(inbox: &mut Inbox, blocks: usize) {
        (0..blocks).for_each(|seq| inbox.push(seq as u64, &[1; BLOCK]));
        while let Some(block) = inbox.take() {
            drop(inbox.give_back(block));
        }
    }

    #[test]
    fn the_blocks_of_a_burst_are_kept_for_the_next_one_and_freed_when_none_comes() {
        let mut inbox = Inbox::default();
        burst(&mut inbox, 10);
        assert_eq!((inbox.spare.len(), inbox.unneeded().len()), (10, 0));
        burst(&mut inbox, 8);
        assert_eq!((inbox.unneeded().len(), inbox.spare.len()), (2, 8));
        assert!(inbox.keeps_many());
        inbox.unneeded();
        assert_eq!((inbox.spare.len(), inbox.keeps_many()), (KEPT, false));
        burst(&mut inbox, 2 * MOST_SPARE);
        assert_eq!(inbox.spare.len(), MOST_SPARE);
    }
}
