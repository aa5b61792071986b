//! Spans that share their messages come back byte for byte, hold each message once, and leave nothing behind.

use std::collections::HashMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::held::Packer;
use crate::linking::Linking;
use crate::pipeline::Encoder;
use crate::span::writer;

/// A session's span as the encoder writes it.
fn span(session: &str, request: &[Value], max_span_bytes: usize) -> Vec<u8> {
    let id = format!("{:016x}", fastrand::u64(..));
    let envelope = json!({
        "session": {"config_key": "c", "session_id": session}, "trace_id": id.repeat(2), "span_id": id,
        "name": "agent.A.generate", "kind": "agent", "start_ms": 1, "end_ms": 2, "status": "OK",
        "request": request, "response": {"text": "yes", "steps": [{"text": "a"}, {"text": "b"}]},
    });
    let encoder = Encoder::new(Arc::new(Linking::default()));
    encoder.encode(&writer::envelope(&envelope), max_span_bytes).unwrap()
}

/// Words that hardly compress.
fn message(bytes: usize) -> Value {
    let words: String = (0..bytes.div_ceil(16)).map(|_| format!("{:016x}", fastrand::u64(..))).collect();
    let words = &words[..bytes];
    json!({"role": "user", "content": words})
}

fn packed(packer: &Packer, wire: &[u8]) -> Held {
    let mut held = Held::plain(wire.to_vec());
    packer.pack(&mut held);
    held
}

/// A conversation of so many turns of two messages, each turn traced with all that was said.
fn conversation(packer: &Packer, turns: usize, bytes: usize, max_span_bytes: usize) -> Vec<Held> {
    let mut history = vec![json!({"role": "system", "content": "You help."})];
    let turn = |_| {
        history.extend([message(bytes), message(bytes)]);
        packed(packer, &span("s", &history, max_span_bytes))
    };
    (0..turns).map(turn).collect()
}

fn taken(packer: &Packer, spans: &[Held]) -> usize {
    packer.messages().bytes() + spans.iter().map(Held::len).sum::<usize>()
}

#[test]
fn four_times_the_turns_take_at_most_four_and_four_tenths_of_the_memory() {
    for (bytes, max_span_bytes) in [(2000, 1 << 20), (2000, 16 << 10)] {
        let of = |turns| {
            let packer = Packer::default();
            let spans = conversation(&packer, turns, bytes, max_span_bytes);
            taken(&packer, &spans)
        };
        let [short, long] = [25, 100].map(of);
        println!("{bytes} bytes a message, {max_span_bytes} a span: {short}, {long}");
        assert!(long * 10 <= short * 44, "{short}, {long}");
        assert!(long < 100 * (2 * bytes + 2500), "{long}");
    }
}

#[test]
fn a_message_is_held_once_in_whatever_history_it_stands() {
    let packer = Packer::default();
    let said: Vec<Value> = (0..64).map(|_| message(2000)).collect();
    let whole = packed(&packer, &span("s", &said, 1 << 20));
    let before = packer.messages().bytes();
    let windows: Vec<Held> =
        (0..60).map(|from| packed(&packer, &span("other", &said[from..], 1 << 20))).collect();
    let more = packer.messages().bytes() - before;
    assert!(more < before / 4, "{more} more than {before}");
    drop(windows);
    assert_eq!(packer.messages().bytes(), before);
    drop(whole);
    assert_eq!(packer.messages().bytes(), 0);
}

#[test]
fn a_request_without_a_history_is_compressed_as_a_whole() {
    let packer = Packer::default();
    for request in [vec![], vec![message(5000)], vec![json!("a".repeat(600)), json!("b".repeat(600))]] {
        assert!(matches!(packed(&packer, &span("s", &request, 1 << 20)), Held::Packed { .. }), "{request:?}");
    }
    let tool = br#"{"attributes":{"fallom.raw.request":"{\"a\":[{},{}]}"}}"#;
    assert!(matches!(packed(&packer, tool), Held::Plain(_)));
}

#[test]
fn what_a_user_writes_to_look_like_a_span_is_text_like_any_other() {
    let packer = Packer::default();
    for text in ["\"fallom.raw.request\":\"[{},{},{}]\"", "},{", "]\"", "[{},{}]\",\"a\":\"[{"] {
        for times in [1, 400] {
            let said = vec![json!({"role": "user", "content": text.repeat(times)}); 5];
            let wire = span(text, &said, 1 << 20);
            assert_eq!(packed(&packer, &wire).wire().as_ref(), wire);
        }
    }
    assert_eq!(packer.messages().bytes(), 0);
}

/// What the pieces and runs of these spans take, counted one by one.
fn counted(spans: &[Held]) -> usize {
    let mut costs = HashMap::new();
    for held in spans {
        let Held::Shared(shared) = held else { continue };
        for run in &shared.runs {
            costs.insert(Arc::as_ptr(run).addr(), run.cost());
        }
        for piece in shared.runs.iter().flat_map(|run| &run.pieces).chain(&shared.rest) {
            costs.insert(Arc::as_ptr(piece).addr(), piece.cost());
        }
    }
    costs.values().sum()
}

#[derive(Clone, Debug)]
enum Step {
    /// A conversation goes on by messages of these lengths, and is traced.
    Turn { of: usize, lengths: Vec<usize> },
    /// It forgets its oldest messages.
    Forget { of: usize, most: usize },
    /// One says what another one said.
    Repeat { of: usize, from: usize },
    /// A span is delivered or dropped.
    Gone { which: prop::sample::Index },
}

fn step() -> impl Strategy<Value = Step> {
    let length = prop_oneof![3 => 0..200_usize, 2 => 200..3000_usize, 1 => 5000..9000_usize];
    prop_oneof![
        6 => (0..4_usize, prop::collection::vec(length, 1..8)).prop_map(|(of, lengths)| Step::Turn { of, lengths }),
        1 => (0..4_usize, 1..20_usize).prop_map(|(of, most)| Step::Forget { of, most }),
        1 => (0..4_usize, 0..4_usize).prop_map(|(of, from)| Step::Repeat { of, from }),
        3 => any::<prop::sample::Index>().prop_map(|which| Step::Gone { which }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_span_of_any_conversations_comes_back_as_it_was_and_nothing_stays_behind(
        steps in prop::collection::vec(step(), 1..40), max_span_bytes in 6_000..60_000_usize,
    ) {
        let packer = Packer::default();
        let mut said = vec![Vec::new(); 4];
        let mut spans: Vec<Held> = Vec::new();
        let mut wires: Vec<Vec<u8>> = Vec::new();
        for step in steps {
            match step {
                Step::Turn { of, lengths } => {
                    said[of].extend(lengths.into_iter().map(message));
                    wires.push(span(&of.to_string(), &said[of], max_span_bytes));
                    spans.push(packed(&packer, wires.last().unwrap()));
                }
                Step::Forget { of, most } => {
                    let gone = most.min(said[of].len());
                    said[of].drain(..gone);
                }
                Step::Repeat { of, from } => said[of] = said[from].clone(),
                Step::Gone { which } if !spans.is_empty() => {
                    let at = which.index(spans.len());
                    spans.remove(at);
                    wires.remove(at);
                }
                Step::Gone { .. } => {}
            }
            for (held, wire) in spans.iter().zip(&wires) {
                prop_assert_eq!(held.wire_len(), wire.len());
                prop_assert!(held.wire().as_ref() == wire.as_slice());
            }
            prop_assert_eq!(packer.messages().bytes(), counted(&spans));
        }
        spans.clear();
        let store = packer.messages().0;
        prop_assert_eq!((packer.messages().bytes(), store.pieces.lock().len(), store.runs.lock().len()), (0, 0, 0));
    }
}
