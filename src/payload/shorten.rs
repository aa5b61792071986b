//! Taking the middle out of one string: its first and its last part are kept, a marker between them.

use std::borrow::Cow;
use std::ops::Range;

use memchr::memchr;

use super::encoded::{encoded_len, escaped_byte, escaped_len};
use super::marker;
use super::surrogates::pair_at;

/// How a string is written, which decides what must not be torn apart, and what it costs.
#[derive(Clone, Copy)]
pub(super) enum Form {
    /// Characters as they are.
    Plain,
    /// The inside of a JSON string: an escape, or a pair of surrogates, is one piece.
    Json,
}

impl Form {
    /// Bytes before the next one that costs more than 1.
    fn plain_run(self, bytes: &[u8]) -> usize {
        let special = match self {
            Self::Plain => bytes.iter().position(|byte| escaped_byte(*byte) > 1),
            Self::Json => memchr(b'\\', bytes),
        };
        special.unwrap_or(bytes.len())
    }

    /// Length and cost of the piece that begins `bytes`, if it is one that costs more than its length.
    fn special(self, bytes: &[u8]) -> Option<(usize, usize)> {
        let first = *bytes.first()?;
        match self {
            Self::Plain => (escaped_byte(first) > 1).then_some((1, escaped_byte(first))),
            Self::Json if first != b'\\' => None,
            Self::Json => match *bytes.get(1)? {
                b'u' if pair_at(bytes, 0) => Some((12, 14)),
                b'u' => Some((6, 7)),
                other => Some((2, 2 + escaped_byte(other))),
            },
        }
    }
}

/// `text` if it takes no more than `budget` bytes as a JSON string, quotes included; else its first and last
/// part around `[… B bytes cut …]`. Also, how many bytes were cut. A budget too small for the marker gives the
/// first part only.
pub fn fit_string(text: &str, budget: usize) -> (Cow<'_, str>, u64) {
    if encoded_len(text) <= budget {
        return (Cow::Borrowed(text), 0);
    }
    let room = budget.saturating_sub(2);
    let Some(cut) = middle(text, Form::Plain, room) else {
        let (end, _) = advance(text, Form::Plain, 0, room);
        return (Cow::Borrowed(text.get(..end).unwrap_or_default()), (text.len() - end) as u64);
    };
    let mut out = String::with_capacity(room);
    push_around(&mut out, text, &cut);
    (Cow::Owned(out), cut.len() as u64)
}

/// Writes what is left of `body` around `cut`, and the marker in between. Gives the marker's length.
pub(super) fn push_around(out: &mut String, body: &str, cut: &Range<usize>) -> usize {
    out.push_str(body.get(..cut.start).unwrap_or_default());
    let before = out.len();
    marker::push_bytes_cut(out, cut.len());
    let marked = out.len() - before;
    out.push_str(body.get(cut.end..).unwrap_or_default());
    marked
}

/// Which bytes of `body` to cut so that the rest, with its marker, costs `budget` at most inside a JSON string.
/// Nothing if not even the marker does.
pub(super) fn middle(body: &str, form: Form, budget: usize) -> Option<Range<usize>> {
    let room = budget.checked_sub(marker::bytes_cut_len(body.len()))?;
    let (start, head) = advance(body, form, 0, room / 2);
    let surplus = escaped_len(body.as_bytes()).saturating_sub(room);
    let (mut end, cut) = advance(body, form, start, surplus);
    if cut < surplus {
        end += piece(body.get(end..)?, form);
    }
    debug_assert!(head <= room);
    Some(start..end)
}

/// The last place after `from`, and what it costs to get there, such that the cost is `budget` at most and
/// nothing is torn apart.
fn advance(body: &str, form: Form, from: usize, budget: usize) -> (usize, usize) {
    let mut at = from;
    let mut left = budget;
    while let Some(rest) = body.as_bytes().get(at..) {
        let run = form.plain_run(rest.get(..left).unwrap_or(rest));
        at += run;
        left -= run;
        match rest.get(run..).and_then(|rest| form.special(rest)) {
            Some((length, cost)) if cost <= left => {
                at += length;
                left -= cost;
            }
            _ => break,
        }
    }
    while !body.is_char_boundary(at) {
        at -= 1;
        left += 1;
    }
    (at, budget - left)
}

/// The length of the piece that begins `rest`.
fn piece(rest: &str, form: Form) -> usize {
    let character = || rest.chars().next().map_or(0, char::len_utf8);
    form.special(rest.as_bytes()).map_or_else(character, |(length, _)| length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_long_text_keeps_its_first_and_last_part() {
        let text = format!("begin {} end", "x".repeat(10_000));
        let (short, cut) = fit_string(&text, 100);
        assert!((98..=100).contains(&encoded_len(&short)));
        assert!(short.starts_with("begin xxx") && short.ends_with("xxx end"), "{short}");
        assert!(short.contains(&format!("[… {cut} bytes cut …]")), "{short}");
    }

    #[test]
    fn a_text_that_fits_is_borrowed() {
        assert!(matches!(fit_string("short", 7), (Cow::Borrowed("short"), 0)));
    }

    #[test]
    fn a_budget_below_the_marker_keeps_the_first_part() {
        assert_eq!(fit_string("żółw żółw żółw", 7), (Cow::Borrowed("żó"), 19));
        assert_eq!(fit_string("abc", 0), (Cow::Borrowed(""), 3));
    }

    proptest! {
        #[test]
        fn plain_text_is_cut_between_characters_and_fits(text in "(?s).{0,300}", budget in 2usize..600) {
            let (short, cut) = fit_string(&text, budget);
            prop_assert!(encoded_len(&short) <= budget);
            prop_assert_eq!(cut > 0, short != text);
        }

        #[test]
        fn no_escape_and_no_pair_is_torn(pieces in prop::collection::vec(prop_oneof![
            Just("a"), Just("ż"), Just("🐢"), Just(r"\n"), Just(r"\\"), Just(r#"\""#), Just(r"\u0001"), Just(r"\ud83d\ude00"),
        ], 20..120), budget in 40usize..200) {
            let body = pieces.concat();
            let encoded = encoded_len(&body) - 2;
            prop_assume!(encoded > budget);
            let cut = middle(&body, Form::Json, budget).unwrap();
            let mut short = String::new();
            push_around(&mut short, &body, &cut);
            prop_assert!(encoded_len(&short) - 2 <= budget);
            prop_assert!(serde_json::from_str::<String>(&format!("\"{short}\"")).is_ok(), "{}", short);
            prop_assert!(encoded_len(&short) - 2 + 20 >= budget, "wasteful: {}", short);
        }
    }
}
