//! What the shim knows of a span becomes a span on the wire, or is no span. Input: `maxSpanBytes`, a line; an object with
//! the fields of the envelope.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use fallom_trace::catalog::template::own_text;
use fallom_trace::linking::{Linking, Rendering};
use fallom_trace::payload::encoded_len;
use fallom_trace::pipeline::{EncodeError, Encoder};
use fallom_trace::span::{FinishedSpan, writer};
use fallom_trace::wire::fallom::{PromptLink, Status, WireSpan};
use serde_json::Value;

use super::{is_json, line, number};

/// Beside its content, a span may need so much more than the limit counts (`NAMES` in `src/pipeline/encode.rs`).
const SLACK: usize = 160;
const MOST_ERROR_BYTES: usize = 4096;

static ENCODER: LazyLock<Encoder> = LazyLock::new(|| {
    let linking = Linking::default();
    let own = own_text("You help Acme.");
    let _ = linking.rendered("support", 3, [Rendering { text: "You help Acme.", own }]);
    let _ = linking.assigned(
        "s",
        PromptLink {
            prompt_key: Some("greeting".into()),
            prompt_version: Some(1),
            prompt_ab_test_key: Some("tone".into()),
            prompt_variant_index: Some(0),
        },
    );
    Encoder::new(Arc::new(linking))
});

pub fn target(input: &[u8]) {
    let (limit, span) = line(input);
    let Ok(span) = serde_json::from_slice::<Value>(span) else { return };
    holds(&writer::envelope(&span), number(limit));
}

/// What must hold for any envelope.
pub fn holds(envelope: &[u8], limit: usize) {
    let whole = ENCODER.encode(envelope, usize::MAX);
    let fitted = ENCODER.encode(envelope, limit);
    for (limit, straight) in [(usize::MAX, &whole), (limit, &fitted)] {
        assert_eq!(text(straight), text(&ENCODER.encode_carefully(envelope, limit)), "written differently");
    }
    match (whole, fitted) {
        (Ok(whole), Ok(fitted)) => {
            assert!(fitted.len() <= limit, "{} bytes, at most {limit}", fitted.len());
            let span = read(&fitted);
            says_what_was_handed_in(&span, envelope);
            says_what_was_handed_in(&read(&whole), envelope);
            if whole.len() + SLACK <= limit / 2 {
                assert_eq!(fitted, whole, "cut without need");
            }
            let cut = span.attributes.get("fallom.truncated_bytes");
            assert!(fitted == whole || cut.is_some(), "cut, and does not say so");
        }
        // Too large is what would fit nowhere; the limit counts a little more than the span is long.
        (Ok(whole), Err(error)) => {
            assert!(error.to_string().contains("maxSpanBytes"), "{error}");
            assert!(whole.len() + SLACK > limit, "{} bytes are too many for {limit}", whole.len());
        }
        (Err(whole), Err(fitted)) => {
            assert_eq!(whole, fitted);
            quotes_nothing(&whole.to_string());
        }
        (Err(error), Ok(_)) => panic!("readable only where the limit is {limit}: {error}"),
    }
}

fn text(encoded: &Result<Vec<u8>, EncodeError>) -> Result<Cow<'_, str>, &EncodeError> {
    encoded.as_ref().map(|bytes| String::from_utf8_lossy(bytes))
}

fn read(bytes: &[u8]) -> WireSpan {
    serde_json::from_slice(bytes)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

fn says_what_was_handed_in(span: &WireSpan, envelope: &[u8]) {
    let given = FinishedSpan::read(envelope).expect("it was encoded");
    assert_eq!(
        (
            &span.session,
            &span.trace_id,
            &span.span_id,
            &span.parent_span_id,
            &span.name,
            span.kind,
            span.status
        ),
        (
            &given.session,
            &given.trace_id.into_owned(),
            &given.span_id.into_owned(),
            &given.parent_span_id.map(Cow::into_owned),
            &given.name.into_owned(),
            given.kind,
            given.status
        )
    );
    assert_eq!(span.duration_ms, given.end_ms.max(given.start_ms).abs_diff(given.start_ms));
    assert!(span.start_time.len() == 24 && span.start_time <= span.end_time);
    assert_eq!(span.error_message.is_some(), given.status == Status::Error);
    assert!(span.error_message.as_ref().is_none_or(|message| encoded_len(message) <= MOST_ERROR_BYTES));
    let raw = |name: &str| span.attributes.get(name).and_then(Value::as_str);
    for (name, given) in [("fallom.raw.request", given.request), ("fallom.raw.response", given.response)] {
        assert!(given.is_none() || raw(name).is_none_or(is_json), "{name} is no JSON: {:?}", raw(name));
    }
    let scalar = |value: &Value| value.is_string() || value.is_number() || value.is_boolean();
    assert!(span.attributes.values().all(scalar));
}

/// An error of ours says where, and never what stood there.
fn quotes_nothing(error: &str) {
    let place = error.strip_prefix("it is no span (byte ").and_then(|rest| rest.strip_suffix(')'));
    assert!(place.is_some_and(|place| place.parse::<usize>().is_ok()), "{error}");
}
