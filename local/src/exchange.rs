//! What happens around every request that is for Fallom: it is logged, a fault may strike, its key is
//! checked, its body decompressed, and the answer says what the server offers.

use std::future::{Future, pending};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body::Frame;
use tokio::time::{Sleep, sleep};

use crate::body::{self, Format, text};
use crate::connection::Link;
use crate::faults::{self, Reset, Rule};
use crate::respond::{Refusal, typed};
use crate::state::App;

/// What a handler may want to know of its request.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The request's id in the log.
    pub request: u64,
    /// Milliseconds since 1970.
    pub received_at: u64,
}

/// The middleware around Fallom's own endpoints.
pub async fn exchange(
    State(app): State<App>,
    ConnectInfo(link): ConnectInfo<Link>,
    request: Request,
    next: Next,
) -> Response {
    app.raw.used(link.id, false);
    let (mut parts, body) = request.into_parts();
    let (id, received_at) = app.log.lock().begin(link.id, &parts.method, &parts.uri, &parts.headers);
    parts.extensions.insert(Arrival { request: id, received_at });

    let offer = *app.negotiation.lock();
    let sent = body::read(body).await;
    let plain = sent.clone().and_then(|sent| body::decompress(&parts.headers, &sent, offer));
    if let Ok(plain) = &plain {
        app.raw.body(plain);
    }
    let body_bytes = sent.as_ref().map_or(0, Bytes::len);
    let fault = fire(&app, &parts, body_bytes, plain.as_deref().unwrap_or_default());
    let spans = plain.as_deref().map_or(0, |plain| spans_in(&parts, plain));
    app.log.lock().arrived(id, body_bytes, spans, fault.as_ref().map(|(place, _)| *place));

    let reset = fault.as_ref().is_some_and(|(_, rule)| rule.reset.is_some());
    let handled = handle(&app, parts, plain, next);
    let mut response = match &fault {
        None => handled.await,
        Some((_, rule)) => strike(rule, &link, handled).await,
    };
    offer.advertise(response.headers_mut());
    if let Some((_, rule)) = &fault {
        apply_headers(&rule.headers, response.headers_mut());
    }
    if !reset {
        app.log.lock().answered(id, response.status().as_u16());
    }
    response
}

/// The request as it is answered without a fault.
async fn handle(app: &App, parts: Parts, plain: Result<Bytes, Refusal>, next: Next) -> Response {
    let for_traces = parts.uri.path() == "/v1/traces";
    let response = match authorize(app.options.key.as_deref(), &parts.headers).and(plain) {
        Ok(body) => next.run(Request::from_parts(parts, body.into())).await,
        Err(refusal) => refusal.into_response(),
    };
    if for_traces && response.status().is_client_error() {
        app.log.lock().refused += 1;
    }
    response
}

/// `wire.md`: every request carries `Authorization: Bearer <apiKey>`.
fn authorize(key: Option<&str>, headers: &HeaderMap) -> Result<(), Refusal> {
    let refused = |error| Err(Refusal::new(StatusCode::UNAUTHORIZED, error));
    let Some(authorization) = text(headers, &header::AUTHORIZATION) else {
        return refused("no Authorization header");
    };
    match (authorization.strip_prefix("Bearer "), key) {
        (None | Some(""), _) => refused("the Authorization header is not `Bearer <key>`"),
        (Some(given), Some(key)) if given != key => refused("this API key is not known here"),
        _ => Ok(()),
    }
}

fn fire(app: &App, parts: &Parts, body_bytes: usize, body: &[u8]) -> Option<(usize, Rule)> {
    app.faults.lock().fire(&faults::Request {
        path: parts.uri.path(),
        method: parts.method.as_str(),
        content_type: text(&parts.headers, &header::CONTENT_TYPE).unwrap_or_default(),
        content_encoding: text(&parts.headers, &header::CONTENT_ENCODING).unwrap_or_default(),
        body_bytes,
        body,
    })
}

/// How many spans a body claims to hold; for the log, so taken or not.
fn spans_in(parts: &Parts, body: &[u8]) -> usize {
    if parts.uri.path() != "/v1/traces" {
        return 0;
    }
    match body::format(&parts.headers) {
        Ok(Format::Lines) => body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count(),
        Ok(Format::Json) => 1,
        Err(_) => 0,
    }
}

/// Lets a fault strike. What is `handled` happens only if it is awaited.
async fn strike(rule: &Rule, link: &Link, handled: impl Future<Output = Response>) -> Response {
    if let Some(delay) = rule.delay_ms {
        sleep(Duration::from_millis(delay)).await;
    }
    if rule.hang {
        if rule.record {
            handled.await;
        }
        return pending().await;
    }
    if let Some(reset) = rule.reset {
        if reset == Reset::After || rule.record {
            handled.await;
        }
        link.reset();
        return StatusCode::OK.into_response();
    }
    let response = match rule.answer() {
        None => handled.await,
        Some(status) => {
            if rule.record {
                handled.await;
            }
            own_answer(rule, status)
        }
    };
    match rule.truncate {
        None => response,
        Some(bytes) => truncate(response, bytes).await,
    }
}

fn own_answer(rule: &Rule, status: StatusCode) -> Response {
    let body = rule.body.clone().unwrap_or_else(|| r#"{"error":"a fault was asked for"}"#.to_owned());
    let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok();
    let implied = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
    let mut response = typed(status, implied, body);
    if let Some(Ok(given)) = rule.content_type.as_deref().map(HeaderValue::from_str) {
        response.headers_mut().insert(header::CONTENT_TYPE, given);
    }
    response
}

fn apply_headers(wanted: &std::collections::BTreeMap<String, Option<String>>, headers: &mut HeaderMap) {
    for (name, value) in wanted {
        let Ok(name) = HeaderName::try_from(name.as_str()) else {
            continue;
        };
        match value.as_deref().map(HeaderValue::from_str) {
            Some(Ok(value)) => headers.insert(name, value),
            _ => headers.remove(name),
        };
    }
}

/// Announces the whole body, sends its first bytes, and closes.
async fn truncate(response: Response, bytes: usize) -> Response {
    let (mut parts, body) = response.into_parts();
    let Ok(whole) = body::read(body).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    parts.headers.insert(header::CONTENT_LENGTH, whole.len().into());
    let first = whole.slice(..bytes.min(whole.len()));
    Response::from_parts(parts, Body::new(Cut { first: Some(first), end: Box::pin(sleep(CUT_AFTER)) }))
}

/// Time for the first bytes to be sent: an error at once would discard them.
const CUT_AFTER: Duration = Duration::from_millis(20);

struct Cut {
    first: Option<Bytes>,
    end: Pin<Box<Sleep>>,
}

impl http_body::Body for Cut {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(first) = self.first.take()
            && !first.is_empty()
        {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        self.end.as_mut().poll(context).map(|()| Some(Err(std::io::ErrorKind::ConnectionAborted.into())))
    }
}
