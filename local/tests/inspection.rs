//! What people and tests can see of all that arrived.

mod support;

use std::io::Write;

use serde_json::json;
use support::{JSON, KEY, LINES, Server, lines, span};

#[test]
fn spans_are_found_by_trace_and_session() {
    let server = Server::start(&[]);
    let mut other = span(1);
    other["trace_id"] = "b".repeat(32).into();
    other["session_id"] = "other".into();
    server.post(LINES, format!("{}{other}", lines(1..3)));
    let count = |query: &str| server.get(&format!("/_local/spans?{query}")).json().as_array().unwrap().len();
    assert_eq!(count(""), 3);
    assert_eq!(count("session_id=other"), 1);
    assert_eq!(count("trace_id=0af7651916cd43dd8448eb211c80319c"), 2);
    assert_eq!(count("trace_id=0af7651916cd43dd8448eb211c80319c&session_id=other"), 0);
    assert_eq!(server.get("/_local/spans?trace=1").status, 400);
}

#[test]
fn the_log_tells_what_was_asked() {
    let server = Server::start(&[]);
    server.post(LINES, lines(1..3));
    server.send("GET", "/prompts?x=1", &[], b"");
    let log = server.get("/_local/requests").json();
    assert_eq!(log.as_array().unwrap().len(), 2, "inspection is not logged");
    let (first, second) = (&log[0], &log[1]);
    assert_eq!([&first["method"], &first["path"]], ["POST", "/v1/traces"]);
    assert_eq!([&first["spans"], &first["status"], &first["body_bytes"]], [2, 200, lines(1..3).len()]);
    assert_eq!((&first["content_type"], &first["authorization"]), (&json!(LINES), &json!(true)));
    assert_eq!((&second["path"], &second["status"]), (&json!("/prompts?x=1"), &json!(401)));
    assert_eq!(second["authorization"], false);
    assert_eq!(first["connection"], second["connection"], "one connection, used twice");
    assert!(!log.to_string().contains("a-key"));
}

#[test]
fn a_reset_forgets_all() {
    let server = Server::start(&["--keep-raw"]);
    server.post(JSON, span(1).to_string());
    server.put("/_local/catalog", &json!({"prompts": [{"key": "p"}]}));
    assert_eq!(server.send("DELETE", "/_local", &[], b"").status, 204);
    let stats = server.stats();
    assert!(stats.as_object().unwrap().values().all(|count| count == 0), "{stats}");
    for empty in ["spans", "requests", "sessions", "faults"] {
        assert_eq!(server.get(&format!("/_local/{empty}")).json(), json!([]), "{empty}");
    }
    assert_eq!(server.get("/prompts").json(), json!({"prompts": []}));
    assert!(!server.get("/_local/raw").body.contains("work 1"));
    server.post(JSON, span(1).to_string());
    assert_eq!(server.stats()["unique"], 1);
}

#[test]
fn every_byte_is_kept_on_request() {
    let server = Server::start(&["--keep-raw"]);
    let compressed = zstd::encode_all(lines(1..2).as_bytes(), 1).unwrap();
    let headers =
        [KEY, ("content-type", LINES), ("content-encoding", "zstd"), ("x-note", "needle in a header")];
    server.send("POST", "/v1/traces", &headers, &compressed);
    // Cut into chunks in the middle of a word, and never ended.
    let mut stream = server.connect();
    let chunks = "POST /x?needle-in-a-path HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n\
                  6\r\nneedle\r\n9\r\n-in-a-cut\r\n0\r\n\r\nneedle-in-an-unread-tail";
    stream.write_all(chunks.as_bytes()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(200));

    // The admin's own requests go over a connection of their own, as a test's do.
    let admin = "GET /_local/raw?needle-of-the-admin HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let kept = server.raw(admin).unwrap();
    let holds = |needle: &[u8]| kept.windows(needle.len()).any(|window| window == needle);
    for needle in
        ["needle in a header", "needle-in-a-path", "needle-in-a-cut", "needle-in-an-unread-tail", "work 1"]
    {
        assert!(holds(needle.as_bytes()), "{needle}");
    }
    assert!(holds(&compressed), "as it was on the wire");
    assert!(!holds(b"needle-of-the-admin"));
    assert_eq!(Server::start(&[]).get("/_local/raw").status, 409);
}

#[test]
fn the_tree_is_text() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/_local/tree").body, "No span has arrived yet.\n");
    let mut child = span(2);
    child["parent_span_id"] = span(1)["span_id"].clone();
    server.post(LINES, format!("{child}\n{}", span(1)));
    let tree = server.get("/_local/tree");
    assert_eq!(tree.header("content-type"), Some("text/plain; charset=utf-8"));
    let text = "\
● c · session s                                                              2026-01-01 00:00:00 UTC
│ 2 spans · 10 ms · trace 0af7651916cd43dd8448eb211c80319c
│
└─ work 1       10 ms  ✓ custom
   └─ work 2    10 ms  ✓ custom
";
    assert_eq!(tree.body, text);
    assert!(server.get("/_local/tree?color=1").body.contains("\x1b[32m●"));
    assert_eq!(server.get("/_local/tree?width=60").body.lines().next().unwrap().chars().count(), 60);
    assert_eq!(server.get("/_local/tree?session_id=other").body, "No span has arrived yet.\n");
}

#[test]
fn other_paths_and_methods_are_refused() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/nowhere").status, 404);
    assert_eq!(server.get("/_local/nowhere").status, 404);
    assert_eq!(server.get("/v1/traces").status, 405);
    assert_eq!(server.send("POST", "/_local/spans", &[], b"").status, 405);
}

#[test]
fn it_ends_with_its_stdin() {
    let status = Server::start(&[]).close();
    assert!(status.success(), "{status}");
}
