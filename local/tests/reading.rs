//! What the tracer reads, and the assignments that it posts.

mod support;

use serde_json::json;
use support::{JSON, KEY, Server};

#[test]
fn the_lists_are_served_as_they_were_set() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/prompts").json(), json!({"prompts": []}));
    assert_eq!(server.get("/prompt-ab-tests").json(), json!({"prompt_ab_tests": []}));
    assert_eq!(server.get("/configs").json(), json!({"configs": []}));

    let prompt = r#"{"user_template":"{{q}}","key":"p","version":1,"system_prompt":"\ud800"}"#;
    let test =
        r#"{"key":"t","version":1,"variants":[{"prompt_key":"p","prompt_version":null,"weight":1.005}]}"#;
    let config = r#"{"key":"a b/c","version":2,"variants":{"10":{"model":"x","weight":50},"2":{"model":"y","weight":5e1}}}"#;
    let catalog = format!(r#"{{"prompts":[{prompt}],"prompt_ab_tests":[{test}],"configs":[{config}]}}"#);
    assert_eq!(server.send("PUT", "/_local/catalog", &[], catalog.as_bytes()).status, 204);
    assert_eq!(server.get("/prompts").body, format!(r#"{{"prompts": [{prompt}]}}"#));
    assert_eq!(server.get("/prompt-ab-tests").body, format!(r#"{{"prompt_ab_tests": [{test}]}}"#));
    assert_eq!(server.get("/configs").body, format!(r#"{{"configs": [{config}]}}"#));

    assert_eq!(server.get("/configs/a%20b%2Fc/version/2").body, config);
    assert_eq!(server.get("/configs/a%20b%2Fc/version/1").status, 404);
    assert_eq!(server.get("/configs/other/version/2").status, 404);
    assert_eq!(server.get("/configs/other/version/x").status, 400);
    assert_eq!(server.send("PUT", "/_local/catalog", &[], br#"{"prompt": []}"#).status, 400);
}

#[test]
fn a_list_that_is_known_is_not_sent_again() {
    let server = Server::start(&[]);
    let first = server.get("/prompts");
    let tag = first.header("etag").unwrap();
    let again = |tag: &str| server.send("GET", "/prompts", &[KEY, ("if-none-match", tag)], b"");
    for known in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        let answer = again(&known);
        assert_eq!(
            (answer.status, answer.body.as_str(), answer.header("etag")),
            (304, "", Some(tag)),
            "{known}"
        );
    }
    assert_eq!(again("\"other\"").status, 200);
    assert_eq!(server.get("/_local/requests").json()[1]["if_none_match"], tag);

    server.put("/_local/catalog", &json!({"prompts": [{"key": "p"}]}));
    let changed = again(tag);
    assert_eq!(changed.status, 200);
    assert_ne!(changed.header("etag"), Some(tag));
}

#[test]
fn assignments_are_checked_and_remembered() {
    let server = Server::start(&[]);
    let good = json!({"config_key": "c", "config_version": 1, "session_id": "s", "assigned_model": "m"});
    let post = |body: &serde_json::Value| {
        server.send("POST", "/sessions", &[KEY, ("content-type", JSON)], body.to_string().as_bytes())
    };
    assert_eq!(post(&good).status, 200);
    for (field, value, reason) in [
        ("config_version", json!("1"), "config_version: an integer expected"),
        ("assigned_model", json!(""), "assigned_model: a string that is not empty"),
        ("session_id", json!(null), "session_id: a string"),
        ("more", json!(1), "more: unknown field"),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        let answer = post(&bad);
        assert_eq!(answer.status, 400);
        assert!(answer.body.contains(reason), "{}", answer.body);
    }
    assert_eq!(post(&json!([good])).status, 400);
    assert_eq!(server.send("POST", "/sessions", &[KEY], b"{}").status, 415);
    assert_eq!(server.get("/_local/sessions").json(), json!([good]));
    assert_eq!(server.stats()["sessions"], 1);
}
