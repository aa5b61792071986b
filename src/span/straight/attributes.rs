//! The attributes: scalars by their names. Of a name that is there twice, the last value stands in the first place.

use std::ops::Range;

use memchr::memmem;
use serde_json::Value;

use super::Walk;
use crate::span::reader::tag;
use crate::wire::fallom::MANUAL_CONTENT;

/// With more of them, comparing each with each is not the quickest way.
const MOST: usize = 64;
/// Attributes of ours, whose places are fixed.
const OURS: [&[u8]; 2] = [b"fallom.sdk", b"fallom.raw."];
/// What may begin half of a surrogate pair, or a data URL, in JSON text within a JSON string.
const SUSPECT: [&[u8]; 2] = [br"\\u", b"\\\"data:"];

/// Where the names and values of the attributes stand that were written.
pub type Names = Vec<Written>;

pub struct Written {
    name: Range<usize>,
    value: Range<usize>,
}

impl Walk<'_, '_, '_> {
    pub(super) fn attributes(&mut self) -> Option<()> {
        if self.reader.byte().ok()? != tag::OBJECT {
            return None;
        }
        self.names.clear();
        for met in 0.. {
            // Each that comes again may move all that stands behind it.
            if met > 2 * MOST {
                return None;
            }
            let tag = self.reader.byte().ok()?;
            if tag == tag::END {
                break;
            }
            self.attribute(tag)?;
        }
        Some(())
    }

    /// The attribute whose name has this `tag`.
    fn attribute(&mut self, tag: u8) -> Option<()> {
        let from = self.room.at();
        self.room.put(b",\"")?;
        let text = self.text_of(tag)?;
        self.put_text::<false>(text)?;
        let name = from + 2..self.room.at();
        self.room.put(b"\":")?;
        let value_from = self.room.at();
        let written = self.room.get(name.clone());
        let is_ours = written.starts_with(b"fallom.") && OURS.iter().any(|ours| written.starts_with(ours));
        if is_ours || MANUAL_CONTENT.iter().any(|content| content.as_bytes() == written) {
            return None;
        }
        if !self.scalar()? {
            self.room.rewind(from);
            return Some(());
        }
        self.note(from, Written { name, value: value_from..self.room.at() })
    }

    /// Remembers what was written `from` there on. If its name was there before, its value takes the place of that one's.
    fn note(&mut self, from: usize, new: Written) -> Option<()> {
        let bytes = self.room.get(new.name.clone());
        let is_same = |known: &Written| {
            known.name.len() == new.name.len() && self.room.get(known.name.clone()) == bytes
        };
        let Some(same) = self.names.iter().position(is_same) else {
            self.names.push(new);
            return (self.names.len() <= MOST).then_some(());
        };
        let before = self.names.get(same)?.value.clone();
        let moved = self.room.replace(before, new.value.start)?;
        self.room.rewind(from.checked_add_signed(moved)?);
        let shift = |range: &mut Range<usize>| {
            *range = range.start.checked_add_signed(moved)?..range.end.checked_add_signed(moved)?;
            Some(())
        };
        let (first, behind) = self.names.get_mut(same..)?.split_first_mut()?;
        first.value.end = first.value.end.checked_add_signed(moved)?;
        for known in behind {
            shift(&mut known.name)?;
            shift(&mut known.value)?;
        }
        Some(())
    }

    /// Writes a value; says whether it is one of those that are kept.
    fn scalar(&mut self) -> Option<bool> {
        match self.reader.byte().ok()? {
            tag::NULL => return Some(false),
            tag @ (tag::FALSE | tag::TRUE | tag::INT | tag::LONG) => self.whole_value(tag, false)?,
            tag::DECIMAL => return self.float(),
            tag::JSON_OF => {
                self.room.put(b"\"")?;
                let tag = self.reader.byte().ok()?;
                self.whole_value(tag, false)?;
                self.room.put(b"\"")?;
            }
            tag => self.text_scalar(tag)?,
        }
        Some(true)
    }

    fn text_scalar(&mut self, tag: u8) -> Option<()> {
        let text = self.text_of(tag)?;
        self.room.put(b"\"")?;
        self.put_text::<false>(text)?;
        self.room.put(b"\"")
    }

    /// As it is written once it was read, if it can be.
    fn float(&mut self) -> Option<bool> {
        let Ok(number) = serde_json::from_slice::<Value>(self.decimal()?) else { return Some(false) };
        self.room.put(number.to_string().as_bytes())?;
        Some(true)
    }

    /// `input` or `output` of a manual span: a text, whatever the user made of it.
    pub(super) fn manual<const N: usize>(&mut self, name: &[u8; N]) -> Option<()> {
        let from = self.room.at();
        self.room.put(name)?;
        let value_from = self.room.at();
        let tag = self.reader.byte().ok()?;
        match tag {
            tag::NULL => {
                self.room.rewind(from);
                return Some(());
            }
            tag::FALSE | tag::TRUE | tag::INT | tag::LONG | tag::JSON_OF => {
                let tag = if tag == tag::JSON_OF { self.reader.byte().ok()? } else { tag };
                self.room.put(b"\"")?;
                self.whole_value(tag, true)?;
                self.room.put(b"\"")?;
            }
            tag::DECIMAL => {
                self.room.put(b"\"")?;
                if !self.float()? {
                    self.room.rewind(from);
                    return Some(());
                }
                self.room.put(b"\"")?;
            }
            tag => {
                self.text_scalar(tag)?;
                let written = self.room.get(value_from..self.room.at());
                if SUSPECT.iter().any(|suspect| memmem::find(written, suspect).is_some()) {
                    return None;
                }
            }
        }
        self.span.names += name.len();
        Some(())
    }
}
