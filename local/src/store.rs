//! The spans that were taken, in the order of arrival.

use std::collections::hash_map::{DefaultHasher, Entry};
use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};

use fallom_trace::wire::fallom::WireSpan;

/// The most bytes of spans that are kept; the oldest go first. The counts and the ids go on.
const MAX_BYTES: usize = 1024 * 1024 * 1024;

/// A span that was taken.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub trace_id: String,
    pub session_id: String,
    /// Its JSON as it was received.
    pub json: String,
    /// Milliseconds since 1970.
    pub received_at: u64,
    /// The id of the request that it came with.
    pub request: u64,
}

impl Arrived {
    /// The span to keep, with its span id before it.
    pub fn new(span: WireSpan, json: &str, received_at: u64, request: u64) -> (String, Self) {
        let arrived = Arrived {
            trace_id: span.trace_id,
            session_id: span.session.session_id,
            json: json.to_owned(),
            received_at,
            request,
        };
        (span.span_id, arrived)
    }
}

/// The spans, each once, and how many came.
#[derive(Debug, Default)]
pub struct Store {
    spans: VecDeque<Arrived>,
    /// By trace and span id, with a hash of the JSON.
    seen: HashMap<(String, String), u64>,
    bytes: usize,
    /// Spans that were taken, duplicates included.
    pub received: u64,
    /// Spans whose ids had been seen before. Only the first is kept.
    pub duplicates: u64,
    /// Duplicates that were not the same, byte for byte: two spans with one id.
    pub conflicts: u64,
    /// Spans that were kept and had to go.
    pub forgotten: u64,
}

impl Store {
    /// Takes a span in, under its span id.
    pub fn add(&mut self, (span_id, arrived): (String, Arrived)) {
        self.received += 1;
        let mut hasher = DefaultHasher::new();
        arrived.json.hash(&mut hasher);
        let hash = hasher.finish();
        match self.seen.entry((arrived.trace_id.clone(), span_id)) {
            Entry::Occupied(first) => {
                self.duplicates += 1;
                self.conflicts += u64::from(*first.get() != hash);
            }
            Entry::Vacant(place) => {
                place.insert(hash);
                self.bytes += arrived.json.len();
                self.spans.push_back(arrived);
                self.make_room();
            }
        }
    }

    /// How many different spans came.
    pub fn unique(&self) -> usize {
        self.seen.len()
    }

    /// The spans of one trace, one session, or all, in the order of arrival.
    pub fn spans<'a>(
        &'a self,
        trace_id: Option<&'a str>,
        session_id: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Arrived> {
        self.spans.iter().filter(move |span| {
            trace_id.is_none_or(|wanted| span.trace_id == wanted)
                && session_id.is_none_or(|wanted| span.session_id == wanted)
        })
    }

    fn make_room(&mut self) {
        while self.bytes > MAX_BYTES
            && let Some(oldest) = self.spans.pop_front()
        {
            self.bytes -= oldest.json.len();
            self.forgotten += 1;
        }
    }
}
