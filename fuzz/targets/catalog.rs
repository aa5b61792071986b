//! The lists of prompts, tests and configs as a server answers them, and what sessions get of them. Input: who asks,
//! a line of JSON `{"session", "customer", "context", "variables"}`; the body.

use fallom_trace::assignment::targeting::Context;
use fallom_trace::assignment::variants::Variants;
use fallom_trace::catalog::{BodyError, CatalogError, Parsed, Snapshot, Variables, lists, template};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::line;

const NOT_LISTED: &str = "a key that no list has";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asker {
    session: String,
    customer: Option<String>,
    context: Map<String, Value>,
    variables: Variables,
}

pub fn target(input: &[u8]) {
    let (asker, body) = line(input);
    let asker: Asker = serde_json::from_slice(asker).unwrap_or_default();
    let mut snapshot = Snapshot::default();
    let prompts = readable(lists::prompts(body));
    are_as_written(&prompts, body);
    let tests = readable(lists::prompt_ab_tests(body));
    let configs = readable(lists::configs(body));
    // Twice of each: a refresh must change nothing where the server answers the same.
    for _ in 0..2 {
        snapshot =
            snapshot.with_prompts(prompts.clone()).with_tests(tests.clone()).with_configs(configs.clone());
    }
    prompts_are_given(&snapshot, &prompts, &asker.variables);
    tests_choose(&snapshot, &tests, &asker);
    configs_assign(&snapshot, &configs, &asker);
    one_version_assigns(body, &asker);
}

fn readable<T>(parsed: Result<Parsed<T>, BodyError>) -> Vec<T> {
    parsed.map_or_else(|error| quotes_nothing(&error), |parsed| parsed.entries)
}

/// An error of ours says what kind of answer it was, and nothing of what stood in it.
fn quotes_nothing<T>(error: &BodyError) -> Vec<T> {
    let text = error.to_string();
    let (expected, got) = text.split_once(", got ").unwrap_or_default();
    let kinds = [
        "nothing",
        "HTML or XML",
        "JSON that was cut off",
        "an array",
        "an object that is not valid JSON",
        "neither an object nor an array",
        "an object without it",
        "an object without them",
        "an object in which it is no list",
    ];
    assert!(expected.starts_with("expected ") && kinds.contains(&got), "{text}");
    Vec::new()
}

/// Where the body is strict JSON, nothing had to be mended, so each text is one that stands there.
fn are_as_written(prompts: &[lists::Prompt], body: &[u8]) {
    let Ok(strict) = serde_json::from_slice::<Value>(body) else { return };
    let Some(entries) = strict["prompts"].as_array() else { return };
    let has = |field: &str, text: &str| {
        text.is_empty() || entries.iter().any(|entry| entry[field].as_str() == Some(text))
    };
    for prompt in prompts {
        assert!(has("key", &prompt.key) && has("system_prompt", &prompt.system), "{prompt:?}");
        assert!(has("user_template", &prompt.user), "{prompt:?}");
    }
}

fn prompts_are_given(snapshot: &Snapshot, prompts: &[lists::Prompt], variables: &Variables) {
    for prompt in prompts {
        let current = prompts.iter().rfind(|other| other.key == prompt.key).expect("it is listed");
        let found = snapshot.prompt(&prompt.key, None, variables).expect("it is listed");
        assert_eq!((&found.key, found.version), (&prompt.key, current.version));
        let plain =
            snapshot.prompt(&prompt.key, Some(prompt.version), &Variables::new()).expect("it is listed");
        let same = |other: &&lists::Prompt| (&other.key, other.version) == (&prompt.key, prompt.version);
        let last = prompts.iter().rfind(same).expect("it is listed");
        assert_eq!((&plain.system, &plain.user), (&last.system, &last.user), "changed without variables");
        for name in template::variables(&prompt.system) {
            assert!(
                !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'),
                "{name}"
            );
        }
        template::render(&prompt.user, |name| Some(if name.len() > 1 { "{{x}}" } else { "" }));
    }
    for version in [None, Some(i64::MIN), Some(1)] {
        is_explained(snapshot.prompt(NOT_LISTED, version, variables), "Prompt '");
    }
}

fn tests_choose(snapshot: &Snapshot, tests: &[lists::PromptTest], asker: &Asker) {
    for test in tests {
        every_bucket_has_a_variant(&test.variants);
        let current = tests.iter().rfind(|other| other.key == test.key).expect("it is listed");
        let chosen = snapshot.ab(&test.key, &asker.session, &asker.variables);
        assert_eq!(
            chosen,
            snapshot.ab(&test.key, &asker.session, &asker.variables),
            "another one the second time"
        );
        let Some(chosen) = is_explained(chosen, "Prompt ") else { continue };
        let choice = chosen.ab.expect("a test chose it");
        let variant =
            current.variants.get(choice.variant_index as usize).expect("the index is one of its variants");
        assert_eq!(choice.test_key, test.key);
        assert_eq!(variant.choice.as_ref().map(|prompt| &prompt.key), Some(&chosen.key));
    }
    is_explained(snapshot.ab(NOT_LISTED, &asker.session, &asker.variables), "Prompt A/B test '");
}

fn configs_assign(snapshot: &Snapshot, configs: &[lists::Config], asker: &Asker) {
    for config in configs {
        every_bucket_has_a_variant(&config.variants);
        let mut versions = configs.iter().filter(|other| other.key == config.key);
        let current = versions.clone().next_back().expect("it is listed");
        let pinned = versions.rfind(|other| other.version == config.version).expect("it is listed");
        assign(current, asker, |session, context| snapshot.model(&config.key, session, None, context));
        assign(pinned, asker, |session, context| {
            snapshot.model(&config.key, session, Some(config.version), context)
        });
    }
    is_explained(snapshot.model(NOT_LISTED, &asker.session, None, &Context::default()), "Config '");
}

fn one_version_assigns(body: &[u8], asker: &Asker) {
    match lists::config_version(body, "k", 7) {
        Ok(config) => {
            every_bucket_has_a_variant(&config.variants);
            assert_eq!((config.key.as_str(), config.version), ("k", 7));
            assign(&config, asker, |session, context| config.model(session, context));
        }
        Err(error) => drop(quotes_nothing::<()>(&error)),
    }
}

fn assign(
    config: &lists::Config,
    asker: &Asker,
    model: impl Fn(&str, &Context) -> Result<fallom_trace::catalog::AssignedModel, CatalogError>,
) {
    for context in [Context::default(), Context::new(asker.context.clone(), asker.customer.as_deref())] {
        let assigned = model(&asker.session, &context);
        assert_eq!(assigned, model(&asker.session, &context), "another one the second time");
        let Some(assigned) = is_explained(assigned, "Config '") else { continue };
        let variant =
            config.variants.get(assigned.variant_index as usize).expect("the index is one of its variants");
        assert_eq!(variant.choice.model.as_ref(), Some(&assigned.model));
        assert_eq!(assigned.config_version, config.version);
    }
}

fn every_bucket_has_a_variant<T>(variants: &Variants<T>) {
    for bucket in [0, 1, 499_999, 500_000, 999_999] {
        let index = variants.walk(bucket);
        assert_eq!(index.is_none(), variants.is_empty());
        assert!(index.is_none_or(|index| index < variants.len()));
    }
}

/// The beginnings of the messages are the contract's (`wire.md`).
fn is_explained<T>(result: Result<T, CatalogError>, begins: &str) -> Option<T> {
    let error = match result {
        Ok(value) => return Some(value),
        Err(error) => error.to_string(),
    };
    let known = [" not found.", " has no variants configured.", " names no model", " names no prompt"];
    assert!(error.starts_with(begins), "{error}");
    assert!(known.iter().any(|known| error.contains(known)) || error.contains(" version "), "{error}");
    None
}
