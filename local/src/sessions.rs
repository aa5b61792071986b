//! `POST /sessions`: which model a session was given by a config (`wire.md`).

use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::{Map, Value, json};

use crate::body::{self, Format};
use crate::respond::{self, Refusal};
use crate::state::App;
use crate::validate::fields::{self, Field, Shape};

const FIELDS: &[Field] = &[
    Field::required("config_key", Shape::NonEmpty),
    Field::required("config_version", Shape::Integer),
    Field::required("session_id", Shape::NonEmpty),
    Field::required("assigned_model", Shape::NonEmpty),
];

/// Takes one assignment.
pub async fn post(State(app): State<App>, headers: HeaderMap, body: Bytes) -> Result<Response, Refusal> {
    if body::format(&headers)? != Format::Json {
        return Err(Refusal::unsupported("an assignment is sent as application/json"));
    }
    let object: Map<String, Value> = serde_json::from_str(body::utf8(&body)?)
        .map_err(|error| Refusal::bad(format!("not one JSON object: {error}")))?;
    fields::check(&object, FIELDS).map_err(Refusal::bad)?;
    app.assignments.lock().add(object);
    Ok(respond::json(&json!({"accepted": 1})))
}
