//! A tool's arguments and result, and a manual span's values, that are too large.

use serde_json::{Value, json};

use super::marked_bytes;
use crate::payload::{Content, encoded_len, fit_tool, fit_value, fit_values};

fn fitted(value: &Value, budget: usize) -> Value {
    let text = value.to_string();
    let (kept, cut) = fit_value(&text, budget);
    let kept = kept.unwrap();
    assert!(encoded_len(&kept) <= budget);
    assert_eq!(cut, marked_bytes(&kept));
    assert!(cut > 0);
    serde_json::from_str(&kept).unwrap()
}

#[test]
fn the_structure_is_kept_and_the_longest_strings_are_shortened_first() {
    let value = json!({"id": 7, "short": "s".repeat(300), "long": "l".repeat(9000), "deep": {"longer": ["x".repeat(20_000)]}});
    let kept = fitted(&value, 5_000);
    assert_eq!((&kept["id"], &kept["short"]), (&value["id"], &value["short"]));
    let (long, longer) = (kept["long"].as_str().unwrap(), kept["deep"]["longer"][0].as_str().unwrap());
    assert!(long.len() > 2_000 && long.len().abs_diff(longer.len()) < 10, "{} {}", long.len(), longer.len());
    assert!(long.starts_with("ll") && long.ends_with("ll"));
}

#[test]
fn a_list_keeps_its_last_items() {
    let value: Value = (0..10_000).map(|n| json!({"row": n})).collect();
    let kept = fitted(&value, 1_000);
    let kept = kept.as_array().unwrap();
    assert_eq!(kept.last(), value.as_array().unwrap().last());
    assert_eq!(kept.len(), 65);
    assert!(kept[0].as_str().unwrap().starts_with("[9936 items, "), "{}", kept[0]);
}

#[test]
fn an_object_of_many_small_fields_keeps_the_first_and_says_how_many_went() {
    let value: Value =
        (0..5_000).map(|n| (format!("key{n}"), json!(n))).collect::<serde_json::Map<_, _>>().into();
    let kept = fitted(&value, 1_000);
    let kept = kept.as_object().unwrap();
    assert_eq!(kept["key0"], 0);
    let marker = kept["…"].as_str().unwrap();
    assert_eq!(kept.keys().next_back().unwrap(), "…");
    assert!(marker.starts_with(&format!("[{} fields, ", 5_000 - (kept.len() - 1))), "{marker}");
}

#[test]
fn a_large_list_does_not_push_out_the_fields_beside_it() {
    let numbers: Vec<u32> = (0..100_000).collect();
    let kept = fitted(&json!({"rows": numbers, "note": "n".repeat(500), "ok": true}), 3_000);
    assert_eq!((&kept["note"], &kept["ok"]), (&json!("n".repeat(500)), &json!(true)));
    assert_eq!(kept["rows"].as_array().unwrap().last(), Some(&json!(99_999)));
}

#[test]
fn an_endless_number_becomes_a_marker() {
    let number = "1".repeat(5_000);
    assert_eq!(fit_value(&number, 100).0.unwrap(), "\"[… 5000 bytes cut …]\"");
}

#[test]
fn numbers_doubled_keys_and_blanks_come_out_as_they_went_in() {
    let text = format!(r#"{{ "n" : 1.000000000000000000001e5 , "n": -0, "s":"{}" }}"#, "s".repeat(1000));
    let (kept, _) = fit_value(&text, 500);
    assert!(kept.unwrap().starts_with(r#"{ "n" : 1.000000000000000000001e5 , "n": -0, "s":"sss"#));
}

#[test]
fn blanks_that_do_not_fit_go_before_any_value() {
    let text = format!("[{}1,{}2]", " ".repeat(500), " ".repeat(500));
    assert_eq!(fit_value(&text, 200).0.as_deref(), Some("[1,2]"));
}

#[test]
fn a_tool_keeps_its_arguments_when_its_result_is_too_large() {
    let (args, result) = (json!({"id": 1}).to_string(), json!("r".repeat(10_000)).to_string());
    let fitted = fit_tool(Content { request: Some(&args), response: Some(&result) }, 1_000);
    assert_eq!(fitted.request.as_deref(), Some(args.as_str()));
    let kept = fitted.response.unwrap();
    assert_eq!(fitted.truncated_bytes, marked_bytes(&kept));
    assert!(kept.len() > 900);
    let only_result = fit_tool(Content { request: None, response: Some(&result) }, 1_000);
    assert!(only_result.request.is_none() && only_result.response.is_some());
}

#[test]
fn of_many_values_the_last_are_left_out_where_markers_alone_would_not_fit() {
    let long = json!("v".repeat(1_000)).to_string();
    let texts = vec![long.as_str(); 20];
    let (fitted, cut) = fit_values(&texts, 1_000);
    let sizes: Vec<Option<usize>> = fitted.iter().map(|text| text.as_deref().map(encoded_len)).collect();
    assert!(sizes[..12].iter().all(Option::is_some) && sizes[12..].iter().all(Option::is_none), "{sizes:?}");
    assert!(sizes.iter().flatten().sum::<usize>() <= 1_000);
    assert!(cut > 8 * long.len() as u64);
}

#[test]
fn text_too_deep_for_a_reader_is_kept_as_a_shortened_string() {
    let text = "[".repeat(100_000) + &"]".repeat(100_000);
    let kept = fit_value(&text, 1_000).0.unwrap();
    let kept: String = serde_json::from_str(&kept).unwrap();
    assert!(kept.starts_with("[[[[") && kept.ends_with("]]]]"));
}
