//! Content: any value, as JSON text within a JSON string.

use std::borrow::Cow;

use super::{Text, Walk};
use crate::payload;
use crate::span::reader::{MAX_DEPTH, tag, utf16};

const DATA: &[u8] = b"data:";
const DATA_UTF16: &[u8] = b"d\0a\0t\0a\0:\0";

impl<'e> Walk<'e, '_, '_> {
    /// Writes the value of a field or an attribute, whose `tag` was read. In `content`, data URLs are replaced by what they are.
    pub(super) fn whole_value(&mut self, tag: u8, is_content: bool) -> Option<()> {
        self.kept.clear();
        self.value(tag, 0, is_content)
    }

    fn value(&mut self, tag: u8, depth: usize, is_content: bool) -> Option<()> {
        match tag {
            tag::NULL => self.room.put(b"null"),
            tag::FALSE => self.room.put(b"false"),
            tag::TRUE => self.room.put(b"true"),
            tag::INT => {
                let number = self.reader.int().ok()?;
                self.room.put_whole(number.into())
            }
            tag::LONG => {
                let number = self.reader.long().ok()?;
                self.room.put_whole(number)
            }
            tag::DECIMAL => {
                let number = self.decimal()?;
                self.room.put(number)
            }
            tag::DATE => {
                let ms = self.reader.long().ok()?;
                self.room.put(b"\\\"")?;
                self.room.put_iso(ms)?;
                self.room.put(b"\\\"")
            }
            tag::JSON_TEXT => self.odd(is_content),
            tag::ARRAY if depth < MAX_DEPTH => self.items(depth + 1, is_content),
            tag::OBJECT if depth < MAX_DEPTH => self.members(depth + 1, is_content),
            tag::KEEP => {
                self.kept.begin()?;
                let from = self.room.at();
                let tag = self.reader.byte().ok()?;
                self.value(tag, depth, is_content)?;
                self.kept.end(from..self.room.at());
                Some(())
            }
            tag::AGAIN => {
                let number = self.reader.kept_number().ok()?;
                self.room.put_again(self.kept.again(number)?)
            }
            _ => {
                let text = self.text_of(tag)?;
                if is_content && text.may_be_data_url() {
                    return self.data_url(text);
                }
                self.quoted(text)
            }
        }
    }

    fn quoted(&mut self, text: Text) -> Option<()> {
        self.room.put(b"\\\"")?;
        self.put_text::<true>(text)?;
        self.room.put(b"\\\"")
    }

    fn items(&mut self, depth: usize, is_content: bool) -> Option<()> {
        self.room.put(b"[")?;
        let mut is_first = true;
        loop {
            let tag = self.reader.byte().ok()?;
            if tag == tag::END {
                return self.room.put(b"]");
            }
            if !std::mem::replace(&mut is_first, false) {
                self.room.put(b",")?;
            }
            self.value(tag, depth, is_content)?;
        }
    }

    fn members(&mut self, depth: usize, is_content: bool) -> Option<()> {
        let mut before: &[u8] = b"{\\\"";
        loop {
            let tag = self.reader.byte().ok()?;
            if tag == tag::END {
                return self.room.put(if before.first() == Some(&b'{') { b"{}" } else { b"}" });
            }
            self.room.put(before)?;
            before = b",\\\"";
            let name = self.text_of(tag)?;
            self.put_text::<true>(name)?;
            self.room.put(b"\\\":")?;
            let tag = self.reader.byte().ok()?;
            self.value(tag, depth, is_content)?;
        }
    }

    /// What is JSON text already.
    fn odd(&mut self, is_content: bool) -> Option<()> {
        let text = self.reader.json_text().ok()?;
        let text = if is_content { payload::without_data_urls(&text) } else { Cow::Borrowed(&*text) };
        self.room.put_utf8::<false>(text.as_bytes()).map(drop)
    }

    fn data_url(&mut self, text: Text) -> Option<()> {
        let decoded = match text {
            Text::Utf8(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).ok()?),
            Text::Utf16(bytes) => Cow::Owned(utf16(bytes)),
        };
        match payload::data_url_in_short(&decoded) {
            Some(short) => self.quoted(Text::Utf8(short.as_bytes())),
            None => self.quoted(text),
        }
    }

    /// A number as JavaScript writes it.
    pub(super) fn decimal(&mut self) -> Option<&'e [u8]> {
        let length = self.reader.byte().ok()?;
        let number = self.reader.take(length.into()).ok()?;
        is_number(number).then_some(number)
    }
}

impl Text<'_> {
    fn may_be_data_url(&self) -> bool {
        match self {
            Text::Utf8(text) => text.starts_with(DATA),
            Text::Utf16(text) => text.starts_with(DATA_UTF16),
        }
    }
}

/// By the grammar of JSON.
fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut rest = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || whole > 1 && rest.first() == Some(&b'0') {
        return false;
    }
    rest = rest.get(whole..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = fraction.get(count..).unwrap_or_default();
    }
    if let Some(exponent) = rest.strip_prefix(b"e").or(rest.strip_prefix(b"E")) {
        let exponent = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::is_number;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_json_takes_for_a_number_is_one(text in "[-+0-9.eE]{0,8}") {
            prop_assert_eq!(is_number(text.as_bytes()), serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok());
        }
    }
}
