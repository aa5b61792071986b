//! The one HTTP client of the process.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH,
    RETRY_AFTER,
};
use reqwest::{Response, StatusCode};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::{Answer, Encoding, Negotiation};
use crate::diagnostics::{debug, warn_once};
use crate::settings::Endpoint;
use crate::wire::fallom::SDK;

/// Idle connections are closed after this, before most servers do it themselves.
const IDLE: Duration = Duration::from_secs(50);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A request with spans.
pub struct Post {
    /// Whether the body holds lines.
    pub ndjson: bool,
    pub body: Bytes,
    /// Of the body.
    pub encoding: Encoding,
    pub timeout: Duration,
}

/// What a read brought.
pub enum Fetched {
    Body {
        bytes: Vec<u8>,
        /// To be sent with the next read (RFC 9110 §8.8.3).
        etag: Option<String>,
    },
    /// What the given ETag stands for is what there is (RFC 9110 §15.4.5).
    Unchanged,
    /// 404: there is no such thing.
    Missing,
}

/// The client, and what its answers taught it.
pub struct Http {
    /// Built with the first request, on the core's thread: what the operating system says of proxies and a file of
    /// certificates take time that the event loop would wait for.
    client: OnceLock<Result<reqwest::Client, String>>,
    extra_ca_certs: Option<String>,
    pub negotiation: Negotiation,
}

impl Http {
    /// Proxies come from the environment (`HTTPS_PROXY`, `NO_PROXY`); roots are Mozilla's, as in Node, and those
    /// in the file `extra_ca_certs`.
    pub fn new(extra_ca_certs: Option<String>) -> Self {
        Http { client: OnceLock::new(), extra_ca_certs, negotiation: Negotiation::default() }
    }

    /// # Errors
    /// A text, if TLS could not be set up.
    fn client(&self) -> Result<&reqwest::Client, String> {
        let built = self.client.get_or_init(|| {
            build(self.extra_ca_certs.as_deref()).inspect_err(|reason| {
                warn_once(&format!("No request can be sent, since TLS could not be set up: {reason}"));
            })
        });
        built.as_ref().map_err(Clone::clone)
    }

    /// Sends spans. Also gives the bytes that the body had on the wire.
    pub async fn post_spans(&self, traces: &Endpoint, post: Post) -> (Answer, u64) {
        let url = format!("{}/v1/traces", traces.url);
        let bytes = post.body.len() as u64;
        let client = match self.client() {
            Ok(client) => client,
            Err(reason) => return (Answer::none(reason), 0),
        };
        let mut request = client
            .post(url)
            .timeout(post.timeout)
            .headers(bearer(traces))
            .header(CONTENT_TYPE, if post.ndjson { "application/x-ndjson" } else { "application/json" });
        match post.encoding {
            Encoding::Identity => {}
            Encoding::Gzip => request = request.header(CONTENT_ENCODING, "gzip"),
            Encoding::Zstd => request = request.header(CONTENT_ENCODING, "zstd"),
        }
        let answer = match request.body(post.body).send().await {
            Ok(response) => {
                self.learn(&traces.url, response.headers());
                let retry_after = header(response.headers(), RETRY_AFTER.as_str()).map(str::to_owned);
                let answer = Answer::of(response.status().as_u16(), retry_after.as_deref());
                // A connection is reused only once its answer was read; a long one is not worth it.
                let _ = read_at_most(response, 16 * 1024).await;
                answer
            }
            Err(error) => Answer::none(describe(&error)),
        };
        (answer, bytes)
    }

    /// Reads JSON of at most `most_bytes`, unless it is what `etag` stands for.
    ///
    /// # Errors
    /// A text that says what went wrong, without the answer's content.
    pub async fn get(
        &self,
        endpoint: &Endpoint,
        path: &str,
        etag: Option<&str>,
        timeout: Duration,
        most_bytes: usize,
    ) -> Result<Fetched, String> {
        let read = async {
            let request = self
                .client()?
                .get(format!("{}{path}", endpoint.url))
                .headers(bearer(endpoint))
                .header(ACCEPT, "application/json");
            let request = etag.into_iter().fold(request, |request, etag| request.header(IF_NONE_MATCH, etag));
            let response = request.send().await.map_err(|error| describe(&error))?;
            self.learn(&endpoint.url, response.headers());
            match response.status() {
                status if status.is_success() => {
                    let etag = header(response.headers(), ETAG.as_str()).map(str::to_owned);
                    Ok(Fetched::Body { bytes: read_at_most(response, most_bytes).await?, etag })
                }
                StatusCode::NOT_MODIFIED if etag.is_some() => Ok(Fetched::Unchanged),
                StatusCode::NOT_FOUND => Ok(Fetched::Missing),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    Err(format!("the server answered {}: check the apiKey", response.status().as_u16()))
                }
                status => Err(format!("the server answered {}", status.as_u16())),
            }
        };
        match tokio::time::timeout(timeout, read).await {
            Ok(result) => result,
            Err(_) => Err(format!("no answer within {} ms", timeout.as_millis())),
        }
    }

    /// Posts one JSON object whose loss is bearable; nothing is retried.
    pub async fn post_json(&self, endpoint: &Endpoint, path: &str, body: Vec<u8>, timeout: Duration) {
        let Ok(client) = self.client() else { return };
        let sent = client
            .post(format!("{}{path}", endpoint.url))
            .timeout(timeout)
            .headers(bearer(endpoint))
            .header(CONTENT_TYPE, "application/json")
            .body(body)
            .send()
            .await;
        match sent {
            Ok(response) => {
                debug(|| format!("POST {path}: {}", response.status().as_u16()));
                let _ = read_at_most(response, 16 * 1024).await;
            }
            Err(error) => debug(|| format!("POST {path}: {}", describe(&error))),
        }
    }

    fn learn(&self, url: &str, headers: &HeaderMap) {
        self.negotiation.learn(url, header(headers, "accept-post"), header(headers, "accept-encoding"));
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The key, in place of what the client makes of a user and password in the URL.
fn bearer(endpoint: &Endpoint) -> HeaderMap {
    let key = format!("Bearer {}", endpoint.api_key.as_deref().unwrap_or_default());
    // A key that no header can hold is refused by the server as one that is missing.
    HeaderValue::from_str(&key).map(|key| HeaderMap::from_iter([(AUTHORIZATION, key)])).unwrap_or_default()
}

async fn read_at_most(mut response: Response, most_bytes: usize) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| describe(&error))? {
        if body.len() + chunk.len() > most_bytes {
            return Err(format!("the answer is longer than {most_bytes} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// The error and its causes in one line; a URL never holds the key.
fn describe(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

fn build(extra_ca_certs: Option<&str>) -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls(extra_ca_certs)?)
        .user_agent(SDK)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE)
        .tcp_nodelay(true)
        .build()
        .map_err(|error| describe(&error))
}

/// rustls with ring and Mozilla's roots: a slim container has no certificates of its own.
fn tls(extra_ca_certs: Option<&str>) -> Result<rustls::ClientConfig, String> {
    let mut roots = rustls::RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = extra_ca_certs {
        match CertificateDer::pem_file_iter(path) {
            Ok(certificates) => {
                roots.add_parsable_certificates(certificates.flatten());
            }
            Err(error) => warn_once(&format!("NODE_EXTRA_CA_CERTS could not be read: {error}")),
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}
