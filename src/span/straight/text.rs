//! Texts, as they stand in an envelope.

use super::Walk;
use crate::span::reader::{UTF8, UTF16, tag};

#[derive(Clone, Copy)]
pub enum Text<'e> {
    Utf8(&'e [u8]),
    Utf16(&'e [u8]),
}

impl<'e> Text<'e> {
    pub fn of((kind, bytes): (u8, &'e [u8])) -> Option<Self> {
        match kind {
            UTF8 => Some(Text::Utf8(bytes)),
            UTF16 if bytes.len().is_multiple_of(2) => Some(Text::Utf16(bytes)),
            _ => None,
        }
    }
}

impl<'e> Walk<'e, '_, '_> {
    pub(super) fn text(&mut self) -> Option<Text<'e>> {
        let tag = self.reader.byte().ok()?;
        self.text_of(tag)
    }

    pub(super) fn text_of(&mut self, tag: u8) -> Option<Text<'e>> {
        match tag {
            tag::SHORT_UTF8 => {
                let length = self.reader.byte().ok()?;
                Some(Text::Utf8(self.reader.take(length.into()).ok()?))
            }
            tag::SHORT_UTF16 => {
                let units = usize::from(self.reader.byte().ok()?);
                Some(Text::Utf16(self.reader.take(2 * units).ok()?))
            }
            tag::TEXT => Text::of(self.reader.raw_text()?),
            tag::NAME => Some(Text::Utf8(self.reader.name().ok()?.as_bytes())),
            _ => None,
        }
    }

    #[inline]
    pub(super) fn put_text<const IS_TWICE: bool>(&mut self, text: Text) -> Option<()> {
        match text {
            Text::Utf8(bytes) => {
                if self.room.put_utf8::<IS_TWICE>(bytes)? {
                    std::str::from_utf8(bytes).ok()?;
                }
                Some(())
            }
            Text::Utf16(bytes) => self.room.put_utf16::<IS_TWICE>(bytes),
        }
    }
}
