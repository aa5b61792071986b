//! The texts of a request's messages, which are compared with prompts: a message's own, its content, and those of its
//! parts.

use std::borrow::Cow;
use std::ops::Range;

use serde_json::Value;

use crate::span::reader::{MAX_DEPTH, Reader, tag};

/// Where the texts of a message stand, in the order in which they are told.
const TEXTS: [&str; 3] = ["content", "text", "parts"];

/// What of a request may be a prompt.
#[derive(Default)]
pub struct Messages<'e> {
    pub texts: Vec<Cow<'e, str>>,
    /// In its place, a request whose texts cannot be told without a look at all of it.
    pub request: Value,
}

impl<'e> Messages<'e> {
    pub(super) fn of(request: Option<&Reader<'e>>) -> Self {
        let Some(request) = request else { return Messages::default() };
        let mut texts = Vec::new();
        if collect(&mut request.clone(), &mut texts).is_some() {
            return Messages { texts, request: Value::Null };
        }
        let json = request.clone().json().ok();
        let request = json.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default();
        Messages { texts: Vec::new(), request }
    }
}

fn collect<'e>(reader: &mut Reader<'e>, texts: &mut Vec<Cow<'e, str>>) -> Option<()> {
    let tag = reader.byte().ok()?;
    value(reader, tag, 0, Some(texts))
}

/// Reads a value; its texts are told if anybody asks. Nothing for what is odd: JSON text, a number that is none to
/// serde_json, a name that is there twice, a value that was kept.
fn value<'e>(
    reader: &mut Reader<'e>,
    tag: u8,
    depth: usize,
    texts: Option<&mut Vec<Cow<'e, str>>>,
) -> Option<()> {
    match tag {
        tag::NULL | tag::FALSE | tag::TRUE => Some(()),
        tag::INT => reader.int().ok().map(drop),
        tag::LONG | tag::DATE => reader.long().ok().map(drop),
        tag::DECIMAL => {
            let length = reader.byte().ok()?;
            let number = std::str::from_utf8(reader.take(length.into()).ok()?).ok()?;
            number.parse().ok().filter(|number: &f64| number.is_finite()).map(drop)
        }
        tag::JSON_TEXT => None,
        tag::ARRAY | tag::OBJECT if depth >= MAX_DEPTH => None,
        tag::ARRAY => items(reader, depth + 1, texts),
        tag::OBJECT => members(reader, depth + 1, texts),
        _ => {
            let text = reader.text_of(tag).ok()?;
            if let Some(texts) = texts {
                texts.push(text);
            }
            Some(())
        }
    }
}

fn items<'e>(reader: &mut Reader<'e>, depth: usize, mut texts: Option<&mut Vec<Cow<'e, str>>>) -> Option<()> {
    loop {
        match reader.byte().ok()? {
            tag::END => return Some(()),
            tag => value(reader, tag, depth, texts.as_deref_mut())?,
        }
    }
}

fn members<'e>(
    reader: &mut Reader<'e>,
    depth: usize,
    mut texts: Option<&mut Vec<Cow<'e, str>>>,
) -> Option<()> {
    let first = texts.as_ref().map_or(0, |texts| texts.len());
    let mut found: [Option<Range<usize>>; TEXTS.len()] = [None, None, None];
    loop {
        let tag = reader.byte().ok()?;
        if tag == tag::END {
            break;
        }
        let name = reader.text_of(tag).ok()?;
        let which = TEXTS.iter().position(|text| *text == name);
        let tag = reader.byte().ok()?;
        let (Some(which), Some(texts)) = (which, texts.as_deref_mut()) else {
            value(reader, tag, depth, None)?;
            continue;
        };
        let from = texts.len() - first;
        value(reader, tag, depth, Some(texts))?;
        let place = found.get_mut(which)?;
        if place.replace(from..texts.len() - first).is_some() {
            return None;
        }
    }
    if let (Some(texts), false) = (texts, found.iter().flatten().is_sorted_by_key(|range| range.start)) {
        let told = texts.split_off(first);
        texts.extend(found.into_iter().flatten().filter_map(|range| told.get(range)).flatten().cloned());
    }
    Some(())
}
