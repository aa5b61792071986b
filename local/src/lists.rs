//! What the tracer reads: prompts, A/B tests and configs (`wire.md`, "Reading configs, prompts and A/B
//! tests"), with an `ETag` each.

use std::hash::{DefaultHasher, Hash, Hasher};

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::body::text;
use crate::catalog::list;
use crate::respond::{Refusal, json_text};
use crate::state::App;

/// `GET /prompts`
pub async fn prompts(State(app): State<App>, headers: HeaderMap) -> Response {
    let body = list("prompts", &app.catalog.lock().prompts);
    tagged(body, &headers)
}

/// `GET /prompt-ab-tests`
pub async fn prompt_ab_tests(State(app): State<App>, headers: HeaderMap) -> Response {
    let body = list("prompt_ab_tests", &app.catalog.lock().prompt_ab_tests);
    tagged(body, &headers)
}

/// `GET /configs`
pub async fn configs(State(app): State<App>, headers: HeaderMap) -> Response {
    let body = list("configs", &app.catalog.lock().configs);
    tagged(body, &headers)
}

/// `GET /configs/{key}/version/{n}`: one config.
pub async fn config(
    State(app): State<App>,
    Path((key, version)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let number =
        version.parse().map_err(|_| Refusal::bad(format!("version `{version}` is not an integer")))?;
    match app.catalog.lock().config(&key, number) {
        Some(config) => Ok(json_text(config.to_owned())),
        None => Err(Refusal::missing(format!("config '{key}' has no version {number}"))),
    }
}

/// 200 with an `ETag`, or 304 if the client has this body already (RFC 9110 §13.1.2).
fn tagged(body: String, headers: &HeaderMap) -> Response {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    let tag = format!("\"{:016x}\"", hasher.finish());
    let known = text(headers, &header::IF_NONE_MATCH).is_some_and(|wanted| {
        wanted.split(',').map(str::trim).any(|one| one == "*" || one.trim_start_matches("W/") == tag)
    });
    let mut response = if known { StatusCode::NOT_MODIFIED.into_response() } else { json_text(body) };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
