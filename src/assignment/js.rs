//! How JavaScript reads, compares and orders the values of a JSON text.
//!
//! The contract was read off a JavaScript client, so these rules are part of it. Source: ECMA-262, under the
//! names given at each function.

use serde_json::{Map, Value};

/// The largest integer key that JavaScript walks before all others (an "array index").
const MAX_INDEX: u32 = u32::MAX - 1;
/// 2^53 - 1, up to which JavaScript tells all integers apart (`Number.MAX_SAFE_INTEGER`).
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// What `\s` matches and `trim` removes ("WhiteSpace" and "LineTerminator").
///
/// Unlike Rust's `char::is_whitespace` it has U+FEFF and lacks U+0085.
pub fn is_whitespace(c: char) -> bool {
    c == '\u{FEFF}' || (c.is_whitespace() && c != '\u{85}')
}

/// The value as a number, as arithmetic takes it ("ToNumber"): `undefined` (here `None`) is NaN, `null` 0, a
/// numeric string its number.
///
/// Arrays and objects are NaN; JavaScript would read `[5]` as 5, which no server means.
pub fn to_number(value: Option<&Value>) -> f64 {
    match value {
        Some(Value::Null) => 0.0,
        Some(Value::Bool(yes)) => f64::from(u8::from(*yes)),
        Some(Value::Number(number)) => number.as_f64().unwrap_or(f64::NAN),
        Some(Value::String(text)) => text_to_number(text),
        Some(Value::Array(_) | Value::Object(_)) | None => f64::NAN,
    }
}

/// A text as a number ("StringToNumber"): blank is 0, and what is no number as a whole is NaN.
fn text_to_number(text: &str) -> f64 {
    let text = text.trim_matches(is_whitespace);
    let radix = match text.get(..2) {
        Some("0x" | "0X") => 16,
        Some("0o" | "0O") => 8,
        Some("0b" | "0B") => 2,
        _ => return decimal_to_number(text),
    };
    let digits = &text[2..];
    if digits.is_empty() {
        return f64::NAN;
    }
    digits
        .chars()
        .try_fold(0.0, |sum, c| Some(sum * f64::from(radix) + f64::from(c.to_digit(radix)?)))
        .unwrap_or(f64::NAN)
}

/// Rust reads the decimal notation of JavaScript, but also words such as `inf` and `nan`.
fn decimal_to_number(text: &str) -> f64 {
    match text {
        "" => 0.0,
        "Infinity" | "+Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        _ if text.contains(|c: char| c.is_ascii_alphabetic() && !matches!(c, 'e' | 'E')) => f64::NAN,
        _ => text.parse().unwrap_or(f64::NAN),
    }
}

/// The integer that a JSON number stands for, `2.0` included. `None` for all else, and beyond what JavaScript
/// tells apart.
pub fn integer(value: &Value) -> Option<i64> {
    let number = value.as_f64()?;
    #[expect(clippy::cast_possible_truncation, reason = "checked: whole, and far inside of i64")]
    (number.fract() == 0.0 && number.abs() <= MAX_SAFE_INTEGER).then_some(number as i64)
}

/// `a === b` of two values from different JSON texts.
///
/// Numbers compare as 64-bit floats, so `1` is `1.0`; arrays and objects are never equal, for they are never
/// the same one.
pub fn strictly_equal(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::String(a), Value::String(b)) => a == b,
        _ => false,
    }
}

/// The values of an object in the order of `Object.values` ("OrdinaryOwnPropertyKeys"): integer-like keys
/// ascending, then the others as they were inserted.
pub fn values_in_order(object: &Map<String, Value>) -> Vec<&Value> {
    let mut entries: Vec<_> = object.iter().map(|(key, value)| (array_index(key), value)).collect();
    // Stable, so that the keys without an index stay as they were inserted.
    entries.sort_by_key(|(index, _)| index.unwrap_or(u32::MAX));
    entries.into_iter().map(|(_, value)| value).collect()
}

/// The number that a key is the plain decimal notation of: `"10"`, but not `"01"`, `"+1"` or `"1.0"`.
fn array_index(key: &str) -> Option<u32> {
    let canonical = key == "0" || (key.starts_with(|c| matches!(c, '1'..='9')));
    if !canonical {
        return None;
    }
    key.parse().ok().filter(|&index| index <= MAX_INDEX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn assert_number(text: &str, expected: f64) {
        let number = to_number(Some(&json!(text)));
        assert!(
            number == expected || (number.is_nan() && expected.is_nan()),
            "Number({text:?}) is {expected}, not {number}"
        );
    }

    #[test]
    fn a_numeric_string_counts_as_its_number() {
        for (text, expected) in [
            ("50", 50.0),
            ("33.3", 33.3),
            (" \t50\u{A0}\u{FEFF}\n", 50.0),
            ("+5", 5.0),
            ("-5", -5.0),
            ("5.", 5.0),
            (".5", 0.5),
            ("5e1", 50.0),
            ("5E+1", 50.0),
            ("1.005", 1.005),
            ("1e999", f64::INFINITY),
            ("0x10", 16.0),
            ("0b101", 5.0),
            ("0O17", 15.0),
            ("007", 7.0),
            ("", 0.0),
            ("  ", 0.0),
            ("Infinity", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
        ] {
            assert_number(text, expected);
        }
    }

    #[test]
    fn a_text_that_is_no_number_is_nan() {
        for text in [
            "fifty", "50%", "5 0", "1_000", "1,5", ".", "+", "e5", "5e", "inf", "-inf", "nan", "NaN",
            "infinity", "INFINITY", "0x", "0xg", "-0x10", "0b2", "+-5", "٥", "\u{85}50", "é",
        ] {
            assert_number(text, f64::NAN);
        }
    }

    #[test]
    fn values_that_are_no_text_count_as_arithmetic_takes_them() {
        assert_eq!(to_number(Some(&json!(null))), 0.0);
        assert_eq!(to_number(Some(&json!(true))), 1.0);
        assert_eq!(to_number(Some(&json!(false))), 0.0);
        assert_eq!(to_number(Some(&json!(33.33))), 33.33);
        assert!(to_number(Some(&json!({}))).is_nan());
        assert!(to_number(None).is_nan());
    }

    #[test]
    fn whitespace_is_that_of_javascript() {
        let javascript = |c| {
            matches!(c, '\t'..='\r' | ' ' | '\u{A0}' | '\u{1680}' | '\u{2000}'..='\u{200A}' | '\u{2028}'
                | '\u{2029}' | '\u{202F}' | '\u{205F}' | '\u{3000}' | '\u{FEFF}')
        };
        for c in '\0'..=char::MAX {
            assert_eq!(is_whitespace(c), javascript(c), "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn only_whole_numbers_are_integers() {
        assert_eq!(integer(&json!(3)), Some(3));
        assert_eq!(integer(&json!(2.0)), Some(2));
        assert_eq!(integer(&json!(-1)), Some(-1));
        assert_eq!(integer(&json!(9_007_199_254_740_991_u64)), Some(9_007_199_254_740_991));
        for value in [json!(1.5), json!(u64::MAX), json!(1e300), json!("1"), json!(true), json!(null)] {
            assert_eq!(integer(&value), None, "{value}");
        }
    }

    #[test]
    fn equality_is_strict() {
        for (a, b) in [
            (json!("pro"), json!("pro")),
            (json!(1), json!(1.0)),
            (json!(0), json!(-0.0)),
            (json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_992_u64)),
            (json!(true), json!(true)),
            (json!(null), json!(null)),
        ] {
            assert!(strictly_equal(&a, &b), "{a} === {b}");
        }
        for (a, b) in [
            (json!("1"), json!(1)),
            (json!("pro"), json!("Pro")),
            (json!(null), json!(false)),
            (json!(0), json!(false)),
            (json!(""), json!(null)),
            (json!([]), json!([])),
            (json!(["pro"]), json!("pro")),
            (json!({}), json!({})),
        ] {
            assert!(!strictly_equal(&a, &b), "{a} !== {b}");
        }
    }

    #[test]
    fn integer_like_keys_come_first_and_ascend() {
        let text = r#"{"b":1,"10":2,"01":3,"2":4,"-1":5,"4294967295":6,"4294967294":7,"0":8,"1.0":9,"a":10,"":11,"+3":12}"#;
        let object: Map<String, Value> = serde_json::from_str(text).unwrap();
        let order: Vec<_> = values_in_order(&object).into_iter().filter_map(Value::as_u64).collect();
        assert_eq!(order, [8, 4, 2, 7, 1, 3, 5, 6, 9, 10, 11, 12]);
    }

    #[test]
    fn a_key_given_twice_keeps_its_first_place_and_its_last_value() {
        let object: Map<String, Value> = serde_json::from_str(r#"{"b":1,"a":2,"b":3}"#).unwrap();
        assert_eq!(values_in_order(&object), [&json!(3), &json!(2)]);
    }
}
