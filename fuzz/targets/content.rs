//! Content is repaired and made to fit: the promises of `src/payload/mod.rs`. Input: a budget, a line; a request, a
//! line; a response.

use std::borrow::Cow;

use fallom_trace::payload::{
    Content, MIN_BUDGET, encoded_len, fit_agent, fit_string, fit_tool, fit_value, fit_values, prepare,
    well_formed,
};
use serde_json::Value;

use super::{is_json, line, number};

/// From here on something of every value is kept, a marker at least.
const MIN_VALUE: usize = 82;

pub fn target(input: &[u8]) {
    let (budget, rest) = line(input);
    let (request, response) = line(rest);
    let budget = number(budget);
    let (request, response) = (String::from_utf8_lossy(request), String::from_utf8_lossy(response));
    for text in [&request, &response] {
        is_repaired(text);
        string_fits(text, budget);
        value_fits(text, budget);
    }
    values_fit(&[&request, &response, "null", &request], budget);
    let texts = [(Some(&*request), Some(&*response)), (Some(&*request), None), (None, Some(&*response))];
    for (request, response) in texts {
        content_fits(Content { request, response }, budget);
    }
}

fn is_repaired(text: &str) {
    let repaired = well_formed(text);
    assert_eq!(matches!(repaired, Cow::Borrowed(_)), repaired == text);
    assert!(matches!(well_formed(&repaired), Cow::Borrowed(_)), "repaired twice: {repaired}");
    let prepared = prepare(text);
    if is_json(text) {
        assert!(is_json(&prepared), "{text} became {prepared}");
        assert!(matches!(prepare(&prepared), Cow::Borrowed(_)), "prepared twice: {prepared}");
        can_be_read(&repaired);
        can_be_read(&prepared);
    }
}

/// What a strict reader may stumble over is left: numbers and depth, which are not ours to change.
fn can_be_read(json: &str) {
    if let Err(error) = serde_json::from_str::<Value>(json) {
        let reason = error.to_string();
        let known = reason.starts_with("number out of range") || reason.starts_with("recursion limit");
        assert!(known, "{reason}: {json}");
    }
}

fn string_fits(text: &str, budget: usize) {
    let written = serde_json::to_string(text).expect("a string can be written");
    assert_eq!(encoded_len(text), written.len());
    let (kept, cut) = fit_string(text, budget);
    assert!(encoded_len(&kept) <= budget.max(2), "{} > {budget}", encoded_len(&kept));
    assert_eq!(cut > 0, kept != text);
    assert!(encoded_len(text) > budget || kept == text, "cut without need");
}

fn value_fits(text: &str, budget: usize) {
    let (kept, cut) = fit_value(text, budget);
    let Some(kept) = kept else {
        assert!(encoded_len(text) > budget && cut == text.len() as u64);
        assert!(budget < MIN_VALUE, "left out, though {budget} bytes are enough for a marker");
        return;
    };
    is_a_cut_of(&kept, text);
    assert!(encoded_len(&kept) <= budget);
    assert!(encoded_len(text) > budget || kept == text, "cut without need");
    assert_eq!(cut > 0, kept != text);
    let (again, more) = fit_value(&kept, budget);
    assert_eq!((again.as_deref(), more), (Some(&*kept), 0), "cut twice");
}

fn values_fit(texts: &[&str], budget: usize) {
    let (kept, cut) = fit_values(texts, budget);
    assert_eq!(kept.len(), texts.len());
    let size: usize = kept.iter().flatten().map(|kept| encoded_len(kept)).sum();
    assert!(size <= budget, "{size} > {budget}");
    let mut same = true;
    for (kept, text) in kept.iter().zip(texts) {
        same &= kept.as_deref().unwrap_or_default() == *text;
        kept.iter().for_each(|kept| is_a_cut_of(kept, text));
    }
    assert_eq!(cut == 0, same);
}

fn content_fits(content: Content, budget: usize) {
    for (fit, is_agent) in [(fit_agent as fn(_, _) -> _, true), (fit_tool, false)] {
        let fitted = fit(content, budget);
        let (request, response) = (fitted.request.as_deref(), fitted.response.as_deref());
        let kept = Content { request, response };
        assert!(kept.encoded_len() <= budget, "{} > {budget}", kept.encoded_len());
        let texts = [(request, content.request), (response, content.response)];
        let same = texts.iter().all(|(kept, text)| kept.unwrap_or_default() == text.unwrap_or_default());
        assert_eq!(fitted.truncated_bytes == 0, same, "{kept:?}");
        assert!(same || content.encoded_len() > budget, "cut without need");
        for (kept, text) in texts {
            assert!(text.is_some() || kept.is_none(), "content from nowhere");
            let enough = is_agent && budget >= MIN_BUDGET;
            assert!(!enough || kept.is_some() == text.is_some(), "left out, though there is room");
            kept.zip(text).iter().for_each(|(kept, text)| is_a_cut_of(kept, text));
        }
        if let (true, Some(kept), Some(text)) = (is_agent, request, content.request) {
            keeps_its_newest_message(kept, text);
        }
    }
}

/// A cut text is JSON of the same type. What was no JSON, or too deep, is a string of that text.
fn is_a_cut_of(kept: &str, text: &str) {
    if kept == text {
        return;
    }
    assert!(is_json(kept), "no JSON: {kept}");
    match serde_json::from_str(text) {
        Ok(Value::Array(_)) => assert!(kept.starts_with('['), "{kept}"),
        Ok(Value::Object(_)) => assert!(kept.starts_with('{'), "{kept}"),
        _ => assert!(kept.starts_with('"') || is_json(text), "{kept}"),
    }
}

fn keeps_its_newest_message(kept: &str, text: &str) {
    let (Ok(Value::Array(all)), Ok(Value::Array(kept))) =
        (serde_json::from_str(text), serde_json::from_str(kept))
    else {
        return;
    };
    let Some((newest, kept_newest)) = all.last().zip(kept.last()) else {
        return assert!(all.is_empty(), "nothing is left of {text}");
    };
    match newest {
        Value::Object(_) => assert!(kept_newest.is_object(), "the newest went: {kept_newest}"),
        Value::Array(_) => assert!(kept_newest.is_array(), "the newest went: {kept_newest}"),
        _ => {}
    }
    // Behind the marker and the message that was trimmed stands the end of the conversation, unchanged.
    if kept != all {
        let whole = kept.get(2..).unwrap_or_default();
        assert_eq!(whole, &all[all.len() - whole.len()..]);
    }
}
