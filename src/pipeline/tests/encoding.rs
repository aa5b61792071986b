//! What the bytes of a span say.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::linking::Linking;
use crate::pipeline::Encoder;
use crate::pipeline::encode::EncodeError;
use crate::span::writer;

const MAX: usize = 1024 * 1024;

fn envelope(more: Value) -> Value {
    let mut span = json!({
        "session": {"config_key": "c", "session_id": "s"},
        "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331",
        "name": "agent.A.generate", "kind": "agent", "start_ms": 1_767_225_600_000_i64,
        "end_ms": 1_767_225_601_240_i64, "status": "OK",
        "attributes": {"fallom.method": "agent.generate"},
    });
    for (name, value) in more.as_object().unwrap() {
        span[name] = value.clone();
    }
    span
}

fn encode(span: &Value, max: usize) -> Result<Value, EncodeError> {
    let bytes = Encoder::new(Arc::new(Linking::default())).encode(&writer::envelope(span), max)?;
    assert!(bytes.len() <= max);
    Ok(serde_json::from_slice(&bytes).unwrap())
}

#[test]
fn a_span_carries_what_was_handed_in_and_says_who_wrote_it() {
    let span = envelope(json!({"request": [{"role": "user", "content": "hi"}], "usage": {"inputTokens": 1}}));
    let wire = encode(&span, MAX).unwrap();
    assert_eq!(wire["start_time"], "2026-01-01T00:00:00.000Z");
    assert_eq!(wire["end_time"], "2026-01-01T00:00:01.240Z");
    assert_eq!(wire["duration_ms"], 1240);
    assert_eq!(wire["attributes"]["fallom.sdk_version"], "2");
    assert_eq!(wire["attributes"]["fallom.raw.request"], r#"[{"role":"user","content":"hi"}]"#);
    assert_eq!(wire["attributes"]["fallom.raw.usage"], r#"{"inputTokens":1}"#);
    assert!(wire.get("error_message").is_none() && wire.get("is_streaming").is_none());
}

#[test]
fn an_error_always_has_a_message_of_4_kib_at_most() {
    let wire = encode(&envelope(json!({"status": "ERROR"})), MAX).unwrap();
    assert_eq!(wire["error_message"], "failed");
    let long = "é".repeat(10_000);
    let wire = encode(&envelope(json!({"status": "ERROR", "error_message": long})), MAX).unwrap();
    assert!(wire["error_message"].as_str().unwrap().len() <= 4096);
}

#[test]
fn a_clock_that_was_set_back_gives_no_negative_duration() {
    let wire = encode(&envelope(json!({"end_ms": 5})), MAX).unwrap();
    assert_eq!(
        (wire["duration_ms"].clone(), wire["end_time"].clone()),
        (json!(0), wire["start_time"].clone())
    );
}

#[test]
fn what_is_no_span_is_refused_without_a_panic() {
    let encoder = Encoder::new(Arc::new(Linking::default()));
    for bytes in [&b""[..], b"{}", b"\xff\xfe", b"[1,2", b"{\"session\":3}"] {
        assert!(matches!(encoder.encode(bytes, MAX), Err(EncodeError::Unreadable(_))));
    }
}

#[test]
fn an_error_of_ours_does_not_quote_what_a_user_said() {
    let span = envelope(json!({"start_ms": "a secret of the user's"}));
    let error = encode(&span, MAX).unwrap_err();
    assert!(matches!(error, EncodeError::Unreadable(_)), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[test]
fn a_manual_spans_input_gives_way_before_its_other_attributes() {
    let attributes = json!({"fallom.span_type": "manual", "step": "one"});
    let (input, output) = ("x".repeat(50_000), "\"ok\"");
    let span =
        envelope(json!({"kind": "custom", "attributes": attributes, "input": input, "output": output}));
    let wire = encode(&span, 8192).unwrap();
    assert_eq!(wire["attributes"]["step"], "one");
    assert_eq!(wire["attributes"]["output"], "\"ok\"");
    assert!(wire["attributes"]["fallom.truncated_bytes"].as_u64().unwrap() > 40_000);
}

#[test]
fn a_users_own_attributes_never_make_a_span_too_long() {
    let attributes =
        json!({"fallom.span_type": "manual", "a": "x".repeat(500_000), "b": "y".repeat(500_000), "c": 1});
    let wire = encode(&envelope(json!({"kind": "custom", "attributes": attributes})), 8192).unwrap();
    assert_eq!(wire["attributes"]["c"], 1);
    assert!(wire["attributes"]["fallom.truncated_bytes"].as_u64().unwrap() > 900_000);
}

#[test]
fn a_users_own_attributes_stay_whole_where_the_span_fits_and_the_longest_gives_first_where_it_does_not() {
    let [long, longer] = ["x".repeat(6000), "y".repeat(9000)];
    let attributes = json!({"fallom.span_type": "manual", "a": "short", "b": long});
    let wire = encode(&envelope(json!({"kind": "custom", "attributes": attributes})), 8192).unwrap();
    assert_eq!(wire["attributes"]["b"], long);
    assert!(wire["attributes"].get("fallom.truncated_bytes").is_none());
    let attributes = json!({"a": "short", "b": &long[..2000], "c": longer});
    let wire = encode(&envelope(json!({"kind": "custom", "attributes": attributes})), 8192).unwrap();
    assert_eq!((&wire["attributes"]["a"], &wire["attributes"]["b"]), (&json!("short"), &json!(long[..2000])));
    assert!(wire["attributes"]["c"].as_str().unwrap().len() > 4000);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// The limit holds for the span as it stands on the wire, and its texts stay JSON.
    #[test]
    fn a_span_never_passes_its_limit_and_keeps_its_newest_message(
        texts in prop::collection::vec("(\\PC|[\"\\\\\n\u{1}😀]){0,400}", 1..40),
        answer in "\\PC{0,2000}",
        max in 4096..30_000_usize,
    ) {
        let messages: Vec<Value> = texts.iter().map(|text| json!({"role": "user", "content": text})).collect();
        let newest = json!({"role": "user", "content": "the newest"});
        let messages = [messages, vec![newest.clone()]].concat();
        let wire = encode(&envelope(json!({"request": messages, "response": {"text": answer}})), max).unwrap();
        let kept: Vec<Value> = serde_json::from_str(wire["attributes"]["fallom.raw.request"].as_str().unwrap()).unwrap();
        prop_assert_eq!(kept.last(), Some(&newest));
        let cut = wire["attributes"].get("fallom.truncated_bytes").is_some();
        prop_assert_eq!(cut, kept != messages || !wire["attributes"]["fallom.raw.response"].as_str().unwrap().contains(&json!(answer).to_string()));
    }
}
