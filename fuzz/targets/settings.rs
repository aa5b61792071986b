//! Options and environment become settings, or an error for the user. Input: the environment, a line; the options, a
//! line; the options of a second `init`.

use std::time::Duration;

use fallom_trace::settings::{Endpoint, Environment, Own, Settings};
use serde_json::Value;

use super::line;

const MOST_MS: Duration = Duration::from_millis(u32::MAX as u64);
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

pub fn target(input: &[u8]) {
    let (environment, rest) = line(input);
    let (options, again) = line(rest);
    let environment = Environment::from_json(&String::from_utf8_lossy(environment));
    let (options, again) = (String::from_utf8_lossy(options), String::from_utf8_lossy(again));
    names_no_key(&options, &environment);
    if let Ok(own) = Own::from_options(&options, &environment) {
        let service = Endpoint { url: "http://general".to_owned(), api_key: None };
        is_an_endpoint(&own.or(&Own::default()).over(&service));
    }
    let Ok(settings) = Settings::from_options(&options, &environment) else { return };
    are_in_range(&settings);
    let (same, ignored) = settings.again(&options, &environment).expect("they were taken before");
    assert_eq!(same, settings, "the same options again change nothing");
    assert!(ignored.is_empty(), "{ignored:?}");
    if let Ok((changed, _)) = settings.again(&again, &environment.without_key()) {
        are_in_range(&changed);
        assert_eq!((changed.max_span_bytes, changed.batch), (settings.max_span_bytes, settings.batch));
    }
}

fn are_in_range(settings: &Settings) {
    [&settings.traces, &settings.configs, &settings.prompts].into_iter().for_each(is_an_endpoint);
    assert!((4 * KIB..=256 * MIB).contains(&settings.max_span_bytes));
    assert!((64 * KIB..=64 * KIB * MIB).contains(&settings.max_queue_bytes));
    assert!((1..=100_000).contains(&settings.batch.max_spans));
    assert!((KIB..=256 * MIB).contains(&settings.batch.max_bytes));
    assert!((1..=256).contains(&settings.transport.max_concurrent));
    for time in [
        settings.max_open,
        settings.batch.max_delay,
        settings.transport.timeout,
        settings.retry.max_age,
        settings.retry.base,
        settings.retry.max,
        settings.exit_timeout,
        settings.refresh,
        settings.get_timeout,
    ] {
        assert!(time <= MOST_MS, "{time:?}");
    }
}

fn is_an_endpoint(endpoint: &Endpoint) {
    let url = &endpoint.url;
    assert!(url.starts_with("http://") || url.starts_with("https://"), "{url}");
    assert!(!url.ends_with('/') && !url.contains(char::is_whitespace), "{url:?}");
    assert!(endpoint.api_key.as_ref().is_none_or(|key| !key.is_empty()));
}

/// An error is the same whatever the key is, so it says nothing of it.
fn names_no_key(options: &str, environment: &Environment) {
    let Ok(Value::Object(mut fields)) = serde_json::from_str(options) else { return };
    let Some(Value::String(key)) = fields.get_mut("apiKey") else { return };
    "another key".clone_into(key);
    let other = Settings::from_options(&Value::Object(fields).to_string(), environment);
    assert_eq!(Settings::from_options(options, environment).err(), other.err());
}
