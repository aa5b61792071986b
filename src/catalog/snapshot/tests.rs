//! What a session gets of a snapshot.

use super::*;
use crate::catalog::lists;
use serde_json::{Value, json};

fn snapshot(prompts: Value, tests: Value, configs: Value) -> Snapshot {
    let body = |list: List, entries: Value| json!({(list.field()): entries}).to_string().into_bytes();
    Snapshot::default()
        .with_prompts(lists::prompts(&body(List::Prompts, prompts)).unwrap().entries)
        .with_tests(lists::prompt_ab_tests(&body(List::PromptAbTests, tests)).unwrap().entries)
        .with_configs(lists::configs(&body(List::Configs, configs)).unwrap().entries)
}

fn prompts() -> Snapshot {
    let prompts = json!([
        {"key": "greet", "version": 3, "system_prompt": "three", "user_template": "{{name}} {{ city }}"},
        {"key": "other", "version": 1},
        {"key": "greet", "version": 1, "system_prompt": "one"},
        {"key": "greet", "version": 2, "system_prompt": "two", "user_template": "Hello {{name}}"},
    ]);
    snapshot(prompts, json!([]), json!([]))
}

fn test_of(variants: Value) -> Snapshot {
    let prompts = json!([
        {"key": "a", "version": 1, "system_prompt": "a1 {{name}}"},
        {"key": "a", "version": 2, "system_prompt": "a2 {{name}}"},
    ]);
    snapshot(prompts, json!([{"key": "test", "version": 1, "variants": variants}]), json!([]))
}

fn config_of(config: Value) -> Snapshot {
    snapshot(json!([]), json!([]), json!([config]))
}

fn variables() -> Variables {
    Variables::from([("name".into(), "Al".into())])
}

fn prompt(snapshot: &Snapshot, key: &str, version: Option<i64>) -> Result<(i64, String, String), String> {
    let prompt = snapshot.prompt(key, version, &variables()).map_err(|error| error.to_string())?;
    assert_eq!((prompt.key.as_str(), prompt.ab), (key, None));
    Ok((prompt.version, prompt.system, prompt.user))
}

fn ab(snapshot: &Snapshot) -> Result<RenderedPrompt, String> {
    snapshot.ab("test", "session-123", &variables()).map_err(|error| error.to_string())
}

fn model(snapshot: &Snapshot, version: Option<i64>) -> Result<AssignedModel, CatalogError> {
    snapshot.model("config", "session-123", version, &Context::default())
}

#[test]
fn a_prompt_comes_in_the_version_listed_last() {
    assert_eq!(prompt(&prompts(), "greet", None), Ok((2, "two".into(), "Hello Al".into())));
}

#[test]
fn a_prompt_comes_in_the_version_asked_for() {
    assert_eq!(prompt(&prompts(), "greet", Some(3)), Ok((3, "three".into(), "Al {{ city }}".into())));
    assert_eq!(prompt(&prompts(), "greet", Some(1)), Ok((1, "one".into(), String::new())));
}

#[test]
fn a_prompt_that_is_not_listed_says_what_to_do() {
    let advice = "Check the key, or create the prompt in Fallom.";
    for version in [None, Some(1)] {
        assert_eq!(prompt(&prompts(), "x", version), Err(format!("Prompt 'x' not found. {advice}")));
    }
    let unknown = "Prompt 'greet' version 9 not found. Known versions: 3, 2, 1.";
    assert_eq!(prompt(&prompts(), "greet", Some(9)), Err(unknown.into()));
}

#[test]
fn a_test_gives_the_version_it_pins_or_the_current_one() {
    for (version, expected) in [(json!(1), 1), (json!(null), 2)] {
        let variants = json!([{"prompt_key": "a", "prompt_version": version, "weight": 100}]);
        let rendered = ab(&test_of(variants)).unwrap();
        assert_eq!((rendered.version, rendered.system), (expected, format!("a{expected} Al")));
        assert_eq!(rendered.ab, Some(AbChoice { test_key: "test".into(), variant_index: 0 }));
    }
}

#[test]
fn a_tests_variant_is_chosen_by_the_session() {
    let half = |version| json!({"prompt_key": "a", "prompt_version": version, "weight": 50});
    let snapshot = test_of(json!([half(1), half(2)]));
    for (session_id, variant_index) in [("session-123", 0), ("session-xyz", 1)] {
        let rendered = snapshot.ab("test", session_id, &variables()).unwrap();
        assert_eq!(rendered.ab.map(|ab| ab.variant_index), Some(variant_index));
        assert_eq!(rendered.version, i64::from(variant_index) + 1);
    }
}

#[test]
fn a_test_that_can_choose_nothing_says_why() {
    let not_found = snapshot(json!([]), json!([]), json!([]));
    let advice = "Check the key, or create the test in Fallom.";
    assert_eq!(ab(&not_found), Err(format!("Prompt A/B test 'test' not found. {advice}")));
    for variants in [json!([]), json!({}), json!(null)] {
        assert_eq!(ab(&test_of(variants)), Err("Prompt A/B test 'test' has no variants configured.".into()));
    }
    let broken = "Prompt A/B test 'test' names no prompt in variant 0. Correct it in Fallom.";
    assert_eq!(ab(&test_of(json!([{"weight": 100}]))), Err(broken.into()));
}

#[test]
fn a_test_whose_prompt_is_not_listed_fails_with_the_prompts_error() {
    let gone = test_of(json!([{"prompt_key": "gone", "prompt_version": 1, "weight": 100}]));
    let advice = "Check the key, or create the prompt in Fallom.";
    assert_eq!(ab(&gone), Err(format!("Prompt 'gone' not found. {advice}")));
    let old = test_of(json!([{"prompt_key": "a", "prompt_version": 7, "weight": 100}]));
    assert_eq!(ab(&old), Err("Prompt 'a' version 7 not found. Known versions: 2, 1.".into()));
}

#[test]
fn a_config_assigns_in_the_version_listed_last_or_asked_for() {
    let config = |version: i64| json!({"key": "config", "version": version, "variants": [{"model": format!("m{version}"), "weight": 100}]});
    let snapshot = snapshot(json!([]), json!([]), json!([config(2), config(1)]));
    for (asked, version) in [(None, 1), (Some(2), 2), (Some(1), 1)] {
        let assigned =
            AssignedModel { model: format!("m{version}"), config_version: version, variant_index: 0 };
        assert_eq!(model(&snapshot, asked), Ok(assigned));
    }
    let message = model(&snapshot, Some(5)).unwrap_err().to_string();
    assert_eq!(message, "Config 'config' version 5 not found. Known versions: 2, 1.");
}

#[test]
fn targeting_beats_the_hash_and_points_into_the_order_of_the_walk() {
    let snapshot = config_of(json!({
        "key": "config",
        "variants": {"b": {"model": "mb", "weight": 100}, "1": {"model": "m1", "weight": 0}},
        "targeting": {"individualTargets": [{"field": "customerId", "value": "vip", "variantIndex": 0}]},
    }));
    let assigned = |customer| {
        let context = Context::new(serde_json::Map::new(), customer);
        snapshot.model("config", "session-123", None, &context).unwrap()
    };
    assert_eq!((assigned(None).model.as_str(), assigned(None).variant_index), ("mb", 1));
    assert_eq!((assigned(Some("vip")).model.as_str(), assigned(Some("vip")).variant_index), ("m1", 0));
}

#[test]
fn a_config_that_can_choose_nothing_says_why() {
    let message = |snapshot: Snapshot| model(&snapshot, None).unwrap_err().to_string();
    let not_found = snapshot(json!([]), json!([]), json!([]));
    let advice = "Check the key, create the config in Fallom, or pass a fallback model.";
    assert_eq!(message(not_found), format!("Config 'config' not found. {advice}"));
    let empty = config_of(json!({"key": "config", "variants": []}));
    assert_eq!(message(empty), "Config 'config' has no variants configured.");
    let broken = config_of(json!({"key": "config", "variants": [null]}));
    assert_eq!(message(broken), "Config 'config' names no model in variant 0. Correct it in Fallom.");
}

#[test]
fn a_list_that_was_never_loaded_is_told_from_one_that_is_empty() {
    let never = Snapshot::default();
    let empty = snapshot(json!([]), json!([]), json!([]));
    for list in [List::Prompts, List::PromptAbTests, List::Configs] {
        assert!(!never.has(list) && empty.has(list));
    }
    for (snapshot, expected) in [(never, false), (empty, true)] {
        let error = model(&snapshot, None).unwrap_err();
        assert_eq!(error.missing_from(), Some(List::Configs));
        assert!(matches!(error, CatalogError::NotFound { loaded, .. } if loaded == expected));
    }
}

#[test]
fn a_test_without_the_prompts_asks_for_the_prompts() {
    let tests = json!({"prompt_ab_tests": [{"key": "test", "variants": [{"prompt_key": "a", "weight": 1}]}]});
    let tests = lists::prompt_ab_tests(tests.to_string().as_bytes()).unwrap().entries;
    let error = Snapshot::default().with_tests(tests).ab("test", "s", &variables()).unwrap_err();
    assert_eq!(error.missing_from(), Some(List::Prompts));
}

#[test]
fn a_new_list_replaces_the_old_one_whole_and_shares_the_others() {
    let old = prompts();
    let new = old.with_prompts(vec![]);
    assert!(prompt(&old, "greet", None).is_ok(), "who holds the old snapshot keeps it");
    assert!(prompt(&new, "greet", None).is_err(), "a prompt that was deleted is gone");
    assert!(Arc::ptr_eq(old.configs.as_ref().unwrap(), new.configs.as_ref().unwrap()));
    assert!(Arc::ptr_eq(old.tests.as_ref().unwrap(), new.tests.as_ref().unwrap()));
}
