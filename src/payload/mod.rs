//! Content on its way out: what JavaScript handed over becomes what may stand in a span.
//!
//! What crossed is one JSON *text* per content field (`span`). Here it is repaired, rid of binary data, and made to
//! fit. Nothing is parsed into values and written again: all work is done on the text itself, so numbers,
//! key order and doubled keys come out as they went in, and a text that needs no change comes back
//! borrowed, after scans at `memchr` speed and without an allocation.
//!
//! **`prepare`**, for every text, in this order:
//!
//! 1. `surrogates`: an escaped half of a surrogate pair becomes `\ufffd`, so that any reader can decode it.
//! 2. `data_url`: a string value that is a data URL becomes `[data image/png, N bytes]`.
//!
//! **`fit`**, for a span that is larger than `maxSpanBytes` (`spans.md`, "A cut"). Sizes are counted as the
//! text will stand on the wire, inside a JSON string (`encoded`): each `"` and `\` costs two bytes.
//! Invariants, whatever comes in:
//!
//! - The result is never larger than the budget. Content that cannot be cut so small is left out whole.
//! - A cut text is valid JSON, and every value in it keeps its type: a list stays a list, a string a string
//!   (but an endless number, which becomes a string).
//! - What was cut is replaced in place by a `marker` that says how much; `truncated_bytes` is the number of
//!   bytes of JSON text that are gone, which, for compact text, is the sum of what the markers say.
//! - If anything of a conversation is kept, its newest message is, though perhaps shortened.
//! - Time is n log n and memory linear in the text; recursion is bounded by `outline::MAX_DEPTH`.
//!
//! How: `outline` notes where each value stands and what it costs. `agent` decides how many bytes the parts
//! of a conversation get (`fit` does so for plain values); `trim` writes a value within its bytes;
//! `shorten` takes the middle out of one string; `share` divides bytes so that the longest gives first.
//! Text that is no JSON, or nested too deeply, is kept as one string of that text, shortened.

mod agent;
mod data_url;
mod encoded;
mod fit;
mod marker;
mod outline;
mod share;
mod shorten;
mod surrogates;
#[cfg(test)]
mod tests;
mod trim;

use std::borrow::Cow;

pub use data_url::{data_url_in_short, without_data_urls};
pub use encoded::{encoded_len, push_json_string};
pub use fit::{Content, Fitted, MIN_BUDGET, fit_agent, fit_tool, fit_value, fit_values};
pub use share::level;
pub use shorten::fit_string;
pub use surrogates::well_formed;

/// A JSON text made fit to be read by others: lone surrogates repaired, data URLs replaced by their size.
/// Borrowed if there was nothing to do.
pub fn prepare(text: &str) -> Cow<'_, str> {
    match well_formed(text) {
        Cow::Borrowed(text) => without_data_urls(text),
        Cow::Owned(text) => {
            let trimmed = match without_data_urls(&text) {
                Cow::Borrowed(_) => None,
                Cow::Owned(trimmed) => Some(trimmed),
            };
            Cow::Owned(trimmed.unwrap_or(text))
        }
    }
}
