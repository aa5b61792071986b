//! What must hold for any bytes from outside: one function for each place where they come in.
//!
//! A target panics where a promise is broken. Two drivers call it: libFuzzer (`fuzz/driver.rs`, run by
//! `scripts/fuzz.mjs`), which looks for new inputs, and `tests/fuzz.rs`, which runs those that were kept in
//! `fuzz/corpus/<target>/`. A new target is a file here, a line in [`TARGETS`] and a folder of seeds.

mod answers;
mod catalog;
mod content;
mod envelope;
mod http;
mod settings;
mod span;
mod spool;

pub type Target = fn(&[u8]);

/// By the name of the folder of its corpus.
pub const TARGETS: [(&str, Target); 8] = [
    ("answers", answers::target),
    ("catalog", catalog::target),
    ("content", content::target),
    ("envelope", envelope::target),
    ("http", http::target),
    ("settings", settings::target),
    ("span", span::target),
    ("spool", spool::target),
];

/// The first line of an input, and the rest. Inputs are lines, so that a person can read the corpus.
fn line(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    (&input[..end], input.get(end + 1..).unwrap_or_default())
}

/// A number in decimal digits; 0 for anything else.
fn number(line: &[u8]) -> usize {
    std::str::from_utf8(line).ok().and_then(|text| text.trim().parse().ok()).unwrap_or_default()
}

/// Whether serde_json takes it, however deep it is and however large its numbers are.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}
