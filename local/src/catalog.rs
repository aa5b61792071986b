//! Prompts, A/B tests and configs, as they were set. Entries are kept as text, so that key order,
//! numbers and escapes are served exactly as they were given.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// What `PUT /_local/catalog` takes. A list that is left out is empty.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Catalog {
    pub prompts: Vec<Box<RawValue>>,
    pub prompt_ab_tests: Vec<Box<RawValue>>,
    pub configs: Vec<Box<RawValue>>,
}

/// `{"<name>": [<entries>]}`, as `wire.md` has the lists.
pub fn list(name: &str, entries: &[Box<RawValue>]) -> String {
    let entries: Vec<&str> = entries.iter().map(|entry| entry.get()).collect();
    format!("{{\"{name}\": [{}]}}", entries.join(", "))
}

impl Catalog {
    /// All of it, as it was put.
    pub fn json(&self) -> String {
        let lists = [
            ("prompts", &self.prompts),
            ("prompt_ab_tests", &self.prompt_ab_tests),
            ("configs", &self.configs),
        ];
        let fields = lists.map(|(name, entries)| list(name, entries)[1..].trim_end_matches('}').to_owned());
        format!("{{{}}}", fields.join(", "))
    }

    /// The last config with this key and version. A missing or zero version is 1 (`wire.md`).
    pub fn config(&self, key: &str, version: i64) -> Option<&str> {
        #[derive(Deserialize)]
        struct Named {
            key: String,
            version: Option<Value>,
        }
        self.configs.iter().map(|entry| entry.get()).rfind(|entry| {
            serde_json::from_str::<Named>(entry).is_ok_and(|named| {
                let own = named.version.as_ref().and_then(Value::as_i64).filter(|version| *version != 0);
                named.key == key && own.unwrap_or(1) == version
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_kept_as_they_were_given() {
        let text = r#"{"prompts": [], "prompt_ab_tests": [], "configs": [{"key":"c", "b":1.50,"a":"\ud800 \u00e9"}]}"#;
        let catalog: Catalog = serde_json::from_str(text).unwrap();
        assert_eq!(catalog.json(), text);
    }

    #[test]
    fn a_config_is_found_by_version() {
        let text =
            r#"{"configs": [{"key": "a"}, {"key": "a", "version": 0, "n": 2}, {"key": "a", "version": 2}]}"#;
        let catalog: Catalog = serde_json::from_str(text).unwrap();
        assert_eq!(catalog.config("a", 1), Some(r#"{"key": "a", "version": 0, "n": 2}"#));
        assert_eq!(catalog.config("a", 2), Some(r#"{"key": "a", "version": 2}"#));
        assert_eq!(catalog.config("a", 3), None);
        assert_eq!(catalog.config("b", 1), None);
    }
}
