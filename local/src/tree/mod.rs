//! Traces as text: one block a trace, a line or a few a span, made for a terminal of 100 columns.
//!
//! What is shown was sent by somebody's program, so no control character of it reaches the terminal.

mod content;
mod forest;
mod header;
mod line;
mod span;
mod terse;
mod text;

use std::collections::HashMap;

use fallom_trace::wire::fallom::WireSpan;

pub use self::line::Style;

/// The traces of these spans, earliest first. Each span is its JSON as it was received.
pub fn render(spans: &[String], style: Style) -> String {
    let traces = by_trace(spans);
    if traces.is_empty() {
        return "No span has arrived yet.\n".to_owned();
    }
    let blocks: Vec<String> = traces.iter().map(|trace| block(trace, style)).collect();
    blocks.join("\n")
}

fn by_trace(spans: &[String]) -> Vec<Vec<WireSpan>> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut traces: Vec<Vec<WireSpan>> = Vec::new();
    // All were validated when they came, so none is left out here.
    for span in spans.iter().filter_map(|json| serde_json::from_str::<WireSpan>(json).ok()) {
        let place = *places.entry(span.trace_id.clone()).or_insert(traces.len());
        match traces.get_mut(place) {
            Some(trace) => trace.push(span),
            None => traces.push(vec![span]),
        }
    }
    traces.sort_by_cached_key(|trace| trace.iter().map(|span| span.start_time.clone()).min());
    traces
}

fn block(trace: &[WireSpan], style: Style) -> String {
    let nodes = forest::walk(trace);
    let columns = span::Columns::of(&nodes, style);
    let mut text = String::new();
    if let Some(root) = nodes.first() {
        header::write(trace, root.span, style, &mut text);
    }
    for node in &nodes {
        span::write(node, &columns, style, &mut text);
    }
    text
}

#[cfg(test)]
mod tests;
