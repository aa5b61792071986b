//! The `/_local` endpoints: what arrived, and how the server shall behave from now on.

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::catalog::Catalog;
use crate::connection::Link;
use crate::faults::{Faults, Rule};
use crate::negotiation::Negotiation;
use crate::respond::{self, Refusal, json_text, typed};
use crate::state::App;
use crate::store::Arrived;
use crate::tree::{self, Style};

/// Which spans are asked for, and how they shall look.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    trace_id: Option<String>,
    session_id: Option<String>,
    /// Any value but `0` or nothing: each span with its arrival.
    arrival: Option<String>,
    /// Any value but `0` or nothing: with colours.
    color: Option<String>,
    /// Columns of the terminal. Default 100.
    width: Option<usize>,
}

fn is_set(flag: Option<&String>) -> bool {
    flag.is_some_and(|flag| !flag.is_empty() && flag != "0")
}

/// The middleware of these endpoints: their connections are not part of what was sent.
pub async fn mark(
    State(app): State<App>,
    ConnectInfo(link): ConnectInfo<Link>,
    request: Request,
    next: Next,
) -> Response {
    app.raw.used(link.id, true);
    next.run(request).await
}

/// `GET /_local/spans`: a list of the spans as they were received, each once.
pub async fn spans(State(app): State<App>, Query(wanted): Query<Wanted>) -> Response {
    let with_arrival = is_set(wanted.arrival.as_ref());
    let write = |span: &Arrived| match with_arrival {
        true => format!(
            r#"{{"received_at":{},"request":{},"span":{}}}"#,
            span.received_at, span.request, span.json
        ),
        false => span.json.clone(),
    };
    let store = app.store.lock();
    let spans = store.spans(wanted.trace_id.as_deref(), wanted.session_id.as_deref());
    json_text(list(spans, write))
}

/// Spans as a JSON list, one a line unless they came otherwise.
pub fn list<'a>(spans: impl Iterator<Item = &'a Arrived>, write: impl Fn(&Arrived) -> String) -> String {
    format!("[{}]", spans.map(write).collect::<Vec<_>>().join(",\n"))
}

/// `GET /_local/tree`: the traces as text.
pub async fn tree(State(app): State<App>, Query(wanted): Query<Wanted>) -> Response {
    let spans: Vec<String> = {
        let store = app.store.lock();
        let spans = store.spans(wanted.trace_id.as_deref(), wanted.session_id.as_deref());
        spans.map(|span| span.json.clone()).collect()
    };
    let style = Style { width: wanted.width.unwrap_or(100), color: is_set(wanted.color.as_ref()) };
    typed(StatusCode::OK, "text/plain; charset=utf-8", tree::render(&spans, style))
}

/// `GET /_local/requests`: the log.
pub async fn requests(State(app): State<App>) -> Response {
    let entries: Vec<_> = app.log.lock().entries().cloned().collect();
    respond::json(&entries)
}

/// `GET /_local/stats`: how many of each.
pub async fn stats(State(app): State<App>) -> Response {
    let mut stats = {
        let log = app.log.lock();
        json!({"requests": log.requests, "faulted": log.faulted, "refused": log.refused})
    };
    let store = app.store.lock();
    stats["spans"] = store.received.into();
    stats["unique"] = store.unique().into();
    stats["duplicates"] = store.duplicates.into();
    stats["conflicts"] = store.conflicts.into();
    stats["forgotten"] = store.forgotten.into();
    drop(store);
    stats["sessions"] = app.assignments.lock().count.into();
    respond::json(&stats)
}

/// `GET /_local/sessions`: the assignments that were posted.
pub async fn sessions(State(app): State<App>) -> Response {
    respond::json(&app.assignments.lock().kept)
}

/// `GET /_local/raw`: every byte that arrived, heads included, then what was decompressed.
pub async fn raw(State(app): State<App>) -> Result<Response, Refusal> {
    match app.raw.all() {
        Ok(bytes) => Ok(typed(StatusCode::OK, "application/octet-stream", bytes)),
        Err(error) => Err(Refusal::new(StatusCode::CONFLICT, error)),
    }
}

/// `DELETE /_local`: everything back to how it started.
pub async fn reset(State(app): State<App>) -> StatusCode {
    app.reset();
    StatusCode::NO_CONTENT
}

/// `GET /_local/catalog`
pub async fn catalog(State(app): State<App>) -> Response {
    json_text(app.catalog.lock().json())
}

/// `PUT /_local/catalog`: what the lists hold from now on.
pub async fn put_catalog(State(app): State<App>, body: Bytes) -> Result<StatusCode, Refusal> {
    let catalog: Catalog = parse(&body)?;
    *app.catalog.lock() = catalog;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /_local/faults`: the rules, and how often each fired.
pub async fn faults(State(app): State<App>) -> Response {
    respond::json(&app.faults.lock().rules())
}

/// `PUT /_local/faults`: a list of rules, in place of those before.
pub async fn put_faults(State(app): State<App>, body: Bytes) -> Result<StatusCode, Refusal> {
    let rules: Vec<Rule> = parse(&body)?;
    *app.faults.lock() = Faults::new(rules).map_err(Refusal::bad)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `GET /_local/negotiation`
pub async fn negotiation(State(app): State<App>) -> Response {
    respond::json(&*app.negotiation.lock())
}

/// `PUT /_local/negotiation`: what is offered and taken from now on; what is left out is offered.
pub async fn put_negotiation(State(app): State<App>, body: Bytes) -> Result<StatusCode, Refusal> {
    let negotiation: Negotiation = parse(&body)?;
    *app.negotiation.lock() = negotiation;
    Ok(StatusCode::NO_CONTENT)
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::bad(error.to_string()))
}
