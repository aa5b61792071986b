//! The bytes of a server's answer become JSON entries, as leniently as JavaScript reads them and then some.
//!
//! The outer shape must be right; each entry is parsed for itself, so that one which cannot be read spoils no
//! other. Errors name the kind of what came, never its content.

use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// Of UTF-8; `response.json()` drops one, too.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// The length of an escape such as `\ud83d`.
const UNIT_ESCAPE: usize = 6;

/// Why an answer is not what was asked for: `expected …, got …`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyError {
    expected: String,
    got: &'static str,
}

impl BodyError {
    fn new(expected: impl Into<String>, got: &'static str) -> Self {
        Self { expected: expected.into(), got }
    }
}

impl std::error::Error for BodyError {}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, got {}", self.expected, self.got)
    }
}

/// Reads each entry of the list in this field of the answer with `read`, which gets `None` where the entry is no
/// JSON that can be held (a number beyond 64-bit floats, nesting beyond 128 levels).
pub(super) fn entries<T>(
    body: &[u8],
    field: &str,
    mut read: impl FnMut(Option<Value>) -> T,
) -> Result<Vec<T>, BodyError> {
    let expected = || format!("a JSON object with a list \"{field}\"");
    let text = text(body);
    let fields: HashMap<Cow<'_, str>, &RawValue> =
        serde_json::from_str(&text).map_err(|error| BodyError::new(expected(), kind(&text, &error)))?;
    let list = fields.get(field).ok_or_else(|| BodyError::new(expected(), "an object without it"))?;
    let entries: Vec<&RawValue> = serde_json::from_str(list.get())
        .map_err(|_| BodyError::new(expected(), "an object in which it is no list"))?;
    Ok(entries.into_iter().map(|entry| read(serde_json::from_str(entry.get()).ok())).collect())
}

/// The answer as one JSON value. `expected` says what was asked for.
pub(super) fn value(body: &[u8], expected: &str) -> Result<Value, BodyError> {
    let text = text(body);
    serde_json::from_str(&text).map_err(|error| BodyError::new(expected, kind(&text, &error)))
}

/// The error for a JSON value that is not what was asked for.
pub(super) fn unexpected(expected: &str, value: &Value) -> BodyError {
    let got = match value {
        Value::Object(_) => "an object without them",
        Value::Array(_) => "an array",
        _ => "neither an object nor an array",
    };
    BodyError::new(expected, got)
}

/// What kind of text is not what was asked for.
fn kind(text: &str, error: &serde_json::Error) -> &'static str {
    let start = text.trim_start();
    let first = start.bytes().next();
    match first {
        None => "nothing",
        Some(b'<') => "HTML or XML",
        Some(_) if error.is_eof() => "JSON that was cut off",
        Some(b'[') => "an array",
        Some(b'{') => "an object that is not valid JSON",
        Some(_) => "neither an object nor an array",
    }
}

/// The text of a body: invalid UTF-8 and lone surrogates become U+FFFD.
fn text(body: &[u8]) -> Cow<'_, str> {
    match String::from_utf8_lossy(body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body)) {
        Cow::Borrowed(text) => mend_surrogates(text),
        Cow::Owned(text) => Cow::Owned(mend_surrogates(&text).into_owned()),
    }
}

/// Writes U+FFFD for each escape of half a surrogate pair, which JavaScript takes and Rust refuses. A text that
/// was cut in the middle of an emoji has one.
fn mend_surrogates(json: &str) -> Cow<'_, str> {
    let bytes = json.as_bytes();
    let mut mended = String::new();
    let (mut at, mut copied) = (0, 0);
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        let escape = at + found;
        at = match code_unit(bytes, escape) {
            Some(0xD800..=0xDBFF) if is_low_surrogate(code_unit(bytes, escape + UNIT_ESCAPE)) => {
                escape + 2 * UNIT_ESCAPE
            }
            Some(0xD800..=0xDFFF) => {
                mended.push_str(&json[copied..escape]);
                mended.push_str(r"\ufffd");
                copied = escape + UNIT_ESCAPE;
                copied
            }
            Some(_) => escape + UNIT_ESCAPE,
            // Another escape, such as `\\`: its second character begins none.
            None => escape + 2,
        };
    }
    if copied == 0 {
        return Cow::Borrowed(json);
    }
    mended.push_str(&json[copied..]);
    Cow::Owned(mended)
}

fn is_low_surrogate(unit: Option<u16>) -> bool {
    matches!(unit, Some(0xDC00..=0xDFFF))
}

/// The UTF-16 code unit whose escape `\uXXXX` stands at byte `at`.
fn code_unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + UNIT_ESCAPE)?.strip_prefix(br"\u")?;
    digits.iter().try_fold(0, |unit, &digit| {
        let digit = char::from(digit).to_digit(16)?;
        Some(unit << 4 | u16::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn read(body: &[u8]) -> Result<Vec<Option<Value>>, String> {
        entries(body, "prompts", |entry| entry).map_err(|error| error.to_string())
    }

    #[test]
    fn an_answer_of_another_shape_is_refused_without_its_content() {
        for (body, got) in [
            ("", "nothing"),
            (" \n", "nothing"),
            ("<!DOCTYPE html><p>secret", "HTML or XML"),
            ("secret", "neither an object nor an array"),
            ("null", "neither an object nor an array"),
            ("\"secret\"", "neither an object nor an array"),
            ("[]", "an array"),
            ("{}", "an object without it"),
            (r#"{"Prompts":["secret"]}"#, "an object without it"),
            (r#"{"prompts":"secret"}"#, "an object in which it is no list"),
            (r#"{"prompts":null}"#, "an object in which it is no list"),
            (r#"{"prompts":{}}"#, "an object in which it is no list"),
            (r#"{"prompts":[{"key":"secret"#, "JSON that was cut off"),
            (r#"{"prompts":[NaN]}"#, "an object that is not valid JSON"),
        ] {
            let expected = format!("expected a JSON object with a list \"prompts\", got {got}");
            assert_eq!(read(body.as_bytes()), Err(expected), "{body:?}");
        }
    }

    #[test]
    fn an_entry_that_cannot_be_held_spoils_no_other() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let body = format!(r#"{{"more":{deep},"prompts":[1,1e999,{deep},2]}}"#);
        assert_eq!(read(body.as_bytes()), Ok(vec![Some(json!(1)), None, None, Some(json!(2))]));
    }

    #[test]
    fn bytes_are_read_as_a_browser_reads_them() {
        assert_eq!(read(b"\xEF\xBB\xBF{\"prompts\":[\"a\xFFb\"]}"), Ok(vec![Some(json!("a\u{FFFD}b"))]));
    }

    #[test]
    fn a_list_given_twice_is_the_last() {
        assert_eq!(read(br#"{"prompts":[1],"prompts":[2]}"#), Ok(vec![Some(json!(2))]));
    }

    #[test]
    fn half_an_emoji_becomes_a_replacement_character() {
        for (json, text) in [
            (r#""\ud83d""#, "\u{FFFD}"),
            (r#""a\uDE80b""#, "a\u{FFFD}b"),
            (r#""\ud83d\ud83d\ude80\ude80""#, "\u{FFFD}🚀\u{FFFD}"),
            (r#""\ud83d\n""#, "\u{FFFD}\n"),
            (r#""\ud83dé""#, "\u{FFFD}é"),
            (r#""\\ud83d""#, r"\ud83d"),
            (r#""\\\ud83d""#, "\\\u{FFFD}"),
            (r#""\ud83d\ude80\u00e9""#, "🚀é"),
        ] {
            assert_eq!(value(json.as_bytes(), "a text"), Ok(json!(text)), "{json}");
        }
    }

    proptest! {
        #[test]
        fn every_text_of_code_units_is_read_as_javascript_would_encode_it(
            units in prop::collection::vec(prop_oneof![0xD7F0..=0xE00F_u16, 0x20..0x80_u16, any::<u16>()], 0..20),
        ) {
            let escaped: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            let text = String::from_utf16_lossy(&units);
            prop_assert_eq!(value(format!("\"{escaped}\"").as_bytes(), "a text"), Ok(json!(text)));
        }

        #[test]
        fn no_body_brings_it_down(body in any::<Vec<u8>>(), text in r#"[{}\[\]"\\ud8c0:,é]*"#) {
            let _ = read(&body);
            let _ = read(text.as_bytes());
        }
    }
}
