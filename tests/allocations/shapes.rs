//! Spans as the shim hands them over (`shim/envelope.ts`). No two are the same.

use fallom_trace::span::writer;
use serde_json::{Value, json};

/// The `n`th span.
pub type Shape = fn(usize) -> Vec<u8>;

/// As `bounds.json` names them.
pub const SHAPES: [(&str, Shape); 3] = [("small", small), ("20 KB", large), ("50 messages", history)];

const MESSAGES: usize = 50;
const MESSAGE_BYTES: usize = 1000;
const WORDS: [&str; 12] = [
    "order", "parcel", "courier", "depot", "refund", "invoice", "customer", "address", "delay", "status",
    "today", "tomorrow",
];

/// A manual span without content.
fn small(n: usize) -> Vec<u8> {
    let attributes = json!({ "fallom.span_type": "manual", "step": n, "cached": true, "store": "eu-west" });
    envelope(n, "custom", &attributes, &[])
}

/// An agent's run with about 20 KB of content.
fn large(n: usize) -> Vec<u8> {
    let request = json!([{ "role": "user", "content": text(n, 10_000) }]);
    let response = json!({ "text": text(n + 1, 10_000), "finishReason": "stop" });
    envelope(n, "agent", &AGENT(), &[("request", request), ("response", response)])
}

/// A turn of a conversation: what was said before, and one message more.
fn history(n: usize) -> Vec<u8> {
    let message = |at: usize| {
        let role = if at.is_multiple_of(2) { "user" } else { "assistant" };
        let seed = if at + 1 < MESSAGES { at } else { n };
        json!({ "role": role, "content": text(seed, MESSAGE_BYTES) })
    };
    let request = (0..MESSAGES).map(message).collect();
    let response = json!({ "text": text(n, MESSAGE_BYTES), "finishReason": "stop" });
    envelope(n, "agent", &AGENT(), &[("request", request), ("response", response)])
}

const AGENT: fn() -> Value = || {
    let (method, agent) = ("agent.generate", "SupportAgent");
    json!({ "fallom.method": method, "fallom.agent_name": agent, "fallom.provider": "openai" })
};

fn envelope(n: usize, kind: &str, attributes: &Value, content: &[(&str, Value)]) -> Vec<u8> {
    let mut span = json!({
        "session": { "config_key": "support-chat", "session_id": "session-1", "customer_id": "user-456" },
        "trace_id": format!("{:032x}", n + 1),
        "span_id": format!("{:016x}", n + 1),
        "name": "a span",
        "kind": kind,
        "model": "gpt-4o-mini",
        "start_ms": 1_767_225_600_000_u64,
        "end_ms": 1_767_225_601_240_u64,
        "status": "OK",
        "attributes": attributes,
    });
    for (name, value) in content {
        span[*name] = value.clone();
    }
    writer::envelope(&span)
}

/// So many bytes, of words that the seed picks: it must not be too easy to compress.
fn text(seed: usize, bytes: usize) -> String {
    let mut random = fastrand::Rng::with_seed(seed as u64);
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        text.push_str(random.choice(WORDS).unwrap());
        text.push_str(if random.u8(..12) == 0 { ".\n" } else { " " });
    }
    text.truncate(bytes);
    text
}
