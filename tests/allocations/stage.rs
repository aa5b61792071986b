//! A pipeline on a thread of its own, as in the addon, and a server on the loopback that takes all.

use std::io::{BufRead, BufReader, Read, Write, sink};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use fallom_trace::linking::Linking;
use fallom_trace::pipeline::{Encoder, Pipeline};
use fallom_trace::settings::{Environment, Settings};
use fallom_trace::transport::Http;

use super::counting::{Role, play};

const TIMEOUT: Duration = Duration::from_secs(30);
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 14\r\n\r\n{\"accepted\":1}";

pub struct Stage {
    runtime: tokio::runtime::Handle,
    pipeline: Pipeline,
}

impl Stage {
    /// The thread that calls this is the event loop.
    pub fn new() -> Self {
        play(Role::Caller);
        let runtime = core_thread();
        let settings = Arc::new(settings(&serve()));
        let http = Arc::new(Http::new(None));
        let encoder = Encoder::new(Arc::new(Linking::default()));
        Stage { pipeline: Pipeline::start(&runtime, settings, http, encoder), runtime }
    }

    /// Takes a span from its start to its end.
    pub fn record(&self, envelope: &[u8]) {
        assert!(self.pipeline.open());
        self.pipeline.record(envelope);
    }

    /// Does what hands over so many spans while the core's thread stands still, so that it finds the same each time;
    /// then waits until they are delivered.
    pub fn settled<T>(&self, spans: usize, hand_over: impl FnOnce() -> T) -> T {
        let go_on = self.hold();
        let given = hand_over();
        // It counts what is there when it is called.
        let flush = self.pipeline.flush(TIMEOUT);
        drop(go_on);
        let (done, flushed) = mpsc::channel();
        self.runtime.spawn(async move { done.send(flush.await) });
        let result = flushed.recv_timeout(TIMEOUT).unwrap();
        assert_eq!((result.delivered, result.dropped, result.pending), (spans as u64, 0, 0));
        given
    }

    /// The core's thread does nothing until what this gives is dropped.
    fn hold(&self) -> mpsc::Sender<()> {
        let (go_on, held) = mpsc::channel::<()>();
        let (say, stands_still) = mpsc::channel();
        self.runtime.spawn(async move {
            let _ = say.send(());
            let _ = held.recv();
        });
        stands_still.recv_timeout(TIMEOUT).unwrap();
        go_on
    }
}

fn settings(url: &str) -> Settings {
    let options = serde_json::json!({
        "apiKey": "guard",
        "tracesUrl": url,
        "maxQueueBytes": 256 * 1024 * 1024,
        "batch": { "maxDelayMs": 60_000 },
        "transport": { "format": "ndjson", "compression": "zstd", "maxConcurrent": 1 },
    });
    Settings::from_options(&options.to_string(), &Environment::from_json("{}")).unwrap()
}

fn core_thread() -> tokio::runtime::Handle {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let handle = runtime.handle().clone();
    thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    handle
}

/// Listens, and says where.
fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        play(Role::Server);
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                play(Role::Server);
                let _ = answer(stream);
            });
        }
    });
    url
}

/// Answers all requests of a connection with 200.
fn answer(stream: TcpStream) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    let mut line = String::new();
    loop {
        let mut length = 0;
        loop {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let header = line.trim_end().to_ascii_lowercase();
            if header.is_empty() {
                break;
            }
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        std::io::copy(&mut reader.by_ref().take(length), &mut sink())?;
        stream.write_all(ANSWER)?;
    }
}
