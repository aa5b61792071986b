//! The bytes that the shim hands over are an envelope, or are none. Input: `maxSpanBytes`, a line; the envelope.

use super::{line, number, span};

pub fn target(input: &[u8]) {
    let (limit, envelope) = line(input);
    span::holds(envelope, number(limit));
}
