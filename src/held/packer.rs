//! Compresses what waits, and gives it back.

use bytes::Bytes;
use parking_lot::Mutex;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe;

use super::Held;
use super::messages::Messages;

/// Fast: the thread shares the user's cores.
const LEVEL: i32 = 1;
/// Shorter bytes stay as they are: a frame of their own saves little.
const SHORTEST: usize = 256;
/// Room to work in that is kept.
const MOST_ROOM: usize = 1024 * 1024;
/// No span is longer: the most that `maxSpanBytes` takes.
const LONGEST: usize = 256 * 1024 * 1024;

/// Makes spans small that have to wait. Its tables are large, so they are made once; so is the room that it works in.
#[derive(Default)]
pub struct Packer {
    messages: Messages,
    tools: Mutex<Tools>,
}

struct Tools {
    compressor: Option<Compressor<'static>>,
    room: Vec<u8>,
}

impl Default for Tools {
    fn default() -> Self {
        Tools { compressor: Compressor::new(LEVEL).ok(), room: Vec::new() }
    }
}

impl Packer {
    /// Shares the spans' messages with all others that know `messages`.
    pub fn new(messages: Messages) -> Self {
        Packer { messages, tools: Mutex::default() }
    }

    /// The messages that are shared.
    #[cfg(test)]
    pub(super) fn messages(&self) -> Messages {
        self.messages.clone()
    }

    /// The span, small: its messages shared with other spans, if it has several, and the rest compressed.
    pub fn pack(&self, held: &mut Held) {
        match self.share(held) {
            Some(shared) => *held = shared,
            None => self.compress(held),
        }
    }

    /// The span with its messages shared, if it has several.
    pub fn share(&self, held: &Held) -> Option<Held> {
        let Held::Plain(wire) = held else { return None };
        self.messages.share(wire, |bytes| self.packed(bytes)).map(|shared| Held::Shared(Box::new(shared)))
    }

    /// Compresses the span, if that makes it smaller. It stands alone.
    pub fn compress(&self, held: &mut Held) {
        if let Some(compressed) = self.compressed(held) {
            *held = compressed;
        }
    }

    /// The span compressed, if that makes it smaller.
    pub fn compressed(&self, held: &Held) -> Option<Held> {
        let Held::Plain(plain) = held else { return None };
        self.frame(plain)
    }

    fn packed(&self, plain: &[u8]) -> Held {
        self.frame(plain).unwrap_or_else(|| Held::plain(plain.to_vec()))
    }

    fn frame(&self, plain: &[u8]) -> Option<Held> {
        let frame = self.tools.lock().compress(plain)?;
        Some(Held::Packed { plain_len: plain.len(), frame })
    }
}

impl Tools {
    /// `None` if it would be no smaller.
    fn compress(&mut self, plain: &[u8]) -> Option<Bytes> {
        if plain.len() < SHORTEST {
            return None;
        }
        self.room.resize(zstd_safe::compress_bound(plain.len()), 0);
        let len = self.compressor.as_mut()?.compress_to_buffer(plain, &mut self.room[..]).ok()?;
        let frame =
            self.room.get(..len).filter(|frame| frame.len() < plain.len()).map(Bytes::copy_from_slice);
        self.room.truncate(MOST_ROOM);
        self.room.shrink_to(MOST_ROOM);
        frame
    }
}

/// Gives back what was compressed. Its tables and its room are made once, too.
#[derive(Default)]
pub struct Unpacker {
    decompressor: Option<Decompressor<'static>>,
    room: Vec<u8>,
}

impl Unpacker {
    /// What the frame holds, if it is a frame that holds so many bytes.
    pub fn unpack(&mut self, frame: &[u8], plain_len: usize) -> Option<&[u8]> {
        // The frame says its length, too: what a broken file claims reserves no memory.
        let claimed = zstd_safe::get_frame_content_size(frame).ok()??;
        if plain_len > LONGEST || claimed != plain_len as u64 {
            return None;
        }
        if self.decompressor.is_none() {
            self.decompressor = Decompressor::new().ok();
        }
        self.room.clear();
        if self.room.capacity() > MOST_ROOM.max(plain_len) {
            self.room.shrink_to(MOST_ROOM.max(plain_len));
        }
        self.room.reserve(plain_len);
        let len = self.decompressor.as_mut()?.decompress_to_buffer(frame, &mut self.room).ok()?;
        (len == plain_len).then_some(&self.room[..])
    }
}
