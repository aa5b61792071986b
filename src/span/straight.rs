//! A span in one pass: from the bytes of its envelope straight into the text that goes on the wire, without a value made of
//! anything. It knows what the shim writes, in the order in which it does. Whatever is different, wrong or too long gets
//! `None`, and goes the careful way (`FinishedSpan` and `pipeline::encode`), which also says what is wrong. Where this
//! way gives something, it is byte for byte what that one would give.

mod attributes;
mod content;
mod finish;
mod messages;
mod sessions;
mod text;

use std::borrow::Cow;

use super::field;
use super::reader::{Kept, Reader, tag};
use crate::payload;
use crate::wire::Room;
use crate::wire::fallom::{Kind, PromptLink, SDK, SDK_VERSION};
use attributes::Names;
pub use messages::Messages;
use sessions::Sessions;
use text::Text;

/// An error's message is kept to this (`spans.md`, "Failure").
pub const MOST_ERROR_BYTES: usize = 4 * 1024;
/// Each span has these.
const NEEDED: [u8; 8] = [
    field::SESSION,
    field::TRACE_ID,
    field::SPAN_ID,
    field::NAME,
    field::KIND,
    field::START_MS,
    field::END_MS,
    field::STATUS,
];
/// Fields up to this are written in the order of their numbers.
const LAST_IN_ORDER: u8 = field::OUTPUT;
const KINDS: [(&[u8], Kind); 7] = [
    (b"agent", Kind::Agent),
    (b"llm", Kind::Llm),
    (b"tool", Kind::Tool),
    (b"retrieval", Kind::Retrieval),
    (b"preprocessing", Kind::Preprocessing),
    (b"postprocessing", Kind::Postprocessing),
    (b"custom", Kind::Custom),
];

/// What is used again for each span.
#[derive(Default)]
pub struct Tools {
    sessions: Sessions,
    names: Names,
    kept: Kept,
}

/// A span that was written but for its end, and what tells the prompt that it used.
pub struct Straight<'e> {
    pub kind: Kind,
    pub session_id: String,
    pub span_id: Cow<'e, str>,
    pub prompt: Option<PromptLink>,
    pub link_texts: Vec<Cow<'e, str>>,
    pub link_messages: Vec<Cow<'e, str>>,
    pub inside_agent: bool,
    request: Option<Reader<'e>>,
    /// Bytes of the names of the content, with what surrounds them.
    pub names: usize,
}

/// The walk through an envelope.
struct Walk<'e, 't, 'm> {
    reader: Reader<'e>,
    room: &'t mut Room<'m>,
    sessions: &'t mut Sessions,
    names: &'t mut Names,
    kept: &'t mut Kept,
    /// What is known of the span so far.
    span: Straight<'e>,
    /// A bit for each field that was met.
    met: u32,
    /// The attributes have begun.
    has_head: bool,
    start_ms: i64,
    is_error: bool,
    /// Whether texts are compared with prompts.
    links: bool,
}

impl Tools {
    /// Writes the span of an envelope, if it can be done in one pass and there is room. `links`: whether it may be asked what
    /// prompt it used. Its end is yet to come (`Straight::finish`).
    pub fn write<'e>(&mut self, envelope: &'e [u8], room: &mut Room, links: bool) -> Option<Straight<'e>> {
        let Tools { sessions, names, kept } = self;
        let reader = Reader::new(envelope).ok()?;
        let span = Straight::empty();
        let (met, has_head, start_ms, is_error) = (0, false, 0, false);
        let mut walk =
            Walk { reader, room, sessions, names, kept, span, met, has_head, start_ms, is_error, links };
        walk.whole()?;
        Some(walk.span)
    }

    /// The span is done with.
    pub fn end(&mut self) {
        self.kept.end_span();
    }
}

impl<'e> Straight<'e> {
    fn empty() -> Self {
        Straight {
            kind: Kind::Custom,
            session_id: String::new(),
            span_id: Cow::Borrowed(""),
            prompt: None,
            link_texts: Vec::new(),
            link_messages: Vec::new(),
            inside_agent: false,
            request: None,
            names: 0,
        }
    }

    /// What of the request may be a prompt.
    pub fn messages(&self) -> Messages<'e> {
        Messages::of(self.request.as_ref())
    }
}

impl<'e> Walk<'e, '_, '_> {
    fn whole(&mut self) -> Option<()> {
        let mut last = 0;
        while let Some(field) = self.reader.field().ok()? {
            let bit = 1u32.checked_shl(field.into())?;
            let in_order = field <= LAST_IN_ORDER;
            if self.met & bit != 0 || in_order && field < last {
                return None;
            }
            self.met |= bit;
            if in_order {
                last = field;
            }
            match field {
                ..field::ATTRIBUTES => self.head(field)?,
                field::ATTRIBUTES..=field::OUTPUT => {
                    self.begin_attributes()?;
                    self.body(field)?;
                }
                _ => self.other(field)?,
            }
        }
        self.begin_attributes()?;
        let has_all = NEEDED.iter().all(|field| self.has(*field));
        // An error without a message has one of ours, in its place.
        let has_message = !self.is_error || self.has(field::ERROR_MESSAGE);
        let has_any = |fields: [u8; 2]| fields.iter().any(|field| self.has(*field));
        let has_both = has_any([field::REQUEST, field::RESPONSE]) && has_any([field::INPUT, field::OUTPUT]);
        (has_all && has_message && !has_both).then_some(())
    }

    fn has(&self, field: u8) -> bool {
        self.met & 1 << field != 0
    }

    /// What stands before the attributes, in the order in which it does.
    fn head(&mut self, field: u8) -> Option<()> {
        if self.has_head {
            return None;
        }
        match field {
            field::SESSION => self.session(),
            field::TRACE_ID => self.member(b",\"trace_id\":\""),
            field::SPAN_ID => {
                if self.links {
                    self.span.span_id = self.reader.clone().text().ok()?;
                }
                self.member(b",\"span_id\":\"")
            }
            field::PARENT_SPAN_ID => self.member(b",\"parent_span_id\":\""),
            field::NAME => self.member(b",\"name\":\""),
            field::KIND => {
                let Text::Utf8(name) = self.text()? else { return None };
                self.span.kind = KINDS.iter().find(|(kind, _)| *kind == name)?.1;
                self.room.put(b",\"kind\":\"")?;
                self.room.put(name)?;
                self.room.put(b"\"")
            }
            field::MODEL => self.member(b",\"model\":\""),
            field::START_MS => {
                self.start_ms = self.reader.whole().ok()?;
                Some(())
            }
            field::END_MS => self.times(),
            field::STATUS => self.status(),
            field::ERROR_MESSAGE => self.error_message(),
            field::TIME_TO_FIRST_TOKEN_MS => {
                self.room.put(b",\"time_to_first_token_ms\":")?;
                let ms = self.reader.whole().ok()?;
                self.room.put_whole(ms.checked_abs()?)
            }
            field::IS_STREAMING => {
                let is_streaming = self.reader.boolean().ok()?;
                if is_streaming { self.room.put(b",\"is_streaming\":true") } else { Some(()) }
            }
            _ => None,
        }
    }

    /// The attributes, and content.
    fn body(&mut self, field: u8) -> Option<()> {
        match field {
            field::ATTRIBUTES => self.attributes(),
            field::USAGE => self.json_member(b",\"fallom.raw.usage\":\"", false),
            field::METADATA => self.json_member(b",\"fallom.raw.metadata\":\"", false),
            field::TIMINGS => self.json_member(b",\"fallom.raw.timings\":\"", false),
            field::REQUEST => {
                if self.links {
                    self.span.request = Some(self.reader.clone());
                }
                self.content(b",\"fallom.raw.request\":\"")
            }
            field::RESPONSE => self.content(b",\"fallom.raw.response\":\""),
            field::INPUT => self.manual(b",\"input\":"),
            field::OUTPUT => self.manual(b",\"output\":"),
            _ => None,
        }
    }

    /// What does not stand on the wire, or not as it is.
    fn other(&mut self, field: u8) -> Option<()> {
        match field {
            field::PROMPT => self.span.prompt = Some(super::parsed(&mut self.reader).ok()?),
            field::LINK_TEXTS => self.span.link_texts = self.reader.texts().ok()?,
            field::LINK_MESSAGES => self.span.link_messages = self.reader.texts().ok()?,
            field::INSIDE_AGENT => self.span.inside_agent = self.reader.boolean().ok()?,
            _ => return None,
        }
        Some(())
    }

    fn session(&mut self) -> Option<()> {
        if self.reader.byte().ok()? != tag::JSON_TEXT {
            return None;
        }
        let session = self.sessions.of(self.reader.raw_text()?)?;
        if self.links {
            self.span.session_id.push_str(&session.id);
        }
        self.room.put(&session.members)
    }

    fn times(&mut self) -> Option<()> {
        if !self.has(field::START_MS) {
            return None;
        }
        let start_ms = self.start_ms;
        let end_ms = self.reader.whole().ok()?.max(start_ms);
        self.room.put(b",\"start_time\":\"")?;
        self.room.put_iso(start_ms)?;
        self.room.put(b"\",\"end_time\":\"")?;
        self.room.put_iso(end_ms)?;
        self.room.put(b"\",\"duration_ms\":")?;
        self.room.put_whole(i64::try_from(end_ms.abs_diff(start_ms)).ok()?)
    }

    fn status(&mut self) -> Option<()> {
        match self.text()? {
            Text::Utf8(b"OK") => self.room.put(b",\"status\":\"OK\""),
            Text::Utf8(b"ERROR") => {
                self.is_error = true;
                self.room.put(b",\"status\":\"ERROR\"")
            }
            _ => None,
        }
    }

    /// Where the status stands before it.
    fn error_message(&mut self) -> Option<()> {
        let message = self.reader.text().ok()?;
        if !self.is_error {
            return Some(());
        }
        self.room.put(b",\"error_message\":\"")?;
        let (message, _) = payload::fit_string(&message, MOST_ERROR_BYTES);
        self.room.put_utf8::<false>(message.as_bytes())?;
        self.room.put(b"\"")
    }

    fn begin_attributes(&mut self) -> Option<()> {
        if !std::mem::replace(&mut self.has_head, true) {
            self.room.put(b",\"attributes\":{\"fallom.sdk_version\":\"")?;
            self.room.put(SDK_VERSION.as_bytes())?;
            self.room.put(b"\",\"fallom.sdk\":\"")?;
            self.room.put(SDK.as_bytes())?;
            self.room.put(b"\"")?;
        }
        Some(())
    }

    fn content<const N: usize>(&mut self, name: &[u8; N]) -> Option<()> {
        // The quote belongs to the text.
        self.span.names += name.len() - 1;
        self.json_member(name, true)
    }

    /// A member that is JSON text.
    fn json_member<const N: usize>(&mut self, name: &[u8; N], is_content: bool) -> Option<()> {
        self.room.put(name)?;
        let tag = self.reader.byte().ok()?;
        self.whole_value(tag, is_content)?;
        self.room.put(b"\"")
    }

    /// A member that is a text.
    fn member<const N: usize>(&mut self, name: &[u8; N]) -> Option<()> {
        self.room.put(name)?;
        let text = self.text()?;
        self.put_text::<false>(text)?;
        self.room.put(b"\"")
    }
}
