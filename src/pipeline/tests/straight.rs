//! A span that is written in one pass has the bytes that it would have had the careful way, whatever stands in its
//! envelope. These are put together here byte by byte, for the shim's own way of writing is only one of many.

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::catalog::template::own_text;
use crate::linking::{Linking, Rendering};
use crate::pipeline::Encoder;
use crate::pipeline::encode::Written;
use crate::span::writer;

/// Some texts of the spans are those of prompts.
static ENCODER: LazyLock<Encoder> = LazyLock::new(|| {
    let linking = Linking::default();
    for (key, text) in PROMPTS {
        let _ = linking.rendered(key, 1, [Rendering { text, own: own_text(text) }]);
    }
    Encoder::new(Arc::new(linking))
});
const PROMPTS: [(&str, &str); 3] =
    [("a", "You help Acme."), ("b", "You help Acme."), ("c", "Greet everybody.")];

/// Of an envelope.
#[derive(Clone, Debug)]
enum Part {
    /// A tag, and what stands behind it.
    Bytes(Vec<u8>),
    /// A tag, for a long text: how it is written, and its bytes.
    Long(u8, u8, Vec<u8>),
    Items(Vec<Part>),
    Members(Vec<(Part, Part)>),
    JsonOf(Box<Part>),
    Kept(Box<Part>),
    Again(u32),
}

#[derive(Default)]
struct Envelope {
    structure: Vec<u8>,
    texts: Vec<u8>,
}

impl Envelope {
    fn put(&mut self, part: &Part) {
        match part {
            Part::Bytes(bytes) => self.structure.extend(bytes),
            Part::Long(tag, kind, bytes) => {
                self.structure.push(*tag);
                self.texts.push(*kind);
                self.texts.extend((bytes.len() as u32).to_le_bytes());
                self.texts.extend(bytes);
            }
            Part::Items(items) => {
                self.structure.push(11);
                items.iter().for_each(|item| self.put(item));
                self.structure.push(0);
            }
            Part::Members(members) => {
                self.structure.push(12);
                for (name, value) in members {
                    self.put(name);
                    self.put(value);
                }
                self.structure.push(0);
            }
            Part::JsonOf(part) => {
                self.structure.push(14);
                self.put(part);
            }
            Part::Kept(part) => {
                self.structure.push(16);
                self.put(part);
            }
            Part::Again(number) => {
                self.structure.push(17);
                self.structure.extend(number.to_le_bytes());
            }
        }
    }

    fn of(fields: &[(u8, Part)]) -> Vec<u8> {
        let mut envelope = Envelope::default();
        for (field, part) in fields {
            envelope.structure.push(*field);
            envelope.put(part);
        }
        envelope.structure.push(0);
        let length = (envelope.structure.len() as u32).to_le_bytes();
        [&length[..], &envelope.structure, &envelope.texts].concat()
    }
}

fn ascii(tag: u8, text: &str) -> Part {
    Part::Bytes([&[tag, text.len() as u8], text.as_bytes()].concat())
}

fn utf16(units: &[u16]) -> Vec<u8> {
    units.iter().flat_map(|unit| unit.to_le_bytes()).collect()
}

fn json(text: &str) -> Part {
    Part::Long(10, 1, text.as_bytes().to_vec())
}

fn whole(ms: i64) -> Part {
    Part::Bytes([&[5][..], &(ms as f64).to_le_bytes()].concat())
}

/// Halves of surrogate pairs among them.
fn units(most: usize) -> impl Strategy<Value = Vec<u16>> {
    let unit = prop_oneof![6 => 0x20u16..0x7F, 1 => 0..0x20u16, 1 => any::<u16>(), 1 => 0xD800u16..0xE000];
    prop::collection::vec(unit, 0..most)
}

const URLS: [&str; 6] = [
    "data:image/png;base64,iVBORw0KGgo=",
    "data:text/plain,a b",
    "data:,a%20\"b\\\n",
    "data:image/svg+xml,<svg a=\"1\"/>",
    "data: no url",
    "he said \"data:image/png;base64,QUJD\" and \\ud800",
];
const ODD: [&str; 8] = [
    r#"{"a":[1, "\ud800", "x\n"]}"#,
    r#""data:image/png;base64,QUJD""#,
    "[ \"data:,x\" ,\n {\"data:,k\" : \"data:,v\"}]",
    r#""\ud83d\ude00\udc00""#,
    "1e999",
    "12",
    "{oops",
    "",
];
const NUMBERS: [&str; 9] =
    ["1.5", "1e+21", "-0.25", "1.50", "1e999", "18446744073709551615", "01", "1.", "5 "];

fn text() -> impl Strategy<Value = Part> {
    prop_oneof![
        40 => "[ -~]{0,40}".prop_map(|text| ascii(7, &text)),
        10 => "(?s).{0,20}".prop_map(|text| ascii(7, &text)),
        1 => prop::collection::vec(any::<u8>(), 0..6).prop_map(|bytes| Part::Bytes([&[7, bytes.len() as u8][..], &bytes].concat())),
        20 => units(40).prop_map(|units| Part::Bytes([&[8, units.len() as u8][..], &utf16(&units)].concat())),
        20 => "(?s)(.|[ -~]{30}|[\"\\\\\n]){0,20}".prop_map(|text| Part::Long(9, 1, text.into_bytes())),
        20 => units(120).prop_map(|units| Part::Long(9, 2, utf16(&units))),
        10 => prop::sample::select(&URLS[..]).prop_map(|url| Part::Long(9, 1, url.into())),
        10 => prop::sample::select(&URLS[..]).prop_map(|url| Part::Long(9, 2, utf16(&url.encode_utf16().collect::<Vec<_>>()))),
        10 => prop::sample::select(&URLS[..]).prop_map(|url| ascii(7, url)),
        20 => prop::sample::select(&PROMPTS[..]).prop_map(|(_, text)| ascii(7, text)),
        20 => prop::sample::select(&["content", "parts", "text"][..]).prop_map(|name| ascii(7, name)),
    ]
}

fn prompt() -> impl Strategy<Value = Part> {
    prop::sample::select(&PROMPTS[..]).prop_map(|(_, text)| ascii(7, text))
}

fn leaf() -> impl Strategy<Value = Part> {
    prop_oneof![
        3 => (1..4u8).prop_map(|tag| Part::Bytes(vec![tag])),
        2 => any::<i32>().prop_map(|int| Part::Bytes([&[4][..], &int.to_le_bytes()].concat())),
        1 => (-(1i64 << 53) + 1..1 << 53).prop_map(whole),
        2 => prop::sample::select(&NUMBERS[..5]).prop_map(|number| ascii(6, number)),
        1 => any::<f64>().prop_filter("JSON has it", |number| number.is_finite()).prop_map(|number| ascii(6, &number.to_string())),
        1 => (0..253_402_300_800_000i64).prop_map(|ms| Part::Bytes([&[13][..], &(ms as f64).to_le_bytes()].concat())),
        1 => prop::sample::select(&ODD[..6]).prop_map(json),
        8 => text(),
    ]
}

/// Sometimes none.
fn value() -> impl Strategy<Value = Part> {
    let broken = prop_oneof![
        prop::sample::select(&NUMBERS[..]).prop_map(|number| ascii(6, number)),
        prop::sample::select(&ODD[..]).prop_map(json),
        (0..20u8).prop_map(|tag| Part::Bytes(vec![tag])),
        Just(Part::Long(9, 2, vec![0x61])),
        Just(Part::Long(9, 3, vec![0x61])),
    ];
    let any = leaf().prop_recursive(4, 30, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Part::Items),
            prop::collection::vec((text(), inner), 0..6).prop_map(Part::Members),
        ]
    });
    let twice = (prop::collection::vec(any.clone(), 1..4), 0..4u32).prop_map(|(parts, odd)| {
        let again =
            (0..parts.len() as u32).rev().map(Part::Again).chain((odd == 3).then_some(Part::Again(odd)));
        let kept = parts.iter().cloned().map(|part| Part::Kept(part.into()));
        Part::Items(kept.chain(again).collect())
    });
    prop_oneof![100 => any, 10 => twice, 1 => broken]
}

fn attribute() -> impl Strategy<Value = Part> {
    prop_oneof![4 => leaf(), 1 => value(), 2 => value().prop_map(|part| Part::JsonOf(part.into()))]
}

fn attributes() -> impl Strategy<Value = Part> {
    const NAMES: [&str; 9] =
        ["a", "b", "a\"b", "input", "output", "fallom.method", "é", "fallom.sdk", "fallom.raw.usage"];
    let name = prop_oneof![
        8 => prop::sample::select(&NAMES[..7]).prop_map(|name| ascii(7, name)),
        1 => prop::sample::select(&NAMES[..]).prop_map(|name| ascii(7, name)),
        2 => text(),
    ];
    prop::collection::vec((name, attribute()), 0..6).prop_map(Part::Members)
}

const SESSIONS: [&str; 5] = [
    r#"{"config_key":"c","session_id":"s"}"#,
    r#"{"config_key":"c","session_id":"s \"é\"","customer_id":"u","metadata":{"n":1.50,"b":true},"tags":["t"]}"#,
    r#" {"session_id":"\ud800","other":[1],"config_key":"c"}"#,
    r#"{"config_key":"c","session_id":"s","metadata":{"a":1,"b":2,"a":3}}"#,
    r#"{"config_key":"c"}"#,
];

fn fields() -> impl Strategy<Value = Vec<(u8, Part)>> {
    let session = prop_oneof![
        20 => prop::sample::select(&SESSIONS[..4]).prop_map(json),
        1 => prop::sample::select(&SESSIONS[..]).prop_map(|text| Part::Long(10, 2, utf16(&text.encode_utf16().collect::<Vec<_>>()))),
    ];
    let kind = prop::sample::select(&["agent", "llm", "tool", "custom", "retrieval"][..]);
    let times =
        (any::<i32>(), -10..100_000i64).prop_map(|(start, took)| (start.into(), i64::from(start) + took));
    let head = (session, text(), text(), kind, times, text(), prop::bool::weighted(0.2));
    let head = head.prop_map(|(session, id, name, kind, (start, end), message, failed)| {
        let status = if failed { "ERROR" } else { "OK" };
        vec![
            (1, session),
            (2, id.clone()),
            (3, id),
            (5, name),
            (6, ascii(7, kind)),
            (8, whole(start)),
            (9, whole(end)),
            (10, ascii(7, status)),
            (11, message),
        ]
    });
    let maybe = |field: u8, part: BoxedStrategy<Part>| {
        prop::option::of(part).prop_map(move |part| part.map(|part| (field, part)))
    };
    let more = (
        maybe(4, text().boxed()),
        maybe(7, text().boxed()),
        maybe(12, (0..100_000i64).prop_map(whole).boxed()),
        maybe(13, (2..4u8).prop_map(|tag| Part::Bytes(vec![tag])).boxed()),
        maybe(14, attributes().boxed()),
        maybe(15, value().boxed()),
        prop::option::weighted(
            0.1,
            Just((22, json(r#"{"prompt_key":"k\n","prompt_version":-3,"prompt_variant_index":2}"#))),
        ),
        maybe(23, prop::collection::vec(prop_oneof![text(), prompt()], 0..3).prop_map(Part::Items).boxed()),
        prop::option::weighted(
            0.7,
            prop_oneof![
                (maybe(18, value().boxed()), maybe(19, value().boxed())),
                (maybe(20, attribute().boxed()), maybe(21, attribute().boxed())),
            ],
        ),
    );
    let odd = prop::option::weighted(0.1, (0..28u8, value(), any::<prop::sample::Index>()));
    (head, more, odd).prop_map(|(mut fields, (a, b, c, d, e, f, g, h, content), odd)| {
        let (asked, answered) = content.unwrap_or_default();
        fields.extend([a, b, c, d, e, f, g, h, asked, answered].into_iter().flatten());
        fields.sort_by_key(|(field, _)| *field);
        if let Some((field, part, at)) = odd {
            fields.insert(at.index(fields.len()), (field, part));
        }
        fields
    })
}

fn is_written_the_same(envelope: &[u8], most: usize) {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let careful = ENCODER.encode_carefully(envelope, most).map(text);
    assert_eq!(ENCODER.encode(envelope, most).map(text), careful);
    // Where it is written makes no difference, whether there is room or not.
    for length in [envelope.len() / 2, envelope.len() + 300, 3 * envelope.len() + 1000] {
        let (mut memory, mut apart) = (vec![b'm'; length], vec![b'a'; length / 3]);
        let written =
            ENCODER.encode_into(envelope, most, &mut memory, &mut apart).map(|written| match written {
                Written::There(len) => memory[..len].to_vec(),
                Written::Apart(len) => apart[..len].to_vec(),
            });
        assert_eq!(written.map(text), careful);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 400 } else { 20_000 }))]
    #[test]
    fn in_one_pass_a_span_becomes_the_same_bytes_as_the_careful_way(
        fields in fields(), most in 300..4000usize, at in any::<prop::sample::Index>(), byte: u8,
    ) {
        let mut envelope = Envelope::of(&fields);
        is_written_the_same(&envelope, usize::MAX);
        is_written_the_same(&envelope, most);
        let length = ENCODER.encode(&envelope, usize::MAX).map_or(0, |bytes| bytes.len());
        (length..length + 200).step_by(66).for_each(|near| is_written_the_same(&envelope, near));
        let at = at.index(envelope.len());
        envelope[at] = byte;
        is_written_the_same(&envelope, usize::MAX);
    }
}

#[test]
fn what_the_shim_writes_is_written_in_one_pass() {
    let span = |kind: &str, more: Value| {
        let mut span = json!({
            "session": {"config_key": "c", "session_id": "s", "tags": ["é"]}, "trace_id": "t", "span_id": "p",
            "name": "żółw", "kind": kind, "start_ms": 0, "end_ms": 7, "status": "OK",
        });
        span.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        writer::envelope(&span)
    };
    let messages = json!([{"role": "user", "content": [{"image": URLS[0]}, {"text": "é\"\n".repeat(5000)}]}]);
    for envelope in [
        span("custom", json!({"attributes": {"a": 1, "b": 1.5, "c": null, "d": {"x": [1]}}})),
        span("custom", json!({"attributes": {"a": 1}, "output": {"o": 1}, "input": {"image": URLS[0]}})),
        span(
            "tool",
            json!({"request": messages, "response": "x", "usage": {}, "status": "ERROR", "error_message": "e"}),
        ),
        span("agent", json!({"request": messages, "link_texts": ["x"], "prompt": {"prompt_key": "k"}})),
        span("agent", json!({"response": {"toolResults": messages, "steps": [{"toolResults": messages}]}})),
    ] {
        let mut memory = vec![0; 1 << 20];
        assert!(ENCODER.encode_straight(&envelope, 1 << 20, &mut memory).is_ok());
        is_written_the_same(&envelope, 1 << 20);
    }
}

#[test]
fn what_grows_most_on_the_wire_is_cut_where_it_is_too_long_and_never_lost() {
    let head = |response: Part| {
        let whole = |field| (field, whole(7));
        let texts = [(2, "t"), (3, "p"), (5, "n"), (6, "agent"), (10, "OK")]
            .map(|(field, text)| (field, ascii(7, text)));
        let mut fields = vec![(1, json(SESSIONS[0])), whole(8), whole(9), (19, response)];
        fields.extend(texts);
        fields.sort_by_key(|(field, _)| *field);
        Envelope::of(&fields)
    };
    let growing = [
        Part::Bytes(vec![1]),
        Part::Bytes(vec![2]),
        Part::Bytes(vec![15, 22]),
        Part::Bytes(vec![11, 0]),
        ascii(7, &"\u{1f}".repeat(40)),
        Part::Long(9, 1, vec![0x1f; 400]),
    ];
    for part in growing {
        let kept = Part::Kept(Part::Items(vec![part.clone(); 300]).into());
        let envelope = head(Part::Items(vec![kept, Part::Again(0)]));
        let whole = ENCODER.encode(&envelope, usize::MAX).unwrap().len();
        assert!(whole <= envelope.len() * crate::pipeline::encode::WORST_GROWTH, "{part:?}: {whole}");
        for most in [whole - 1, whole / 2] {
            is_written_the_same(&envelope, most);
            assert!(ENCODER.encode(&envelope, most).is_ok_and(|bytes| bytes.len() <= most), "{part:?}");
        }
    }
}
