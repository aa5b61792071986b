//! `POST /v1/traces`: spans, one object or one a line (`wire.md`, "Sending spans").

use std::fmt::Display;
use std::io::ErrorKind;
use std::path::Path;

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::json;
use serde_json::value::RawValue;

use crate::body::{self, Format};
use crate::exchange::Arrival;
use crate::inspect;
use crate::respond::{self, Refusal};
use crate::state::App;
use crate::store::Arrived;
use crate::validate;

/// Takes all spans of a body, or none if one is refused.
pub async fn post(
    State(app): State<App>,
    Extension(arrival): Extension<Arrival>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let format = body::format(&headers)?;
    if format == Format::Lines && !app.negotiation.lock().batches.taken() {
        return Err(Refusal::unsupported("batches are not taken here"));
    }
    let text = body::utf8(&body)?;
    let spans = match format {
        Format::Json => vec![read(text, arrival)?],
        Format::Lines => lines(text)
            .enumerate()
            .map(|(index, line)| read(line, arrival).map_err(|refusal| refusal.at_line(index + 1)))
            .collect::<Result<Vec<_>, _>>()?,
    };
    let accepted = spans.len();
    if accepted == 0 {
        return Err(Refusal::bad("the body holds no span"));
    }
    let mut store = app.store.lock();
    spans.into_iter().for_each(|span| store.add(span));
    Ok(respond::json(&json!({"accepted": accepted})))
}

/// Takes the spans of an earlier run; a file that is not there holds none.
///
/// # Errors
/// A text, if the file cannot be read or holds what is no span.
pub fn load(app: &App, path: &Path) -> Result<(), String> {
    let failed = |error: &dyn Display| format!("{}: {error}", path.display());
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        text => text.map_err(|error| failed(&error))?,
    };
    let spans: Vec<&RawValue> = serde_json::from_str(&text).map_err(|error| failed(&error))?;
    let mut store = app.store.lock();
    for span in spans {
        let span = read(span.get(), Arrival { request: 0, received_at: 0 });
        store.add(span.map_err(|refusal| failed(&refusal.error))?);
    }
    Ok(())
}

/// Writes the spans for a later run, as `GET /_local/spans` gives them.
///
/// # Errors
/// A text, if the file cannot be written.
pub fn save(app: &App, path: &Path) -> Result<(), String> {
    let spans = inspect::list(app.store.lock().spans(None, None), |span| span.json.clone());
    std::fs::write(path, spans).map_err(|error| format!("{}: {error}", path.display()))
}

/// One span, under its id.
fn read(json: &str, arrival: Arrival) -> Result<(String, Arrived), Refusal> {
    let json = json.trim();
    let span = validate::span(json).map_err(Refusal::bad)?;
    Ok(Arrived::new(span, json, arrival.received_at, arrival.request))
}

/// The lines of an NDJSON body; the last may end with a newline.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let whole = text.strip_suffix('\n').unwrap_or(text);
    whole.split('\n').take(if whole.is_empty() { 0 } else { usize::MAX })
}
