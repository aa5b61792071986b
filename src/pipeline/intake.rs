//! What came in is encoded, compressed where it may have to wait, and written to the spool, before it is queued.

use super::disk::Disk;
use super::encode::EncodeError;
use super::ledger::DropReason;
use super::queue::Queued;
use super::worker::Shared;
use crate::diagnostics::warn_once;
use crate::held::Held;
use crate::settings::Settings;

/// Spans encoded in a row before requests get their turn; of larger ones, fewer.
const MOST_SPANS: usize = 64;
const MOST_BYTES: usize = 256 * 1024;
/// Spans are held compressed once the queue is full to this share: one that drains quickly is not worth the work.
const PACK_ABOVE: usize = 8;

/// A span that was encoded, and the length that it had in the inbox.
struct Encoded {
    span: Queued,
    before: usize,
}

/// Encodes some of what came in. Says whether there was anything.
pub fn encode_some(shared: &Shared, settings: &Settings, disk: &mut Disk) -> bool {
    let pack = disk.is_there() || shared.state.lock().is_fuller_than(PACK_ABOVE);
    let mut encoded = Vec::new();
    let mut bytes = 0;
    let mut any = false;
    while encoded.len() < MOST_SPANS && bytes < MOST_BYTES {
        let Some(raw) = shared.state.lock().take_inbox() else { break };
        any = true;
        bytes += raw.held.len();
        encoded.extend(encode(shared, settings, raw, pack));
    }
    disk.write(encoded.iter_mut().map(|encoded| &mut encoded.span));
    let mut state = shared.state.lock();
    for Encoded { span, before } in encoded {
        state.ready(span, before);
    }
    any
}

fn encode(shared: &Shared, settings: &Settings, raw: Queued, pack: bool) -> Option<Encoded> {
    match shared.encoder.encode(&raw.held.wire(), settings.max_span_bytes) {
        Ok(bytes) => {
            let before = raw.held.len();
            let held = Held::plain(bytes);
            let held = if pack { shared.packer.pack(held) } else { held };
            Some(Encoded { span: Queued { held, ..raw }, before })
        }
        Err(error) => {
            let reason = match &error {
                EncodeError::TooLarge => DropReason::TooLarge,
                EncodeError::Unreadable(_) => DropReason::Rejected,
            };
            shared.state.lock().unreadable(&raw, reason);
            warn_once(&format!("A span could not be written and was dropped: {error}"));
            None
        }
    }
}
