//! JSON as people write it: `city: "Oslo", days: [1, 2]`.

use serde_json::Value;

/// Where writing stops: no terminal shows more on one line.
const MAX_BYTES: usize = 1_000;

/// A value without the quotes that its keys do not need, and an object without its outer braces. A
/// long one is cut.
pub fn terse(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    match text.strip_prefix('{') {
        Some(open) if open != "}" => open.strip_suffix('}').unwrap_or(open).to_owned(),
        _ => text,
    }
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Array(entries) => list(out, ['[', ']'], entries, write),
        Value::Object(fields) => list(out, ['{', '}'], fields, |(name, value), out| {
            let plain =
                !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if plain {
                out.push_str(name);
            } else {
                out.push_str(&Value::from(name.as_str()).to_string());
            }
            out.push_str(": ");
            write(value, out);
        }),
        scalar => out.push_str(&scalar.to_string()),
    }
}

fn list<T>(
    out: &mut String,
    [open, close]: [char; 2],
    entries: impl IntoIterator<Item = T>,
    write: impl Fn(T, &mut String),
) {
    out.push(open);
    for (place, entry) in entries.into_iter().enumerate() {
        if out.len() > MAX_BYTES {
            return out.push('…');
        }
        if place > 0 {
            out.push_str(", ");
        }
        write(entry, out);
    }
    out.push(close);
}

#[cfg(test)]
mod tests {
    use super::terse;
    use serde_json::json;

    #[test]
    fn keys_lose_their_quotes() {
        let value = json!({"city": "Os\"lo", "days": [1, 2.5, null], "a b": {"c": 1}, "": []});
        assert_eq!(terse(&json!({})), "{}");
        assert_eq!(terse(&value), r#"city: "Os\"lo", days: [1, 2.5, null], "a b": {c: 1}, "": []"#);
    }

    #[test]
    fn a_long_value_is_cut() {
        let text = terse(&json!(vec![1; 100_000]));
        assert!(text.len() < 1_100 && text.ends_with('…'), "{}", text.len());
    }
}
