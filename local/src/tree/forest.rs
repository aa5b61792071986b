//! Which span stands under which.

use std::collections::{HashMap, HashSet};

use fallom_trace::wire::fallom::WireSpan;

/// Deeper spans are not indented further: there would be no room for them.
const MAX_INDENT: usize = 16;

/// A span and its place in the tree.
pub struct Node<'a> {
    pub span: &'a WireSpan,
    /// What stands before its own branch.
    pub indent: String,
    /// The last of its siblings.
    pub last: bool,
    /// It has a parent, but does not stand under it; this is why.
    pub orphan: Option<&'static str>,
    pub has_children: bool,
}

impl Node<'_> {
    /// What stands before the lines below it.
    pub fn below(&self) -> String {
        below(&self.indent, self.last)
    }
}

fn below(indent: &str, last: bool) -> String {
    if indent.chars().count() >= MAX_INDENT * 3 {
        return indent.to_owned();
    }
    format!("{indent}{}", if last { "   " } else { "│  " })
}

/// The spans of one trace in the order in which they are shown: each before its children, siblings by
/// their start.
pub fn walk(trace: &[WireSpan]) -> Vec<Node<'_>> {
    let children = children(trace);
    let ids: HashSet<&str> = trace.iter().map(|span| span.span_id.as_str()).collect();
    let roots = roots(trace, &ids, &children);
    let is_root: HashSet<usize> = roots.iter().copied().collect();
    let below_of = |place: usize| -> Vec<usize> {
        let own = children.get(trace[place].span_id.as_str()).map(Vec::as_slice).unwrap_or_default();
        own.iter().copied().filter(|child| !is_root.contains(child)).collect()
    };
    let mut nodes = Vec::with_capacity(trace.len());
    let mut open = Vec::new();
    push_reversed(&mut open, &roots, "");
    // A stack of our own: a chain of 100,000 spans must not be a recursion of that depth.
    while let Some((place, indent, last)) = open.pop() {
        let below_it = below_of(place);
        push_reversed(&mut open, &below_it, &below(&indent, last));
        nodes.push(Node {
            span: &trace[place],
            orphan: trace[place].parent_span_id.as_deref().filter(|_| is_root.contains(&place)).map(
                |parent| {
                    if ids.contains(parent) { "is below it itself" } else { "has not arrived" }
                },
            ),
            has_children: !below_it.is_empty(),
            indent,
            last,
        });
    }
    nodes
}

fn push_reversed(open: &mut Vec<(usize, String, bool)>, siblings: &[usize], indent: &str) {
    for (back, place) in siblings.iter().rev().enumerate() {
        open.push((*place, indent.to_owned(), back == 0));
    }
}

/// Places by the parent's id, each list by start and then arrival.
fn children(trace: &[WireSpan]) -> HashMap<&str, Vec<usize>> {
    let mut children: HashMap<&str, Vec<usize>> = HashMap::new();
    for place in by_start(trace) {
        if let Some(parent) = &trace[place].parent_span_id {
            children.entry(parent).or_default().push(place);
        }
    }
    children
}

/// The spans without a parent, those whose parent is not here, and one of each circle.
fn roots(trace: &[WireSpan], ids: &HashSet<&str>, children: &HashMap<&str, Vec<usize>>) -> Vec<usize> {
    let is_root = |span: &WireSpan| span.parent_span_id.as_deref().is_none_or(|parent| !ids.contains(parent));
    let in_order = by_start(trace);
    let (mut roots, rest): (Vec<usize>, Vec<usize>) =
        in_order.into_iter().partition(|place| is_root(&trace[*place]));
    let mut reached = HashSet::new();
    reach(trace, children, &roots, &mut reached);
    for place in rest {
        if !reached.contains(&place) {
            roots.push(place);
            reach(trace, children, &[place], &mut reached);
        }
    }
    roots
}

fn reach(
    trace: &[WireSpan],
    children: &HashMap<&str, Vec<usize>>,
    from: &[usize],
    reached: &mut HashSet<usize>,
) {
    let mut open = from.to_vec();
    while let Some(place) = open.pop() {
        if reached.insert(place)
            && let Some(below) = children.get(trace[place].span_id.as_str())
        {
            open.extend(below);
        }
    }
}

fn by_start(trace: &[WireSpan]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..trace.len()).collect();
    // A stable sort, and times of one form sort as text.
    places.sort_by(|a, b| trace[*a].start_time.cmp(&trace[*b].start_time));
    places
}
