//! Every request that was for Fallom, in the order of arrival.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, Method, Uri, header};
use serde::Serialize;

use crate::body::text;

/// The most entries that are kept; the oldest go first. The counts go on.
const MAX_ENTRIES: usize = 100_000;

/// One request.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Counted from 1 since the server started; a reset does not start it again.
    pub id: u64,
    /// The connection it came on, counted from 1.
    pub connection: u64,
    pub method: String,
    /// Path and query, as sent.
    pub path: String,
    pub content_type: Option<String>,
    pub content_encoding: Option<String>,
    /// Whether an `Authorization` header was there; never its value.
    pub authorization: bool,
    pub if_none_match: Option<String>,
    pub user_agent: Option<String>,
    /// As sent, so compressed if it was. 0 until it arrived whole.
    pub body_bytes: usize,
    /// How many spans the body holds, taken or not.
    pub spans: usize,
    /// The fault rule that fired, by its place in the list.
    pub fault: Option<usize>,
    /// Absent while there is no answer, and for good after a hang or a reset.
    pub status: Option<u16>,
    /// Milliseconds since 1970, when the head had arrived.
    pub received_at: u64,
    pub answered_at: Option<u64>,
}

/// The requests, and how many there were.
#[derive(Debug, Default)]
pub struct Log {
    entries: VecDeque<Entry>,
    next: u64,
    pub requests: u64,
    /// Requests that a fault rule fired on.
    pub faulted: u64,
    /// Requests to `/v1/traces` that the server refused by its own rules, not by a fault.
    pub refused: u64,
}

impl Log {
    /// A request's head has arrived. Returns its id and the time.
    pub fn begin(&mut self, connection: u64, method: &Method, uri: &Uri, headers: &HeaderMap) -> (u64, u64) {
        let header = |name| text(headers, &name).map(str::to_owned);
        self.next += 1;
        self.requests += 1;
        let entry = Entry {
            id: self.next,
            connection,
            method: method.to_string(),
            path: uri.path_and_query().map_or_else(|| uri.path().to_owned(), ToString::to_string),
            content_type: header(header::CONTENT_TYPE),
            content_encoding: header(header::CONTENT_ENCODING),
            authorization: headers.contains_key(header::AUTHORIZATION),
            if_none_match: header(header::IF_NONE_MATCH),
            user_agent: header(header::USER_AGENT),
            body_bytes: 0,
            spans: 0,
            fault: None,
            status: None,
            received_at: now_ms(),
            answered_at: None,
        };
        let begun = (entry.id, entry.received_at);
        self.entries.push_back(entry);
        if self.entries.len() > MAX_ENTRIES {
            self.entries.pop_front();
        }
        begun
    }

    /// Its body has arrived, and this fault will answer it, if any.
    pub fn arrived(&mut self, id: u64, body_bytes: usize, spans: usize, fault: Option<usize>) {
        self.faulted += u64::from(fault.is_some());
        if let Some(entry) = self.entry(id) {
            entry.body_bytes = body_bytes;
            entry.spans = spans;
            entry.fault = fault;
        }
    }

    /// It is being answered.
    pub fn answered(&mut self, id: u64, status: u16) {
        if let Some(entry) = self.entry(id) {
            entry.status = Some(status);
            entry.answered_at = Some(now_ms());
        }
    }

    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Forgets all, but goes on counting ids, so that a request in flight finds no other's entry.
    pub fn clear(&mut self) {
        *self = Log { next: self.next, ..Log::default() };
    }

    fn entry(&mut self, id: u64) -> Option<&mut Entry> {
        let first = self.entries.front()?.id;
        let place = usize::try_from(id.checked_sub(first)?).ok()?;
        self.entries.get_mut(place)
    }
}

/// Now, in milliseconds since 1970.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
