//! What stands in a request.

use bytes::Bytes;

use super::unit::Queued;
use crate::held::{Held, LINE_FEED, Unpacker};
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
        let together = together(spans);
        let length = spans.iter().map(|span| span.held.wire_len() + 1).sum::<usize>().saturating_sub(1);
        let Bodies { compressor, unpacker } = self;
        let mut write = |take: &mut dyn FnMut(&[u8])| match &together {
            Some(lines) => take(lines),
            None => write(spans, unpacker, take),
        };
        if let Some(body) = compressor.compress(encoding, length, &mut write) {
            return (body, encoding);
        }
        let body = together.unwrap_or_else(|| {
            let mut body = Vec::with_capacity(length);
            self::write(spans, unpacker, &mut |part| body.extend_from_slice(part));
            body.into()
        });
        (body, Encoding::Identity)
    }
}

/// The spans where they lie, if they do so one line behind the other.
fn together(spans: &[Queued]) -> Option<Bytes> {
    let mut lines = spans.iter().map(|span| match &span.held {
        Held::Plain(line) => Some(line),
        Held::Packed { .. } | Held::Shared(_) => None,
    });
    let first = lines.next()??;
    let last = lines.try_fold(first, |last, next| next.filter(|next| last.is_before(next)))?;
    Some(first.through(last))
}

fn write(spans: &[Queued], unpacker: &mut Unpacker, take: &mut dyn FnMut(&[u8])) {
    for (at, span) in spans.iter().enumerate() {
        if at > 0 {
            take(LINE_FEED);
        }
        span.held.each(unpacker, take);
    }
}
