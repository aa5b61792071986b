//! One span: its line, and below it what does not fit there.

use fallom_trace::wire::fallom::{Kind, Status, WireSpan};
use serde_json::Value;

use super::content;
use super::forest::Node;
use super::line::{Ink, Line, Style};
use super::text::{count, duration, one_line, width};

/// Columns for the longest duration, `59 m 59 s`.
const DURATION: usize = 9;

/// Where the columns of a trace stand.
pub struct Columns {
    /// Where names end.
    names: usize,
    /// Columns of the longest kind.
    kinds: usize,
}

impl Columns {
    /// Names get the room that the longest needs, but leave half of the line to the rest.
    pub fn of(nodes: &[Node<'_>], style: Style) -> Self {
        let name = |node: &Node<'_>| width(&node.indent) + 3 + width(&node.span.name);
        Columns {
            names: nodes.iter().map(name).max().unwrap_or(0).min(style.columns() / 2 - 4),
            kinds: nodes.iter().map(|node| word(node.span.kind).len()).max().unwrap_or(0),
        }
    }
}

pub fn write(node: &Node<'_>, columns: &Columns, style: Style, out: &mut String) {
    let span = node.span;
    let mut line = head(node, columns);
    let talks = matches!(span.kind, Kind::Agent | Kind::Llm);
    let room = style.columns().saturating_sub(line.width());
    if talks {
        model(&mut line, span, room);
    } else {
        let ink = if failed(span) { Ink::Red } else { Ink::Plain };
        let result = span.error_message.clone().or_else(|| content::output(span));
        exchange(&mut line, content::input(span), result, ink, room);
    }
    line.write(style, out);

    let below = format!("{}{}", node.below(), if node.has_children { "│  " } else { "   " });
    let mut write_below = |ink: Ink, text: &str| {
        let mut line = Line::default();
        line.push(Ink::Dim, below.clone());
        line.push(ink, one_line(text, style.columns().saturating_sub(width(&below))));
        line.write(style, out);
    };
    let room = style.columns().saturating_sub(width(&below));
    for notes in wrap(notes(node), room) {
        write_below(Ink::Magenta, &notes);
    }
    if talks {
        for text in talk(content::question(span), content::answer(span), room) {
            write_below(Ink::Plain, &text);
        }
        if let Some(error) = &span.error_message {
            write_below(Ink::Red, &format!("✗ {error}"));
        }
    }
}

/// Name, duration, status and kind: the part that is aligned.
fn head(node: &Node<'_>, columns: &Columns) -> Line {
    let span = node.span;
    let mut line = Line::default();
    let branch = match (node.last, node.orphan.is_some()) {
        (false, false) => "├─ ",
        (true, false) => "└─ ",
        (false, true) => "├┄ ",
        (true, true) => "└┄ ",
    };
    line.push(Ink::Dim, format!("{}{branch}", node.indent));
    let name_ink = if span.kind == Kind::Agent { Ink::Bold } else { Ink::Cyan };
    // However deep, some of the name is left to see.
    line.push(name_ink, one_line(&span.name, columns.names.saturating_sub(line.width()).max(12)));
    line.pad_to(columns.names);
    let about = if span.attributes.get("fallom.timing").is_some() { "~" } else { "" };
    line.push(Ink::Plain, format!("{:>DURATION$}  ", format!("{about}{}", duration(span.duration_ms))));
    match span.status {
        Status::Ok => line.push(Ink::Green, "✓ "),
        Status::Error => line.push(Ink::Red, "✗ "),
    }
    line.push(Ink::Dim, format!("{:<kinds$}  ", word(span.kind), kinds = columns.kinds));
    line
}

/// The model and its tokens; a long model name does not push them out.
fn model(line: &mut Line, span: &WireSpan, room: usize) {
    let tokens = content::tokens(span).map(content::Tokens::text).unwrap_or_default();
    let model = span.model.as_deref().unwrap_or_default();
    let gap = if model.is_empty() || tokens.is_empty() { "" } else { "  " };
    line.push(Ink::Plain, one_line(model, room.saturating_sub(width(&tokens) + width(gap))));
    line.push(Ink::Plain, gap);
    line.push(Ink::Plain, tokens);
}

/// Arguments and result side by side; a long one does not push the other out.
fn exchange(line: &mut Line, input: Option<String>, output: Option<String>, ink: Ink, room: usize) {
    let input = input.map(|input| one_line(&input, room)).unwrap_or_default();
    let arrow = if input.is_empty() || output.is_none() { "" } else { " → " };
    let output = output.map(|output| one_line(&output, room)).unwrap_or_default();
    let room = room.saturating_sub(width(arrow));
    let input_room = room.saturating_sub(width(&output)).max(room * 2 / 5);
    let input = shorten(&input, input_room);
    let output_room = room.saturating_sub(width(&input));
    line.push(Ink::Plain, input);
    line.push(Ink::Dim, arrow);
    line.push(ink, shorten(&output, output_room));
}

/// Question and answer: on one line if they fit, else on one each.
fn talk(question: Option<String>, answer: Option<String>, room: usize) -> Vec<String> {
    match (question, answer) {
        (Some(question), Some(answer)) if width(&question) + width(&answer) + 3 <= room => {
            vec![format!("{question} → {answer}")]
        }
        (question, answer) => {
            let answer = answer.map(|answer| format!("→ {}", shorten(&answer, room.saturating_sub(2))));
            question.map(|question| shorten(&question, room)).into_iter().chain(answer).collect()
        }
    }
}

/// Cuts a text, and closes its quotes again.
fn shorten(text: &str, room: usize) -> String {
    match text.strip_suffix('”') {
        Some(open) if width(text) > room => one_line(open, room.saturating_sub(1)) + "”",
        _ => one_line(text, room),
    }
}

/// Joins notes into lines that fit.
fn wrap(notes: Vec<String>, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for note in notes {
        match lines.last_mut() {
            Some(line) if width(line) + 3 + width(&note) <= room => {
                line.push_str(" · ");
                line.push_str(&note);
            }
            _ => lines.push(note),
        }
    }
    lines
}

/// What is worth saying about a span besides, such as its stream and its prompt.
fn notes(node: &Node<'_>) -> Vec<String> {
    let span = node.span;
    let text = |name: &str| span.attributes.get(name).and_then(Value::as_str);
    let mut notes = Vec::new();
    match (span.is_streaming, span.time_to_first_token_ms) {
        (Some(true), Some(ms)) => notes.push(format!("streamed, first token {}", duration(ms))),
        (Some(true), None) => notes.push("streamed".to_owned()),
        _ => {}
    }
    if let (Some(key), Some(version)) = (&span.prompt.prompt_key, span.prompt.prompt_version) {
        notes.push(format!("prompt {key}@{version}"));
    }
    if let (Some(test), Some(variant)) = (&span.prompt.prompt_ab_test_key, span.prompt.prompt_variant_index) {
        notes.push(format!("A/B {test} variant {variant}"));
    }
    notes.extend(content::tokens(span).and_then(content::Tokens::cache));
    notes.extend(content::finish(span).map(|reason| format!("finished by {reason}")));
    notes.extend(text("fallom.incomplete").map(|why| format!("incomplete ({why})")));
    if let Some(cut) = span.attributes.get("fallom.truncated_bytes").and_then(Value::as_u64) {
        notes.push(format!("{} bytes cut", count(cut)));
    }
    if let (Some(parent), Some(why)) = (&span.parent_span_id, node.orphan) {
        notes.push(format!("its parent {parent} {why}"));
    }
    notes
}

fn failed(span: &WireSpan) -> bool {
    span.status == Status::Error
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::Agent => "agent",
        Kind::Llm => "llm",
        Kind::Tool => "tool",
        Kind::Retrieval => "retrieval",
        Kind::Preprocessing => "preprocessing",
        Kind::Postprocessing => "postprocessing",
        Kind::Custom => "custom",
    }
}
