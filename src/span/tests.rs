//! An envelope says what was written into it, and anything else is no envelope.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::field::REQUEST;
use super::writer::envelope;
use super::{FinishedSpan, Unreadable};

fn span(more: Value) -> Value {
    let mut span = json!({
        "session": {"config_key": "c", "session_id": "s"}, "trace_id": "t", "span_id": "p", "name": "n",
        "kind": "agent", "start_ms": 1_767_225_600_000_i64, "end_ms": 1_767_225_600_007_i64, "status": "OK",
    });
    if let Value::Object(fields) = more {
        span.as_object_mut().unwrap().extend(fields);
    }
    span
}

fn request_of(envelope: &[u8]) -> Result<Option<String>, Unreadable> {
    FinishedSpan::read(envelope).map(|span| span.request)
}

/// JSON as a user might hand it over.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        (-(1i64 << 53) + 1..1 << 53).prop_map(Value::from),
        any::<f64>().prop_filter("JSON has it", |number| number.is_finite()).prop_map(Value::from),
        "(?s).{0,60}".prop_map(Value::from),
        "[ -~]{0,200}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec(("(?s).{0,50}", inner), 0..8)
                .prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

proptest! {
    #[test]
    fn content_arrives_as_the_json_text_that_it_stands_for(request in values(), response in values()) {
        let bytes = envelope(&span(json!({"request": &request, "response": &response})));
        let read = FinishedSpan::read(&bytes).unwrap();
        prop_assert_eq!(read.request.unwrap(), request.to_string());
        prop_assert_eq!(read.response.unwrap(), response.to_string());
    }

    #[test]
    fn what_an_answer_and_its_steps_both_tell_arrives_in_both_places(parts in prop::collection::vec(values(), 0..4)) {
        let response = json!({"toolResults": &parts, "steps": [{"toolResults": &parts}, {"toolResults": &parts}]});
        let bytes = envelope(&span(json!({"response": &response, "usage": &parts})));
        let read = FinishedSpan::read(&bytes).unwrap();
        prop_assert_eq!(read.response.unwrap(), response.to_string());
        prop_assert_eq!(read.usage.unwrap(), Value::from(parts).to_string());
    }

    #[test]
    fn an_envelope_that_was_cut_short_or_changed_is_refused_or_still_gives_json(
        request in values(), cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte: u8,
    ) {
        let whole = envelope(&span(json!({"request": request})));
        let _ = request_of(&whole[..cut.index(whole.len())]);
        let mut changed = whole;
        let at = at.index(changed.len());
        changed[at] = byte;
        if let Ok(Some(text)) = request_of(&changed) {
            prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{}", text);
        }
    }

    #[test]
    fn any_bytes_at_all_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = FinishedSpan::read(&bytes);
    }
}

#[test]
fn each_field_arrives() {
    let all = span(json!({
        "parent_span_id": "o", "model": "m", "error_message": "é".repeat(50), "time_to_first_token_ms": 12,
        "is_streaming": true, "attributes": {"a": "b", "n": 1.5, "big": 1e300, "t": true, "left out": null, "o": {"x": [1, "\n"]}},
        "usage": {"inputTokens": 1}, "metadata": {}, "timings": {"phases": []}, "inside_agent": true,
        "prompt": {"prompt_key": "k", "prompt_version": 3}, "link_texts": ["one", "two"], "link_messages": ["three"],
    }));
    let bytes = envelope(&all);
    let read = FinishedSpan::read(&bytes).unwrap();
    assert_eq!((&*read.trace_id, &*read.span_id, read.parent_span_id.as_deref()), ("t", "p", Some("o")));
    assert_eq!((&*read.name, read.model.as_deref()), ("n", Some("m")));
    assert_eq!((read.start_ms, read.end_ms), (1_767_225_600_000, 1_767_225_600_007));
    assert_eq!(read.error_message.as_deref(), Some(&*"é".repeat(50)));
    assert_eq!((read.time_to_first_token_ms, read.is_streaming, read.inside_agent), (Some(12), true, true));
    assert_eq!(
        Value::Object(read.attributes),
        json!({"a": "b", "n": 1.5, "big": 1e300, "t": true, "o": r#"{"x":[1,"\n"]}"#})
    );
    assert_eq!(read.usage.as_deref(), Some(r#"{"inputTokens":1}"#));
    assert_eq!((read.metadata.as_deref(), read.timings.as_deref()), (Some("{}"), Some(r#"{"phases":[]}"#)));
    assert_eq!(read.prompt.unwrap().prompt_version, Some(3));
    assert_eq!((read.link_texts.concat(), read.link_messages.concat()), ("onetwo".into(), "three".into()));
    assert_eq!(read.session.session_id, "s");
}

#[test]
fn half_of_a_surrogate_pair_becomes_a_replacement_character() {
    let units: Vec<u8> = [0x61, 0xD83D, 0x62].into_iter().flat_map(u16::to_le_bytes).collect();
    let whole = envelope(&span(Value::Null));
    let length = u32::from_le_bytes(whole[..4].try_into().unwrap()) as usize;
    let (structure, texts) = whole[4..].split_at(length);
    // As the shim writes a short text, and a long one.
    let short = [&[REQUEST, 8, 3][..], &units].concat();
    for (request, long) in [(&short[..], vec![]), (&[REQUEST, 9], [&[2, 6, 0, 0, 0][..], &units].concat())] {
        let structure = [&structure[..length - 1], request, &[0]].concat();
        let head = (structure.len() as u32).to_le_bytes();
        let bytes = [&head[..], &structure, texts, &long].concat();
        assert_eq!(request_of(&bytes), Ok(Some("\"a\u{FFFD}b\"".to_owned())));
    }
}

#[test]
fn a_value_that_was_kept_comes_again_once_and_holds_no_other() {
    const KEPT: &[u8] = &[16, 7, 1, b'a'];
    const AGAIN: &[u8] = &[17, 0, 0, 0, 0];
    let request_with = |items: &[&[u8]]| {
        let whole = envelope(&span(Value::Null));
        let length = u32::from_le_bytes(whole[..4].try_into().unwrap()) as usize;
        let (structure, texts) = whole[4..].split_at(length);
        let structure = [&structure[..length - 1], &[REQUEST, 11], &items.concat(), &[0, 0]].concat();
        request_of(&[&(structure.len() as u32).to_le_bytes()[..], &structure, texts].concat())
    };
    assert_eq!(request_with(&[KEPT, AGAIN]), Ok(Some(r#"["a","a"]"#.to_owned())));
    let inside = [&[16, 11][..], KEPT, &[0]].concat();
    let itself = [&[16, 11][..], AGAIN, &[0]].concat();
    let hostile: [&[&[u8]]; 4] = [&[KEPT, AGAIN, AGAIN], &[AGAIN, KEPT], &[&inside], &[&itself]];
    for items in hostile {
        assert!(request_with(items).is_err(), "{items:?}");
    }
}

#[test]
fn a_field_that_each_span_has_may_not_be_missing() {
    for name in ["session", "trace_id", "span_id", "name", "kind", "start_ms", "end_ms", "status"] {
        let mut span = span(Value::Null);
        span.as_object_mut().unwrap().remove(name);
        assert!(FinishedSpan::read(&envelope(&span)).is_err(), "{name}");
    }
}
