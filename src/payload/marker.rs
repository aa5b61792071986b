//! What stands where something was cut (`spans.md`, "A cut"). Markers hold nothing that JSON escapes.

use std::fmt::Write;

/// The most that any value needs to be cut down to its marker, in encoded bytes: the longest marker there
/// can be (two numbers of 20 digits), its quotes (4), the key `"…"` and its colon (8), and braces (2).
pub(super) const LEAST: usize = 80;

/// The key under which an object says that fields were cut.
pub(super) const FIELDS_CUT: &str = "…";

/// Writes what stands inside a long string: `[… B bytes cut …]`.
pub(super) fn push_bytes_cut(out: &mut String, bytes: usize) {
    let _ = write!(out, "[… {bytes} bytes cut …]");
}

/// Writes what stands for a run of items: `[N messages, B bytes cut]`.
pub(super) fn push_run_cut(out: &mut String, count: usize, noun: &str, bytes: usize) {
    let _ = write!(out, "[{count} {noun}, {bytes} bytes cut]");
}

/// Bytes of `[… B bytes cut …]` for any B up to `bytes`, at most.
pub(super) fn bytes_cut_len(bytes: usize) -> usize {
    "[…  bytes cut …]".len() + digits(bytes)
}

/// Bytes of `[N messages, B bytes cut]` for any N and B up to `count` and `bytes`, at most.
pub(super) fn run_cut_len(count: usize, noun: &str, bytes: usize) -> usize {
    "[ ,  bytes cut]".len() + noun.len() + digits(count) + digits(bytes)
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().map_or(1, |power| power as usize + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lengths_are_those_of_what_is_written() {
        for number in [0, 9, 10, 99_999, usize::MAX] {
            let (mut bytes, mut run) = (String::new(), String::new());
            push_bytes_cut(&mut bytes, number);
            push_run_cut(&mut run, number, "messages", number);
            assert_eq!(bytes.len(), bytes_cut_len(number));
            assert_eq!(run.len(), run_cut_len(number, "messages", number));
            assert!(
                run.len() + 4 + 2 <= LEAST
                    && run.len() - "messages".len() + "fields".len() + 4 + 8 + 2 <= LEAST
            );
        }
    }
}
