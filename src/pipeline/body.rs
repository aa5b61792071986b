//! What stands in a request.

use bytes::Bytes;

use super::unit::Queued;
use crate::held::{Held, LINE_FEED, Unpacker};
use crate::transport::{Compressor, Encoding};

/// So much is compressed at once: with zstd, that takes half a millisecond.
const AT_ONCE: usize = 128 * 1024;

/// Makes the bodies of requests: what is held of each span goes straight to where the body is written.
#[derive(Default)]
pub struct Bodies {
    compressor: Compressor,
    unpacker: Unpacker,
}

impl Bodies {
    /// One object, or one a line, in this encoding; as it is if that failed, with the encoding that it then has. A single
    /// object is a line of NDJSON, too. What lies together may take long: now and then it waits for `give_way`.
    pub async fn of<W: Future>(
        &mut self,
        spans: &[Queued],
        encoding: Encoding,
        give_way: impl Fn() -> W,
    ) -> (Bytes, Encoding) {
        let together = together(spans);
        if let Some(body) = self.compressed(spans, together.as_ref(), encoding, give_way).await {
            return (body, encoding);
        }
        let body = together.unwrap_or_else(|| {
            let mut body = Vec::with_capacity(length(spans));
            write(spans, &mut self.unpacker, &mut |part| body.extend_from_slice(part));
            body.into()
        });
        (body, Encoding::Identity)
    }

    async fn compressed<W: Future>(
        &mut self,
        spans: &[Queued],
        together: Option<&Bytes>,
        encoding: Encoding,
        give_way: impl Fn() -> W,
    ) -> Option<Bytes> {
        let mut body = self.compressor.begin(encoding, length(spans))?;
        if let Some(lines) = together {
            for part in lines.chunks(AT_ONCE) {
                body.feed(part)?;
                give_way().await;
            }
        } else {
            let mut fed = Some(());
            write(spans, &mut self.unpacker, &mut |part| fed = fed.and_then(|()| body.feed(part)));
            fed?;
        }
        body.end()
    }
}

fn length(spans: &[Queued]) -> usize {
    spans
        .iter()
        .map(|span| span.held.wire_len() + LINE_FEED.len())
        .sum::<usize>()
        .saturating_sub(LINE_FEED.len())
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
