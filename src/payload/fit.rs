//! The size limit of a span's content (`options.md`, `maxSpanBytes`; `spans.md`, "A cut").

use std::borrow::Cow;

use super::agent::conversation;
use super::encoded::encoded_len;
use super::marker::LEAST;
use super::outline::Outline;
use super::share::level;
use super::trim::Trim;

/// Below this budget, in encoded bytes, a conversation that does not fit is left out whole: there would be room
/// for little but markers.
pub const MIN_BUDGET: usize = 512;
/// Below this budget, a single value that does not fit is left out: a marker, with the quotes of its text.
const MIN_VALUE: usize = LEAST + 2;

/// The content of one span, as JSON texts. Absent with content capture off.
#[derive(Clone, Copy, Debug, Default)]
pub struct Content<'a> {
    /// The messages of an agent's call, or the arguments of a tool's.
    pub request: Option<&'a str>,
    /// The agent's answer, or the tool's result.
    pub response: Option<&'a str>,
}

impl Content<'_> {
    /// Bytes that the content takes on the wire, quotes included.
    pub fn encoded_len(&self) -> usize {
        self.request.map_or(0, encoded_len) + self.response.map_or(0, encoded_len)
    }
}

/// Content that fits its budget.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fitted<'a> {
    /// Borrowed if nothing was cut; nothing if there was none, or no room for any of it.
    pub request: Option<Cow<'a, str>>,
    pub response: Option<Cow<'a, str>>,
    /// For `fallom.truncated_bytes`: the bytes of JSON text that are not there any more. 0 if nothing was cut.
    pub truncated_bytes: u64,
}

impl<'a> From<Content<'a>> for Fitted<'a> {
    fn from(content: Content<'a>) -> Self {
        let (request, response) = (content.request.map(Cow::Borrowed), content.response.map(Cow::Borrowed));
        Self { request, response, truncated_bytes: 0 }
    }
}

/// The content of an agent's span within `budget` encoded bytes: the newest messages and the answer before
/// the tool calls, those before the steps, and these before the oldest messages (see `agent`).
pub fn fit_agent(content: Content, budget: usize) -> Fitted {
    if content.encoded_len() <= budget {
        return content.into();
    }
    let texts = [content.request, content.response];
    let quotes = 2 * texts.iter().flatten().count();
    let [request, response] = match budget {
        MIN_BUDGET.. => {
            let outlines = texts.map(|text| text.and_then(Outline::of));
            let [request, response] = &outlines;
            conversation(request.as_ref(), response.as_ref(), budget - quotes)
        }
        _ => [None, None],
    };
    let (request, removed_request) = checked(content.request, request, budget);
    let used = request.as_deref().map_or(0, encoded_len);
    let (response, removed_response) = checked(content.response, response, budget.saturating_sub(used));
    Fitted { request, response, truncated_bytes: removed_request + removed_response }
}

/// The content of a tool's span within `budget` encoded bytes: the longer of arguments and result gives first.
pub fn fit_tool(content: Content, budget: usize) -> Fitted {
    if content.encoded_len() <= budget {
        return content.into();
    }
    let texts: Vec<&str> = content.request.into_iter().chain(content.response).collect();
    let (fitted, truncated_bytes) = fit_values(&texts, budget);
    let mut fitted = fitted.into_iter();
    let request = content.request.and_then(|_| fitted.next().flatten());
    let response = content.response.and_then(|_| fitted.next().flatten());
    Fitted { request, response, truncated_bytes }
}

/// Any JSON texts within `budget` encoded bytes together, for instance a manual span's `input`, `output` and
/// attributes. The longest give first; where there is no room for all, the last are left out. Also, how many
/// bytes of JSON text were cut.
pub fn fit_values<'a>(texts: &[&'a str], budget: usize) -> (Vec<Option<Cow<'a, str>>>, u64) {
    let sizes: Vec<usize> = texts.iter().map(|text| encoded_len(text)).collect();
    let mut left = budget;
    let mut hold = |size: &usize| {
        let rest = left.checked_sub(MIN_VALUE.min(*size));
        left = rest.unwrap_or(left);
        rest.is_some()
    };
    let held: Vec<bool> = sizes.iter().map(&mut hold).collect();
    let mut claims: Vec<usize> =
        sizes.iter().zip(&held).filter(|(_, held)| **held).map(|(size, _)| *size).collect();
    let level = level(&mut claims, budget);
    let mut removed = 0;
    let mut fit = |(text, held): (&&'a str, &bool)| {
        let (fitted, cut) = fit_value(text, if *held { level } else { 0 });
        removed += cut;
        fitted
    };
    let fitted = texts.iter().zip(&held).map(&mut fit).collect();
    (fitted, removed)
}

/// One JSON text within `budget` encoded bytes, quotes included; nothing if there is no room for any of it.
/// Also, how many bytes of JSON text were cut.
pub fn fit_value(text: &str, budget: usize) -> (Option<Cow<'_, str>>, u64) {
    if encoded_len(text) <= budget {
        return (Some(Cow::Borrowed(text)), 0);
    }
    let outline = Some(text).filter(|_| budget >= MIN_VALUE).and_then(Outline::of);
    let cut = outline.map(|outline| {
        let mut trim = Trim::new(&outline, budget - 2);
        trim.value(0, budget - 2);
        trim.finish()
    });
    checked(Some(text), cut, budget)
}

/// What became of `text`, with the promise kept that it is not larger than `budget`.
fn checked<'a>(
    text: Option<&'a str>,
    cut: Option<(String, u64)>,
    budget: usize,
) -> (Option<Cow<'a, str>>, u64) {
    let whole = text.map_or(0, |text| text.len() as u64);
    match cut {
        Some((cut, 0)) if Some(cut.as_str()) == text => (text.map(Cow::Borrowed), 0),
        Some((cut, removed)) if encoded_len(&cut) <= budget => (Some(Cow::Owned(cut)), removed),
        _ => (None, whole),
    }
}
