//! What came in is encoded, compressed where it may have to wait, and written to the spool, before it is queued.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::disk::Disk;
use super::encode::EncodeError;
use super::inbox::Raw;
use super::ledger::DropReason;
use super::shared::Shared;
use super::unit::Queued;
use super::waiting::tidy;
use crate::diagnostics::warn_once;
use crate::held::Held;
use crate::settings::Settings;

/// With a spool, the first spans of a block are on disk before the last ones are encoded.
const WRITTEN_AT_ONCE: usize = 32;

/// Encodes a block of what came in. Says whether there was one.
pub fn encode_some(shared: &Shared, settings: &Settings, disk: &mut Disk) -> bool {
    tidy(shared);
    let (block, waits) = {
        let mut state = shared.state.lock();
        let Some(block) = state.take_inbox() else { return false };
        (block, state.waits())
    };
    let mut encoded: Vec<Queued> = Vec::with_capacity(block.spans.len());
    let mut before = 0;
    let mut written = 0;
    for (at, span) in block.spans.iter().enumerate() {
        if let Some(span_encoded) = encode(shared, settings, span, block.bytes(span)) {
            before += span.at.len();
            encoded.push(span_encoded);
        }
        if encoded.len() - written >= WRITTEN_AT_ONCE || at + 1 == block.spans.len() {
            let new = encoded.iter_mut().skip(written);
            disk.write(&shared.packer, waits, new);
            written = encoded.len();
        }
    }
    if waits {
        encoded.iter_mut().for_each(|span| shared.packer.pack(&mut span.held));
    }
    let mut state = shared.state.lock();
    state.ready(encoded, before);
    if waits {
        state.are_packed();
    }
    let unneeded = state.give_back(block);
    drop(state);
    drop(unneeded);
    true
}

fn encode(shared: &Shared, settings: &Settings, raw: &Raw, bytes: &[u8]) -> Option<Queued> {
    // A bug of ours costs this span, and not all that came in with it.
    let outcome = catch_unwind(AssertUnwindSafe(|| shared.encoder.encode(bytes, settings.max_span_bytes)));
    match outcome.unwrap_or(Err(EncodeError::Bug)) {
        Ok(encoded) => {
            let (seq, since) = (raw.seq, raw.since);
            Some(Queued { seq, since, held: Held::plain(encoded), spooled: None })
        }
        Err(error) => {
            let reason = match &error {
                EncodeError::TooLarge => DropReason::TooLarge,
                EncodeError::Unreadable(_) | EncodeError::Bug => DropReason::Rejected,
            };
            shared.state.lock().give_up_raw(raw, reason);
            warn_once(&format!("A span could not be written and was dropped: {error}"));
            None
        }
    }
}
