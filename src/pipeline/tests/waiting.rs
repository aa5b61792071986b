//! A queue of spans that share their messages keeps to its bound, and knows what it holds.

use std::time::Instant;

use serde_json::json;

use crate::held::{Held, Packer};
use crate::pipeline::DropReason;
use crate::pipeline::inbox::Raw;
use crate::pipeline::queue::State;
use crate::pipeline::unit::Queued;
use crate::settings::Batch;
use crate::transport::Form;

const MAX_QUEUE_BYTES: usize = 60_000;

/// A span with its history, as it goes on the wire.
fn wire(history: &[String]) -> Vec<u8> {
    let request = format!("[{}]", history.join(","));
    json!({"session_id": "s", "attributes": {"fallom.raw.request": request, "fallom.raw.response": "{}"}})
        .to_string()
        .into_bytes()
}

/// Queues a span as the thread does.
fn queue(state: &mut State, packer: &Packer, history: &[String]) {
    state.push(b"raw");
    let Some(block) = state.take_inbox() else { return };
    for raw in &block.spans {
        let mut held = Held::plain(wire(history));
        packer.pack(&mut held);
        state.ready([Queued { seq: raw.seq, since: raw.since, held, spooled: None }], raw.at.len());
    }
    let _ = state.give_back(block);
}

fn said() -> String {
    let words: String = (0..60).map(|_| format!("{:016x}", fastrand::u64(..))).collect();
    json!({"role": "user", "content": words}).to_string()
}

#[test]
fn the_oldest_spans_go_until_their_own_bytes_and_the_messages_that_are_left_fit() {
    let mut state = State::new(MAX_QUEUE_BYTES);
    let packer = Packer::new(state.messages());
    for _ in 0..6 {
        let mut history = vec![said()];
        for _ in 0..30 {
            history.push(said());
            queue(&mut state, &packer, &history);
            assert!(state.queued_bytes() <= MAX_QUEUE_BYTES, "{}", state.queued_bytes());
        }
    }
    let kept = state.stats.queued;
    assert_eq!(kept + state.stats.dropped.queue_full, 180);
    assert!(kept > 40, "{kept}: the spans of two conversations fit");
    state.drop_queue(DropReason::Unauthorized);
    assert_eq!((state.queued_bytes(), state.messages().bytes()), (0, 0));
}

#[test]
fn what_is_delivered_frees_the_messages_that_no_other_span_needs() {
    let mut state = State::new(1 << 20);
    let packer = Packer::new(state.messages());
    let history: Vec<String> = (0..20).map(|_| said()).collect();
    for length in [10, 20] {
        queue(&mut state, &packer, &history[..length]);
    }
    let both = state.messages().bytes();
    state.hurry(Instant::now());
    let batch = Batch { max_spans: 1, max_bytes: 1 << 20, max_delay: std::time::Duration::ZERO };
    for left in [both, 0] {
        let unit = state.next_unit(Instant::now(), &batch, 1, Form::PLAIN).expect("a span is due");
        state.delivered(unit);
        assert_eq!(state.messages().bytes(), left);
    }
    assert_eq!(state.queued_bytes(), 0);
}

#[test]
fn a_burst_that_the_thread_has_yet_to_encode_makes_no_span_wait() {
    let mut state = State::new(MAX_QUEUE_BYTES);
    let bytes = MAX_QUEUE_BYTES / 20;
    for _ in 0..20 {
        state.push(&vec![0; bytes]);
    }
    assert!(!state.waits(), "nothing of it can be packed");
    for _ in 0..15 {
        let block = state.take_inbox().unwrap();
        let span = |raw: &Raw| {
            let held = Held::plain(block.bytes(raw).to_vec());
            Queued { seq: raw.seq, since: raw.since, held, spooled: None }
        };
        state.ready(block.spans.iter().map(span), bytes);
    }
    assert!(state.waits(), "the server takes none of what is encoded");
}
