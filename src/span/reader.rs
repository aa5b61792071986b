//! Reads what `shim/bytes.ts` writes: a structure of tagged bytes, and the long texts that it refers to, one after the
//! other. What stands there may be anything, for this never trusts it: there is an error, and no panic.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::{Map, Value};

use super::{Unreadable, names};
use crate::payload::{push_json_string, well_formed};
use crate::wire::time::iso;

/// The tags, as `shim/bytes.ts` numbers them.
pub(super) mod tag {
    pub const END: u8 = 0;
    pub const NULL: u8 = 1;
    pub const FALSE: u8 = 2;
    pub const TRUE: u8 = 3;
    pub const INT: u8 = 4;
    pub const LONG: u8 = 5;
    pub const DECIMAL: u8 = 6;
    pub const SHORT_UTF8: u8 = 7;
    pub const SHORT_UTF16: u8 = 8;
    pub const TEXT: u8 = 9;
    pub const JSON_TEXT: u8 = 10;
    pub const ARRAY: u8 = 11;
    pub const OBJECT: u8 = 12;
    pub const DATE: u8 = 13;
    /// In the place of an attribute's value: the attribute is the JSON text of the value that follows.
    pub const JSON_OF: u8 = 14;
    pub const NAME: u8 = 15;
    /// Before a value that may come again, and where it does, with its number: they are counted from 0 in a field.
    pub const KEEP: u8 = 16;
    pub const AGAIN: u8 = 17;
}
/// How a long text is written.
pub(super) const UTF8: u8 = 1;
pub(super) const UTF16: u8 = 2;

/// The shim writes no deeper (`MAX_DEPTH` in `shim/snapshot.ts`, and the field itself).
pub(super) const MAX_DEPTH: usize = 40;
/// Room for so many kept values is kept from one span to the next.
const MOST_LISTED: usize = 1024;
/// The largest whole number that a double holds for sure.
const MAX_SAFE: f64 = 9_007_199_254_740_991.0;

/// The values of a field that were kept, as ranges of what is written of it. Each comes again once at most, and none holds
/// another: else a short envelope could stand for a text without end.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    values: Vec<Option<Range<usize>>>,
    /// Within one.
    inside: bool,
}

impl Kept {
    /// The next span begins.
    pub fn end_span(&mut self) {
        self.clear();
        self.values.shrink_to(MOST_LISTED);
    }

    /// Another field begins.
    pub fn clear(&mut self) {
        self.values.clear();
        self.inside = false;
    }

    /// A value begins that is to be kept.
    pub fn begin(&mut self) -> Option<()> {
        (!std::mem::replace(&mut self.inside, true)).then_some(())
    }

    /// It stands there.
    pub fn end(&mut self, range: Range<usize>) {
        self.inside = false;
        self.values.push(Some(range));
    }

    /// Where the value of this number stands.
    pub fn again(&mut self, number: usize) -> Option<Range<usize>> {
        if self.inside { None } else { self.values.get_mut(number)?.take() }
    }
}

/// Reads one envelope, from its start to its end. A clone reads on from where it stands.
#[derive(Clone)]
pub(super) struct Reader<'a> {
    structure: &'a [u8],
    at: usize,
    /// Those that were not read yet.
    texts: &'a [u8],
    kept: Kept,
}

type Read<T> = Result<T, Unreadable>;

impl<'a> Reader<'a> {
    pub fn new(envelope: &'a [u8]) -> Read<Self> {
        let split = |bytes: &'a [u8]| {
            let (head, rest) = bytes.split_first_chunk::<4>()?;
            rest.split_at_checked(usize::try_from(u32::from_le_bytes(*head)).ok()?)
        };
        let (structure, texts) = split(envelope).ok_or(Unreadable { at: 0 })?;
        Ok(Reader { structure, at: 0, texts, kept: Kept::default() })
    }

    /// That it cannot be read from here.
    pub fn unreadable(&self) -> Unreadable {
        Unreadable { at: self.at }
    }

    /// The next field's number; nothing at the end.
    pub fn field(&mut self) -> Read<Option<u8>> {
        let field = self.byte()?;
        Ok((field != tag::END).then_some(field))
    }

    pub fn text(&mut self) -> Read<Cow<'a, str>> {
        let tag = self.byte()?;
        self.text_of(tag)
    }

    pub fn whole(&mut self) -> Read<i64> {
        match self.byte()? {
            tag::INT => Ok(i64::from(self.int()?)),
            tag::LONG => self.long(),
            _ => Err(self.unreadable()),
        }
    }

    pub fn boolean(&mut self) -> Read<bool> {
        match self.byte()? {
            tag::FALSE => Ok(false),
            tag::TRUE => Ok(true),
            _ => Err(self.unreadable()),
        }
    }

    /// An array of texts.
    pub fn texts(&mut self) -> Read<Vec<Cow<'a, str>>> {
        self.expect(tag::ARRAY)?;
        let mut texts = Vec::new();
        loop {
            match self.byte()? {
                tag::END => return Ok(texts),
                tag => texts.push(self.text_of(tag)?),
            }
        }
    }

    /// The scalars of an object, by their names.
    pub fn scalars(&mut self) -> Read<Map<String, Value>> {
        self.expect(tag::OBJECT)?;
        let mut scalars = Map::new();
        loop {
            let name = match self.byte()? {
                tag::END => return Ok(scalars),
                tag => self.text_of(tag)?,
            };
            if let Some(scalar) = self.scalar()? {
                scalars.insert(name.into_owned(), scalar);
            }
        }
    }

    /// A scalar; nothing if it is any other value.
    pub fn scalar(&mut self) -> Read<Option<Value>> {
        Ok(match self.byte()? {
            tag::FALSE => Some(Value::Bool(false)),
            tag::TRUE => Some(Value::Bool(true)),
            tag::INT => Some(self.int()?.into()),
            tag::LONG => Some(self.long()?.into()),
            tag::JSON_OF => Some(Value::String(self.json()?)),
            tag @ (tag::SHORT_UTF8 | tag::SHORT_UTF16 | tag::TEXT | tag::NAME) => {
                Some(Value::String(self.text_of(tag)?.into_owned()))
            }
            tag => {
                let mut text = String::new();
                self.kept.clear();
                self.push(tag, &mut text, 0)?;
                serde_json::from_str(&text).ok().filter(Value::is_number)
            }
        })
    }

    /// The JSON text of any value, as `JSON.stringify` would write it.
    pub fn json(&mut self) -> Read<String> {
        let mut out = String::new();
        let tag = self.byte()?;
        self.kept.clear();
        self.push(tag, &mut out, 0)?;
        Ok(out)
    }

    /// Writes the JSON text of the value whose `tag` was read.
    fn push(&mut self, tag: u8, out: &mut String, depth: usize) -> Read<()> {
        match tag {
            tag::NULL => out.push_str("null"),
            tag::FALSE => out.push_str("false"),
            tag::TRUE => out.push_str("true"),
            tag::INT => push_number(out, i64::from(self.int()?)),
            tag::LONG => push_number(out, self.long()?),
            tag::DECIMAL => out.push_str(self.decimal()?),
            tag::DATE => push_json_string(out, &iso(self.long()?)),
            tag::JSON_TEXT => out.push_str(&self.json_text()?),
            tag::ARRAY | tag::OBJECT if depth >= MAX_DEPTH => return Err(self.unreadable()),
            tag::ARRAY | tag::OBJECT => self.push_container(out, tag == tag::OBJECT, depth + 1)?,
            tag::KEEP => {
                self.kept.begin().ok_or(self.unreadable())?;
                let from = out.len();
                let tag = self.byte()?;
                self.push(tag, out, depth)?;
                self.kept.end(from..out.len());
            }
            tag::AGAIN => {
                let number = self.kept_number()?;
                let range = self.kept.again(number).ok_or(self.unreadable())?;
                out.extend_from_within(range);
            }
            _ => push_json_string(out, &self.text_of(tag)?),
        }
        Ok(())
    }

    /// The items of an array, or the members of an object, whose names stand before their values.
    fn push_container(&mut self, out: &mut String, is_object: bool, depth: usize) -> Read<()> {
        out.push(if is_object { '{' } else { '[' });
        let mut first = true;
        loop {
            let mut tag = self.byte()?;
            if tag == tag::END {
                break;
            }
            if !std::mem::replace(&mut first, false) {
                out.push(',');
            }
            if is_object {
                push_json_string(out, &self.text_of(tag)?);
                out.push(':');
                tag = self.byte()?;
            }
            self.push(tag, out, depth)?;
        }
        out.push(if is_object { '}' } else { ']' });
        Ok(())
    }

    pub fn text_of(&mut self, tag: u8) -> Read<Cow<'a, str>> {
        match tag {
            // Some Node 22 write other bytes than UTF-8 for a few characters (nodejs/node 22.7.0).
            tag::SHORT_UTF8 => Ok(String::from_utf8_lossy(self.short()?)),
            tag::SHORT_UTF16 => {
                let units = usize::from(self.byte()?);
                Ok(Cow::Owned(utf16(self.take(2 * units)?)))
            }
            tag::TEXT => self.long_text(),
            tag::NAME => Ok(Cow::Borrowed(self.name()?)),
            _ => Err(self.unreadable()),
        }
    }

    /// One of those that both sides know.
    pub fn name(&mut self) -> Read<&'static str> {
        names::name(self.byte()?).ok_or(self.unreadable())
    }

    fn short(&mut self) -> Read<&'a [u8]> {
        let length = usize::from(self.byte()?);
        self.take(length)
    }

    fn decimal(&mut self) -> Read<&'a str> {
        let text = std::str::from_utf8(self.short()?).map_err(|_| self.unreadable())?;
        let is_number = text.starts_with(|first: char| first == '-' || first.is_ascii_digit())
            && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        // What surrounds a number in JSON text is no part of it.
        if is_number && !text.ends_with(|last: char| last.is_ascii_whitespace()) {
            Ok(text)
        } else {
            Err(self.unreadable())
        }
    }

    /// What was JSON text before it crossed, once it is sure that it is.
    pub fn json_text(&mut self) -> Read<Cow<'a, str>> {
        let text = self.long_text()?;
        let text = match well_formed(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(repaired) => Cow::Owned(repaired),
        };
        serde_json::from_str::<serde::de::IgnoredAny>(&text).map_err(|_| self.unreadable())?;
        Ok(text)
    }

    /// The next of the long texts: how it is written, and its bytes.
    pub fn raw_text(&mut self) -> Option<(u8, &'a [u8])> {
        let (kind, rest) = self.texts.split_first()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (text, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        self.texts = rest;
        Some((*kind, text))
    }

    fn long_text(&mut self) -> Read<Cow<'a, str>> {
        let (kind, text) = self.raw_text().ok_or(self.unreadable())?;
        match kind {
            // What repairs looks at each byte, what only checks at many at once.
            UTF8 => Ok(str::from_utf8(text).map_or_else(|_| String::from_utf8_lossy(text), Cow::Borrowed)),
            UTF16 if text.len() % 2 == 0 => Ok(Cow::Owned(utf16(text))),
            _ => Err(self.unreadable()),
        }
    }

    /// The number of a value that was kept.
    pub fn kept_number(&mut self) -> Read<usize> {
        usize::try_from(u32::from_le_bytes(self.chunk()?)).map_err(|_| self.unreadable())
    }

    pub fn int(&mut self) -> Read<i32> {
        Ok(i32::from_le_bytes(self.chunk()?))
    }

    pub fn long(&mut self) -> Read<i64> {
        let number = f64::from_le_bytes(self.chunk()?);
        let is_whole = number.fract() == 0.0 && number.abs() <= MAX_SAFE;
        if is_whole { Ok(number as i64) } else { Err(self.unreadable()) }
    }

    fn expect(&mut self, tag: u8) -> Read<()> {
        if self.byte()? == tag { Ok(()) } else { Err(self.unreadable()) }
    }

    pub fn byte(&mut self) -> Read<u8> {
        let byte = self.structure.get(self.at).copied().ok_or(self.unreadable())?;
        self.at += 1;
        Ok(byte)
    }

    fn chunk<const N: usize>(&mut self) -> Read<[u8; N]> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| self.unreadable())
    }

    pub fn take(&mut self, length: usize) -> Read<&'a [u8]> {
        let end = self.at + length;
        let bytes = self.structure.get(self.at..end).ok_or(self.unreadable())?;
        self.at = end;
        Ok(bytes)
    }
}

fn push_number(out: &mut String, number: i64) {
    use std::fmt::Write;
    let _ = write!(out, "{number}");
}

/// Half of a surrogate pair becomes U+FFFD.
pub(super) fn utf16(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let units = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    text.extend(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)));
    text
}
