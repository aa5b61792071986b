//! The tree's text, as a person would see it.

use serde_json::{Value, json};

use super::{Style, render};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PLAIN: Style = Style { width: 100, color: false };

/// A span that starts and ends so many milliseconds after the first of January, with more fields.
fn span(
    id: u64,
    parent: Option<u64>,
    name: &str,
    kind: &str,
    (start, end): (u64, u64),
    more: Value,
) -> String {
    let time = |ms: u64| format!("2026-01-01T00:00:{:02}.{:03}Z", ms / 1000, ms % 1000);
    let mut span = json!({
        "config_key": "support-chat", "session_id": "session-abc-123", "customer_id": "user-456",
        "trace_id": TRACE, "span_id": format!("{id:016x}"), "name": name, "kind": kind,
        "start_time": time(start), "end_time": time(end), "duration_ms": end - start, "status": "OK",
        "attributes": {"fallom.sdk_version": "2", "fallom.method": "m"},
    });
    if let Some(parent) = parent {
        span["parent_span_id"] = format!("{parent:016x}").into();
    }
    for (name, value) in more.as_object().unwrap() {
        match name.strip_prefix("raw.") {
            Some(raw) => span["attributes"][format!("fallom.raw.{raw}")] = value.to_string().into(),
            None if name.starts_with("fallom.") || name == "input" || name == "output" => {
                span["attributes"][name] = value.clone();
            }
            None => span[name] = value.clone(),
        }
    }
    crate::validate::span(&span.to_string()).unwrap();
    span.to_string()
}

fn agent() -> Value {
    json!({
        "model": "gpt-4o-mini-2024-07-18", "is_streaming": true, "time_to_first_token_ms": 310,
        "prompt_key": "variant-a", "prompt_version": 1,
        "prompt_ab_test_key": "support-agent-test", "prompt_variant_index": 0,
        "raw.request": [
            {"role": "user", "content": "Hello"},
            {"role": "user", "content": [{"type": "text", "text": "Where is my order\nA-1042?"}]},
        ],
        "raw.response": {"text": "It was shipped yesterday.", "finishReason": "stop"},
        "raw.usage": {"inputTokens": 1812, "outputTokens": 94, "totalTokens": 1906, "cachedInputTokens": 512},
    })
}

fn error(message: &str) -> Value {
    json!({"status": "ERROR", "error_message": message, "raw.request": {"city": "Oslo"}})
}

#[test]
fn a_trace_is_a_tree() {
    let status = json!({"raw.request": {"orderId": "A-1042"}, "raw.response": {"status": "shipped", "carrier": "DHL"}});
    let research = json!({"model": "claude-sonnet-4", "raw.response": {"text": "", "toolCalls": [{"toolName": "search"}]}});
    // Children come before their parents.
    let spans = [
        span(2, Some(1), "tool.get_order_status", "tool", (410, 437), status),
        span(3, Some(1), "tool.get_weather", "tool", (440, 452), error("TypeError: fetch failed")),
        span(5, Some(4), "rerank", "custom", (700, 800), json!({"input": "[1,2]", "output": "done"})),
        span(4, Some(1), "agent.Research.generate", "agent", (500, 900), research),
        span(1, None, "agent.SupportAgent.stream", "agent", (0, 1240), agent()),
    ];
    let text = "\
● support-chat · session session-abc-123 · customer user-456                 2026-01-01 00:00:00 UTC
│ 5 spans · 1.24 s · 1,812 → 94 tokens · trace 0af7651916cd43dd8448eb211c80319c
│
└─ agent.SupportAgent.stream    1.24 s  ✓ agent   gpt-4o-mini-2024-07-18  1,812 → 94 tokens
   │  streamed, first token 310 ms · prompt variant-a@1 · A/B support-agent-test variant 0
   │  512 tokens cached
   │  “Where is my order A-1042?” → “It was shipped yesterday.”
   ├─ tool.get_order_status      27 ms  ✓ tool    orderId: \"A-1042\" → status: \"shipped\", carrier: \"…
   ├─ tool.get_weather           12 ms  ✗ tool    city: \"Oslo\" → TypeError: fetch failed
   └─ agent.Research.generate   400 ms  ✓ agent   claude-sonnet-4
      │  → calls search
      └─ rerank                 100 ms  ✓ custom  [1, 2] → “done”
";
    assert_eq!(render(&spans, PLAIN), text);
}

#[test]
fn what_is_missing_is_marked() {
    let spans = [
        span(3, Some(2), "tool.b", "tool", (20, 30), json!({"fallom.timing": "approximate"})),
        span(
            2,
            Some(9),
            "agent.A.generate",
            "agent",
            (10, 1010),
            json!({
                "status": "ERROR", "error_message": "Error: 429\nToo many requests", "fallom.incomplete": "exit",
                "raw.request": [{"role": "user", "content": "Hi"}], "fallom.truncated_bytes": 12345,
            }),
        ),
        // Two that claim to be each other's parent.
        span(5, Some(6), "x", "custom", (40, 50), json!({})),
        span(6, Some(5), "y", "custom", (41, 50), json!({})),
    ];
    let text = "\
● support-chat · session session-abc-123 · customer user-456                 2026-01-01 00:00:00 UTC
│ 4 spans · 1.00 s · trace 0af7651916cd43dd8448eb211c80319c
│
├┄ agent.A.generate   1.00 s  ✗ agent
│  │  incomplete (exit) · 12,345 bytes cut · its parent 0000000000000009 has not arrived
│  │  “Hi”
│  │  ✗ Error: 429 Too many requests
│  └─ tool.b          ~10 ms  ✓ tool
└┄ x                   10 ms  ✓ custom
   │  its parent 0000000000000006 is below it itself
   └─ y                 9 ms  ✓ custom
";
    assert_eq!(render(&spans, PLAIN), text);
}

#[test]
fn traces_follow_each_other_by_time() {
    let later = span(1, None, "later", "custom", (2000, 2001), json!({"config_key": "b"}));
    let first =
        span(1, None, "first", "custom", (0, 1), json!({"trace_id": "a".repeat(32), "config_key": "a"}));
    let text = render(&[later, first], PLAIN);
    let heads: Vec<_> = text.lines().filter(|line| line.starts_with('●')).map(|line| &line[..5]).collect();
    assert_eq!(heads, ["● a", "● b"]);
    assert!(text.contains("\n\n●"), "a blank line between traces");
    assert_eq!(render(&[], PLAIN), "No span has arrived yet.\n");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    let long = "long words ".repeat(50);
    let mut more = agent();
    more["model"] = "m".repeat(300).into();
    more["config_key"] = long.clone().into();
    more["session_id"] = long.clone().into();
    more["raw.request"] = json!([{"role": "user", "content": long}]);
    more["raw.response"] = json!({"text": "日本語".repeat(100)});
    let mut spans = vec![span(1, None, &long, "agent", (0, 10_000), more)];
    for id in 2..60 {
        let io = json!({"raw.request": {"argument": long}, "raw.response": [long]});
        spans.push(span(id, Some(id - 1), &"n".repeat(60), "tool", (id, id + 1), io));
    }
    for width in [0, 40, 80, 100, 200] {
        let text = render(&spans, Style { width, color: false });
        let widest = text.lines().map(super::text::width).max().unwrap();
        assert!(widest <= width.max(40), "{widest} of {width}:\n{text}");
    }
}

#[test]
fn a_long_chain_is_no_deep_recursion() {
    let spans: Vec<String> = (1..10_000)
        .map(|id| span(id, Some(id - 1).filter(|id| *id > 0), "s", "custom", (0, 1), json!({})))
        .collect();
    assert_eq!(render(&spans, PLAIN).lines().count(), 10_002);
}

#[test]
fn nothing_that_was_sent_controls_the_terminal() {
    let evil = "a\u{1b}[2J\u{7}\u{9b}b\u{202e}\r";
    let mut more = agent();
    for field in ["model", "config_key", "session_id", "customer_id", "prompt_key", "prompt_ab_test_key"] {
        more[field] = evil.into();
    }
    more["raw.request"] = json!([{"role": "user", "content": evil}]);
    more["raw.response"] = json!({"text": evil, "finishReason": evil});
    let io = json!({"raw.request": {evil: evil}, "raw.response": evil, "fallom.incomplete": evil});
    let spans = [
        span(1, None, evil, "agent", (0, 400), more),
        span(2, None, evil, "tool", (0, 1), io),
        span(3, None, evil, "agent", (0, 1), error(evil)),
    ];
    let text = render(&spans, PLAIN);
    let control =
        |character: &char| (character.is_control() && *character != '\n') || *character == '\u{202e}';
    assert_eq!(text.chars().find(control), None, "{text}");
    let colored = render(&spans, Style { color: true, ..PLAIN });
    assert!(colored.contains("\x1b[1m") && !colored.contains("\x1b[2J"));
}
