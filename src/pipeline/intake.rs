//! What came in is encoded, compressed where it may have to wait, and written to the spool, before it is queued.

use super::disk::Disk;
use super::encode::EncodeError;
use super::inbox::Raw;
use super::ledger::DropReason;
use super::shared::Shared;
use super::unit::Queued;
use crate::diagnostics::warn_once;
use crate::held::{Held, gather};
use crate::settings::Settings;

/// The queue is filling up when it is full to this share. Then spans are held compressed, and close together: one that
/// drains quickly is not worth the work.
const FILLS_UP_ABOVE: usize = 8;
/// Spans of so many bytes are moved into pages of their own.
const GATHERED: usize = 64 * 1024;

/// A span that was encoded, and the length that it had in the inbox.
struct Encoded {
    span: Queued,
    before: usize,
}

/// Encodes a block of what came in. Says whether there was one.
pub fn encode_some(shared: &Shared, settings: &Settings, disk: &mut Disk) -> bool {
    let (block, fills_up) = {
        let mut state = shared.state.lock();
        let Some(block) = state.take_inbox() else { return false };
        (block, state.is_fuller_than(FILLS_UP_ABOVE))
    };
    let encoded = |span: &Raw| encode(shared, settings, span, block.bytes(span));
    let mut encoded: Vec<Encoded> = block.spans.iter().filter_map(encoded).collect();
    if fills_up || disk.is_there() {
        encoded.iter_mut().for_each(|encoded| shared.packer.compress(&mut encoded.span.held));
    }
    disk.write(encoded.iter_mut().map(|encoded| &mut encoded.span));
    let mut state = shared.state.lock();
    for Encoded { span, before } in encoded {
        state.ready(span, before);
    }
    let unneeded = state.give_back(block);
    let loose = if fills_up { state.take_loose(GATHERED) } else { None };
    drop(state);
    drop(unneeded);
    if let Some(mut spans) = loose {
        gather(spans.iter_mut().map(|span| &mut span.held));
        shared.state.lock().put_back(spans);
    }
    true
}

fn encode(shared: &Shared, settings: &Settings, raw: &Raw, bytes: &[u8]) -> Option<Encoded> {
    match shared.encoder.encode(bytes, settings.max_span_bytes) {
        Ok(encoded) => {
            let (seq, since) = (raw.seq, raw.since);
            let span = Queued { seq, since, held: Held::plain(encoded), spooled: None };
            Some(Encoded { span, before: bytes.len() })
        }
        Err(error) => {
            let reason = match &error {
                EncodeError::TooLarge => DropReason::TooLarge,
                EncodeError::Unreadable(_) => DropReason::Rejected,
            };
            shared.state.lock().give_up_raw(raw, reason);
            warn_once(&format!("A span could not be written and was dropped: {error}"));
            None
        }
    }
}
