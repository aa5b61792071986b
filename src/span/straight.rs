//! A span in one pass: from the bytes of its envelope straight into the text that goes on the wire, without a value made of
//! anything. It knows what the shim writes, in the order in which it does. Whatever is different, wrong or too long gets
//! `None`, and goes the careful way (`FinishedSpan` and `pipeline::encode`), which also says what is wrong. Where this
//! way gives something, it is byte for byte what that one would give.

mod attributes;
mod content;
mod sessions;

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;

use super::field;
use super::reader::{Reader, UTF8, UTF16, tag};
use crate::payload;
use crate::wire::Room;
use crate::wire::fallom::{Kind, PromptLink, SDK, SDK_VERSION};
use attributes::Names;
use sessions::Sessions;

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
const LAST_IN_ORDER: u8 = field::TIMINGS;
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
    room: Room,
    sessions: Sessions,
    names: Names,
}

/// A span that was written, in the parts of which it consists, and what tells the prompt that it used.
pub struct Straight<'e> {
    pub kind: Kind,
    pub session_id: String,
    pub span_id: Cow<'e, str>,
    pub prompt: Option<PromptLink>,
    pub link_texts: Vec<Cow<'e, str>>,
    pub link_messages: Vec<Cow<'e, str>>,
    pub inside_agent: bool,
    request: Option<Reader<'e>>,
    /// Up to here, what stands before the prompt.
    head: usize,
    /// Up to here, the attributes, but for content.
    attributes: usize,
    /// Up to here, request and response, as attributes.
    content: usize,
    /// Up to here, the other attributes, which stand before them on the wire.
    raw: usize,
    /// `input` and `output` of a manual span, among the attributes where the user set them; on the wire they stand last.
    manual: [Option<Range<usize>>; 2],
    /// Bytes of the names of the content, with what surrounds them.
    names: usize,
}

/// The walk through an envelope.
struct Walk<'e, 't> {
    reader: Reader<'e>,
    room: &'t mut Room,
    sessions: &'t mut Sessions,
    names: &'t mut Names,
    /// What is known of the span so far.
    span: Straight<'e>,
    /// A bit for each field that was met.
    met: u32,
    start_ms: i64,
    is_error: bool,
    /// Whether texts are compared with prompts.
    links: bool,
}

/// A text as it stands in an envelope.
#[derive(Clone, Copy)]
pub(super) enum Text<'e> {
    Utf8(&'e [u8]),
    Utf16(&'e [u8]),
}

impl Tools {
    /// Writes the span of an envelope, if it can be done in one pass and takes `most` bytes at most. `links`: whether it may
    /// be asked what prompt it used.
    pub fn write<'e>(&mut self, envelope: &'e [u8], most: usize, links: bool) -> Option<Straight<'e>> {
        let Tools { room, sessions, names } = self;
        room.begin(most);
        let reader = Reader::new(envelope).ok()?;
        let span = Straight::empty();
        let (met, start_ms, is_error) = (0, 0, false);
        let mut walk = Walk { reader, room, sessions, names, span, met, start_ms, is_error, links };
        walk.whole()?;
        Some(walk.span)
    }

    /// The span's bytes, with the prompt that it used; `None` if they are too many.
    ///
    /// `fits` is asked with their number, and how many of them belong to the names of the content.
    pub fn finish(
        &mut self,
        span: &Straight,
        prompt: &PromptLink,
        fits: impl FnOnce(usize, usize) -> bool,
    ) -> Option<Vec<u8>> {
        let at = self.room.at();
        if *prompt != PromptLink::default() {
            put_prompt(&mut self.room, prompt)?;
        }
        let [before, after] = span.around_manual();
        let [first, second] = span.manual.clone().map(Option::unwrap_or_default);
        let between =
            if second.is_empty() { 0..0 } else { first.end.min(second.end)..first.start.max(second.start) };
        let between = if first.is_empty() { 0..0 } else { between };
        let parts = [
            0..span.head,
            at..self.room.at(),
            span.head..before,
            between,
            after..span.attributes,
            span.content..span.raw,
            span.attributes..span.content,
            first,
            second,
        ]
        .map(|part| self.room.get(part));
        let len = parts.iter().map(|part| part.len()).sum::<usize>() + END.len();
        if !fits(len, span.names) {
            return None;
        }
        let mut out = Vec::with_capacity(len);
        parts.iter().filter(|part| !part.is_empty()).for_each(|part| out.extend_from_slice(part));
        out.extend_from_slice(END);
        Some(out)
    }

    /// The span is done with.
    pub fn end(&mut self) {
        self.room.end();
    }
}

/// Of the attributes, and of the span.
const END: &[u8] = b"}}";

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
            head: 0,
            attributes: 0,
            content: 0,
            raw: 0,
            manual: [None, None],
            names: 0,
        }
    }

    /// The request, as a value.
    pub fn request(&self) -> Value {
        let json = self.request.clone().and_then(|mut reader| reader.json().ok());
        json.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default()
    }

    /// Where the attributes are interrupted by the first of `input` and `output`, and where they go on behind the last.
    fn around_manual(&self) -> [usize; 2] {
        let mut ranges = self.manual.iter().flatten();
        let Some(first) = ranges.next() else { return [self.attributes; 2] };
        let last = ranges.next().unwrap_or(first);
        [first.start.min(last.start), first.end.max(last.end)]
    }
}

impl<'e> Walk<'e, '_> {
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
                field::ATTRIBUTES..=field::TIMINGS => {
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
        let is_manual = self.span.content == self.span.attributes;
        // `input` beside a request is an attribute like any other.
        let has_manual = self.span.manual.iter().any(Option::is_some);
        (has_all && has_message && (is_manual || !has_manual)).then_some(())
    }

    fn has(&self, field: u8) -> bool {
        self.met & 1 << field != 0
    }

    /// What stands before the attributes, in the order in which it does.
    fn head(&mut self, field: u8) -> Option<()> {
        if self.span.head > 0 {
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
            field::REQUEST => {
                if self.links {
                    self.span.request = Some(self.reader.clone());
                }
                self.content(b",\"fallom.raw.request\":\"")
            }
            field::RESPONSE => self.content(b",\"fallom.raw.response\":\""),
            field::USAGE => self.raw(b",\"fallom.raw.usage\":\""),
            field::METADATA => self.raw(b",\"fallom.raw.metadata\":\""),
            field::TIMINGS => self.raw(b",\"fallom.raw.timings\":\""),
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
        if self.span.head == 0 {
            self.span.head = self.room.at();
            self.room.put(b",\"attributes\":{\"fallom.sdk_version\":\"")?;
            self.room.put(SDK_VERSION.as_bytes())?;
            self.room.put(b"\",\"fallom.sdk\":\"")?;
            self.room.put(SDK.as_bytes())?;
            self.room.put(b"\"")?;
            let at = self.room.at();
            (self.span.attributes, self.span.content, self.span.raw) = (at, at, at);
        }
        Some(())
    }

    fn content(&mut self, name: &[u8]) -> Option<()> {
        self.json_member(name, true)?;
        let at = self.room.at();
        (self.span.content, self.span.raw) = (at, at);
        // The quote belongs to the text.
        self.span.names += name.len() - 1;
        Some(())
    }

    fn raw(&mut self, name: &[u8]) -> Option<()> {
        self.json_member(name, false)?;
        self.span.raw = self.room.at();
        Some(())
    }

    /// A member that is JSON text.
    fn json_member(&mut self, name: &[u8], is_content: bool) -> Option<()> {
        self.room.put(name)?;
        let tag = self.reader.byte().ok()?;
        self.value(tag, 0, is_content)?;
        self.room.put(b"\"")
    }

    /// A member that is a text.
    fn member(&mut self, name: &[u8]) -> Option<()> {
        self.room.put(name)?;
        let text = self.text()?;
        self.put_text::<false>(text)?;
        self.room.put(b"\"")
    }

    fn text(&mut self) -> Option<Text<'e>> {
        let tag = self.reader.byte().ok()?;
        self.text_of(tag)
    }

    fn text_of(&mut self, tag: u8) -> Option<Text<'e>> {
        match tag {
            tag::SHORT_ASCII => {
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
    fn put_text<const IS_TWICE: bool>(&mut self, text: Text) -> Option<()> {
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

impl<'e> Text<'e> {
    fn of((kind, bytes): (u8, &'e [u8])) -> Option<Self> {
        match kind {
            UTF8 => Some(Text::Utf8(bytes)),
            UTF16 if bytes.len().is_multiple_of(2) => Some(Text::Utf16(bytes)),
            _ => None,
        }
    }
}

fn put_prompt(room: &mut Room, prompt: &PromptLink) -> Option<()> {
    let text = |room: &mut Room, name: &[u8], text: &Option<String>| {
        let Some(text) = text else { return Some(()) };
        room.put(name)?;
        room.put_utf8::<false>(text.as_bytes())?;
        room.put(b"\"")
    };
    let number = |room: &mut Room, name: &[u8], number: Option<i64>| {
        let Some(number) = number else { return Some(()) };
        room.put(name)?;
        room.put_whole(number)
    };
    text(room, b",\"prompt_key\":\"", &prompt.prompt_key)?;
    number(room, b",\"prompt_version\":", prompt.prompt_version)?;
    text(room, b",\"prompt_ab_test_key\":\"", &prompt.prompt_ab_test_key)?;
    number(room, b",\"prompt_variant_index\":", prompt.prompt_variant_index.map(i64::from))
}
