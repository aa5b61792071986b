//! What holds for any content and any budget.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::Value;

use super::marked_bytes;
use crate::payload::{Content, MIN_BUDGET, encoded_len, fit_agent, fit_tool, fit_value, fit_values, prepare};

/// The inside of a JSON string, with every kind of escape.
fn string_body() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => "[ -!#-\\[\\]-~]{1,60}",
        1 => "[à-ž🐢-🐳]{1,20}",
        1 => prop::sample::select(vec![r"\n", r"\\", r#"\""#, r"\/", r"\u0001", r"\ud83d\ude00", r"\\ud800"]).prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// JSON text, mostly compact.
fn json_text() -> impl Strategy<Value = String> {
    let string = || string_body().prop_map(|body| format!("\"{body}\""));
    let leaf = prop_oneof![
        3 => string(),
        1 => prop::sample::select(vec!["0", "-1.5e300", "true", "null", "[]", "{}"]).prop_map(String::from),
        1 => (1usize..400).prop_map(|digits| format!("0.{}", "7".repeat(digits))),
    ];
    leaf.prop_recursive(4, 40, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((string(), inner), 0..12).prop_map(|fields| {
                let fields: Vec<String> =
                    fields.iter().map(|(key, value)| format!("{key}:{value}")).collect();
                format!("{{{}}}", fields.join(","))
            }),
        ]
    })
}

/// Messages that are objects, each with its number.
fn messages() -> impl Strategy<Value = String> {
    prop::collection::vec(json_text(), 1..12).prop_map(|contents| {
        let message =
            |(number, content): (usize, &String)| format!("{{\"number\":{number},\"content\":{content}}}");
        format!("[{}]", contents.iter().enumerate().map(message).collect::<Vec<_>>().join(","))
    })
}

fn response() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "text",
        "object",
        "finishReason",
        "toolCalls",
        "toolResults",
        "steps",
        "other",
    ]);
    prop::collection::vec((name, json_text()), 0..8).prop_map(|fields| {
        let fields: Vec<String> = fields.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        format!("{{{}}}", fields.join(","))
    })
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok()
}

fn assert_fits(kept: &[Option<&str>], budget: usize) -> Result<(), TestCaseError> {
    let size: usize = kept.iter().flatten().map(|text| encoded_len(text)).sum();
    prop_assert!(size <= budget, "{} > {}", size, budget);
    for text in kept.iter().flatten() {
        prop_assert!(is_json(text), "no JSON: {}", text);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_stays_json_and_fits_and_says_what_went(text in json_text(), budget in 82usize..4_000) {
        let (kept, cut) = fit_value(&text, budget);
        assert_fits(&[kept.as_deref()], budget)?;
        let kept = kept.unwrap();
        prop_assert_eq!(cut > 0, kept != text);
        prop_assert_eq!(matches!(kept, Cow::Borrowed(_)), encoded_len(&text) <= budget);
        if cut > 0 {
            prop_assert_eq!(cut, marked_bytes(&kept), "{}", kept);
        }
        let (again, more) = fit_value(&kept, budget);
        prop_assert_eq!((again.as_deref(), more), (Some(kept.as_ref()), 0));
    }

    #[test]
    fn a_conversation_stays_json_and_fits_and_keeps_its_newest_message(
        request in messages(), response in response(), budget in MIN_BUDGET..8_000,
    ) {
        let content = Content { request: Some(&request), response: Some(&response) };
        let fitted = fit_agent(content, budget);
        assert_fits(&[fitted.request.as_deref(), fitted.response.as_deref()], budget)?;
        let (kept, answer) = (fitted.request.unwrap(), fitted.response.unwrap());
        prop_assert_eq!(fitted.truncated_bytes > 0, content.encoded_len() > budget);
        prop_assert_eq!(fitted.truncated_bytes > 0, kept != request || answer != response);
        let (kept, all): (Value, Value) = (serde_json::from_str(&kept).unwrap(), serde_json::from_str(&request).unwrap());
        let (kept, all) = (kept.as_array().unwrap(), all.as_array().unwrap());
        let newest = kept.last().unwrap();
        prop_assert!(newest.is_object(), "the newest went: {}", newest);
        prop_assert!(newest["number"].is_null() || newest["number"] == all.last().unwrap()["number"]);
        // What stands after the marker and the trimmed message is the end of the conversation, unchanged.
        let whole = kept.get(2..).unwrap_or_default();
        prop_assert_eq!(whole, &all[all.len() - whole.len()..]);
    }

    #[test]
    fn anything_at_all_fits_and_never_panics(request in "(?s).{0,800}", response in json_text(), budget in 0usize..1_500) {
        for fit in [fit_agent, fit_tool] {
            let content = Content { request: Some(&request), response: Some(&response) };
            let fitted = fit(content, budget);
            let kept = Content { request: fitted.request.as_deref(), response: fitted.response.as_deref() };
            prop_assert!(kept.encoded_len() <= budget);
            prop_assert!(content.encoded_len() <= budget || fitted.truncated_bytes > 0);
            prop_assert!(matches!(fitted.request, Some(Cow::Borrowed(_)) | None) || is_json(&fitted.request.unwrap()));
        }
    }

    #[test]
    fn values_share_one_budget(texts in prop::collection::vec(json_text(), 0..12), budget in 0usize..4_000) {
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let (kept, cut) = fit_values(&texts, budget);
        prop_assert_eq!(kept.len(), texts.len());
        assert_fits(&kept.iter().map(Option::as_deref).collect::<Vec<_>>(), budget)?;
        let same = kept.iter().zip(&texts).all(|(kept, text)| kept.as_deref() == Some(text));
        prop_assert_eq!(cut == 0, same);
    }

    #[test]
    fn preparing_keeps_json_and_preparing_twice_changes_nothing(text in json_text(), insert in prop::sample::select(vec![
        "", r"\ud800", r"\udc00", "data:image/png;base64,QUJD", "data:,x", "data: x",
    ])) {
        let text = format!("[{text},{{\"data:,k\":\"{insert}\"}}]");
        let once = prepare(&text).into_owned();
        prop_assert!(is_json(&once));
        let twice = prepare(&once);
        prop_assert!(matches!(&twice, Cow::Borrowed(same) if *same == once));
    }

    #[test]
    fn preparing_never_panics(text in r#"(?s)(.|\\|"|\\u|d8|"data:|,|;base64){0,60}"#) {
        prepare(&text);
        fit_value(&text, 90);
    }
}
