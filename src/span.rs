//! A finished span as the shim hands it over: an envelope of fields (`shim/envelope.ts`), whose content becomes JSON text
//! here, off the event loop. Most spans never become a [`FinishedSpan`]: see [`straight`].

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::wire::fallom::{Kind, PromptLink, Session, Status};
use reader::Reader;

mod names;
mod reader;
pub mod straight;
#[cfg(test)]
mod tests;
/// For tests: envelopes as the shim writes them.
#[doc(hidden)]
pub mod writer;

/// What the shim knows of a span when it ends.
#[derive(Clone, Debug, PartialEq)]
pub struct FinishedSpan<'a> {
    pub session: Session,
    pub trace_id: Cow<'a, str>,
    pub span_id: Cow<'a, str>,
    pub parent_span_id: Option<Cow<'a, str>>,
    pub name: Cow<'a, str>,
    pub kind: Kind,
    pub model: Option<Cow<'a, str>>,
    /// Whole ms since 1970.
    pub start_ms: i64,
    pub end_ms: i64,
    pub status: Status,
    pub error_message: Option<Cow<'a, str>>,
    pub time_to_first_token_ms: Option<u64>,
    pub is_streaming: bool,
    /// Scalars.
    pub attributes: Map<String, Value>,
    /// JSON text, like the four that follow.
    pub usage: Option<String>,
    pub metadata: Option<String>,
    pub timings: Option<String>,
    pub request: Option<String>,
    pub response: Option<String>,
    /// In their place, of a manual span: scalars, as the user set them.
    pub input: Option<Value>,
    pub output: Option<Value>,
    /// The prompt that the caller named; empty if they named none of Fallom's.
    pub prompt: Option<PromptLink>,
    /// The instructions of the call, which may be a rendered prompt: compared in `linking`, never sent.
    pub link_texts: Vec<Cow<'a, str>>,
    /// The texts of its messages, likewise, where they do not stand in `request`.
    pub link_messages: Vec<Cow<'a, str>>,
    /// An agent runs around this one.
    pub inside_agent: bool,
}

/// The bytes are no envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The byte of its structure up to which it was one.
    pub at: usize,
}

/// The fields, by the numbers that `shim/envelope.ts` gives them.
mod field {
    pub const SESSION: u8 = 1;
    pub const TRACE_ID: u8 = 2;
    pub const SPAN_ID: u8 = 3;
    pub const PARENT_SPAN_ID: u8 = 4;
    pub const NAME: u8 = 5;
    pub const KIND: u8 = 6;
    pub const MODEL: u8 = 7;
    pub const START_MS: u8 = 8;
    pub const END_MS: u8 = 9;
    pub const STATUS: u8 = 10;
    pub const ERROR_MESSAGE: u8 = 11;
    pub const TIME_TO_FIRST_TOKEN_MS: u8 = 12;
    pub const IS_STREAMING: u8 = 13;
    pub const ATTRIBUTES: u8 = 14;
    pub const USAGE: u8 = 15;
    pub const METADATA: u8 = 16;
    pub const TIMINGS: u8 = 17;
    pub const REQUEST: u8 = 18;
    pub const RESPONSE: u8 = 19;
    pub const INPUT: u8 = 20;
    pub const OUTPUT: u8 = 21;
    pub const PROMPT: u8 = 22;
    pub const LINK_TEXTS: u8 = 23;
    pub const LINK_MESSAGES: u8 = 24;
    pub const INSIDE_AGENT: u8 = 25;
}

/// The fields as they were met.
#[derive(Default)]
struct Fields<'a> {
    session: Option<Session>,
    trace_id: Option<Cow<'a, str>>,
    span_id: Option<Cow<'a, str>>,
    parent_span_id: Option<Cow<'a, str>>,
    name: Option<Cow<'a, str>>,
    kind: Option<Kind>,
    model: Option<Cow<'a, str>>,
    start_ms: Option<i64>,
    end_ms: Option<i64>,
    status: Option<Status>,
    error_message: Option<Cow<'a, str>>,
    time_to_first_token_ms: Option<u64>,
    is_streaming: bool,
    attributes: Map<String, Value>,
    usage: Option<String>,
    metadata: Option<String>,
    timings: Option<String>,
    request: Option<String>,
    response: Option<String>,
    input: Option<Value>,
    output: Option<Value>,
    prompt: Option<PromptLink>,
    link_texts: Vec<Cow<'a, str>>,
    link_messages: Vec<Cow<'a, str>>,
    inside_agent: bool,
}

impl<'a> FinishedSpan<'a> {
    /// # Errors
    /// [`Unreadable`] if the bytes are no envelope of the shim's.
    pub fn read(envelope: &'a [u8]) -> Result<Self, Unreadable> {
        let mut reader = Reader::new(envelope)?;
        let mut fields = Fields::default();
        while let Some(field) = reader.field()? {
            fields.take(field, &mut reader)?;
        }
        let missing = reader.unreadable();
        fields.whole().ok_or(missing)
    }
}

impl<'a> Fields<'a> {
    fn take(&mut self, field: u8, reader: &mut Reader<'a>) -> Result<(), Unreadable> {
        match field {
            field::SESSION => self.session = Some(parsed(reader)?),
            field::TRACE_ID => self.trace_id = Some(reader.text()?),
            field::SPAN_ID => self.span_id = Some(reader.text()?),
            field::PARENT_SPAN_ID => self.parent_span_id = Some(reader.text()?),
            field::NAME => self.name = Some(reader.text()?),
            field::KIND => self.kind = Some(named(reader)?),
            field::MODEL => self.model = Some(reader.text()?),
            field::START_MS => self.start_ms = Some(reader.whole()?),
            field::END_MS => self.end_ms = Some(reader.whole()?),
            field::STATUS => self.status = Some(named(reader)?),
            field::ERROR_MESSAGE => self.error_message = Some(reader.text()?),
            field::TIME_TO_FIRST_TOKEN_MS => {
                self.time_to_first_token_ms = Some(reader.whole()?.unsigned_abs());
            }
            field::IS_STREAMING => self.is_streaming = reader.boolean()?,
            field::ATTRIBUTES => self.attributes = reader.scalars()?,
            field::USAGE => self.usage = Some(reader.json()?),
            field::METADATA => self.metadata = Some(reader.json()?),
            field::TIMINGS => self.timings = Some(reader.json()?),
            field::REQUEST => self.request = Some(reader.json()?),
            field::RESPONSE => self.response = Some(reader.json()?),
            field::INPUT => self.input = reader.scalar()?,
            field::OUTPUT => self.output = reader.scalar()?,
            field::PROMPT => self.prompt = Some(parsed(reader)?),
            field::LINK_TEXTS => self.link_texts = reader.texts()?,
            field::LINK_MESSAGES => self.link_messages = reader.texts()?,
            field::INSIDE_AGENT => self.inside_agent = reader.boolean()?,
            _ => return Err(reader.unreadable()),
        }
        Ok(())
    }

    /// `None` if one is missing that each span has, or it has the content of two kinds of spans.
    fn whole(self) -> Option<FinishedSpan<'a>> {
        let is_manual = self.input.is_some() || self.output.is_some();
        if is_manual && (self.request.is_some() || self.response.is_some()) {
            return None;
        }
        Some(FinishedSpan {
            session: self.session?,
            trace_id: self.trace_id?,
            span_id: self.span_id?,
            parent_span_id: self.parent_span_id,
            name: self.name?,
            kind: self.kind?,
            model: self.model,
            start_ms: self.start_ms?,
            end_ms: self.end_ms?,
            status: self.status?,
            error_message: self.error_message,
            time_to_first_token_ms: self.time_to_first_token_ms,
            is_streaming: self.is_streaming,
            attributes: self.attributes,
            usage: self.usage,
            metadata: self.metadata,
            timings: self.timings,
            request: self.request,
            response: self.response,
            input: self.input,
            output: self.output,
            prompt: self.prompt,
            link_texts: self.link_texts,
            link_messages: self.link_messages,
            inside_agent: self.inside_agent,
        })
    }
}

/// A value that was JSON text before it crossed.
fn parsed<T: DeserializeOwned>(reader: &mut Reader) -> Result<T, Unreadable> {
    let text = reader.json()?;
    serde_json::from_str(&text).map_err(|_| reader.unreadable())
}

/// One of a few names.
fn named<T: DeserializeOwned>(reader: &mut Reader) -> Result<T, Unreadable> {
    let name = reader.text()?.into_owned();
    serde_json::from_value(Value::String(name)).map_err(|_| reader.unreadable())
}
