//! Faults that were asked for.

mod support;

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{JSON, KEY, LINES, Server, lines, span};

fn with_faults(rules: &Value) -> Server {
    let server = Server::start(&[]);
    server.put("/_local/faults", rules);
    server
}

fn raw_post(id: u64) -> String {
    let body = span(id).to_string();
    let length = body.len();
    format!(
        "POST /v1/traces HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\ncontent-type: {JSON}\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

#[test]
fn an_answer_is_replaced() {
    let server = with_faults(&json!([
        {"path": "/v1/", "status": 429, "headers": {"retry-after": "7", "accept-post": null}, "times": 1},
        {"path": "/v1/", "method": "POST", "status": 503, "body": "sorry", "record": true, "times": 1},
        {"path": "/prompts", "body": "{\"prompts\": 1}"},
    ]));
    let limited = server.post(JSON, span(1).to_string());
    assert_eq!((limited.status, limited.header("retry-after")), (429, Some("7")));
    assert_eq!(
        (limited.header("accept-post"), limited.header("accept-encoding")),
        (None, Some("zstd, gzip"))
    );
    assert_eq!(server.stats()["spans"], 0);

    let down = server.post(JSON, span(1).to_string());
    assert_eq!((down.status, down.body.as_str()), (503, "sorry"));
    assert_eq!(down.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(server.stats()["spans"], 1, "recorded all the same");

    assert_eq!(server.post(JSON, span(2).to_string()).status, 200);
    assert_eq!(server.get("/prompts").json(), json!({"prompts": 1}));
    let rules = server.get("/_local/faults").json();
    assert_eq!((&rules[0]["matched"], &rules[0]["fired"]), (&json!(3), &json!(1)));
    let log = server.get("/_local/requests").json();
    let seen: Vec<_> =
        log.as_array().unwrap().iter().map(|entry| (&entry["fault"], &entry["status"])).collect();
    assert_eq!(json!(seen), json!([[0, 429], [1, 503], [null, 200], [2, 200]]));
    assert_eq!(server.stats()["faulted"], 3);
}

#[test]
fn bodies_can_be_refused_for_what_they_are() {
    let server = with_faults(&json!([
        {"max_body_bytes": 600},
        {"contains": "work 7", "status": 400},
        {"request_content_type": LINES, "status": 415},
    ]));
    assert_eq!(server.post(LINES, lines(1..4)).status, 413);
    assert_eq!(server.post(JSON, span(7).to_string()).status, 400);
    assert_eq!(server.post(LINES, lines(1..2)).status, 415);
    assert_eq!(server.post(JSON, span(1).to_string()).status, 200);
    assert_eq!(server.stats()["refused"], 0, "faults are no refusals");
}

#[test]
fn a_connection_is_reset() {
    let server = with_faults(&json!([{"reset": "before", "times": 1}, {"reset": "after", "times": 1}]));
    for kept in [0, 1] {
        let error = server.raw(&raw_post(1)).expect_err("a reset");
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert_eq!(server.stats()["spans"], kept);
    }
    let answer = server.raw(&raw_post(1)).expect("a whole answer");
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    let log = server.get("/_local/requests").json();
    assert_eq!((&log[0]["status"], &log[2]["status"]), (&json!(null), &json!(200)));
}

#[test]
fn an_answer_is_late_cut_or_never_comes() {
    let server = with_faults(&json!([
        {"path": "/prompts", "delay_ms": 150},
        {"path": "/configs", "truncate": 4},
        {"path": "/v1", "hang": true},
    ]));
    let begun = Instant::now();
    assert_eq!(server.get("/prompts").status, 200);
    assert!(begun.elapsed() >= Duration::from_millis(150));

    assert!(server.try_send("GET", "/configs", &[KEY], b"").is_none());
    let cut = server
        .raw("GET /configs HTTP/1.1\r\nhost: x\r\nauthorization: Bearer k\r\n\r\n")
        .map(|answer| String::from_utf8(answer).unwrap())
        .unwrap();
    assert!(cut.contains("content-length: 15") && cut.ends_with("\r\n\r\n{\"co"), "{cut}");

    let mut stream = server.connect();
    std::io::Write::write_all(&mut stream, raw_post(1).as_bytes()).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let error = std::io::Read::read(&mut stream, &mut [0; 1]).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
    assert_eq!(server.stats()["spans"], 0);
}

#[test]
fn a_share_of_the_requests_fails_and_runs_repeat() {
    let share = || {
        let server = with_faults(&json!([{"probability": 0.3, "status": 500}]));
        (0..100).map(|_| server.get("/prompts").status).collect::<Vec<_>>()
    };
    let statuses = share();
    let failed = statuses.iter().filter(|status| **status == 500).count();
    assert!((15..45).contains(&failed), "{failed}");
    assert_eq!(share(), statuses);
}

#[test]
fn rules_are_checked_and_forgotten() {
    let server = with_faults(&json!([{"status": 500}]));
    let bad = server.send("PUT", "/_local/faults", &[], br#"[{"status": 500, "stauts": 1}]"#);
    assert!(bad.status == 400 && bad.body.contains("unknown field `stauts`"), "{}", bad.body);
    assert_eq!(server.get("/prompts").status, 500);
    server.send("DELETE", "/_local", &[], b"");
    assert_eq!(server.get("/prompts").status, 200);
}
