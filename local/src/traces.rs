//! `POST /v1/traces`: spans, one object or one a line (`wire.md`, "Sending spans").

use axum::body::Bytes;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::json;

use crate::body::{self, Format};
use crate::exchange::Arrival;
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
