//! What a text costs on the wire, where it stands inside a JSON string.

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
    }
}
