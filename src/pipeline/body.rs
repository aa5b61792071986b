//! What stands in a request.

use bytes::Bytes;

use super::unit::Queued;
use crate::held::{Held, Unpacker};
use crate::transport::{Compressor, Encoding};

/// Makes the bodies of requests: what is held of each span goes straight to where the body is written.
#[derive(Default)]
pub struct Bodies {
    compressor: Compressor,
    unpacker: Unpacker,
}

impl Bodies {
    /// One object, or one a line, in this encoding; as it is if that failed, with the encoding that it then has. A single
    /// object is a line of NDJSON, too.
    pub fn of(&mut self, spans: &[Queued], encoding: Encoding) -> (Bytes, Encoding) {
        let length = spans.iter().map(|span| span.held.wire_len() + 1).sum::<usize>().saturating_sub(1);
        let Bodies { compressor, unpacker } = self;
        let compressed = compressor.compress(encoding, length, &mut |take| write(spans, unpacker, take));
        match (compressed, spans) {
            (Some(body), _) => (body, encoding),
            (None, [Queued { held: Held::Plain(bytes), .. }]) => (bytes.clone(), Encoding::Identity),
            (None, _) => {
                let mut body = Vec::with_capacity(length);
                write(spans, unpacker, &mut |part| body.extend_from_slice(part));
                (body.into(), Encoding::Identity)
            }
        }
    }
}

fn write(spans: &[Queued], unpacker: &mut Unpacker, take: &mut dyn FnMut(&[u8])) {
    for (at, span) in spans.iter().enumerate() {
        if at > 0 {
            take(b"\n");
        }
        span.held.each(unpacker, take);
    }
}
