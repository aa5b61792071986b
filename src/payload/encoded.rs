//! A text inside a JSON string: what it costs, and how it is written.

use std::fmt::Write;

/// Bytes looked at in one go: few enough that a `u8` can count them, and a multiple of a vector's width.
const BLOCK: usize = 224;

/// Bytes that `text` takes as a JSON string written by serde_json, the two quotes included.
pub fn encoded_len(text: &str) -> usize {
    2 + escaped_len(text.as_bytes())
}

/// Bytes that `bytes` take inside a JSON string, without the quotes.
///
/// Branch-free per block, so that the compiler makes vector code of it: JSON text is so full of quotes that
/// jumping from one to the next would be slower.
pub(super) fn escaped_len(bytes: &[u8]) -> usize {
    let mut extra = 0;
    for block in bytes.chunks(BLOCK) {
        let (mut doubled, mut controls) = (0u8, 0u8);
        for &byte in block {
            doubled += u8::from((byte == b'"') | (byte == b'\\'));
            controls += u8::from(byte < 0x20);
        }
        extra += usize::from(doubled);
        if controls > 0 {
            extra +=
                block.iter().filter(|byte| **byte < 0x20).map(|byte| escaped_byte(*byte) - 1).sum::<usize>();
        }
    }
    bytes.len() + extra
}

/// Writes `text` as a JSON string, as serde_json and `JSON.stringify` do.
pub fn push_json_string(out: &mut String, text: &str) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut rest = text;
    while let Some(at) = first_escaped(rest.as_bytes()) {
        let (plain, special) = rest.split_at(at);
        out.push_str(plain);
        let mut chars = special.chars();
        if let Some(special) = chars.next() {
            push_escaped(out, special);
        }
        rest = chars.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

/// Where the first byte stands that must be escaped. Whole blocks without one are passed by with vector code.
fn first_escaped(bytes: &[u8]) -> Option<usize> {
    const STEP: usize = 32;
    let is_escaped = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    let mut passed = 0;
    for block in bytes.chunks(STEP) {
        if block.iter().fold(false, |any, byte| any | is_escaped(*byte)) {
            break;
        }
        passed += block.len();
    }
    let found = bytes.get(passed..)?.iter().position(|byte| is_escaped(*byte))?;
    Some(passed + found)
}

fn push_escaped(out: &mut String, special: char) {
    match special {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        control => {
            let _ = write!(out, "\\u{:04x}", u32::from(control));
        }
    }
}

/// Bytes that one byte of a text takes inside a JSON string.
pub(super) fn escaped_byte(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0C => 2,
        0..0x20 => 6,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_kind_of_escape_is_counted_as_it_is_written() {
        for text in ["", "plain", "\"q\"", "\\", "\n\t\r\u{8}\u{c}", "\0\u{1f}\u{7f}", "żółw 🐢"] {
            assert_eq!(encoded_len(text), serde_json::to_string(text).unwrap().len(), "{text:?}");
        }
        let long = "\"\\\n\u{1}a".repeat(1000);
        assert_eq!(encoded_len(&long), serde_json::to_string(&long).unwrap().len());
    }

    proptest! {
        #[test]
        fn the_length_is_that_of_serde_json(text in "(?s).{0,600}") {
            prop_assert_eq!(encoded_len(&text), serde_json::to_string(&text).unwrap().len());
        }

        #[test]
        fn a_string_is_written_as_serde_json_does(text in "(?s)(.|[\"\\\\\u{0}-\u{20}]){0,200}") {
            let mut written = String::new();
            push_json_string(&mut written, &text);
            prop_assert_eq!(written, serde_json::to_string(&text).unwrap());
        }
    }
}
