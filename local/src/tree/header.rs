//! The two lines above a trace: whose it is, and what it came to.

use fallom_trace::wire::fallom::WireSpan;

use super::content;
use super::line::{Ink, Line, Style};
use super::text::{count, duration, one_line, width};
use crate::validate::time::millis;

pub fn write(trace: &[WireSpan], root: &WireSpan, style: Style, out: &mut String) {
    let begun = trace.iter().map(|span| span.start_time.as_str()).min().unwrap_or_default();
    let time = begun.get(..19).unwrap_or(begun).replace('T', " ") + " UTC";
    let room = style.columns().saturating_sub(width(&time) + 2);

    let mut first = Line::default();
    let session = &root.session;
    first.push(Ink::Green, "● ");
    first.push(Ink::Bold, one_line(&session.config_key, room.saturating_sub(2)));
    let customer = session.customer_id.as_deref().map(|customer| (" · customer ", customer));
    for (label, value) in [Some((" · session ", session.session_id.as_str())), customer].into_iter().flatten()
    {
        let left = room.saturating_sub(first.width());
        if left > width(label) + 1 {
            first.push(Ink::Dim, label);
            first.push(Ink::Plain, one_line(value, left - width(label)));
        }
    }
    first.pad_to(style.columns().saturating_sub(width(&time)));
    first.push(Ink::Dim, time);
    first.write(style, out);

    let mut second = Line::default();
    second.push(Ink::Dim, format!("│ {}", sums(trace)));
    second.write(style, out);
    let mut third = Line::default();
    third.push(Ink::Dim, "│");
    third.write(style, out);
}

/// Such as `3 spans · 1.24 s · 812 → 94 tokens · trace 0af7…`.
fn sums(trace: &[WireSpan]) -> String {
    let spans =
        if trace.len() == 1 { "1 span".to_owned() } else { format!("{} spans", count(trace.len() as u64)) };
    let start = trace.iter().filter_map(|span| millis(&span.start_time)).min();
    let end = trace.iter().filter_map(|span| millis(&span.end_time)).max();
    let lasted = end.zip(start).and_then(|(end, start)| u64::try_from(end - start).ok()).unwrap_or(0);
    let mut sums = vec![spans, duration(lasted)];
    let used: Vec<content::Tokens> = trace.iter().filter_map(content::tokens).collect();
    if !used.is_empty() {
        // Each token is sent once, so the spans can be summed (wire.md).
        let total = used.iter().fold(content::Tokens::default(), |sum, one| content::Tokens {
            input: sum.input.saturating_add(one.input),
            output: sum.output.saturating_add(one.output),
            cached: sum.cached.saturating_add(one.cached),
        });
        sums.push(total.text());
    }
    sums.extend(trace.first().map(|span| format!("trace {}", span.trace_id)));
    sums.join(" · ")
}
