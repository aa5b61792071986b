//! Spans that are taken and spans that are refused, each refusal for the reason that it names.

use fallom_trace::wire::fallom::{Kind, PromptLink, Session, Status, WireSpan};
use serde_json::{Value, json};

use super::{FIELDS, span};

/// The agent of `spans.md`.
fn agent() -> Value {
    json!({
        "config_key": "support-chat", "session_id": "session-abc-123", "customer_id": "user-456",
        "metadata": {"plan": "pro", "seats": 3, "trial": false}, "tags": ["beta"],
        "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331",
        "name": "agent.SupportAgent.stream", "kind": "agent", "model": "gpt-4o-mini-2024-07-18",
        "start_time": "2026-01-01T00:00:00.000Z", "end_time": "2026-01-01T00:00:01.240Z", "duration_ms": 1240,
        "status": "OK", "is_streaming": true, "time_to_first_token_ms": 310,
        "prompt_key": "variant-a", "prompt_version": 1,
        "prompt_ab_test_key": "support-agent-test", "prompt_variant_index": 0,
        "attributes": {
            "fallom.sdk_version": "2", "fallom.sdk": "@fallom/trace-rs/0.1.0", "fallom.method": "agent.stream",
            "fallom.raw.request": "[{\"role\":\"user\",\"content\":\"\\ud800\"}]",
            "fallom.raw.response": "{\"text\":\"\"}",
            "fallom.raw.usage": "{\"inputTokens\":812,\"outputTokens\":94,\"totalTokens\":906}",
            "fallom.raw.metadata": "{\"finishReason\":\"stop\",\"stepCount\":1}",
            "fallom.raw.timings": "{\"requestStart\":0,\"responseEnd\":1240,\"totalDurationMs\":1240,\"phases\":[{\"type\":\"tool\",\"label\":\"t\",\"startMs\":1,\"endMs\":2.5,\"durationMs\":1.5,\"accurate\":true}],\"toolTimings\":[{\"name\":\"t\",\"startTime\":1,\"endTime\":2,\"duration\":1}]}"
        }
    })
}

/// Sets a field, such as `name` or `attributes/x`, or takes it away.
fn with(mut span: Value, field: &str, value: Value) -> Value {
    let (object, name) = match field.split_once('/') {
        Some((parent, name)) => (&mut span[parent], name),
        None => (&mut span, field),
    };
    let object = object.as_object_mut().unwrap();
    if value == json!("-absent-") {
        object.shift_remove(name);
    } else {
        object.insert(name.to_owned(), value);
    }
    span
}

#[test]
fn what_the_contract_shows_is_taken() {
    span(&agent().to_string()).unwrap();
    let manual =
        with(agent(), "attributes", json!({"fallom.sdk_version": "2", "fallom.span_type": "manual", "n": 1}));
    span(&manual.to_string()).unwrap();
    let failed = with(with(agent(), "status", json!("ERROR")), "error_message", json!(""));
    span(&failed.to_string()).unwrap();
    for ms in [1239, 1240, 1241] {
        span(&with(agent(), "duration_ms", json!(ms)).to_string()).unwrap();
    }
}

#[test]
fn all_that_the_tracer_can_write_is_known_here() {
    let full = WireSpan {
        session: Session {
            config_key: "c".into(),
            session_id: "s".into(),
            customer_id: Some(String::new()),
            metadata: Some(serde_json::Map::new()),
            tags: Some(Vec::new()),
        },
        trace_id: "1".repeat(32),
        span_id: "1".repeat(16),
        parent_span_id: Some("2".repeat(16)),
        name: "n".into(),
        kind: Kind::Custom,
        model: Some("m".into()),
        start_time: "2026-01-01T00:00:00.000Z".into(),
        end_time: "2026-01-01T00:00:00.000Z".into(),
        duration_ms: 0,
        status: Status::Error,
        error_message: Some(String::new()),
        time_to_first_token_ms: Some(0),
        is_streaming: Some(true),
        prompt: PromptLink {
            prompt_key: Some("p".into()),
            prompt_version: Some(1),
            prompt_ab_test_key: Some("t".into()),
            prompt_variant_index: Some(0),
        },
        attributes: agent()["attributes"].as_object().unwrap().clone(),
    };
    let full = WireSpan { kind: Kind::Agent, ..full };
    let written = serde_json::to_value(&full).unwrap();
    assert_eq!(span(&written.to_string()), Ok(full));
    assert_eq!(
        written.as_object().unwrap().len(),
        FIELDS.len(),
        "a field that is not checked, or not written"
    );
}

#[test]
fn each_refusal_names_its_reason() {
    let absent = || json!("-absent-");
    let cases = [
        ("extra", json!(1), "extra: unknown field"),
        ("config_key", absent(), "config_key: missing"),
        ("config_key", json!(""), "config_key: a string that is not empty expected, \"\" found"),
        ("session_id", json!(7), "session_id: a string that is not empty expected, 7 found"),
        ("trace_id", json!("0AF7651916CD43DD8448EB211C80319C"), "trace_id: 32 lowercase hex digits"),
        ("trace_id", json!("0af7"), "trace_id: 32 lowercase hex digits"),
        ("trace_id", json!("0".repeat(32)), "trace_id: 32 lowercase hex digits, not all zero"),
        ("span_id", json!("zzzzzzzzzzzzzzzz"), "span_id: 16 lowercase hex digits"),
        (
            "parent_span_id",
            Value::Null,
            "parent_span_id: 16 lowercase hex digits, not all zero, expected, null found",
        ),
        ("parent_span_id", json!("b7ad6b7169203331"), "parent_span_id: a span cannot be its own parent"),
        ("name", json!(""), "name: a string"),
        ("kind", json!("Agent"), "kind: one of agent, llm, tool"),
        ("model", Value::Null, "model: a string that is not empty expected, null found"),
        ("start_time", json!("2026-01-01T00:00:00Z"), "start_time: a time such as"),
        ("end_time", json!("2026-01-01T00:00:01.240+00:00"), "end_time: a time such as"),
        (
            "end_time",
            json!("2025-12-31T23:59:59.999Z"),
            "end_time 2025-12-31T23:59:59.999Z is before start_time",
        ),
        ("duration_ms", json!(1238), "duration_ms is 1238, but the times are 1240 ms apart"),
        ("duration_ms", json!(1240.5), "duration_ms: an integer from 0 expected, 1240.5 found"),
        ("duration_ms", json!(-1), "duration_ms: an integer from 0"),
        ("status", json!("ok"), "status: one of OK, ERROR expected"),
        ("status", json!("ERROR"), "error_message: missing, although status is ERROR"),
        ("error_message", json!("e"), "error_message: present, although status is OK"),
        ("time_to_first_token_ms", json!(1242), "time_to_first_token_ms: 1242 is after the end"),
        ("is_streaming", json!(false), "is_streaming: true (or to be left out) expected, false found"),
        ("is_streaming", absent(), "time_to_first_token_ms: only with is_streaming"),
        ("customer_id", json!(1), "customer_id: a string expected"),
        ("metadata/plan", json!({}), "metadata.plan: a string, number or boolean expected, {} found"),
        ("metadata/plan", Value::Null, "metadata.plan: a string, number or boolean expected"),
        ("metadata", json!([]), "metadata: an object expected"),
        ("tags", json!("beta"), "tags: a list of strings expected"),
        ("tags", json!(["a", 1]), "tags[1]: a string expected, 1 found"),
        ("prompt_version", json!("1"), "prompt_version: an integer expected"),
        ("prompt_version", json!(1.5), "prompt_version: an integer expected"),
        ("prompt_version", absent(), "prompt_key: only with prompt_version"),
        ("prompt_key", absent(), "prompt_version: only with prompt_key"),
        ("prompt_ab_test_key", absent(), "prompt_variant_index: only with prompt_ab_test_key"),
        ("prompt_variant_index", absent(), "prompt_ab_test_key: only with prompt_variant_index"),
        ("prompt_variant_index", json!(-1), "prompt_variant_index: an integer from 0"),
        ("attributes", absent(), "attributes: missing"),
        ("attributes/x", json!([1]), "attributes.x: a string, number or boolean expected, [1] found"),
        (
            "attributes/fallom.sdk_version",
            json!(2),
            "attributes.fallom.sdk_version: the string \"2\" expected",
        ),
        ("attributes/fallom.method", absent(), "attributes.fallom.method: missing"),
        ("attributes/fallom.method", json!(""), "attributes.fallom.method: a string that is not empty"),
        ("attributes/fallom.span_type", json!("manual"), "attributes.fallom.method: a manual span has none"),
        (
            "attributes/fallom.span_type",
            json!("auto"),
            "attributes.fallom.span_type: \"manual\" is the only one",
        ),
        (
            "attributes/fallom.raw.request",
            json!(true),
            "attributes.fallom.raw.request: JSON text expected, a boolean",
        ),
        ("attributes/fallom.raw.request", json!("{a: 1}"), "attributes.fallom.raw.request: not valid JSON"),
        ("attributes/fallom.raw.x", json!(""), "attributes.fallom.raw.x: not valid JSON"),
        ("attributes/fallom.raw.usage", json!("[]"), "attributes.fallom.raw.usage: an object expected"),
        (
            "attributes/fallom.raw.usage",
            json!("{\"inputTokens\":-1}"),
            "usage: inputTokens: a count of tokens",
        ),
        ("attributes/fallom.raw.usage", json!("{\"raw\":{}}"), "usage: raw: not one of inputTokens"),
        (
            "attributes/fallom.raw.metadata",
            json!("{\"text\":\"\"}"),
            "metadata: text: not one of finishReason",
        ),
        ("attributes/fallom.raw.timings", json!("{}"), "timings: requestStart: 0 expected"),
        ("kind", json!("tool"), "usage: only agent and llm spans have a usage"),
    ];
    for (field, value, reason) in cases {
        let refused = span(&with(agent(), field, value.clone()).to_string());
        let error = refused.expect_err(&format!("{field} = {value} was taken"));
        assert!(error.contains(reason), "{field} = {value}: {error}");
    }
}

#[test]
fn other_texts_are_no_spans() {
    for (text, reason) in [
        ("", "not one JSON value"),
        ("{", "not one JSON value"),
        ("[]", "a span is a JSON object, not a list"),
        ("null", "a span is a JSON object, not null"),
        ("{} {}", "not one JSON value"),
    ] {
        let error = span(text).unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }
    let twice = agent().to_string().replacen('{', "{\"name\":\"twice\",", 1);
    assert!(span(&twice).unwrap_err().contains("duplicate field `name`"));
    let long = with(with(agent(), "status", json!("ERROR")), "error_message", json!("x".repeat(4097)));
    assert!(span(&long.to_string()).unwrap_err().contains("4097 bytes, 4096 at most"));
}

#[test]
fn a_refusal_does_not_repeat_content() {
    let secret = "the user's secret, which is longer than an excerpt";
    let error = span(&with(agent(), "tags", json!([{"secret": secret}])).to_string()).unwrap_err();
    assert!(!error.contains("secret"), "{error}");
}
