//! The server's three lists become types (`wire.md`, "Reading configs, prompts and A/B tests").
//!
//! An entry that cannot be read is left out and counted; the others stay. Fields that nobody reads are ignored.

use super::body::{self, BodyError};
use super::error::List;
use super::variables;
use super::versions::Entry;
use crate::assignment::js;
use crate::assignment::targeting::Targeting;
use crate::assignment::variants::Variants;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The version of an entry that gives none.
const FIRST_VERSION: i64 = 1;

/// A list as far as it could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed<T> {
    /// In the server's order.
    pub entries: Vec<T>,
    /// How many entries could not be read: no object, no key, a version that is no integer, a text that is none.
    pub skipped: usize,
}

/// One version of a prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    pub key: String,
    pub version: i64,
    /// A template; empty where the server gives none.
    pub system: String,
    /// A template; empty where the server gives none.
    pub user: String,
    /// The names that the templates use, each once, in the order of their first use.
    pub variables: Arc<[String]>,
}

/// One version of a prompt A/B test. A variant is `None` where it names no prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptTest {
    pub key: String,
    pub version: i64,
    pub variants: Variants<Option<PromptRef>>,
}

/// The prompt that a variant of a test stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PromptRef {
    pub key: String,
    /// `None` is the current one at the time of the call.
    pub version: Option<i64>,
}

/// One version of a model config.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    pub key: String,
    pub version: i64,
    pub variants: Variants<ModelVariant>,
    /// `None` where there is none or it is switched off.
    pub targeting: Option<Targeting>,
}

/// The model that a variant of a config stands for; `None` where it names none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelVariant {
    pub model: Option<String>,
}

/// Reads the answer of `GET /prompts`.
pub fn prompts(body: &[u8]) -> Result<Parsed<Prompt>, BodyError> {
    parse(body, Prompt::from_json)
}

/// Reads the answer of `GET /prompt-ab-tests`.
pub fn prompt_ab_tests(body: &[u8]) -> Result<Parsed<PromptTest>, BodyError> {
    parse(body, PromptTest::from_json)
}

/// Reads the answer of `GET /configs`.
pub fn configs(body: &[u8]) -> Result<Parsed<Config>, BodyError> {
    parse(body, |entry| {
        let version = version(entry)?;
        let version = if version == 0 { FIRST_VERSION } else { version };
        Some(Config::new(key(entry)?, version, entry))
    })
}

/// Reads the answer of `GET /configs/{key}/version/{n}`: it is the config that was asked for, whatever key and
/// version it gives itself, or none.
pub fn config_version(body: &[u8], key: &str, version: i64) -> Result<Config, BodyError> {
    const EXPECTED: &str = "one config, a JSON object with variants";
    let value = body::value(body, EXPECTED)?;
    match value.as_object() {
        Some(entry) if matches!(entry.get("variants"), Some(Value::Array(_) | Value::Object(_))) => {
            Ok(Config::new(key.to_owned(), version, entry))
        }
        _ => Err(body::unexpected(EXPECTED, &value)),
    }
}

fn parse<T: Entry>(
    body: &[u8],
    read: impl Fn(&Map<String, Value>) -> Option<T>,
) -> Result<Parsed<T>, BodyError> {
    let all = body::entries(body, T::LIST.field(), |entry| read(entry?.as_object()?))?;
    let total = all.len();
    let entries: Vec<T> = all.into_iter().flatten().collect();
    Ok(Parsed { skipped: total - entries.len(), entries })
}

impl Prompt {
    fn from_json(entry: &Map<String, Value>) -> Option<Self> {
        let texts = (text(entry, "system_prompt")?, text(entry, "user_template")?);
        Some(Self::new(key(entry)?, version(entry)?, texts.0, texts.1))
    }

    fn new(key: String, version: i64, system: String, user: String) -> Self {
        let variables = variables::used_by([&system, &user]);
        Self { key, version, system, user, variables }
    }
}

impl PromptTest {
    fn from_json(entry: &Map<String, Value>) -> Option<Self> {
        let variants = Variants::from_json(entry.get("variants"), PromptRef::from_json);
        Some(Self { key: key(entry)?, version: version(entry)?, variants })
    }
}

impl PromptRef {
    /// A version that is no integer makes it no reference: the current prompt may be quite another.
    fn from_json(variant: &Value) -> Option<Self> {
        let key = variant.get("prompt_key")?.as_str()?.to_owned();
        let version = match variant.get("prompt_version") {
            None | Some(Value::Null) => None,
            Some(version) => Some(js::integer(version)?),
        };
        Some(Self { key, version })
    }
}

impl Config {
    fn new(key: String, version: i64, entry: &Map<String, Value>) -> Self {
        let model = |variant: &Value| ModelVariant {
            model: variant.get("model").and_then(Value::as_str).map(str::to_owned),
        };
        Self {
            key,
            version,
            variants: Variants::from_json(entry.get("variants"), model),
            targeting: Targeting::from_json(entry.get("targeting")),
        }
    }
}

impl Entry for Prompt {
    const LIST: List = List::Prompts;

    fn key(&self) -> &str {
        &self.key
    }

    fn version(&self) -> i64 {
        self.version
    }
}

impl Entry for PromptTest {
    const LIST: List = List::PromptAbTests;

    fn key(&self) -> &str {
        &self.key
    }

    fn version(&self) -> i64 {
        self.version
    }
}

impl Entry for Config {
    const LIST: List = List::Configs;

    fn key(&self) -> &str {
        &self.key
    }

    fn version(&self) -> i64 {
        self.version
    }
}

fn key(entry: &Map<String, Value>) -> Option<String> {
    Some(entry.get("key")?.as_str()?.to_owned())
}

/// A missing version is the first; one that is no integer cannot be asked for, nor sent with a span.
fn version(entry: &Map<String, Value>) -> Option<i64> {
    match entry.get("version") {
        None | Some(Value::Null) => Some(FIRST_VERSION),
        Some(version) => js::integer(version),
    }
}

/// A missing text is empty; what is no text cannot be read.
fn text(entry: &Map<String, Value>, field: &str) -> Option<String> {
    match entry.get(field) {
        None | Some(Value::Null) => Some(String::new()),
        Some(text) => text.as_str().map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn keys<T: Entry>(parsed: &Parsed<T>) -> Vec<(&str, i64)> {
        parsed.entries.iter().map(|entry| (entry.key(), entry.version())).collect()
    }

    #[test]
    fn a_prompt_without_texts_has_empty_ones() {
        let body = json!({"prompts": [
            {"key": "a", "version": 2, "system_prompt": "s", "user_template": null, "more": 1},
            {"key": "b", "version": 3},
        ]});
        let prompt =
            |key: &str, version, system: &str| Prompt::new(key.into(), version, system.into(), String::new());
        let parsed = prompts(body.to_string().as_bytes()).unwrap();
        assert_eq!(parsed, Parsed { entries: vec![prompt("a", 2, "s"), prompt("b", 3, "")], skipped: 0 });
    }

    #[test]
    fn a_prompt_that_cannot_be_read_spoils_no_other() {
        let body = json!({"prompts": [
            null, 3, "x", [], {}, {"key": 5}, {"key": "v", "version": "1"}, {"key": "v", "version": 1.5},
            {"key": "v", "version": false}, {"key": "t", "system_prompt": 3}, {"key": "t", "user_template": {}},
            {"key": "good", "version": 2.0},
        ]});
        let parsed = prompts(body.to_string().as_bytes()).unwrap();
        assert_eq!((keys(&parsed), parsed.skipped), (vec![("good", 2)], 11));
    }

    #[test]
    fn a_missing_version_is_the_first_and_a_configs_zero_too() {
        let entries = json!([{"key": "a"}, {"key": "b", "version": null}, {"key": "c", "version": 0}]);
        let body = |list: List| json!({(list.field()): entries.clone()}).to_string();
        let parsed = configs(body(List::Configs).as_bytes()).unwrap();
        assert_eq!(keys(&parsed), [("a", 1), ("b", 1), ("c", 1)]);
        let parsed = prompts(body(List::Prompts).as_bytes()).unwrap();
        assert_eq!(keys(&parsed), [("a", 1), ("b", 1), ("c", 0)]);
    }

    #[test]
    fn a_variant_that_names_no_prompt_keeps_its_place() {
        let variants = json!([
            {"prompt_key": "a", "prompt_version": 3, "weight": 10}, {"prompt_key": "b", "prompt_version": null},
            {"prompt_key": "c"}, {"weight": 1}, null, {"prompt_key": "d", "prompt_version": "1"},
        ]);
        let body = json!({"prompt_ab_tests": [{"key": "t", "variants": variants}]});
        let parsed = prompt_ab_tests(body.to_string().as_bytes()).unwrap();
        let variants = &parsed.entries[0].variants;
        let choices: Vec<_> =
            (0..variants.len()).map(|index| variants.get(index).unwrap().choice.clone()).collect();
        let prompt = |key: &str, version| Some(PromptRef { key: key.into(), version });
        assert_eq!(choices, [prompt("a", Some(3)), prompt("b", None), prompt("c", None), None, None, None]);
    }

    #[test]
    fn a_config_without_readable_variants_stays_listed() {
        let body =
            json!({"configs": [{"key": "a"}, {"key": "b", "variants": "x"}, {"key": "c", "variants": []}]});
        let parsed = configs(body.to_string().as_bytes()).unwrap();
        assert_eq!(parsed.skipped, 0);
        assert!(parsed.entries.iter().all(|config| config.variants.is_empty()));
    }

    #[test]
    fn one_version_is_the_one_that_was_asked_for() {
        let config = config_version(br#"{"variants":{"x":{"model":"m","weight":1}}}"#, "k", 7).unwrap();
        assert_eq!((config.key.as_str(), config.version, config.variants.len()), ("k", 7, 1));
    }

    #[test]
    fn what_is_no_config_is_refused() {
        for (body, got) in [
            ("[]", "an array"),
            ("{\"error\":\"secret\"}", "an object without them"),
            ("{\"variants\":null}", "an object without them"),
            ("null", "neither an object nor an array"),
            ("<html>", "HTML or XML"),
        ] {
            let error = config_version(body.as_bytes(), "k", 1).unwrap_err().to_string();
            assert_eq!(error, format!("expected one config, a JSON object with variants, got {got}"));
        }
    }
}
