//! A server of its own for each test, and a client for it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail")]
#![allow(dead_code, reason = "each test binary uses a part of this")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use ureq::http;

/// The server's process. It ends when its stdin closes, which dropping it does.
pub struct Server {
    child: Child,
    pub url: String,
    agent: ureq::Agent,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: http::HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Server {
    pub fn start(flags: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_fallom-local"))
            .args(["--until-stdin-closes"])
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.strip_prefix("listening on ").unwrap().trim_end().to_owned();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(std::time::Duration::from_secs(10)))
            .build()
            .new_agent();
        Server { child, url, agent }
    }

    /// A request, or `None` if the connection broke before there was a whole answer.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<Answer> {
        let mut request = http::Request::builder().method(method).uri(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.agent.run(request.body(body).unwrap()).ok()?;
        let (parts, mut body) = answer.into_parts();
        let body = body.read_to_string().ok()?;
        Some(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.try_send(method, path, headers, body).expect("an answer")
    }

    /// A body for `/v1/traces`, with a key.
    pub fn post(&self, content_type: &str, body: impl AsRef<[u8]>) -> Answer {
        self.send("POST", "/v1/traces", &[KEY, ("content-type", content_type)], body.as_ref())
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[KEY], b"")
    }

    pub fn put(&self, path: &str, body: &Value) {
        let answer = self.send("PUT", path, &[], body.to_string().as_bytes());
        assert_eq!(answer.status, 204, "{}", answer.body);
    }

    pub fn stats(&self) -> Value {
        self.get("/_local/stats").json()
    }

    /// A connection of our own.
    pub fn connect(&self) -> TcpStream {
        TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap()
    }

    /// Sends bytes on a connection of our own, and reads until its end.
    pub fn raw(&self, request: &str) -> std::io::Result<Vec<u8>> {
        let mut stream = self.connect();
        stream.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }

    /// Closes the server's stdin, and waits for its end.
    pub fn close(mut self) -> std::process::ExitStatus {
        drop(self.child.stdin.take());
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

pub const KEY: (&str, &str) = ("authorization", "Bearer a-key");
pub const JSON: &str = "application/json";
pub const LINES: &str = "application/x-ndjson";

/// A span that is as it should be.
pub fn span(id: u64) -> Value {
    json!({
        "config_key": "c", "session_id": "s", "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "span_id": format!("{id:016x}"), "name": format!("work {id}"), "kind": "custom",
        "start_time": "2026-01-01T00:00:00.000Z", "end_time": "2026-01-01T00:00:00.010Z", "duration_ms": 10,
        "status": "OK", "attributes": {"fallom.sdk_version": "2", "fallom.method": "m"},
    })
}

/// So many spans, one a line.
pub fn lines(ids: std::ops::Range<u64>) -> String {
    ids.map(|id| span(id).to_string() + "\n").collect()
}
