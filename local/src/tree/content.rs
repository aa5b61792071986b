//! What a span's JSON texts say: the question, the answer, the tokens.

use fallom_trace::wire::fallom::WireSpan;
use serde_json::Value;

use super::terse::terse;
use super::text::count;

/// A JSON text of the span, parsed.
pub fn raw(span: &WireSpan, name: &str) -> Option<Value> {
    let text = span.attributes.get(&format!("fallom.raw.{name}"))?.as_str()?;
    serde_json::from_str(text).ok()
}

/// Tokens of one run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokens {
    pub input: u64,
    pub output: u64,
    pub cached: u64,
}

/// The tokens in `fallom.raw.usage`, if it is there. Both spellings that providers use are read.
pub fn tokens(span: &WireSpan) -> Option<Tokens> {
    let usage = raw(span, "usage")?;
    let number = |names: [&str; 2]| names.iter().find_map(|name| usage.get(name)?.as_u64());
    let (input, output) =
        (number(["inputTokens", "prompt_tokens"]), number(["outputTokens", "completion_tokens"]));
    if input.is_none() && output.is_none() {
        return None;
    }
    Some(Tokens {
        input: input.unwrap_or(0),
        output: output.unwrap_or(0),
        cached: number(["cachedInputTokens", "cached_tokens"]).unwrap_or(0),
    })
}

impl Tokens {
    /// Such as `812 → 94 tokens`.
    pub fn text(self) -> String {
        format!("{} → {} tokens", count(self.input), count(self.output))
    }

    /// Such as `512 tokens cached`, if there were any.
    pub fn cache(self) -> Option<String> {
        (self.cached > 0).then(|| format!("{} tokens cached", count(self.cached)))
    }
}

/// The last thing that the user said, in quotes.
pub fn question(span: &WireSpan) -> Option<String> {
    let request = raw(span, "request")?;
    let messages = request.get("messages").unwrap_or(&request);
    let last = match messages {
        Value::Array(messages) => {
            let by_user = |message: &&Value| message.get("role").and_then(Value::as_str) == Some("user");
            messages.iter().rev().find(by_user).or(messages.last())?
        }
        single => single,
    };
    spoken(last).map(quoted)
}

/// What the model said, or did instead of saying something.
pub fn answer(span: &WireSpan) -> Option<String> {
    let response = raw(span, "response")?;
    if let Some(text) = response.get("text").and_then(Value::as_str).filter(|text| !text.trim().is_empty()) {
        return Some(quoted(text.to_owned()));
    }
    if let Some(object) = response.get("object").filter(|object| object.is_object() || object.is_array()) {
        return Some(terse(object));
    }
    let calls = response.get("toolCalls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let names: Vec<&str> = calls.iter().filter_map(|call| call.get("toolName")?.as_str()).collect();
    if !names.is_empty() {
        return Some(format!("calls {}", names.join(", ")));
    }
    if response.get("text").is_some() { None } else { spoken(&response).map(quoted) }
}

/// What went into a tool or a function: its arguments.
pub fn input(span: &WireSpan) -> Option<String> {
    raw(span, "request").or_else(|| span.attributes.get("input").cloned()).map(|value| shown(&value))
}

/// What came out of it.
pub fn output(span: &WireSpan) -> Option<String> {
    raw(span, "response").or_else(|| span.attributes.get("output").cloned()).map(|value| shown(&value))
}

/// Why the model stopped, unless it just was done.
pub fn finish(span: &WireSpan) -> Option<String> {
    let read = |name: &str| raw(span, name)?.get("finishReason")?.as_str().map(str::to_owned);
    read("metadata").or_else(|| read("response")).filter(|reason| reason != "stop")
}

/// The words in a message, whichever way its provider nests them.
fn spoken(message: &Value) -> Option<String> {
    match message {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) => {
            let texts: Vec<String> = parts.iter().filter_map(spoken).collect();
            (!texts.is_empty()).then(|| texts.join(" "))
        }
        Value::Object(fields) => {
            ["text", "content", "parts"].iter().find_map(|name| spoken(fields.get(*name)?))
        }
        _ => None,
    }
}

/// A string that holds JSON (as `wrapTraced` puts them) is shown as that JSON; others in quotes.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(nested @ (Value::Object(_) | Value::Array(_))) => terse(&nested),
            _ => quoted(text.clone()),
        },
        other => terse(other),
    }
}

fn quoted(text: String) -> String {
    format!("“{}”", text.trim())
}
