//! What the user gets of content that is too large (`spans.md`, "A cut"), and what holds for any content.

mod big;
mod conversation;
mod promises;
mod values;

/// The bytes that all markers in `text` say were cut.
fn marked_bytes(text: &str) -> u64 {
    let before_each = text.split(" bytes cut").collect::<Vec<_>>();
    let numbers = before_each.iter().rev().skip(1).filter_map(|piece| piece.rsplit(' ').next());
    numbers.filter_map(|number| number.parse::<u64>().ok()).sum()
}
