//! Large content costs time in proportion. Nothing is timed here: were any of this quadratic, it would not end.

use crate::payload::{Content, encoded_len, fit_agent, fit_value, prepare};

/// The default `maxSpanBytes`.
const MIB: usize = 1 << 20;

#[test]
fn a_hundred_thousand_messages_fill_the_budget() {
    let message = r#"{"role":"user","content":"a message of the usual length, more or less"}"#;
    let request = format!("[{}]", vec![message; 100_000].join(","));
    let response = r#"{"text":"done","finishReason":"stop"}"#;
    let fitted = fit_agent(Content { request: Some(&request), response: Some(response) }, MIB);
    assert_eq!(fitted.response.as_deref(), Some(response));
    let kept = fitted.request.unwrap();
    let size = encoded_len(&kept) + encoded_len(response);
    assert!(size <= MIB && size > MIB - 200, "{size}");
    assert!(kept.ends_with(&format!("{message}]")));
}

#[test]
fn an_eight_megabyte_string_fills_the_budget() {
    for piece in ["plain ", "line\\n", "\\\"\\\\", "żółw🐢", "\\u0001"] {
        let text = format!("{{\"s\":\"{}\"}}", piece.repeat((8 << 20) / piece.len()));
        let (kept, cut) = fit_value(&text, MIB);
        let size = encoded_len(&kept.unwrap());
        assert!(size <= MIB && size > MIB - 30, "{piece}: {size}");
        assert!(cut > 7 << 20 || piece.starts_with('\\') || piece == "line\\n");
    }
}

#[test]
fn a_hundred_thousand_fields_or_strings_or_levels_are_no_trouble() {
    let fields: Vec<String> =
        (0..100_000).map(|n| format!("\"k{n}\":{{\"v\":\"{}\"}}", "v".repeat(20))).collect();
    let strings: Vec<String> = (0..100_000).map(|n| format!("\"{}\"", "s".repeat(n % 400))).collect();
    let nested =
        (0..120).fold(String::from("1"), |inner, n| format!("[\"{}\",{inner}]", "n".repeat(n * 200)));
    let texts = [format!("{{{}}}", fields.join(",")), format!("[{}]", strings.join(",")), nested];
    for text in &texts {
        for budget in [1_000, 100_000, MIB] {
            let (kept, cut) = fit_value(text, budget);
            let size = encoded_len(&kept.unwrap());
            assert!(size <= budget && cut > 0);
            assert!(size + 200 > budget * 9 / 10, "{size} of {budget}");
        }
    }
}

#[test]
fn many_escapes_and_many_near_misses_are_prepared() {
    let backslashes = format!("\"{}\\ud800\"", "\\\\".repeat(1 << 20));
    assert!(prepare(&backslashes).ends_with("\\ufffd\""));
    let near_misses = format!("[{}\"\"]", "\"data:image/png;base64,QUJD!\",".repeat(100_000));
    assert_eq!(prepare(&near_misses), near_misses);
    let pictures = format!("[{}\"\"]", "\"data:image/png;base64,QUJD\",".repeat(100_000));
    assert_eq!(prepare(&pictures).matches("[data image/png, 3 bytes]").count(), 100_000);
}
