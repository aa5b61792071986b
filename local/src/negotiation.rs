//! What the server offers beyond single, plain spans (`wire.md`, "Batches and compression").

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::{Deserialize, Serialize};

const ACCEPT_POST: HeaderName = HeaderName::from_static("accept-post");

/// Whether a form of body is advertised, and whether it is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ability {
    /// Advertised and taken.
    #[default]
    Offered,
    /// Taken, but not advertised.
    Silent,
    /// Not advertised, and answered with 415.
    Refused,
    /// Advertised, but answered with 415.
    Broken,
}

impl Ability {
    fn advertised(self) -> bool {
        matches!(self, Ability::Offered | Ability::Broken)
    }

    /// Whether a body of this form is read at all.
    pub fn taken(self) -> bool {
        matches!(self, Ability::Offered | Ability::Silent)
    }
}

/// What may be sent in one request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Negotiation {
    /// Many spans, one a line.
    pub batches: Ability,
    /// Bodies compressed with zstd or gzip.
    pub compression: Ability,
}

impl Negotiation {
    /// Writes the offers into a response's headers.
    pub fn advertise(self, headers: &mut HeaderMap) {
        if self.batches.advertised() {
            headers.insert(ACCEPT_POST, HeaderValue::from_static("application/x-ndjson"));
        }
        if self.compression.advertised() {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("zstd, gzip"));
        }
    }
}
