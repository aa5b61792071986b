use super::*;

fn settings(options: &str, environment: &str) -> Checked<Settings> {
    Settings::from_options(options, &Environment::from_json(environment))
}

#[test]
fn without_options_the_documented_defaults_hold() {
    let s = settings("{}", "{}").unwrap();
    assert_eq!(s.traces, Endpoint { url: "https://traces.fallom.com".into(), api_key: None });
    assert_eq!(s.configs.url, "https://configs.fallom.com");
    assert_eq!(s.prompts.url, "https://prompts.fallom.com");
    assert!(s.enabled && s.capture_content && !s.debug);
    assert_eq!(s.max_span_bytes, 1_048_576);
    assert_eq!(s.max_queue_bytes, 67_108_864);
    assert_eq!(s.max_open, Duration::from_secs(1800));
    assert_eq!(s.batch, Batch { max_spans: 512, max_bytes: 1_048_576, max_delay: Duration::from_secs(1) });
    assert_eq!(s.transport.timeout, Duration::from_secs(10));
    assert_eq!(s.transport.max_concurrent, 4);
    assert_eq!(s.retry.max_age, Duration::from_secs(600));
    assert_eq!(s.retry.base, Duration::from_millis(500));
    assert_eq!(s.retry.max, Duration::from_secs(30));
    assert_eq!(s.exit_timeout, Duration::from_secs(2));
}

#[test]
fn an_option_beats_its_variable_which_beats_the_base_url() {
    let environment =
        r#"{"FALLOM_API_KEY":"env","FALLOM_BASE_URL":"http://base/","FALLOM_PROMPTS_URL":"http://prompts"}"#;
    let s = settings(r#"{"apiKey":"given","tracesUrl":"http://traces//"}"#, environment).unwrap();
    assert_eq!(s.traces, Endpoint { url: "http://traces".into(), api_key: Some("given".into()) });
    assert_eq!(s.prompts.url, "http://prompts");
    assert_eq!(s.configs.url, "http://base");
}

#[test]
fn an_empty_string_counts_as_absent() {
    let s = settings(r#"{"apiKey":"","tracesUrl":""}"#, r#"{"FALLOM_API_KEY":""}"#).unwrap();
    assert_eq!(s.traces, Endpoint { url: TRACES_URL.into(), api_key: None });
}

#[test]
fn content_capture_is_off_when_either_place_says_so() {
    for (options, environment, captured) in [
        ("{}", "{}", true),
        (r#"{"captureContent":false}"#, "{}", false),
        (r#"{"captureContent":true}"#, r#"{"FALLOM_CAPTURE_CONTENT":"No"}"#, false),
        (r#"{"captureContent":false}"#, r#"{"FALLOM_CAPTURE_CONTENT":"1"}"#, false),
        ("{}", r#"{"FALLOM_CAPTURE_CONTENT":"0"}"#, false),
        ("{}", r#"{"FALLOM_CAPTURE_CONTENT":"maybe"}"#, true),
    ] {
        let s = settings(options, environment).unwrap();
        assert_eq!(s.capture_content, captured, "{options} {environment}");
    }
}

#[test]
fn a_misused_option_is_named_and_its_value_is_not_repeated() {
    for (options, named) in [
        (r#"{"apiKey":7}"#, "'apiKey'"),
        (r#"{"tracesUrl":"ftp://x"}"#, "'tracesUrl'"),
        (r#"{"captureContent":"no"}"#, "'captureContent'"),
        (r#"{"maxSpanBytes":1.5}"#, "'maxSpanBytes'"),
        (r#"{"maxSpanBytes":10}"#, "'maxSpanBytes'"),
        (r#"{"maxQueueBytes":"NaN"}"#, "'maxQueueBytes'"),
        (r#"{"maxOpenMs":-1}"#, "'maxOpenMs'"),
        (r#"{"batch":5}"#, "'batch'"),
        (r#"{"batch":{"maxSpans":0}}"#, "'batch.maxSpans'"),
        (r#"{"transport":{"format":"xml"}}"#, "'transport.format'"),
        (r#"{"retry":{"baseMs":true}}"#, "'retry.baseMs'"),
        (r#"{"retry":{"base":1}}"#, "'retry.base' is not known"),
        (r#"{"api_key":"k"}"#, "'api_key' is not known"),
        (r#"{"spool":1}"#, "'spool'"),
        (r#"{"spool":{"maxBytes":10}}"#, "'spool.maxBytes'"),
        (r#"{"spool":{"folder":"x"}}"#, "'spool.folder' is not known"),
        (r#"{"cache":1}"#, "'cache'"),
        (r#"{"cache":{"dir":1}}"#, "'cache.dir'"),
        (r#"{"cache":{"folder":"x"}}"#, "'cache.folder' is not known"),
    ] {
        let text = settings(options, "{}").unwrap_err();
        assert!(text.contains(named), "{options}: {text}");
    }
    assert!(settings("[]", "{}").is_err());
    assert!(!settings(r#"{"apiKey":{"secret":"s3cret"}}"#, "{}").unwrap_err().contains("s3cret"));
}

#[test]
fn a_second_init_brings_keys_and_urls_and_names_what_it_cannot_change() {
    let first = settings(r#"{"apiKey":"one","tracesUrl":"http://a","batch":{"maxSpans":7}}"#, "{}").unwrap();
    let environment = Environment::default();

    let (second, ignored) = first.again(r#"{"apiKey":"two"}"#, &environment).unwrap();
    assert_eq!(second.traces, Endpoint { url: "http://a".into(), api_key: Some("two".into()) });
    assert_eq!(ignored, Vec::<&str>::new());

    let (third, ignored) = first
        .again(
            r#"{"promptsUrl":"http://b","batch":{"maxSpans":1},"debug":true,"enabled":true}"#,
            &environment,
        )
        .unwrap();
    assert_eq!(third.prompts, Endpoint { url: "http://b".into(), api_key: Some("one".into()) });
    assert_eq!(third.batch.max_spans, 7);
    assert_eq!(ignored, ["debug", "batch"]);
}

#[test]
fn the_cache_is_off_until_the_option_or_the_variable_turns_it_on() {
    let variable = r#"{"FALLOM_CACHE_DIR":"/from/variable"}"#;
    let dir = |options, environment| {
        settings(options, environment).unwrap().cache.map(|dir| dir.to_string_lossy().into_owned())
    };
    assert_eq!(dir("{}", "{}"), None);
    assert_eq!(dir(r#"{"cache":false}"#, variable), None);
    assert_eq!(dir("{}", variable).unwrap(), "/from/variable");
    assert_eq!(dir(r#"{"cache":true}"#, variable).unwrap(), "/from/variable");
    assert_eq!(dir(r#"{"cache":{"dir":"/given"}}"#, variable).unwrap(), "/given");
    assert!(dir(r#"{"cache":{"dir":""}}"#, "{}").unwrap().contains("fallom"));
}

#[test]
fn the_spool_is_off_until_the_option_or_the_variable_turns_it_on() {
    let variable = r#"{"FALLOM_SPOOL_DIR":"/from/variable"}"#;
    let dir = |options, environment| {
        settings(options, environment).unwrap().spool.map(|spool| spool.dir.to_string_lossy().into_owned())
    };
    assert_eq!(dir("{}", "{}"), None);
    assert_eq!(dir(r#"{"spool":false}"#, variable), None);
    assert_eq!(dir("{}", variable).unwrap(), "/from/variable");
    assert_eq!(dir(r#"{"spool":true}"#, variable).unwrap(), "/from/variable");
    assert_eq!(dir(r#"{"spool":{"dir":"/given"}}"#, variable).unwrap(), "/given");
    assert!(dir(r#"{"spool":{}}"#, "{}").unwrap().contains("fallom"));
    let spool = settings(r#"{"spool":true}"#, "{}").unwrap().spool.unwrap();
    assert_eq!((spool.max_bytes, spool.max_age), (268_435_456, Duration::from_secs(86_400)));
}

#[test]
fn a_url_is_said_without_the_user_and_password_in_it() {
    for (url, said) in [
        ("https://traces.fallom.com", "https://traces.fallom.com"),
        ("http://user:needle@host:1/a@b", "http://host:1/a@b"),
        ("http://needle@host", "http://host"),
        ("https://host/x?y=a@b", "https://host/x?y=a@b"),
    ] {
        assert_eq!(shown(url), said);
    }
}
