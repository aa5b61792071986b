//! One finished span becomes the bytes that stand for it on the wire.
//!
//! In one pass, where it is as the shim writes it and needs no cut (`span::straight`); else the careful way, which also says
//! what is wrong with it. Both write the same bytes.

mod careful;

use std::borrow::Cow;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::Value;

use crate::diagnostics::{debug, debugging};
use crate::linking::Linking;
use crate::span::Unreadable;
use crate::span::straight::{Messages, Straight, Tools};
use crate::wire::Room;
use crate::wire::fallom::{Kind, PromptLink};

/// So many bytes at most become of one of an envelope: two stand for a name of 24 letters with what surrounds it, and what
/// is kept comes twice. Below this share of the limit nothing can be too long, and need not be measured.
pub(super) const WORST_GROWTH: usize = 2 * 15;
/// Room for the names of the content's attributes and for `fallom.truncated_bytes`.
const NAMES: usize = 160;

/// Room beside what an envelope takes, for what the wire names, and escapes.
const MORE: usize = 1024;

/// Where a span was written, and how many bytes it has.
#[derive(Debug, PartialEq, Eq)]
pub enum Written {
    /// In the memory that was lent for it.
    There(usize),
    /// It found no room there, or was not made in one pass.
    Apart(usize),
}

/// Why a span was not written in one pass.
pub(super) enum NotStraight {
    /// The memory is too short for it.
    Full,
    /// It must be done with care.
    Odd,
}

/// Why a span has no bytes.
#[derive(Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// Not a span of the shim's.
    Unreadable(Unreadable),
    /// More than `maxSpanBytes` even without its content.
    TooLarge,
    /// The encoder failed at it.
    Bug,
}

impl std::fmt::Display for EncodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            EncodeError::Unreadable(Unreadable { at }) => write!(f, "it is no span (byte {at})"),
            EncodeError::Bug => write!(f, "the encoder failed at it; please report this"),
            EncodeError::TooLarge => write!(f, "it is longer than maxSpanBytes even without its content"),
        }
    }
}

/// Writes spans, and links them to their prompts.
pub struct Encoder {
    linking: Arc<Linking>,
    tools: Mutex<Tools>,
}

/// What tells the prompt that a span used.
struct Used<'s> {
    kind: Kind,
    session_id: &'s str,
    named: Option<&'s PromptLink>,
    instructions: &'s [Cow<'s, str>],
    messages: &'s [Cow<'s, str>],
    inside_agent: bool,
}

impl Encoder {
    pub fn new(linking: Arc<Linking>) -> Self {
        Encoder { linking, tools: Mutex::default() }
    }

    /// The wire's JSON of an envelope (see [`crate::span::FinishedSpan`]), at most `max_span_bytes` long.
    ///
    /// # Errors
    /// See [`EncodeError`].
    pub fn encode(&self, envelope: &[u8], max_span_bytes: usize) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::new();
        let (Written::There(length) | Written::Apart(length)) =
            self.encode_into(envelope, max_span_bytes, &mut [], &mut bytes)?;
        bytes.truncate(length);
        Ok(bytes)
    }

    /// As [`Encoder::encode`], into `memory` if it can be done there, else into `apart`, which is replaced where it is too
    /// short.
    ///
    /// # Errors
    /// See [`EncodeError`].
    pub fn encode_into(
        &self,
        envelope: &[u8],
        max_span_bytes: usize,
        memory: &mut [u8],
        apart: &mut Vec<u8>,
    ) -> Result<Written, EncodeError> {
        let mut written = self.encode_straight(envelope, max_span_bytes, memory).map(Written::There);
        // Room asks for three bytes a character before it writes UTF-16: with these, a span that is full is too long.
        let most = max_span_bytes.saturating_mul(3).saturating_add(MORE);
        let mut wanted = likely_len(envelope).min(most);
        while let Err(NotStraight::Full) = written {
            if apart.len() < wanted {
                *apart = vec![0; wanted];
            }
            written = self.encode_straight(envelope, max_span_bytes, apart).map(Written::Apart);
            if apart.len() >= most {
                break;
            }
            wanted = apart.len().saturating_mul(2).min(most);
        }
        written.or_else(|_| {
            let bytes = self.encode_carefully(envelope, max_span_bytes)?;
            let len = bytes.len();
            match apart.get_mut(..len) {
                Some(place) => place.copy_from_slice(&bytes),
                None => *apart = bytes,
            }
            Ok(Written::Apart(len))
        })
    }

    /// Says how much of `memory` the span takes.
    pub(super) fn encode_straight(
        &self,
        envelope: &[u8],
        max_span_bytes: usize,
        memory: &mut [u8],
    ) -> Result<usize, NotStraight> {
        let mut tools = self.tools.lock();
        let mut room = Room::new(memory, max_span_bytes);
        let length = self.write_straight(envelope, max_span_bytes, &mut tools, &mut room);
        tools.end();
        length.ok_or(if room.is_full() { NotStraight::Full } else { NotStraight::Odd })
    }

    fn write_straight(
        &self,
        envelope: &[u8],
        max_span_bytes: usize,
        tools: &mut Tools,
        room: &mut Room,
    ) -> Option<usize> {
        let links = self.linking.any() || debugging();
        let span = tools.write(envelope, room, links)?;
        // What would tell it by its text was not gathered, where nobody had asked for a prompt when this began.
        let by_text = span.prompt.is_none() && !links;
        let link = if by_text { None } else { self.link_straight(&span) };
        span.finish(link.as_ref(), room)?;
        let length = room.at();
        let is_measured = may_be_long(envelope, max_span_bytes);
        let needed = if is_measured { length - span.names + NAMES } else { length };
        if needed.max(length) > max_span_bytes {
            return None;
        }
        explain(&span.span_id, span.prompt.is_some(), link.as_ref());
        Some(length)
    }

    fn link_straight(&self, span: &Straight) -> Option<PromptLink> {
        let used = Used {
            kind: span.kind,
            session_id: &span.session_id,
            named: span.prompt.as_ref(),
            instructions: &span.link_texts,
            messages: &span.link_messages,
            inside_agent: span.inside_agent,
        };
        self.link(&used, || span.messages())
    }

    /// Nothing where a prompt is not looked for. `request` is asked only where the rest leaves it open.
    fn link<'r>(&self, used: &Used, request: impl FnOnce() -> Messages<'r>) -> Option<PromptLink> {
        if !matches!(used.kind, Kind::Agent | Kind::Llm) {
            return None;
        }
        match used.named {
            Some(named) => Some(named.clone()),
            None => self.linking.any().then(|| self.link_by_text(used, request)),
        }
    }

    fn link_by_text<'r>(&self, used: &Used, request: impl FnOnce() -> Messages<'r>) -> PromptLink {
        let mut search = self.linking.search(used.session_id);
        search.instructions(&used.instructions.iter().map(AsRef::as_ref).collect::<Vec<_>>());
        if !search.is_decided() {
            let request = request();
            let mut texts: Vec<&str> = used.messages.iter().map(AsRef::as_ref).collect();
            texts.extend(request.texts.iter().map(AsRef::as_ref));
            collect_texts(&request.request, &mut texts);
            search.messages(&texts);
        }
        search.link(!used.inside_agent)
    }
}

/// Once a span is written: what is said of the prompt that was looked for. `is_given`: by the caller.
fn explain(span_id: &str, is_given: bool, link: Option<&PromptLink>) {
    let Some(link) = link else { return };
    debug(|| match (&link.prompt_key, link.prompt_version) {
        (Some(key), Some(version)) => {
            let how = if is_given { "was given" } else { "used" };
            format!("span {span_id} {how} prompt {key} version {version}")
        }
        _ => format!("span {span_id} used no prompt that is known"),
    });
}

/// What a span takes on the wire, most of the time. Two bytes of UTF-16 may be three there.
pub fn likely_len(envelope: &[u8]) -> usize {
    envelope.len() + envelope.len() / 2 + MORE
}

fn may_be_long(envelope: &[u8], max_span_bytes: usize) -> bool {
    envelope.len().saturating_mul(WORST_GROWTH) + NAMES > max_span_bytes
}

/// The texts of messages: a message's own, its content, and those of its parts.
fn collect_texts<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect_texts(item, texts)),
        Value::Object(fields) => {
            for name in ["content", "text", "parts"] {
                if let Some(value) = fields.get(name) {
                    collect_texts(value, texts);
                }
            }
        }
        _ => {}
    }
}
