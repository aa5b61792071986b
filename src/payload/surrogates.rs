//! Lone surrogates: a JavaScript string may hold half of a pair, and `JSON.stringify` writes it as the
//! escape `\ud800`, which strict decoders, serde_json among them, refuse.

use std::borrow::Cow;

use memchr::memmem;

/// What stands for half of a pair. As long as what it replaces.
const REPLACEMENT: &str = "\\ufffd";
/// Bytes of an escape such as `\ud800`.
const ESCAPE: usize = 6;

/// `text`, a JSON text, with every escaped lone surrogate replaced by `\ufffd`. Pairs are kept.
/// Borrowed if there is none.
pub fn well_formed(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    let mut paired_until = 0;
    for at in memmem::find_iter(bytes, b"\\u") {
        if at < paired_until || is_escaped(bytes, at) {
            continue;
        }
        if pair_at(bytes, at) {
            paired_until = at + 2 * ESCAPE;
        } else if is_high(bytes, at) || is_low(bytes, at) {
            if copied == 0 {
                out.reserve_exact(text.len());
            }
            out.push_str(text.get(copied..at).unwrap_or_default());
            out.push_str(REPLACEMENT);
            copied = at + ESCAPE;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// Whether an escaped surrogate pair, of twelve bytes, begins at `at`.
pub(super) fn pair_at(bytes: &[u8], at: usize) -> bool {
    is_high(bytes, at) && is_low(bytes, at + ESCAPE)
}

/// Whether the backslash at `at` is itself escaped: an odd number of backslashes stands before it.
fn is_escaped(bytes: &[u8], at: usize) -> bool {
    bytes.iter().take(at).rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

fn is_high(bytes: &[u8], at: usize) -> bool {
    matches!(code_unit(bytes, at), Some(0xD800..=0xDBFF))
}

fn is_low(bytes: &[u8], at: usize) -> bool {
    matches!(code_unit(bytes, at), Some(0xDC00..=0xDFFF))
}

/// The UTF-16 code unit that the escape at `at` stands for, if there is one.
pub(super) fn code_unit(bytes: &[u8], at: usize) -> Option<u32> {
    let escape = bytes.get(at..at + ESCAPE)?;
    let digits = escape.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_lone_half_becomes_the_replacement_character() {
        assert_eq!(well_formed(r#""a\ud800b""#), r#""a\ufffdb""#);
        assert_eq!(well_formed(r#""\uDC00""#), r#""\ufffd""#);
        assert_eq!(well_formed(r#""\ud800\ud800\udc00\udc00""#), r#""\ufffd\ud800\udc00\ufffd""#);
        assert_eq!(well_formed(r#"{"k\udfff":1}"#), r#"{"k\ufffd":1}"#);
    }

    #[test]
    fn pairs_and_other_escapes_are_left_alone_and_borrowed() {
        for text in
            [r#""\ud83d\ude00""#, r#""\u0001\u00e9\n""#, r#""plain 🐢""#, "", "\\u", "\\ud8", "\"\\ud8é0\""]
        {
            assert!(matches!(well_formed(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn a_backslash_that_is_text_escapes_nothing() {
        assert_eq!(well_formed(r#""C:\\ud800""#), r#""C:\\ud800""#);
        assert_eq!(well_formed(r#""C:\\\ud800""#), r#""C:\\\ufffd""#);
        assert_eq!(well_formed(r#""\ud800\\udc00""#), r#""\ufffd\\udc00""#);
    }

    proptest! {
        /// Against JavaScript's own rule: decode to UTF-16, replace what is lone.
        #[test]
        fn any_string_decodes_as_javascript_would_repair_it(units in prop::collection::vec(
            prop_oneof![0x20u16..0x7f, 0xD800u16..0xE000, Just(0x5C), any::<u16>()], 0..40)) {
            let mut text = String::from("\"");
            for unit in &units {
                match *unit {
                    0x22 => text.push_str("\\\""),
                    0x5C => text.push_str("\\\\"),
                    0x20..0x7f => text.push(char::from(u8::try_from(*unit).unwrap())),
                    unit => text.push_str(&format!("\\u{unit:04x}")),
                }
            }
            text.push('"');
            let read: String = serde_json::from_str(&well_formed(&text)).unwrap();
            prop_assert_eq!(read, String::from_utf16_lossy(&units));
        }
    }
}
