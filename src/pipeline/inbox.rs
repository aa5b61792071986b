//! Spans as they were handed in, until the thread takes them: copied one behind the other into blocks, so that a burst
//! leaves nothing behind in the allocator.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Instant;

use crate::buffer::Buffer;
use crate::pool::Pool;

/// Bytes of a block; a longer span has one of its own. Tests fill more than one with little.
const BLOCK: usize = if cfg!(test) { 1024 } else { 1024 * 1024 };
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
    buffer: Buffer,
    pub spans: VecDeque<Raw>,
}

/// The blocks, oldest first.
#[derive(Default)]
pub struct Inbox {
    blocks: VecDeque<Block>,
    pool: Pool<Block>,
}

impl Block {
    fn new(len: usize) -> Self {
        Block { buffer: Buffer::new(len), spans: VecDeque::new() }
    }

    pub fn bytes(&self, span: &Raw) -> &[u8] {
        self.buffer.as_ref().get(span.at.clone()).unwrap_or_default()
    }
}

impl Inbox {
    pub fn push(&mut self, seq: u64, bytes: &[u8]) {
        let since = Instant::now();
        if self.blocks.back().is_none_or(|last| last.buffer.room() < bytes.len()) {
            let spare = if bytes.len() <= BLOCK { self.pool.take() } else { None };
            self.blocks.push_back(spare.unwrap_or_else(|| Block::new(bytes.len().max(BLOCK))));
        }
        if let Some(last) = self.blocks.back_mut()
            && let Some(at) = last.buffer.put(bytes)
        {
            last.spans.push_back(Raw { seq, since, at });
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
        if block.buffer.capacity() != BLOCK {
            return Some(block);
        }
        block.buffer.truncate(0);
        block.spans.clear();
        block.spans.shrink_to(MOST_LISTED);
        self.pool.give_back(block)
    }

    /// Whether more blocks are kept than should be for long.
    pub fn keeps_many(&self) -> bool {
        self.pool.keeps_many()
    }

    /// The blocks that were not needed since the last call, to be freed where that holds up nobody. A few are kept.
    pub fn unneeded(&mut self) -> Vec<Block> {
        self.pool.unneeded()
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
