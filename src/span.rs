//! A finished span as the shim hands it over: one JSON object, its content still raw text.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::wire::fallom::{Kind, PromptLink, Session, Status};

/// What the shim knows of a span when it ends. Mirrors `SpanEnvelope` of `shim/native.ts`.
#[derive(Debug, Deserialize)]
pub struct FinishedSpan<'a> {
    pub session: Session,
    pub trace_id: String,
    pub span_id: String,
    #[serde(default)]
    pub parent_span_id: Option<String>,
    pub name: String,
    pub kind: Kind,
    #[serde(default)]
    pub model: Option<String>,
    /// Whole ms since 1970.
    pub start_ms: i64,
    pub end_ms: i64,
    pub status: Status,
    #[serde(default)]
    pub error_message: Option<String>,
    #[serde(default)]
    pub time_to_first_token_ms: Option<u64>,
    #[serde(default)]
    pub is_streaming: Option<bool>,
    #[serde(default)]
    pub attributes: Map<String, Value>,
    #[serde(default, borrow)]
    pub request: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub response: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub usage: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub metadata: Option<&'a RawValue>,
    #[serde(default, borrow)]
    pub timings: Option<&'a RawValue>,
    /// The prompt that the caller named; empty if they named none of Fallom's.
    #[serde(default)]
    pub prompt: Option<PromptLink>,
    /// The instructions of the call, which may be a rendered prompt: compared in `linking`, never sent.
    #[serde(default)]
    pub link_texts: Vec<String>,
    /// The texts of its messages, likewise, where they do not stand in `request`.
    #[serde(default)]
    pub link_messages: Vec<String>,
    /// An agent runs around this one.
    #[serde(default)]
    pub inside_agent: bool,
}
