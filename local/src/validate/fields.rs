//! The fields of a JSON object, one by one: which there may be, and what they hold.

use serde_json::{Map, Value};

use super::time;

/// One field that an object may have.
#[derive(Debug)]
pub struct Field {
    pub name: &'static str,
    required: bool,
    shape: Shape,
}

/// What a field holds. `null` is nothing of these: what is absent is left out (`wire.md`).
#[derive(Debug)]
pub enum Shape {
    Text,
    NonEmpty,
    /// So many lowercase hex digits, not all zero.
    Hex(usize),
    OneOf(&'static [&'static str]),
    /// ISO-8601 in UTC with milliseconds and `Z`.
    Time,
    /// An integer from 0.
    Natural,
    Integer,
    /// `true` only.
    True,
    /// An object of strings, numbers and booleans.
    Scalars,
    /// A list of strings.
    Texts,
}

impl Field {
    pub const fn required(name: &'static str, shape: Shape) -> Self {
        Field { name, required: true, shape }
    }

    pub const fn optional(name: &'static str, shape: Shape) -> Self {
        Field { name, required: false, shape }
    }
}

/// Whether an object has these fields and no others.
pub fn check(object: &Map<String, Value>, fields: &[Field]) -> Result<(), String> {
    if let Some(unknown) = object.keys().find(|name| fields.iter().all(|field| field.name != *name)) {
        return Err(format!("{unknown}: unknown field"));
    }
    for field in fields {
        match object.get(field.name) {
            Some(value) => field.shape.check(value).map_err(|error| format!("{}{error}", field.name))?,
            None if field.required => return Err(format!("{}: missing", field.name)),
            None => {}
        }
    }
    Ok(())
}

impl Shape {
    /// What is wrong with a value, to be put right after the field's name.
    fn check(&self, value: &Value) -> Result<(), String> {
        let fits = match self {
            Shape::Text => value.is_string(),
            Shape::NonEmpty => value.as_str().is_some_and(|text| !text.is_empty()),
            Shape::Hex(digits) => value.as_str().is_some_and(|text| is_hex(text, *digits)),
            Shape::OneOf(words) => value.as_str().is_some_and(|text| words.contains(&text)),
            Shape::Time => value.as_str().is_some_and(|text| time::millis(text).is_some()),
            Shape::Natural => value.is_u64(),
            Shape::Integer => value.is_i64(),
            Shape::True => value == &Value::Bool(true),
            Shape::Scalars => return scalars(value),
            Shape::Texts => return texts(value),
        };
        if fits { Ok(()) } else { Err(format!(": {} expected, {} found", self.expected(), excerpt(value))) }
    }

    fn expected(&self) -> String {
        match self {
            Shape::Text => "a string".to_owned(),
            Shape::NonEmpty => "a string that is not empty".to_owned(),
            Shape::Hex(digits) => format!("{digits} lowercase hex digits, not all zero,"),
            Shape::OneOf(words) => format!("one of {}", words.join(", ")),
            Shape::Time => "a time such as 2026-01-01T00:00:00.000Z".to_owned(),
            Shape::Natural => "an integer from 0".to_owned(),
            Shape::Integer => "an integer".to_owned(),
            Shape::True => "true (or to be left out)".to_owned(),
            Shape::Scalars => "an object".to_owned(),
            Shape::Texts => "a list of strings".to_owned(),
        }
    }
}

fn scalars(value: &Value) -> Result<(), String> {
    let Value::Object(entries) = value else {
        return Err(format!(": an object expected, {} found", excerpt(value)));
    };
    let scalar = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    match entries.iter().find(|(_, value)| !scalar(value)) {
        Some((name, value)) => {
            Err(format!(".{name}: a string, number or boolean expected, {} found", excerpt(value)))
        }
        None => Ok(()),
    }
}

fn texts(value: &Value) -> Result<(), String> {
    let Value::Array(entries) = value else {
        return Err(format!(": a list of strings expected, {} found", excerpt(value)));
    };
    match entries.iter().position(|entry| !entry.is_string()) {
        Some(place) => Err(format!("[{place}]: a string expected, {} found", excerpt(&entries[place]))),
        None => Ok(()),
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits
        && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && text.bytes().any(|byte| byte != b'0')
}

/// The JSON type of a value, for sentences.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A short value as it stands, else its type: a refusal does not repeat what somebody said.
fn excerpt(value: &Value) -> String {
    let text = value.to_string();
    if text.len() <= 40 { text } else { kind_of(value).to_owned() }
}
