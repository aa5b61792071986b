//! Data URLs (RFC 2397): a picture inside a message is worth a line, not its megabytes (`spans.md`, "Odd
//! values"). Only a string value that is a data URL and nothing else is replaced: prose stays.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memmem};

use super::encoded::{encoded_len, push_json_string};
use super::surrogates::{code_unit, pair_at};

/// The longest header, from `data:` to the comma, that is believed to be one. In bytes.
const MAX_HEADER: usize = 256;
/// The type of a data URL that names none (RFC 2397).
const DEFAULT_TYPE: &str = "text/plain";

/// `text`, a JSON text, with each string value that is a data URL replaced by `[data image/png, N bytes]`,
/// where N is the size of the decoded data. Keys are kept. Borrowed if there is none.
pub fn without_data_urls(text: &str) -> Cow<'_, str> {
    let bytes = text.as_bytes();
    let mut out = String::new();
    let mut copied = 0;
    for quote in memmem::find_iter(bytes, b"\"data:") {
        // A quote after a backslash is text; any other quote before a letter opens a string.
        if quote > 0 && bytes.get(quote - 1) == Some(&b'\\') {
            continue;
        }
        let Some(body) = string_at(text, quote) else { break };
        let end = quote + body.len() + 2;
        let Some((media_type, size)) = read(body).filter(|_| !is_key(bytes, end)) else {
            continue;
        };
        out.push_str(text.get(copied..quote).unwrap_or_default());
        out.extend(["\"", &short(media_type, size), "\""]);
        copied = end;
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// What stands for `text`, a string value, if it is a data URL.
pub fn data_url_in_short(text: &str) -> Option<String> {
    let body = if encoded_len(text) == text.len() + 2 {
        Cow::Borrowed(text)
    } else {
        let mut json = String::new();
        push_json_string(&mut json, text);
        Cow::Owned(json.strip_prefix('"')?.strip_suffix('"')?.to_owned())
    };
    read(&body).map(|(media_type, size)| short(media_type, size))
}

fn short(media_type: &str, size: usize) -> String {
    format!("[data {media_type}, {size} bytes]")
}

/// What stands between the quote at `quote` and the one that closes its string.
fn string_at(text: &str, quote: usize) -> Option<&str> {
    let start = quote + 1;
    let mut at = start;
    loop {
        at += memchr2(b'"', b'\\', text.as_bytes().get(at..)?)?;
        if text.as_bytes().get(at) == Some(&b'"') {
            return text.get(start..at);
        }
        at += 2;
    }
}

/// Whether the string that ends at `end` is the key of a field.
fn is_key(bytes: &[u8], end: usize) -> bool {
    bytes.iter().skip(end).find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

/// The media type and the decoded size of a data URL, or nothing if `body` is something else.
/// `body` is the inside of a JSON string, with its escapes.
fn read(body: &str) -> Option<(&str, usize)> {
    let url = body.strip_prefix("data:")?;
    let header_area = url.as_bytes().get(..MAX_HEADER.min(url.len()))?;
    let comma = memchr(b',', header_area)?;
    let (header, data) = (url.get(..comma)?, url.get(comma + 1..)?);
    let mut parts = header.split(';');
    let named = parts.next().filter(|name| !name.is_empty());
    if named.is_some_and(|name| !is_media_type(name)) || header.bytes().any(|byte| byte <= b' ') {
        return None;
    }
    let media_type = named.unwrap_or(DEFAULT_TYPE);
    if parts.next_back().is_some_and(|last| last.eq_ignore_ascii_case("base64")) {
        return Some((media_type, base64_size(data)?));
    }
    // Prose such as "data:text/plain, as we saw," is no URL: those have no blanks. Pictures, by
    // custom, may: `data:image/svg+xml,<svg width='1' …>`.
    if media_type.starts_with("text/") && data.contains(' ') {
        return None;
    }
    Some((media_type, percent_size(data)))
}

/// `type/subtype`, of the characters of RFC 6838.
fn is_media_type(name: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+*".contains(&b))
    };
    name.split_once('/').is_some_and(|(kind, subtype)| token(kind) && token(subtype))
}

/// The decoded size of base64 data, also of its URL-safe form, without padding, or broken into lines.
/// Nothing if there is anything else in it.
fn base64_size(data: &str) -> Option<usize> {
    let digits = data.trim_end_matches('=');
    if data.len() - digits.len() <= 2 && digits.bytes().all(is_base64) {
        return Some(digits.len() * 3 / 4);
    }
    let mut count = 0;
    let mut padding = 0;
    for byte in Decoded::of(data) {
        match byte {
            b'=' => padding += 1,
            b' ' | b'\n' | b'\r' | b'\t' => {}
            byte if is_base64(byte) && padding == 0 => count += 1,
            _ => return None,
        }
    }
    (padding <= 2).then_some(count * 3 / 4)
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() | matches!(byte, b'+' | b'/' | b'-' | b'_')
}

/// The decoded size of percent-encoded data.
fn percent_size(data: &str) -> usize {
    Decoded::of(data).count()
}

/// The bytes that `data`, the inside of a JSON string, stands for once its JSON escapes and then its percent
/// escapes are undone. The bytes of a character beyond ASCII that was escaped are all given as 0x80.
struct Decoded<'a> {
    data: &'a [u8],
    at: usize,
    /// Bytes still to be given of an escaped character.
    pending: usize,
}

impl<'a> Decoded<'a> {
    fn of(data: &'a str) -> Self {
        Self { data: data.as_bytes(), at: 0, pending: 0 }
    }

    /// An escape such as `\u00e9`: its first byte; the others are pending.
    fn unicode_escape(&mut self) -> u8 {
        let pair = pair_at(self.data, self.at);
        let unit = code_unit(self.data, self.at).unwrap_or(0xFFFD);
        self.at += if pair { 12 } else { 6 };
        self.pending = match unit {
            _ if pair => 3,
            0..0x80 => 0,
            0x80..0x800 => 1,
            _ => 2,
        };
        u8::try_from(unit).ok().filter(u8::is_ascii).unwrap_or(0x80)
    }
}

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.pending > 0 {
            self.pending -= 1;
            return Some(0x80);
        }
        let rest = self.data.get(self.at..)?;
        let hex = |index: usize| char::from(*rest.get(index)?).to_digit(16);
        match (*rest.first()?, rest.get(1)) {
            (b'\\', Some(b'u')) => Some(self.unicode_escape()),
            (b'\\', Some(escaped)) => {
                self.at += 2;
                Some(if b"nrtbf".contains(escaped) { b'\n' } else { *escaped })
            }
            (b'%', _) if hex(1).is_some() && hex(2).is_some() => {
                self.at += 3;
                let byte = hex(1).zip(hex(2)).map(|(high, low)| high * 16 + low);
                byte.and_then(|byte| u8::try_from(byte).ok())
            }
            (byte, _) => {
                self.at += 1;
                Some(byte)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trimmed(value: &str) -> String {
        without_data_urls(&format!("[{value}]")).trim_matches(['[', ']']).to_owned()
    }

    #[test]
    fn a_picture_becomes_its_type_and_decoded_size() {
        let message = r#"[{"type":"image","image":"data:image/png;base64,iVBORw0KGgo="},{"a":1}]"#;
        let expected = r#"[{"type":"image","image":"[data image/png, 8 bytes]"},{"a":1}]"#;
        assert_eq!(without_data_urls(message), expected);
        assert_eq!(without_data_urls(r#""data:image/png;base64,AAAA""#), r#""[data image/png, 3 bytes]""#);
    }

    #[test]
    fn every_form_of_base64_is_measured() {
        for (data, size) in [("", 0), ("QQ==", 1), ("QUI=", 2), ("QUJD", 3), ("QQ", 1), ("-_-_", 3)] {
            let expected = format!("data image/gif, {size} bytes");
            assert_eq!(
                trimmed(&format!(r#""data:image/gif;base64,{data}""#)).trim_matches(['"', '[', ']']),
                expected
            );
        }
        for data in [r"QUJD\r\nQUJD", "QUJDQUJDQ%3D", r"\/\/\/\/QUJD", r"QUJD\u0051UJD"] {
            assert!(trimmed(&format!(r#""data:a/b;base64,{data}""#)).contains(", 6 bytes"), "{data}");
        }
    }

    #[test]
    fn a_percent_encoded_one_is_measured_decoded() {
        assert!(trimmed(r#""data:text/plain,hello%20world""#).contains("[data text/plain, 11 bytes"));
        assert!(trimmed(r#""data:,a%2Cb""#).contains("[data text/plain, 3 bytes"));
        assert!(
            trimmed(r#""data:;charset=utf-8,\u00e9\ud83d\ude00\n%zz""#)
                .contains("[data text/plain, 10 bytes")
        );
        assert!(
            trimmed(r#""data:image/svg+xml;utf8,<svg a=\"1\" />""#).contains("[data image/svg+xml, 13 bytes")
        );
    }

    #[test]
    fn prose_keys_and_quoted_text_stay_and_are_borrowed() {
        for text in [
            r#""data: we have, among others, this""#,
            r#""data:image/png;base64,QUJD what is in this picture?""#,
            r#""data:text/plain, as we saw, is a type""#,
            r#""data:nothing,here""#,
            r#""data:image/png""#,
            r#""data:im age/png,x""#,
            r#"{"data:image/png;base64,QUJD" : 1}"#,
            r#""he said \"data:image/png;base64,QUJD\"""#,
            r#""see data:image/png;base64,QUJD""#,
            r#""data:image/png;base64,QUJD"#,
            r#""data:image/png;base64,QUJD\"#,
        ] {
            assert!(matches!(without_data_urls(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn preparing_does_both_and_borrows_what_needs_neither() {
        let both = r#"["\ud800","data:image/png;base64,QUJD"]"#;
        assert_eq!(crate::payload::prepare(both), r#"["\ufffd","[data image/png, 3 bytes]"]"#);
        assert_eq!(crate::payload::prepare(r#"["\ud800"]"#), r#"["\ufffd"]"#);
        assert!(matches!(crate::payload::prepare(r#"["plain"]"#), Cow::Borrowed(_)));
    }
}
