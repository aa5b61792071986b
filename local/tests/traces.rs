//! Which spans are taken, in which bodies.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail")]

mod support;

use std::io::Write;

use serde_json::json;
use support::{JSON, KEY, LINES, Server, lines, span};

#[test]
fn a_span_is_taken_and_kept_as_it_came() {
    let server = Server::start(&[]);
    let spaced = span(1).to_string().replace(",\"span_id\"", " ,\n  \"span_id\"");
    let answer = server.post("application/json; charset=utf-8", &spaced);
    assert_eq!((answer.status, answer.json()), (200, json!({"accepted": 1})));
    server.post(JSON, span(2).to_string());
    let kept = server.get("/_local/spans");
    assert_eq!(kept.body, format!("[{spaced},\n{}]", span(2)));
    let with_arrival = server.get("/_local/spans?arrival=1").json();
    assert_eq!(with_arrival[1]["request"], 2);
    assert!(with_arrival[0]["received_at"].as_u64() > Some(1_700_000_000_000));
}

#[test]
fn a_batch_is_taken_whole_or_not_at_all() {
    let server = Server::start(&[]);
    assert_eq!(server.post(LINES, lines(1..4)).json(), json!({"accepted": 3}));
    assert_eq!(server.post(LINES, lines(4..6).trim_end()).json(), json!({"accepted": 2}));
    let mut bad = span(8);
    bad["kind"] = "nonsense".into();
    let answer = server.post(LINES, format!("{}{bad}\n{}", lines(6..8), lines(9..11)));
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["line"], 3);
    assert!(answer.json()["error"].as_str().unwrap().starts_with("kind: one of agent"), "{}", answer.body);
    assert_eq!(server.stats()["spans"], 5);
}

#[test]
fn bodies_that_are_no_spans_are_refused() {
    let server = Server::start(&[]);
    let array = json!([span(1)]).to_string();
    let otlp = json!({"resourceSpans": []}).to_string();
    let blank = format!("{}\n{}", lines(1..2), lines(2..3));
    for (content_type, body, status, reason) in [
        (JSON, "", 400, "not one JSON value"),
        (JSON, "{\"a\"", 400, "not one JSON value"),
        (JSON, &array, 400, "a span is a JSON object, not a list"),
        (JSON, &otlp, 400, "resourceSpans: unknown field"),
        (JSON, &lines(1..3), 400, "not one JSON value"),
        (LINES, "", 400, "the body holds no span"),
        (LINES, &blank, 400, "not one JSON value"),
        (LINES, &array, 400, "a span is a JSON object, not a list"),
        ("text/plain", "{}", 415, "unknown content type `text/plain`"),
        ("application/json-seq", "{}", 415, "unknown content type"),
    ] {
        let answer = server.post(content_type, body);
        assert_eq!(answer.status, status, "{content_type} {body}");
        assert!(answer.json()["error"].as_str().unwrap().contains(reason), "{body}: {}", answer.body);
    }
    assert_eq!(server.post(JSON, b"\"\xff\"").status, 400);
    assert_eq!(server.send("POST", "/v1/traces", &[KEY], b"{}").status, 415, "no content type");
    assert_eq!((&server.stats()["spans"], &server.stats()["refused"]), (&json!(0), &json!(12)));
}

fn gzip(plain: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(plain.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zstd(plain: &str) -> Vec<u8> {
    zstd::encode_all(plain.as_bytes(), 1).unwrap()
}

#[test]
fn compressed_bodies_are_taken() {
    let server = Server::start(&[]);
    let post = |encoding: &str, body: &[u8]| {
        let headers = [KEY, ("content-type", LINES), ("content-encoding", encoding)];
        server.send("POST", "/v1/traces", &headers, body)
    };
    assert_eq!(post("gzip", &gzip(&lines(1..3))).json(), json!({"accepted": 2}));
    assert_eq!(post("zstd", &zstd(&lines(3..6))).json(), json!({"accepted": 3}));
    assert_eq!(post("identity", lines(6..7).as_bytes()).status, 200);
    let two_members = [gzip(&lines(7..8)), gzip(&lines(8..9))].concat();
    assert_eq!(post("gzip", &two_members).json(), json!({"accepted": 2}));

    let whole = zstd(&lines(10..11));
    assert_eq!(post("zstd", &whole[..whole.len() - 4]).status, 400, "cut off");
    assert_eq!(post("gzip", &whole).status, 400, "not gzip");
    assert_eq!(post("br", &whole).status, 415);
    assert_eq!(post("gzip, zstd", &whole).status, 415);
    let bomb = zstd(&" ".repeat(65 * 1024 * 1024));
    assert_eq!(post("zstd", &bomb).status, 413);

    let log = server.get("/_local/requests").json();
    assert_eq!((&log[1]["content_encoding"], &log[1]["spans"]), (&json!("zstd"), &json!(3)));
    assert_eq!(log[1]["body_bytes"], zstd(&lines(3..6)).len());
}

#[test]
fn only_a_bearer_is_let_in() {
    let anybody = Server::start(&[]);
    let one = Server::start(&["--key", "a-key"]);
    let post = |server: &Server, authorization: &[(&str, &str)]| {
        let headers = [authorization, &[("content-type", JSON)]].concat();
        server.send("POST", "/v1/traces", &headers, span(1).to_string().as_bytes()).status
    };
    assert_eq!(post(&anybody, &[("authorization", "Bearer whoever")]), 200);
    assert_eq!(post(&one, &[KEY]), 200);
    assert_eq!(post(&one, &[("authorization", "Bearer whoever")]), 401);
    for server in [&anybody, &one] {
        assert_eq!(post(server, &[]), 401);
        assert_eq!(post(server, &[("authorization", "Bearer ")]), 401);
        assert_eq!(post(server, &[("authorization", "a-key")]), 401);
        assert_eq!(server.send("GET", "/prompts", &[], b"").status, 401);
        assert_eq!(server.send("GET", "/_local/spans", &[], b"").status, 200);
    }
}

#[test]
fn what_comes_twice_is_kept_once() {
    let server = Server::start(&[]);
    server.post(LINES, lines(1..4));
    server.post(LINES, lines(2..5));
    let mut other = span(1);
    other["name"] = "another span with this id".into();
    server.post(JSON, other.to_string());
    let stats = server.stats();
    let counted = ["requests", "spans", "unique", "duplicates", "conflicts"].map(|name| stats[name].clone());
    assert_eq!(counted, [3, 7, 4, 3, 1].map(|count| json!(count)));
    let kept = server.get("/_local/spans").json();
    let names: Vec<_> = kept.as_array().unwrap().iter().map(|span| span["name"].clone()).collect();
    assert_eq!(names, ["work 1", "work 2", "work 3", "work 4"]);
}

#[test]
fn what_is_not_offered_is_not_taken() {
    let server = Server::start(&["--no-batches", "--no-compression"]);
    let answer = server.post(JSON, span(1).to_string());
    assert_eq!(
        (answer.status, answer.header("accept-post"), answer.header("accept-encoding")),
        (200, None, None)
    );
    assert_eq!(server.post(LINES, lines(2..3)).status, 415);
    let gzipped = [KEY, ("content-type", JSON), ("content-encoding", "gzip")];
    let body = gzip(&span(3).to_string());
    assert_eq!(server.send("POST", "/v1/traces", &gzipped, &body).status, 415);

    server.put("/_local/negotiation", &json!({"batches": "silent", "compression": "broken"}));
    let answer = server.post(LINES, lines(4..5));
    assert_eq!((answer.status, answer.header("accept-post")), (200, None));
    let answer = server.send("POST", "/v1/traces", &gzipped, &body);
    assert_eq!((answer.status, answer.header("accept-encoding")), (415, Some("zstd, gzip")));

    server.put("/_local/negotiation", &json!({}));
    for answer in [server.get("/prompts"), server.get("/nowhere"), server.send("GET", "/configs", &[], b"")] {
        assert_eq!(answer.header("accept-post"), Some("application/x-ndjson"));
        assert_eq!(answer.header("accept-encoding"), Some("zstd, gzip"));
    }
    server.send("DELETE", "/_local", &[], b"");
    let now = json!({"batches": "refused", "compression": "refused"});
    assert_eq!(server.get("/_local/negotiation").json(), now);
}

#[test]
fn a_store_outlives_the_server() {
    let path = std::env::temp_dir().join(format!("fallom-local-{}.json", std::process::id()));
    let flags = ["--store", path.to_str().unwrap()];
    let server = Server::start(&flags);
    let spaced = span(1).to_string().replace(",\"span_id\"", " ,\n  \"span_id\"");
    server.post(JSON, &spaced);
    server.post(LINES, lines(2..4));
    let kept = server.get("/_local/spans").body;
    assert!(server.close().success());

    let server = Server::start(&flags);
    assert_eq!(server.get("/_local/spans").body, kept);
    server.post(LINES, lines(3..5));
    let stats = server.stats();
    assert_eq!([&stats["unique"], &stats["duplicates"], &stats["conflicts"]], [4, 1, 0]);
    drop(server);
    std::fs::remove_file(path).unwrap();
}
