//! Bodies: how they are compressed, and what they say they are.

use std::io::Read;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::negotiation::Negotiation;
use crate::respond::Refusal;

/// The largest body, both as sent and decompressed.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// What a body says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`: one object.
    Json,
    /// `application/x-ndjson`: one object a line.
    Lines,
}

/// The whole body as it was sent.
pub async fn read(body: Body) -> Result<Bytes, Refusal> {
    match Limited::new(body, MAX_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(Refusal::bad(format!("the body did not arrive whole: {error}"))),
    }
}

/// The body without its `Content-Encoding`.
pub fn decompress(headers: &HeaderMap, body: &Bytes, offer: Negotiation) -> Result<Bytes, Refusal> {
    let encoding = text(headers, &header::CONTENT_ENCODING).unwrap_or("identity").trim().to_ascii_lowercase();
    if encoding == "identity" {
        return Ok(body.clone());
    }
    if !offer.compression.taken() {
        return Err(Refusal::unsupported(format!("compressed bodies are not taken, `{encoding}` was sent")));
    }
    let plain = match encoding.as_str() {
        "gzip" => bounded(flate2::read::MultiGzDecoder::new(body.as_ref())),
        "zstd" => zstd::stream::read::Decoder::with_buffer(body.as_ref())
            .map_err(|error| Refusal::bad(error.to_string()))
            .and_then(bounded),
        _ => {
            return Err(Refusal::unsupported(format!("unknown content encoding `{encoding}`")));
        }
    };
    plain.map_err(|refusal| match refusal.status {
        StatusCode::BAD_REQUEST => Refusal::bad(format!("the body is not {encoding}: {}", refusal.error)),
        _ => refusal,
    })
}

fn bounded(decoder: impl Read) -> Result<Bytes, Refusal> {
    let mut plain = Vec::new();
    let mut decoder = decoder.take(MAX_BYTES as u64 + 1);
    decoder.read_to_end(&mut plain).map_err(|error| Refusal::bad(error.to_string()))?;
    if plain.len() > MAX_BYTES {
        return Err(too_large());
    }
    Ok(plain.into())
}

fn too_large() -> Refusal {
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {MAX_BYTES} bytes"))
}

/// What the `Content-Type` says, parameters aside.
pub fn format(headers: &HeaderMap) -> Result<Format, Refusal> {
    let Some(content_type) = text(headers, &header::CONTENT_TYPE) else {
        return Err(Refusal::unsupported("no content type"));
    };
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/json") {
        Ok(Format::Json)
    } else if essence.eq_ignore_ascii_case("application/x-ndjson") {
        Ok(Format::Lines)
    } else {
        Err(Refusal::unsupported(format!("unknown content type `{essence}`")))
    }
}

/// The body as text, if it is UTF-8.
pub fn utf8(body: &Bytes) -> Result<&str, Refusal> {
    std::str::from_utf8(body).map_err(|error| Refusal::bad(format!("the body is not UTF-8: {error}")))
}

/// A header as text, if it is there and printable.
pub fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
