//! Whether a JSON object is a span as Fallom reads it. The rules are `wire.md`'s table, and `spans.md`
//! where it decides the details; each refusal says what is wrong and with which field.

mod attributes;
pub mod fields;
pub mod time;

use fallom_trace::wire::fallom::{Status, WireSpan};
use serde_json::{Map, Value};

use self::fields::{Field, Shape};

/// `spans.md`: an error message is 4 KiB at most.
const MAX_ERROR_BYTES: usize = 4096;

/// `wire.md`, "Sending spans".
const FIELDS: &[Field] = &[
    Field::required("config_key", Shape::NonEmpty),
    Field::required("session_id", Shape::NonEmpty),
    Field::required("trace_id", Shape::Hex(32)),
    Field::required("span_id", Shape::Hex(16)),
    Field::optional("parent_span_id", Shape::Hex(16)),
    Field::required("name", Shape::NonEmpty),
    Field::required("kind", Shape::OneOf(KINDS)),
    Field::optional("model", Shape::NonEmpty),
    Field::required("start_time", Shape::Time),
    Field::required("end_time", Shape::Time),
    Field::required("duration_ms", Shape::Natural),
    Field::required("status", Shape::OneOf(&["OK", "ERROR"])),
    Field::optional("error_message", Shape::Text),
    Field::optional("time_to_first_token_ms", Shape::Natural),
    Field::optional("is_streaming", Shape::True),
    Field::optional("customer_id", Shape::Text),
    Field::optional("metadata", Shape::Scalars),
    Field::optional("tags", Shape::Texts),
    Field::required("attributes", Shape::Scalars),
    Field::optional("prompt_key", Shape::NonEmpty),
    Field::optional("prompt_version", Shape::Integer),
    Field::optional("prompt_ab_test_key", Shape::NonEmpty),
    Field::optional("prompt_variant_index", Shape::Natural),
];

const KINDS: &[&str] = &["agent", "llm", "tool", "retrieval", "preprocessing", "postprocessing", "custom"];

/// The span in a JSON text, or what is wrong with it.
pub fn span(json: &str) -> Result<WireSpan, String> {
    let value: Value = serde_json::from_str(json).map_err(|error| format!("not one JSON value: {error}"))?;
    let Value::Object(object) = value else {
        return Err(format!("a span is a JSON object, not {}", fields::kind_of(&value)));
    };
    fields::check(&object, FIELDS)?;
    // Reads the text, not the value: the text may hold a field twice.
    let span: WireSpan = serde_json::from_str(json).map_err(|error| error.to_string())?;
    check_times(&span)?;
    check_status(&span)?;
    check_stream(&span)?;
    check_prompt(&object)?;
    if span.parent_span_id.as_ref() == Some(&span.span_id) {
        return Err("parent_span_id: a span cannot be its own parent".to_owned());
    }
    attributes::check(&span)?;
    Ok(span)
}

fn check_times(span: &WireSpan) -> Result<(), String> {
    let (Some(start), Some(end)) = (time::millis(&span.start_time), time::millis(&span.end_time)) else {
        return Err("start_time and end_time must be times".to_owned());
    };
    let Ok(between) = u64::try_from(end - start) else {
        return Err(format!("end_time {} is before start_time {}", span.end_time, span.start_time));
    };
    if between.abs_diff(span.duration_ms) > 1 {
        return Err(format!("duration_ms is {}, but the times are {between} ms apart", span.duration_ms));
    }
    Ok(())
}

fn check_status(span: &WireSpan) -> Result<(), String> {
    match (span.status, &span.error_message) {
        (Status::Error, None) => Err("error_message: missing, although status is ERROR".to_owned()),
        (Status::Ok, Some(_)) => Err("error_message: present, although status is OK".to_owned()),
        (Status::Error, Some(message)) if message.len() > MAX_ERROR_BYTES => {
            Err(format!("error_message: {} bytes, {MAX_ERROR_BYTES} at most", message.len()))
        }
        _ => Ok(()),
    }
}

fn check_stream(span: &WireSpan) -> Result<(), String> {
    match (span.time_to_first_token_ms, span.is_streaming) {
        (Some(_), None) => Err("time_to_first_token_ms: only with is_streaming".to_owned()),
        (Some(first), _) if first > span.duration_ms.saturating_add(1) => {
            Err(format!("time_to_first_token_ms: {first} is after the end, {} ms", span.duration_ms))
        }
        _ => Ok(()),
    }
}

/// A version belongs to a key, a variant to a test, and a test to the prompt that it chose.
fn check_prompt(object: &Map<String, Value>) -> Result<(), String> {
    let pairs = [
        ("prompt_key", "prompt_version"),
        ("prompt_version", "prompt_key"),
        ("prompt_ab_test_key", "prompt_variant_index"),
        ("prompt_variant_index", "prompt_ab_test_key"),
        ("prompt_ab_test_key", "prompt_key"),
    ];
    match pairs.iter().find(|(one, other)| object.contains_key(*one) && !object.contains_key(*other)) {
        Some((one, other)) => Err(format!("{one}: only with {other}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
