//! An agent's span that is too large: what stays of its messages and its answer.

use serde_json::{Value, json};

use super::marked_bytes;
use crate::payload::{Content, Fitted, MIN_BUDGET, fit_agent};

fn message(number: usize, bytes: usize) -> Value {
    json!({"role": "user", "content": format!("{number}:{}", "x".repeat(bytes))})
}

fn response(text: &str, results: usize, steps: usize) -> Value {
    let result = |bytes: usize| json!([{"toolName": "t", "result": "r".repeat(bytes)}]);
    let steps: Vec<Value> =
        (0..steps).map(|n| json!({"text": format!("step {n}"), "toolResults": result(1000)})).collect();
    json!({"text": text, "finishReason": "stop", "toolCalls": [], "toolResults": result(results),
           "steps": steps, "modelId": "m", "responseId": "r"})
}

/// What is left of request and response, read as JSON, with the rest of what was given back.
fn fitted(request: &Value, response: &Value, budget: usize) -> (Value, Value, u64) {
    let (request, response) = (request.to_string(), response.to_string());
    let content = Content { request: Some(&request), response: Some(&response) };
    let fitted = fit_agent(content, budget);
    assert!(size(&fitted) <= budget, "{} > {budget}", size(&fitted));
    let (request, response) = (fitted.request.unwrap(), fitted.response.unwrap());
    assert_eq!(fitted.truncated_bytes, marked_bytes(&request) + marked_bytes(&response));
    let read = |text: &str| serde_json::from_str(text).unwrap();
    (read(&request), read(&response), fitted.truncated_bytes)
}

fn size(fitted: &Fitted) -> usize {
    Content { request: fitted.request.as_deref(), response: fitted.response.as_deref() }.encoded_len()
}

#[test]
fn the_newest_messages_stay_and_a_marker_stands_for_the_oldest() {
    let messages: Vec<Value> = (0..100).map(|number| message(number, 1000)).collect();
    let (request, answer, cut) = fitted(&messages.clone().into(), &response("yes", 10, 1), 20_000);
    let kept = request.as_array().unwrap();
    assert!(kept.len() > 15 && kept.len() < 20, "{}", kept.len());
    // The first is the marker, the second may be shortened, all others are as they were.
    assert_eq!(kept[2..], messages[100 - (kept.len() - 2)..]);
    let gone = 100 - (kept.len() - 1);
    let marker = kept[0].as_str().unwrap();
    assert!(
        marker.starts_with(&format!("[{gone} messages, ")) && marker.ends_with(" bytes cut]"),
        "{marker}"
    );
    assert_eq!(answer, response("yes", 10, 1));
    assert!(cut > 80_000);
}

#[test]
fn a_newest_message_that_is_too_large_alone_is_shortened_in_its_middle() {
    let request = json!([message(0, 10), message(1, 100_000)]);
    let (request, _, _) = fitted(&request, &response("yes", 0, 0), 10_000);
    let newest = request.as_array().unwrap().last().unwrap();
    assert_eq!(newest["role"], "user");
    let content = newest["content"].as_str().unwrap();
    assert!(
        content.starts_with("1:xxxx") && content.ends_with("xxxx") && content.contains("[… "),
        "{content}"
    );
    assert!(content.len() > 9_000);
}

#[test]
fn only_the_long_part_of_a_message_is_shortened() {
    let parts =
        json!([{"type": "text", "text": "What is this?"}, {"type": "file", "data": "f".repeat(50_000)}]);
    let request = json!([{"role": "user", "content": parts}]);
    let (request, _, _) = fitted(&request, &response("a file", 0, 0), 5_000);
    assert_eq!(request[0]["content"][0]["text"], "What is this?");
    assert!(request[0]["content"][1]["data"].as_str().unwrap().contains("bytes cut"));
}

#[test]
fn the_answer_stays_whole_when_calls_steps_and_old_messages_do_not() {
    let text = "the answer ".repeat(300);
    let messages: Vec<Value> = (0..50).map(|number| message(number, 2000)).collect();
    let (request, answer, _) = fitted(&messages.into(), &response(&text, 50_000, 50), 12_000);
    assert_eq!(answer["text"], text.as_str());
    assert_eq!((&answer["finishReason"], &answer["modelId"]), (&json!("stop"), &json!("m")));
    assert!(answer["toolResults"][0]["result"].as_str().unwrap().contains("bytes cut"));
    assert_eq!(request.as_array().unwrap().last().unwrap(), &message(49, 2000));
}

#[test]
fn an_answer_and_a_question_that_are_both_too_large_share_the_room() {
    let (request, answer, _) =
        fitted(&json!([message(0, 90_000)]), &response(&"a".repeat(90_000), 0, 0), 20_000);
    let (asked, answered) =
        (request[0]["content"].as_str().unwrap().len(), answer["text"].as_str().unwrap().len());
    assert!(asked > 9_000 && answered > 9_000, "{asked} {answered}");
}

#[test]
fn the_newest_steps_stay_and_come_before_the_oldest_messages() {
    let messages: Vec<Value> = (0..100).map(|number| message(number, 1000)).collect();
    let (request, answer, _) = fitted(&messages.into(), &response("yes", 10, 100), 40_000);
    let (messages, steps) = (request.as_array().unwrap(), answer["steps"].as_array().unwrap());
    assert!(steps.len() > 7 && messages.len() > 25, "{} steps, {} messages", steps.len(), messages.len());
    assert!(steps[0].as_str().unwrap().contains(" steps, "), "{}", steps[0]);
    assert_eq!(steps.last().unwrap()["text"], "step 99");
}

#[test]
fn steps_take_what_the_messages_do_not_need() {
    let (request, answer, _) = fitted(&json!([message(0, 100)]), &response("yes", 10, 100), 40_000);
    assert_eq!(request, json!([message(0, 100)]));
    assert!(answer["steps"].as_array().unwrap().len() > 32);
}

#[test]
fn a_span_that_fits_is_not_touched() {
    let (request, response) = (json!([message(0, 100)]).to_string(), response("yes", 1, 1).to_string());
    let content = Content { request: Some(&request), response: Some(&response) };
    let fitted = fit_agent(content, content.encoded_len());
    assert_eq!(fitted, content.into());
    assert!(matches!(fitted.request, Some(std::borrow::Cow::Borrowed(_))));
}

#[test]
fn with_no_room_at_all_the_content_is_left_out_and_counted() {
    let request = json!([message(0, 1000)]).to_string();
    let content = Content { request: Some(&request), response: None };
    let fitted = fit_agent(content, MIN_BUDGET - 1);
    assert_eq!(fitted, Fitted { request: None, response: None, truncated_bytes: request.len() as u64 });
}

#[test]
fn one_side_alone_has_all_the_room() {
    let request = json!([message(0, 10_000)]).to_string();
    let only_request = fit_agent(Content { request: Some(&request), response: None }, 1000);
    assert!(only_request.request.unwrap().len() > 950 && only_request.response.is_none());
    let response = response(&"a".repeat(10_000), 0, 0).to_string();
    let only_response = fit_agent(Content { request: None, response: Some(&response) }, 1000);
    assert!(only_response.response.unwrap().len() > 900 && only_response.request.is_none());
}

#[test]
fn content_of_an_unknown_form_is_trimmed_all_the_same() {
    let text = "z".repeat(5_000);
    for (request, response) in [
        (json!({"prompt": text}), json!("just text".repeat(1000))),
        (json!(text), json!([text, text])),
        (json!([]), json!({"odd": text})),
        (json!([[text]]), json!({"text": {"nested": [text]}, "steps": "none"})),
    ] {
        let (kept, answer, cut) = fitted(&request, &response, 2_000);
        assert!(
            cut > 0 && kept.is_array() == request.is_array() && answer.is_object() == response.is_object()
        );
    }
}

#[test]
fn text_that_is_no_json_is_kept_as_a_string_of_it() {
    let broken = format!("{{\"text\": \"{}", "b".repeat(5_000));
    let fitted = fit_agent(Content { request: Some("[1]"), response: Some(&broken) }, 1_000);
    let kept: String = serde_json::from_str(&fitted.response.unwrap()).unwrap();
    assert!(kept.starts_with("{\"text\": \"bbb") && kept.contains("bytes cut"), "{kept}");
    assert_eq!(fitted.request.as_deref(), Some("[1]"));
}
