//! Envelopes as `shim/bytes.ts` and `shim/envelope.ts` write them, of an object that names their fields. Tests in Rust have
//! no shim.

use serde_json::{Map, Value};

use super::reader::{UTF8, UTF16, tag};
use super::{field, names};

/// As in `shim/bytes.ts`.
const SHORT: usize = 40;

const FIELDS: [(&str, u8); 25] = [
    ("session", field::SESSION),
    ("trace_id", field::TRACE_ID),
    ("span_id", field::SPAN_ID),
    ("parent_span_id", field::PARENT_SPAN_ID),
    ("name", field::NAME),
    ("kind", field::KIND),
    ("model", field::MODEL),
    ("start_ms", field::START_MS),
    ("end_ms", field::END_MS),
    ("status", field::STATUS),
    ("error_message", field::ERROR_MESSAGE),
    ("time_to_first_token_ms", field::TIME_TO_FIRST_TOKEN_MS),
    ("is_streaming", field::IS_STREAMING),
    ("attributes", field::ATTRIBUTES),
    ("usage", field::USAGE),
    ("metadata", field::METADATA),
    ("timings", field::TIMINGS),
    ("request", field::REQUEST),
    ("response", field::RESPONSE),
    ("input", field::INPUT),
    ("output", field::OUTPUT),
    ("prompt", field::PROMPT),
    ("link_texts", field::LINK_TEXTS),
    ("link_messages", field::LINK_MESSAGES),
    ("inside_agent", field::INSIDE_AGENT),
];

/// The envelope with the fields of `span`; other names in it are left out.
pub fn envelope(span: &Value) -> Vec<u8> {
    let mut writer = Writer::default();
    for (name, number) in FIELDS {
        let Some(value) = span.get(name) else { continue };
        writer.structure.push(number);
        writer.kept = (number == field::RESPONSE).then(Vec::new);
        if matches!(number, field::SESSION | field::PROMPT) {
            writer.structure.push(tag::JSON_TEXT);
            writer.long(&value.to_string());
        } else if let (field::ATTRIBUTES, Value::Object(attributes)) = (number, value) {
            writer.attributes(attributes);
        } else if matches!(number, field::INPUT | field::OUTPUT) {
            writer.attribute(value);
        } else {
            writer.value(value);
        }
    }
    writer.structure.push(tag::END);
    let length = u32::try_from(writer.structure.len()).unwrap_or(u32::MAX);
    [&length.to_le_bytes(), writer.structure.as_slice(), writer.texts.as_slice()].concat()
}

#[derive(Default)]
struct Writer {
    structure: Vec<u8>,
    texts: Vec<u8>,
    /// In a response: items of arrays that may come again, as they are written.
    kept: Option<Vec<Option<String>>>,
    /// Within one.
    inside: bool,
}

impl Writer {
    fn attributes(&mut self, attributes: &Map<String, Value>) {
        self.structure.push(tag::OBJECT);
        for (name, value) in attributes {
            self.text(name);
            self.attribute(value);
        }
        self.structure.push(tag::END);
    }

    /// One that has structure is the JSON text of it.
    fn attribute(&mut self, value: &Value) {
        if value.is_array() || value.is_object() {
            self.structure.push(tag::JSON_OF);
        }
        self.value(value);
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::Null => self.structure.push(tag::NULL),
            Value::Bool(value) => self.structure.push(if *value { tag::TRUE } else { tag::FALSE }),
            Value::Number(number) => self.number(number),
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                self.structure.push(tag::ARRAY);
                items.iter().for_each(|item| self.item(item));
                self.structure.push(tag::END);
            }
            Value::Object(fields) => {
                self.structure.push(tag::OBJECT);
                for (name, value) in fields {
                    self.text(name);
                    self.value(value);
                }
                self.structure.push(tag::END);
            }
        }
    }

    /// As the shim does with what an answer and its steps both tell: an item that came before is written by its number.
    fn item(&mut self, item: &Value) {
        let Some(kept) = self.kept.as_mut().filter(|_| item.is_object() && !self.inside) else {
            return self.value(item);
        };
        let text = item.to_string();
        if let Some(number) = kept.iter().position(|kept| kept.as_ref() == Some(&text)) {
            kept[number] = None;
            self.structure.push(tag::AGAIN);
            self.structure.extend((number as u32).to_le_bytes());
        } else {
            kept.push(Some(text));
            self.structure.push(tag::KEEP);
            self.inside = true;
            self.value(item);
            self.inside = false;
        }
    }

    fn number(&mut self, number: &serde_json::Number) {
        if let Some(int) = number.as_i64().and_then(|number| i32::try_from(number).ok()) {
            self.structure.push(tag::INT);
            self.structure.extend(int.to_le_bytes());
        } else if let Some(whole) = number.as_i64().filter(|number| number.unsigned_abs() < 1 << 53) {
            self.structure.push(tag::LONG);
            self.structure.extend((whole as f64).to_le_bytes());
        } else {
            self.short(tag::DECIMAL, number.to_string().as_bytes());
        }
    }

    fn text(&mut self, text: &str) {
        let units = text.encode_utf16().count();
        if let Some(number) = names::number(text) {
            self.structure.extend([tag::NAME, number]);
        } else if units > SHORT {
            self.structure.push(tag::TEXT);
            self.long(text);
        } else if text.is_ascii() {
            self.short(tag::SHORT_UTF8, text.as_bytes());
        } else {
            self.structure.extend([tag::SHORT_UTF16, units as u8]);
            self.structure.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        }
    }

    fn short(&mut self, tag: u8, bytes: &[u8]) {
        self.structure.extend([tag, bytes.len() as u8]);
        self.structure.extend(bytes);
    }

    fn long(&mut self, text: &str) {
        let (kind, bytes) = if text.is_ascii() {
            (UTF8, text.as_bytes().to_vec())
        } else {
            (UTF16, text.encode_utf16().flat_map(u16::to_le_bytes).collect())
        };
        self.texts.push(kind);
        self.texts.extend((bytes.len() as u32).to_le_bytes());
        self.texts.extend(bytes);
    }
}
