//! The contract's vectors, computed by the JavaScript SDK in use: every session keeps the variant, and every
//! template the text, that it has today. All go in as a server's text and come out of a snapshot.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers may fail the test")]

use fallom_trace::assignment::bucket;
use fallom_trace::assignment::targeting::Context;
use fallom_trace::catalog::{Snapshot, Variables, lists, template};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const VECTORS: &str = include_str!("../__test__/vectors.json");

#[derive(Deserialize)]
struct Vectors<'a> {
    /// As text, which keeps the order of keys.
    #[serde(borrow)]
    variant_sets: BTreeMap<String, &'a RawValue>,
    assignment: Vec<Assignment<String>>,
    #[serde(borrow)]
    targeting_variants: &'a RawValue,
    #[serde(borrow)]
    targeting_rules: BTreeMap<String, &'a RawValue>,
    targeting: Vec<Targeted>,
    template_variables: Map<String, Value>,
    templates: Vec<Rendered>,
    raw: Raw,
}

/// The model that a session gets of each set of variants.
#[derive(Deserialize)]
struct Assignment<S> {
    session_id: S,
    bucket: u32,
    assigned: BTreeMap<String, String>,
}

/// The model that a session with this customer and context gets under these rules.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Targeted {
    rules: String,
    customer_id: Option<String>,
    #[serde(default)]
    context: Map<String, Value>,
    assigned: String,
}

#[derive(Deserialize)]
struct Rendered {
    template: String,
    rendered: String,
}

#[derive(Deserialize)]
struct Raw {
    variants_text: BTreeMap<String, String>,
    cases: Vec<Assignment<RawSession>>,
}

/// A session id that JSON cannot hold, or should not have to.
#[derive(Deserialize)]
#[serde(untagged)]
enum RawSession {
    CodeUnits { utf16: Vec<u16> },
    Repeated { text: String, times: usize },
}

impl RawSession {
    fn id(&self) -> String {
        match self {
            Self::CodeUnits { utf16 } => String::from_utf16_lossy(utf16),
            Self::Repeated { text, times } => text.repeat(*times),
        }
    }
}

fn vectors() -> Vectors<'static> {
    serde_json::from_str(VECTORS).unwrap()
}

/// The configs that a server would list with these texts for variants and targeting, by key.
fn configs<'a>(entries: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> Snapshot {
    let entry = |(key, variants, targeting): (&str, &str, &str)| {
        format!(r#"{{"key":"{key}","version":1,"variants":{variants},"targeting":{targeting}}}"#)
    };
    let entries: Vec<_> = entries.map(entry).collect();
    let parsed = lists::configs(format!(r#"{{"configs":[{}]}}"#, entries.join(",")).as_bytes()).unwrap();
    assert_eq!(parsed.skipped, 0);
    Snapshot::default().with_configs(parsed.entries)
}

/// Prompt tests with the same weights, in which the prompt has the model's name.
fn prompt_tests<'a>(sets: impl Iterator<Item = (&'a str, &'a str)>) -> Snapshot {
    let mut prompts = Vec::new();
    let mut tests = Vec::new();
    for (key, variants) in sets {
        let variants = variants.replace("\"model\"", "\"prompt_key\"");
        let named: Value = serde_json::from_str(&variants).unwrap();
        let listed: Vec<_> = match &named {
            Value::Array(variants) => variants.iter().collect(),
            Value::Object(variants) => variants.values().collect(),
            other => panic!("{other} is no variants"),
        };
        prompts.extend(listed.iter().map(|variant| json!({"key": variant["prompt_key"], "version": 1})));
        tests.push(format!(r#"{{"key":"{key}","version":1,"variants":{variants}}}"#));
    }
    let tests = format!(r#"{{"prompt_ab_tests":[{}]}}"#, tests.join(","));
    let prompts = json!({ "prompts": prompts }).to_string();
    Snapshot::default()
        .with_tests(lists::prompt_ab_tests(tests.as_bytes()).unwrap().entries)
        .with_prompts(lists::prompts(prompts.as_bytes()).unwrap().entries)
}

/// Checks one session against all sets of variants, as model configs and as prompt tests. Returns how many.
fn assert_assigned<S>(configs: &Snapshot, tests: &Snapshot, session_id: &str, case: &Assignment<S>) -> usize {
    let session: String = session_id.chars().take(40).collect();
    assert_eq!(bucket::of(session_id), case.bucket, "the bucket of {session:?}");
    for (set, expected) in &case.assigned {
        let model = configs.model(set, session_id, None, &Context::default()).unwrap();
        assert_eq!(&model.model, expected, "the model of {session:?} in {set}");
        let prompt = tests.ab(set, session_id, &Variables::new()).unwrap();
        assert_eq!(&prompt.key, expected, "the prompt of {session:?} in {set}");
        assert_eq!(prompt.ab.unwrap().variant_index, model.variant_index);
    }
    case.assigned.len()
}

/// JavaScript's `String(value)`, for the kinds of value that the vectors hold.
fn variables(values: &Map<String, Value>) -> Variables {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    values.iter().map(|(name, value)| (name.clone(), text(value))).collect()
}

#[test]
fn every_session_keeps_the_variant_it_has_today() {
    let vectors = vectors();
    let sets = || vectors.variant_sets.iter().map(|(key, variants)| (key.as_str(), variants.get()));
    let configs = configs(sets().map(|(key, variants)| (key, variants, "null")));
    let tests = prompt_tests(sets());
    let checked: usize =
        vectors.assignment.iter().map(|case| assert_assigned(&configs, &tests, &case.session_id, case)).sum();
    assert_eq!(checked, 221 * 10);
}

#[test]
fn odd_weights_keys_and_session_ids_keep_their_variant_too() {
    let Raw { variants_text, cases } = vectors().raw;
    let sets = || variants_text.iter().map(|(key, variants)| (key.as_str(), variants.as_str()));
    let configs = configs(sets().map(|(key, variants)| (key, variants, "null")));
    let tests = prompt_tests(sets());
    let checked: usize =
        cases.iter().map(|case| assert_assigned(&configs, &tests, &case.session_id.id(), case)).sum();
    assert_eq!((cases.len(), checked), (15, 15 * 7));
}

#[test]
fn targeted_customers_get_their_variant_and_all_others_their_share() {
    let vectors = vectors();
    let variants = vectors.targeting_variants.get();
    let configs =
        configs(vectors.targeting_rules.iter().map(|(key, rules)| (key.as_str(), variants, rules.get())));
    for (index, case) in vectors.targeting.iter().enumerate() {
        let context = Context::new(case.context.clone(), case.customer_id.as_deref());
        // The first variant weighs all, so any session shows whether the rules or the hash decided.
        for session_id in ["session-123", "session-xyz", ""] {
            let assigned = configs.model(&case.rules, session_id, None, &context).unwrap();
            assert_eq!(assigned.model, case.assigned, "case {index}, under {:?}, {context:?}", case.rules);
        }
    }
    assert_eq!(vectors.targeting.len(), 33);
}

#[test]
fn every_template_gives_the_text_it_gives_today() {
    let vectors = vectors();
    let variables = variables(&vectors.template_variables);
    for Rendered { template, rendered } in &vectors.templates {
        let lookup = |name: &str| variables.get(name).map(String::as_str);
        assert_eq!(&template::render(template, lookup), rendered, "{template:?}");

        let entry = json!({"key": "k", "version": 1, "system_prompt": template, "user_template": template});
        let body = json!({ "prompts": [entry] }).to_string();
        let snapshot = Snapshot::default().with_prompts(lists::prompts(body.as_bytes()).unwrap().entries);
        let prompt = snapshot.prompt("k", None, &variables).unwrap();
        assert_eq!((&prompt.system, &prompt.user), (rendered, rendered), "{template:?}");
    }
    assert_eq!(vectors.templates.len(), 26);
}
