//! The careful way: a span is read into values, made to fit, and written.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{EncodeError, Encoder, NAMES, Used, explain, may_be_long};
use crate::diagnostics::{self, Event};
use crate::payload::{self, Content, Fitted};
use crate::span::FinishedSpan;
use crate::span::straight::{MOST_ERROR_BYTES, Messages};
use crate::wire::fallom::{CONTENT, Kind, MANUAL_CONTENT, PromptLink, SDK, SDK_VERSION, Status, WireSpan};
use crate::wire::time::iso;

const TRUNCATED_BYTES: &str = "fallom.truncated_bytes";

impl Encoder {
    /// As `encode`, always the careful way, by which the other one is measured.
    ///
    /// # Errors
    /// See [`EncodeError`].
    #[doc(hidden)]
    pub fn encode_carefully(&self, envelope: &[u8], max_span_bytes: usize) -> Result<Vec<u8>, EncodeError> {
        let mut span = FinishedSpan::read(envelope).map_err(EncodeError::Unreadable)?;
        let link = self.link_carefully(&span);
        explain(&span.span_id, span.prompt.is_some(), link.as_ref());
        let may_be_long = may_be_long(envelope, max_span_bytes);

        let manual = span.request.is_none() && span.response.is_none();
        let content = Texts::of(&mut span);
        let is_agent = span.kind == Kind::Agent;
        let mut wire = wire_span(span, link.unwrap_or_default());
        let (budget, cut) =
            if may_be_long { budget(&mut wire, content.len(), max_span_bytes)? } else { (usize::MAX, 0) };
        let fitted = content.fit(is_agent, budget);
        let cut = cut + fitted.truncated_bytes;
        if cut > 0 {
            let message =
                format!("{cut} bytes of a span were cut to fit into maxSpanBytes ({max_span_bytes})");
            let (kind, message) = (diagnostics::Kind::Truncated, message.into());
            diagnostics::report(Event { kind, message, count: 1, reason: None });
        }
        let bytes = written(wire, &fitted, manual, cut).ok_or(EncodeError::TooLarge)?;
        if bytes.len() > max_span_bytes { Err(EncodeError::TooLarge) } else { Ok(bytes) }
    }

    fn link_carefully(&self, span: &FinishedSpan) -> Option<PromptLink> {
        let used = Used {
            kind: span.kind,
            session_id: &span.session.session_id,
            named: span.prompt.as_ref(),
            instructions: &span.link_texts,
            messages: &span.link_messages,
            inside_agent: span.inside_agent,
        };
        let request = || span.request.as_deref().and_then(|request| serde_json::from_str(request).ok());
        self.link(&used, || Messages { request: request().unwrap_or_default(), ..Messages::default() })
    }
}

/// The span's JSON. Its content, which is nearly all of it, goes from one text into the other, behind its attributes.
fn written(mut wire: WireSpan, content: &Fitted, manual: bool, cut: u64) -> Option<Vec<u8>> {
    let names = if manual { MANUAL_CONTENT } else { CONTENT };
    let texts = || names.into_iter().zip([&content.request, &content.response]).filter_map(with_text);
    for name in texts().map(|(name, _)| name).chain((cut > 0).then_some(TRUNCATED_BYTES)) {
        wire.attributes.shift_remove(name);
    }
    let prompt = serde_json::to_string(&std::mem::take(&mut wire.prompt)).ok()?;
    let prompt = prompt.strip_prefix('{')?;
    let comma = if prompt.len() > 1 { "," } else { "" };
    let without = serde_json::to_string(&wire).ok()?;
    // The attributes stand last then, and there is always one.
    let rest = without.strip_suffix("}}")?;
    let cut = if cut > 0 { format!(",\"{TRUNCATED_BYTES}\":{cut}") } else { String::new() };
    let length: usize = texts().map(|(name, text)| name.len() + 4 + payload::encoded_len(text)).sum();
    let mut out = String::with_capacity(rest.len() + length + cut.len() + prompt.len() + 2);
    out.push_str(rest);
    for (name, text) in texts() {
        out.extend([",\"", name, "\":"]);
        payload::push_json_string(&mut out, text);
    }
    out.extend([&cut, "}", comma, prompt]);
    Some(out.into_bytes())
}

/// Bytes left for content beside the rest of the span. A rest that leaves too few for the `content` is shortened, to half
/// of the span at the least; also says by how many bytes.
fn budget(wire: &mut WireSpan, content: usize, max_span_bytes: usize) -> Result<(usize, u64), EncodeError> {
    let mut rest = length(wire);
    let mut cut = 0;
    let room = max_span_bytes.saturating_sub(content + NAMES).max(max_span_bytes / 2);
    if rest > room {
        let own: usize = own_texts(&mut wire.attributes).map(|text| payload::encoded_len(text)).sum();
        cut = shorten_attributes(&mut wire.attributes, room.saturating_sub(rest - own));
        rest = length(wire);
    }
    let budget = max_span_bytes.checked_sub(rest + NAMES).ok_or(EncodeError::TooLarge)?;
    Ok((budget, cut))
}

/// The content of a span while it is made to fit.
struct Texts {
    request: Option<String>,
    response: Option<String>,
}

impl Texts {
    fn of(span: &mut FinishedSpan) -> Self {
        let text = |text: String| match payload::without_data_urls(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(shorter) => shorter,
        };
        Texts {
            request: span.request.take().map(text).or(span.input.take().map(manual_text)),
            response: span.response.take().map(text).or(span.output.take().map(manual_text)),
        }
    }

    /// Bytes that they take on the wire.
    fn len(&self) -> usize {
        [&self.request, &self.response].into_iter().flatten().map(|text| payload::encoded_len(text)).sum()
    }

    fn fit(&self, is_agent: bool, budget: usize) -> Fitted<'_> {
        let content = Content { request: self.request.as_deref(), response: self.response.as_deref() };
        if is_agent { payload::fit_agent(content, budget) } else { payload::fit_tool(content, budget) }
    }
}

/// `input` and `output` may be JSON text that nothing has read yet.
fn manual_text(value: Value) -> String {
    match value {
        Value::String(text) => match payload::prepare(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(prepared) => prepared,
        },
        other => other.to_string(),
    }
}

fn with_text<'t>((name, text): (&'t str, &'t Option<Cow<str>>)) -> Option<(&'t str, &'t str)> {
    Some((name, text.as_deref()?))
}

/// The span without its content.
fn wire_span(span: FinishedSpan, prompt: PromptLink) -> WireSpan {
    let end_ms = span.end_ms.max(span.start_ms);
    let error_message = (span.status == Status::Error).then(|| {
        let message = span.error_message.unwrap_or(Cow::Borrowed("failed"));
        payload::fit_string(&message, MOST_ERROR_BYTES).0.into_owned()
    });
    let mut attributes = Map::new();
    attributes.insert("fallom.sdk_version".to_owned(), SDK_VERSION.into());
    attributes.insert("fallom.sdk".to_owned(), SDK.into());
    attributes.extend(span.attributes);
    for (name, raw) in [
        ("fallom.raw.usage", span.usage),
        ("fallom.raw.metadata", span.metadata),
        ("fallom.raw.timings", span.timings),
    ] {
        if let Some(raw) = raw {
            attributes.insert(name.to_owned(), raw.into());
        }
    }
    WireSpan {
        session: span.session,
        trace_id: span.trace_id.into_owned(),
        span_id: span.span_id.into_owned(),
        parent_span_id: span.parent_span_id.map(Cow::into_owned),
        name: span.name.into_owned(),
        kind: span.kind,
        model: span.model.map(Cow::into_owned),
        start_time: iso(span.start_ms),
        end_time: iso(end_ms),
        duration_ms: end_ms.abs_diff(span.start_ms),
        status: span.status,
        error_message,
        time_to_first_token_ms: span.time_to_first_token_ms,
        is_streaming: span.is_streaming.then_some(true),
        prompt,
        attributes,
    }
}

fn length(wire: &WireSpan) -> usize {
    serde_json::to_vec(wire).map_or(usize::MAX / 2, |bytes| bytes.len())
}

/// Texts among the attributes that are a user's own.
fn own_texts(attributes: &mut Map<String, Value>) -> impl Iterator<Item = &mut String> {
    attributes.iter_mut().filter(|(name, _)| !name.starts_with("fallom.")).filter_map(
        |(_, value)| match value {
            Value::String(text) => Some(text),
            _ => None,
        },
    )
}

/// A user's own texts share what room there is: the longest give first. Says how many bytes were cut.
fn shorten_attributes(attributes: &mut Map<String, Value>, budget: usize) -> u64 {
    let mut sizes: Vec<usize> = own_texts(attributes).map(|text| payload::encoded_len(text)).collect();
    let each = payload::level(&mut sizes, budget);
    let mut cut = 0;
    for text in own_texts(attributes) {
        let (shortened, bytes) = payload::fit_string(text, each);
        cut += bytes;
        *text = shortened.into_owned();
    }
    cut
}
