//! Every byte that arrived, so that a test can prove that a secret never left the tracer.

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;

/// The most that is kept. Beyond it nothing is, and reading says so: a search would prove nothing.
const MAX_BYTES: usize = 512 * 1024 * 1024;

/// What arrived, by connection as it was on the wire, and by body as it was after decompression.
pub struct Raw {
    on: bool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    wire: BTreeMap<u64, Vec<u8>>,
    /// Who used a connection. Those that only inspected are not part of what was sent.
    use_of: HashMap<u64, Use>,
    plain: Vec<Vec<u8>>,
    bytes: usize,
}

#[derive(Default)]
struct Use {
    inspection: bool,
    fallom: bool,
}

impl Raw {
    pub fn new(on: bool) -> Self {
        Raw { on, kept: Mutex::default() }
    }

    /// Bytes read from a connection.
    pub fn arrived(&self, connection: u64, bytes: &[u8]) {
        self.keep(bytes.len(), |kept| {
            kept.wire.entry(connection).or_default().extend_from_slice(bytes);
        });
    }

    /// A body without its compression, and without the chunks that it came in.
    pub fn body(&self, body: &[u8]) {
        self.keep(body.len(), |kept| kept.plain.push(body.to_vec()));
    }

    /// A request of this connection was for `/_local`, or for Fallom.
    pub fn used(&self, connection: u64, inspection: bool) {
        if self.on {
            let mut kept = self.kept.lock();
            let usage = kept.use_of.entry(connection).or_default();
            if inspection {
                usage.inspection = true;
            } else {
                usage.fallom = true;
            }
        }
    }

    /// All of it: connections in their order, then the bodies, each ended by a newline.
    pub fn all(&self) -> Result<Vec<u8>, &'static str> {
        if !self.on {
            return Err("nothing was kept: start with --keep-raw");
        }
        let kept = self.kept.lock();
        if kept.bytes > MAX_BYTES {
            return Err("more than 512 MiB arrived, the rest was not kept");
        }
        let mut all = Vec::with_capacity(kept.bytes);
        let sent = kept.wire.iter().filter(|(connection, _)| {
            kept.use_of.get(connection).is_none_or(|usage| usage.fallom || !usage.inspection)
        });
        for bytes in sent.map(|(_, bytes)| bytes).chain(&kept.plain) {
            all.extend_from_slice(bytes);
            all.push(b'\n');
        }
        Ok(all)
    }

    /// Forgets the bytes. Connections that are still open keep their use.
    pub fn clear(&self) {
        let mut kept = self.kept.lock();
        kept.wire.clear();
        kept.plain.clear();
        kept.bytes = 0;
    }

    fn keep(&self, size: usize, store: impl FnOnce(&mut Kept)) {
        if self.on {
            let mut kept = self.kept.lock();
            kept.bytes = kept.bytes.saturating_add(size);
            if kept.bytes <= MAX_BYTES {
                store(&mut kept);
            }
        }
    }
}
