//! A span as Fallom reads it: one JSON object (`wire.md`, "Sending spans").
//!
//! The tracer writes these types and the local server reads them, so the two cannot drift apart.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The version of the span format, sent as `fallom.sdk_version`.
pub const SDK_VERSION: &str = "2";
/// Who wrote the span, sent as `fallom.sdk`.
pub const SDK: &str = concat!("@fallom/trace-rs/", env!("CARGO_PKG_VERSION"));
/// The attributes of a span's content, which is JSON text: request and response,
pub const CONTENT: [&str; 2] = ["fallom.raw.request", "fallom.raw.response"];
/// or, in a manual span, what the user set as such (`spans.md`, "Manual spans").
pub const MANUAL_CONTENT: [&str; 2] = ["input", "output"];

/// What kind of work a span stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Agent,
    Llm,
    Tool,
    Retrieval,
    Preprocessing,
    Postprocessing,
    Custom,
}

/// How the work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    Ok,
    Error,
}

/// The session that a span belongs to, as the user opened it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Session {
    pub config_key: String,
    pub session_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<String>,
    /// String, number and boolean values only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
}

/// The prompt that a span used, and the A/B test that chose it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptLink {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_version: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_ab_test_key: Option<String>,
    /// Counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt_variant_index: Option<u32>,
}

/// One finished span on the wire. Absent fields are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WireSpan {
    #[serde(flatten)]
    pub session: Session,
    /// 32 lowercase hex digits.
    pub trace_id: String,
    /// 16 lowercase hex digits.
    pub span_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<String>,
    pub name: String,
    pub kind: Kind,
    /// The model that answered, else the one asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// ISO-8601 in UTC with milliseconds and `Z`.
    pub start_time: String,
    pub end_time: String,
    pub duration_ms: u64,
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_to_first_token_ms: Option<u64>,
    /// `true`, or left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_streaming: Option<bool>,
    #[serde(flatten)]
    pub prompt: PromptLink,
    /// Scalars, and JSON text under `fallom.raw.*`.
    pub attributes: Map<String, Value>,
}
