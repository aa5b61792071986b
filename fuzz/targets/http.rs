//! Whatever stands on the line where an HTTP answer should, read by the real client. Input: the bytes that a server
//! sends to each request before it closes the connection.

use std::future;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fallom_trace::catalog::lists;
use fallom_trace::settings::Endpoint;
use fallom_trace::transport::{Answer, Fetched, Http, Post};
use tokio::runtime::{Builder, Handle};

/// A server that has closed the connection is not waited for.
const TIMEOUT: Duration = Duration::from_secs(5);
const MOST_BYTES: usize = 1024;

thread_local! {
    static WIRE: Wire = Wire::new();
}

pub fn target(input: &[u8]) {
    WIRE.with(|wire| wire.answers(input));
}

/// A client on a thread of its own, as in the core, and the server that it asks.
struct Wire {
    answer: Arc<Mutex<Vec<u8>>>,
    traces: Endpoint,
    runtime: Handle,
    http: Http,
}

impl Wire {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let answer = Arc::new(Mutex::new(Vec::new()));
        let next = Arc::clone(&answer);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let answer = next.lock().expect("nobody panics with it").clone();
                // A client that went away is its own affair.
                let _ = serve(stream, &answer);
            }
        });
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be had");
        let handle = runtime.handle().clone();
        thread::spawn(move || runtime.block_on(future::pending::<()>()));
        let traces = Endpoint { url, api_key: Some("key".to_owned()) };
        Wire { answer, traces, runtime: handle, http: Http::new(None) }
    }

    fn answers(&self, input: &[u8]) {
        *self.answer.lock().expect("nobody panics with it") = input.to_vec();
        let form = self.http.negotiation.form(&self.traces.url, &super::answers::AUTO);
        let (ndjson, encoding) = (form.ndjson, form.encoding);
        let post = Post { ndjson, body: b"{}".as_slice().into(), encoding, timeout: TIMEOUT };
        let (answer, sent) = self.runtime.block_on(self.http.post_spans(&self.traces, post));
        assert_eq!(sent, 2);
        match answer {
            Answer::Retry { status: None, after, reason } => {
                assert!(after.is_none() && !reason.contains("timed out"), "{reason}");
            }
            answer => is_in(input, &answer),
        }
        let read = self.http.get(&self.traces, "/prompts", Some("\"tag\""), TIMEOUT, MOST_BYTES);
        match self.runtime.block_on(read) {
            Ok(Fetched::Body { bytes, etag }) => {
                assert!(bytes.len() <= MOST_BYTES);
                // It is sent with the next read.
                assert!(etag.is_none_or(|etag| etag.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~'))));
                let _ = lists::prompts(&bytes);
            }
            Ok(Fetched::Unchanged) => assert!(has_status(input, "304")),
            Ok(Fetched::Missing) => assert!(has_status(input, "404")),
            Err(reason) => assert!(!reason.contains("no answer within"), "{reason}"),
        }
    }
}

/// A status comes from the server, and from nowhere else.
fn is_in(input: &[u8], answer: &Answer) {
    let status = match answer {
        Answer::Delivered => "2".to_owned(),
        Answer::Retry { status, .. } => status.unwrap_or_default().to_string(),
        Answer::Unauthorized { status } | Answer::Refused { status } => status.to_string(),
        Answer::TooLarge => "413".to_owned(),
        Answer::UnsupportedForm => "415".to_owned(),
    };
    assert!(has_status(input, &status), "{answer:?}");
}

fn has_status(input: &[u8], status: &str) -> bool {
    String::from_utf8_lossy(input).contains(&format!(" {status}"))
}

/// Reads the head of a request, answers, and waits for the client to close: who closes first would take back what the
/// client has not read yet.
fn serve(mut stream: TcpStream, answer: &[u8]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            length => request.extend_from_slice(piece.get(..length).unwrap_or_default()),
        }
    }
    stream.write_all(answer)?;
    stream.shutdown(Shutdown::Write)?;
    while stream.read(&mut piece)? > 0 {}
    Ok(())
}
