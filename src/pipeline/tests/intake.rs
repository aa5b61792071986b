//! Encoded spans stay in their order and go in full batches, as they lie in memory, whatever comes in when.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use crate::linking::Linking;
use crate::pipeline::Encoder;
use crate::pipeline::body::Bodies;
use crate::pipeline::disk::Disk;
use crate::pipeline::intake::Intake;
use crate::pipeline::shared::Shared;
use crate::pipeline::unit::Unit;
use crate::settings::{Environment, Settings};
use crate::span::writer;
use crate::transport::{Encoding, Form, Http};

const NDJSON: Form = Form { ndjson: true, encoding: Encoding::Identity };
const MAX_SPANS: usize = 5;
const MAX_BYTES: usize = 4000;
const LONG: Duration = Duration::from_secs(60);

/// A span whose content is a text of this length.
fn envelope(length: usize) -> Vec<u8> {
    writer::envelope(&json!({
        "session": {"config_key": "c", "session_id": "s"}, "trace_id": "t", "span_id": "p", "name": "n", "kind": "llm",
        "start_ms": 0, "end_ms": 7, "status": "OK", "request": "x".repeat(length),
    }))
}

fn body(unit: &Unit) -> Bytes {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut bodies = Bodies::default();
    runtime.block_on(bodies.of(&unit.spans, Encoding::Identity, || std::future::ready(()))).0
}

struct Desk {
    shared: Shared,
    intake: Intake,
    settings: Arc<Settings>,
    disk: Disk,
    /// The bytes of all spans that came in.
    came: Vec<Vec<u8>>,
    sent: usize,
}

impl Desk {
    fn new(format: &str, max_delay: Duration) -> Self {
        Self::with_batches(MAX_SPANS, MAX_BYTES, format, max_delay)
    }

    fn with_batches(max_spans: usize, max_bytes: usize, format: &str, max_delay: Duration) -> Self {
        let options = json!({
            "apiKey": "k", "transport": {"format": format, "compression": "none"},
            "batch": {"maxSpans": max_spans, "maxBytes": max_bytes, "maxDelayMs": max_delay.as_millis() as u64},
        });
        let settings =
            Arc::new(Settings::from_options(&options.to_string(), &Environment::from_json("{}")).unwrap());
        let encoder = Encoder::new(Arc::new(Linking::default()));
        let shared = Shared::new(Arc::clone(&settings), Arc::new(Http::new(None)), encoder);
        Desk { shared, intake: Intake::default(), settings, disk: Disk::default(), came: Vec::new(), sent: 0 }
    }

    /// Of so many bytes, of which the options know only larger ones.
    fn with_queue(mut self, max_queue_bytes: usize) -> Self {
        self.settings = Arc::new(Settings { max_queue_bytes, ..Settings::clone(&self.settings) });
        self.shared.state().set_bound(max_queue_bytes);
        self
    }

    fn record(&mut self, length: usize) {
        let envelope = envelope(length);
        self.came.push(self.shared.encoder.encode(&envelope, usize::MAX).unwrap());
        let mut state = self.shared.state();
        state.stats.start();
        state.push(&envelope);
    }

    fn encode(&mut self) {
        while self.intake.encode_some(&self.shared, &self.settings, &mut self.disk) {}
    }

    fn flush(&mut self) {
        self.shared.state().hurry(Instant::now());
        self.encode();
    }

    /// The next request that is due, which must hold the next spans in their order. Says whether they lay together.
    fn send(&mut self) -> Option<(Unit, bool)> {
        let unit = self.shared.state().next_unit(Instant::now(), &self.settings.batch, 1 << 20, NDJSON)?;
        let expected = &self.came[self.sent..self.sent + unit.spans.len()];
        self.sent += unit.spans.len();
        let body = body(&unit);
        assert!(body == expected.join(&b'\n'), "{} spans, {} bytes", unit.spans.len(), body.len());
        let spans = unit.spans.iter().map(|span| span.held.bytes().as_ptr());
        let together = spans.eq(expected.iter().scan(body.as_ptr(), |at, span| {
            let here = *at;
            *at = at.wrapping_add(span.len() + 1);
            Some(here)
        }));
        Some((unit, together))
    }

    fn units(&mut self) -> Vec<(usize, bool)> {
        std::iter::from_fn(|| self.send()).map(|(unit, together)| (unit.spans.len(), together)).collect()
    }
}

proptest! {
    #[test]
    fn each_span_goes_once_in_its_order_within_the_limits_of_a_batch(
        events in prop::collection::vec((0..4u8, prop_oneof![9 => 0..1500usize, 1 => 1500..9000usize]), 1..60),
        format in prop::sample::select(&["ndjson", "single"][..]),
    ) {
        let mut desk = Desk::new(format, LONG);
        let mut units = Vec::new();
        for (event, length) in events {
            match event {
                0 => desk.encode(),
                1 => desk.flush(),
                _ => desk.record(length),
            }
            units.extend(std::iter::from_fn(|| desk.send()));
        }
        desk.flush();
        units.extend(std::iter::from_fn(|| desk.send()));
        prop_assert_eq!(desk.sent, desk.came.len());
        for (unit, _) in units {
            let bytes: usize = unit.spans.iter().map(|span| span.held.wire_len() + 1).sum();
            prop_assert!(unit.spans.len() == 1 || unit.spans.len() <= MAX_SPANS && bytes <= MAX_BYTES);
        }
    }
}

#[test]
fn batches_that_fill_while_spans_trickle_in_go_at_once_and_without_a_copy() {
    let mut desk = Desk::new("ndjson", LONG);
    for _ in 0..3 * MAX_SPANS {
        desk.record(10);
        desk.encode();
    }
    assert_eq!(desk.units(), [(MAX_SPANS, true); 3]);
    for _ in 0..10 {
        desk.record(800);
        desk.encode();
    }
    let wire_len = desk.came.last().unwrap().len() + 1;
    let most = MAX_BYTES / wire_len;
    assert_eq!(desk.units(), vec![(most, true); 9 / most]);
}

#[test]
fn a_batch_that_one_span_fills_goes_at_once() {
    let mut desk = Desk::new("ndjson", LONG);
    desk.record(10);
    desk.record(MAX_BYTES - 100);
    desk.encode();
    assert_eq!(desk.units(), [(1, true), (1, true)]);
}

#[test]
fn a_small_queue_holds_spans_packed_and_not_in_a_batch_in_the_making() {
    let mut desk = Desk::with_batches(100, 1 << 20, "ndjson", LONG).with_queue(8 * 1024);
    for _ in 0..18 {
        desk.record(1500);
        desk.encode();
        assert!(desk.shared.state().all_bytes() <= 8 * 1024);
    }
    let plain: usize = desk.came.iter().map(Vec::len).sum();
    assert!(plain > 3 * 8 * 1024, "{plain}");
    desk.flush();
    desk.units();
    assert_eq!((desk.sent, desk.shared.state().stats.dropped.total), (18, 0));
}

#[test]
fn spans_that_were_queued_before_their_batch_was_full_are_joined_by_what_fits_and_the_next_begin_another() {
    let mut desk = Desk::new("ndjson", LONG);
    for length in [900, 900] {
        desk.record(length);
        desk.encode();
        desk.intake.queue_all(&desk.shared, &desk.settings, &mut desk.disk);
    }
    for length in [2000, 300, 300] {
        desk.record(length);
        desk.encode();
    }
    assert_eq!(desk.units(), [(2, false)]);
    desk.flush();
    assert_eq!(desk.units(), [(3, true)]);
}

#[test]
fn a_batch_that_no_buffer_holds_is_filled_all_the_same() {
    let mut desk = Desk::with_batches(100, 3 * MAX_BYTES, "ndjson", LONG);
    for _ in 0..30 {
        desk.record(800);
        desk.encode();
    }
    let most = 3 * MAX_BYTES / (desk.came.last().unwrap().len() + 1);
    let filled: Vec<usize> = desk.units().into_iter().map(|(spans, _)| spans).collect();
    assert_eq!(filled, vec![most; 29 / most]);
}

#[test]
fn what_fills_no_batch_goes_when_it_is_old_enough_or_somebody_waits() {
    let mut desk = Desk::new("ndjson", LONG);
    desk.record(10);
    desk.record(10);
    desk.encode();
    assert_eq!(desk.units(), []);
    let due = desk.intake.due(&desk.settings.batch).expect("it must be looked at again");
    assert!(due > Instant::now() && due <= Instant::now() + LONG);
    desk.flush();
    assert_eq!((desk.units(), desk.intake.due(&desk.settings.batch)), (vec![(2, true)], None));

    let mut desk = Desk::new("ndjson", Duration::ZERO);
    desk.record(10);
    desk.encode();
    assert_eq!(desk.units(), [(1, true)]);
}

#[test]
fn a_span_longer_than_all_lines_stands_alone_between_the_others() {
    let mut desk = Desk::new("ndjson", LONG);
    for length in [10, 10_000, 10, 10_000, 10_000] {
        desk.record(length);
    }
    desk.flush();
    assert_eq!(desk.units(), [(1, true); 5]);
}

#[test]
fn where_spans_go_one_by_one_none_waits_for_others() {
    let mut desk = Desk::new("single", LONG);
    desk.record(10);
    desk.encode();
    assert_eq!(desk.shared.state().ready.len(), 1);
}

#[test]
fn spans_that_were_encoded_when_the_key_was_refused_are_dropped_with_the_others() {
    let mut desk = Desk::new("ndjson", LONG);
    desk.record(10);
    desk.encode();
    desk.shared.state().unauthorized = true;
    desk.flush();
    assert_eq!(desk.units(), []);
    assert_eq!(desk.shared.state().stats.dropped.unauthorized, 1);
}
