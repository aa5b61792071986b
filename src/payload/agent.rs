//! How the bytes of a span are divided among the parts of a conversation (`spans.md`, "A cut").
//!
//! Each part is first given the little that its marker needs. Of the rest:
//!
//! 1. The answer (`text`, `object`, why and by whom) and the newest message take what they need; if that is
//!    too much, the longest of them gives first.
//! 2. `toolCalls`, `toolResults` and any field not named here take what they need, but leave the older
//!    messages half of what is there, if those need it.
//! 3. `steps`, which repeat the above, take what the older messages leave, but at least a quarter: so the
//!    messages near the end of the conversation come before the steps, and the steps before the oldest messages.
//! 4. The older messages take all that is left, newest first.

use super::encoded::escaped_len;
use super::marker::LEAST;
use super::outline::{Field, Kind, Outline};
use super::share::level;
use super::trim::{Trim, field_cost};

/// Fields of the response that are the answer.
const ANSWER: [&str; 5] = ["\"text\"", "\"object\"", "\"finishReason\"", "\"modelId\"", "\"responseId\""];
/// The field of the response that repeats the others, step by step.
const STEPS: &str = "\"steps\"";
/// What a request needs at least: brackets, a marker and a comma, and something of its newest message.
const LEAST_REQUEST: usize = 2 + LEAST + 1 + LEAST;

/// A text that was cut, and how many bytes were.
pub(super) type Cut = (String, u64);

/// Both sides of a conversation within `room`, which leaves out the quotes around the two texts.
pub(super) fn conversation(
    request: Option<&Outline>,
    response: Option<&Outline>,
    room: usize,
) -> [Option<Cut>; 2] {
    let messages = Messages::of(request);
    let response = response.map(|response| answer(response, room, &messages));
    let spent = response.as_ref().map_or(0, |(_, cost)| *cost);
    let request = request.map(|request| {
        let left = room.saturating_sub(spent);
        let mut trim = Trim::new(request, left);
        match request.root().kind {
            Kind::List if request.root().encoded() > left => trim.list(0, left, "messages"),
            _ => trim.value(0, left),
        }
        trim.finish()
    });
    [request, response.map(|(cut, _)| cut)]
}

/// What the messages want, in encoded bytes.
struct Messages {
    all: usize,
    newest: usize,
}

impl Messages {
    fn of(request: Option<&Outline>) -> Self {
        let Some(request) = request else {
            return Self { all: 0, newest: 0 };
        };
        let all = request.root().encoded();
        let last = request.children(0).last().filter(|_| request.root().kind == Kind::List);
        Self { all, newest: last.map_or(all, |last| request.node(last).encoded()) }
    }

    fn older(&self) -> usize {
        self.all - self.newest
    }
}

/// The trimmed response, and what it costs.
fn answer(response: &Outline, room: usize, messages: &Messages) -> (Cut, usize) {
    let fields = match response.root().kind {
        Kind::Object => response.fields(0),
        _ => Vec::new(),
    };
    let Some(grants) = grants(response, &fields, room, messages) else {
        let budget = room.saturating_sub(messages.all).max(room / 2);
        let mut trim = Trim::new(response, budget);
        trim.value(0, budget);
        return measured(trim);
    };
    let mut trim = Trim::new(response, room);
    let mut grants = grants.into_iter();
    trim.fields(&fields, fields.len(), |trim, field| {
        let grant = grants.next().unwrap_or_default();
        let steps = Part::of(response, field) == Part::Steps && field.value.kind == Kind::List;
        match steps && field.value.encoded() > grant {
            true => trim.list(field.at, grant, "steps"),
            false => trim.value(field.at, grant),
        }
    });
    measured(trim)
}

fn measured(trim: Trim) -> (Cut, usize) {
    let (text, removed) = trim.finish();
    let cost = escaped_len(text.as_bytes());
    ((text, removed), cost)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Answer,
    Calls,
    Steps,
}

impl Part {
    fn of(response: &Outline, field: &Field) -> Self {
        match response.slice(field.key.start, field.key.end) {
            key if ANSWER.contains(&key) => Self::Answer,
            STEPS => Self::Steps,
            _ => Self::Calls,
        }
    }
}

/// A field of the response, or the newest message, with what it wants and what it may take.
struct Claim {
    part: Part,
    size: usize,
    grant: usize,
}

/// The bytes that each field of the response may take. Nothing if the response is not of the known form, or
/// there is no room for all its keys.
fn grants(response: &Outline, fields: &[Field], room: usize, messages: &Messages) -> Option<Vec<usize>> {
    let claim =
        |field: &Field| Claim { part: Part::of(response, field), size: field.value.encoded(), grant: 0 };
    let mut claims: Vec<Claim> = fields.iter().map(claim).collect();
    if claims.iter().all(|claim| claim.part != Part::Answer) {
        return None;
    }
    let fixed: usize = fields.iter().map(|field| field_cost(field) + field.value.encoded().min(LEAST)).sum();
    let mut left = room.checked_sub(messages.all.min(LEAST_REQUEST))?.checked_sub(2 + fixed)?;
    claims.push(Claim { part: Part::Answer, size: messages.newest, grant: 0 });
    left -= grant(&mut claims, Part::Answer, left);
    let unclaimed = left.saturating_sub(messages.older());
    left -= grant(&mut claims, Part::Calls, unclaimed.max(left / 2));
    let unclaimed = left.saturating_sub(messages.older());
    grant(&mut claims, Part::Steps, unclaimed.max(left / 4));
    Some(claims.into_iter().map(|claim| claim.grant).collect())
}

/// Divides `room`, and what was given beforehand for the markers, among the claims of one part.
/// Gives how much of `room` was used.
fn grant(claims: &mut [Claim], part: Part, room: usize) -> usize {
    let mut sizes: Vec<usize> =
        claims.iter().filter(|claim| claim.part == part).map(|claim| claim.size).collect();
    let held: usize = sizes.iter().map(|size| *size.min(&LEAST)).sum();
    let level = level(&mut sizes, room + held);
    for claim in claims.iter_mut().filter(|claim| claim.part == part) {
        claim.grant = claim.size.min(level);
    }
    sizes.iter().map(|size| *size.min(&level)).sum::<usize>().saturating_sub(held)
}
