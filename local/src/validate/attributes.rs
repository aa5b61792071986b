//! A span's attributes: the marks that each span bears, and the JSON texts under `fallom.raw.*`.

use fallom_trace::wire::fallom::{Kind, SDK_VERSION, WireSpan};
use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::fields::kind_of;

const RAW: &str = "fallom.raw.";
/// `spans.md`: what a usage may hold.
const USAGE: &[&str] = &[
    "inputTokens",
    "outputTokens",
    "totalTokens",
    "reasoningTokens",
    "cachedInputTokens",
    "cacheCreationInputTokens",
];
/// `spans.md`: what an agent's metadata may hold, "nothing else".
const METADATA: &[&str] =
    &["finishReason", "responseId", "modelId", "modelProvider", "stepCount", "toolCallCount", "warningCount"];

pub fn check(span: &WireSpan) -> Result<(), String> {
    check_marks(&span.attributes)?;
    for (name, value) in span.attributes.iter().filter(|(name, _)| name.starts_with(RAW)) {
        let Value::String(text) = value else {
            return Err(format!("attributes.{name}: JSON text expected, {} found", kind_of(value)));
        };
        serde_json::from_str::<IgnoredAny>(text)
            .map_err(|error| format!("attributes.{name}: not valid JSON: {error}"))?;
        check_raw(span.kind, name.trim_start_matches(RAW), text)
            .map_err(|error| format!("attributes.{name}: {error}"))?;
    }
    Ok(())
}

/// `wire.md`: always `fallom.sdk_version`; `fallom.method` but for manual spans.
fn check_marks(attributes: &Map<String, Value>) -> Result<(), String> {
    let text = |name: &str| attributes.get(name).map(|value| value.as_str().unwrap_or_default());
    if text("fallom.sdk_version") != Some(SDK_VERSION) {
        return Err(format!("attributes.fallom.sdk_version: the string \"{SDK_VERSION}\" expected"));
    }
    match (text("fallom.span_type"), text("fallom.method")) {
        (None, None) => Err("attributes.fallom.method: missing (only manual spans have none)".to_owned()),
        (None, Some("")) => Err("attributes.fallom.method: a string that is not empty expected".to_owned()),
        (Some("manual"), Some(_)) => Err("attributes.fallom.method: a manual span has none".to_owned()),
        (Some("manual"), None) | (None, Some(_)) => Ok(()),
        (Some(_), _) => Err("attributes.fallom.span_type: \"manual\" is the only one".to_owned()),
    }
}

fn check_raw(kind: Kind, name: &str, text: &str) -> Result<(), String> {
    match name {
        "usage" if !matches!(kind, Kind::Agent | Kind::Llm) => {
            Err("only agent and llm spans have a usage: each token is sent once".to_owned())
        }
        "usage" => check_usage(kind, &object(text)?),
        "metadata" if kind == Kind::Agent => only(&object(text)?, METADATA),
        "timings" => check_timings(&object(text)?),
        _ => Ok(()),
    }
}

fn check_usage(kind: Kind, usage: &Map<String, Value>) -> Result<(), String> {
    if kind == Kind::Agent {
        only(usage, USAGE)?;
    }
    match usage.iter().find(|(name, value)| USAGE.contains(&name.as_str()) && !value.is_u64()) {
        Some((name, value)) => Err(format!("{name}: a count of tokens expected, {value} found")),
        None => Ok(()),
    }
}

/// `wire.md`: the waterfall, in ms from the request's start.
fn check_timings(timings: &Map<String, Value>) -> Result<(), String> {
    let number =
        |value: Option<&Value>| value.is_some_and(|value| value.as_f64().is_some_and(|ms| ms >= 0.0));
    let all_numbers = |object: &Value, names: &[&str], place: &str| match names
        .iter()
        .find(|name| !number(object.get(**name)))
    {
        Some(name) => Err(format!("{place}{name}: milliseconds from 0 expected")),
        None => Ok(()),
    };
    let list = |name: &str| match timings.get(name) {
        Some(Value::Array(entries)) => Ok(entries.as_slice()),
        _ => Err(format!("{name}: a list expected")),
    };
    if timings.get("requestStart").and_then(Value::as_f64) != Some(0.0) {
        return Err("requestStart: 0 expected".to_owned());
    }
    for name in ["responseEnd", "totalDurationMs"] {
        if !number(timings.get(name)) {
            return Err(format!("{name}: milliseconds from 0 expected"));
        }
    }
    if timings.contains_key("firstTokenTime") && !number(timings.get("firstTokenTime")) {
        return Err("firstTokenTime: milliseconds from 0 expected".to_owned());
    }
    for phase in list("phases")? {
        if !matches!(phase.get("type").and_then(Value::as_str), Some("llm" | "tool" | "response" | "ttft")) {
            return Err("phases[].type: llm, tool, response or ttft expected".to_owned());
        }
        let described = phase.get("label").is_some_and(Value::is_string)
            && phase.get("accurate").is_some_and(Value::is_boolean);
        if !described {
            return Err("phases[]: a label and an `accurate` expected".to_owned());
        }
        all_numbers(phase, &["startMs", "endMs", "durationMs"], "phases[].")?;
    }
    for tool in list("toolTimings")? {
        if !tool.get("name").is_some_and(Value::is_string) {
            return Err("toolTimings[].name: a string expected".to_owned());
        }
        all_numbers(tool, &["startTime", "endTime", "duration"], "toolTimings[].")?;
    }
    Ok(())
}

fn object(text: &str) -> Result<Map<String, Value>, String> {
    serde_json::from_str(text).map_err(|_| "an object expected".to_owned())
}

fn only(object: &Map<String, Value>, allowed: &[&str]) -> Result<(), String> {
    match object.keys().find(|name| !allowed.contains(&name.as_str())) {
        Some(name) => Err(format!("{name}: not one of {}", allowed.join(", "))),
        None => Ok(()),
    }
}
