//! Writing a value so that it takes no more than so many bytes.
//!
//! In this order, until it fits: the long strings in it are shortened, longest first, down to `KEPT`; then
//! structure goes: a list keeps its last items, an object its first fields, and what is kept is trimmed itself.

use super::marker::{self, LEAST};
use super::outline::{Field, KEPT, Kind, Node, Outline};
use super::share::level;
use super::shorten::{Form, middle, push_around};

/// What the items of a list are called in its marker.
pub(super) const ITEMS: &str = "items";

/// A trimmed text in the making. All budgets are in encoded bytes, and at least `LEAST` or the size of the
/// value itself.
pub(super) struct Trim<'o> {
    outline: &'o Outline<'o>,
    out: String,
    /// Bytes of `out` that were not in the text.
    marked: usize,
}

impl<'o> Trim<'o> {
    pub fn new(outline: &'o Outline<'o>, budget: usize) -> Self {
        Self { outline, out: String::with_capacity(budget.min(outline.text.len() + LEAST)), marked: 0 }
    }

    /// The trimmed text, and how many bytes of the text are not in it.
    pub fn finish(self) -> (String, u64) {
        let before = self.outline.text.len() + self.marked;
        let removed = before.saturating_sub(self.out.len());
        (self.out, removed as u64)
    }

    /// Writes the value `at`.
    pub fn value(&mut self, at: usize, budget: usize) {
        let node = self.outline.node(at);
        match node.kind {
            _ if node.encoded() <= budget => self.copy(node.start, node.end),
            Kind::Text => self.text(node, budget),
            Kind::Scalar | Kind::Key => self.marker(node),
            Kind::List | Kind::Object if node.floor() <= budget => self.shorten(at, budget),
            Kind::List => self.list(at, budget, ITEMS),
            Kind::Object => self.object(at, budget),
        }
    }

    fn copy(&mut self, start: u32, end: u32) {
        let outline = self.outline;
        self.out.push_str(outline.slice(start, end));
    }

    /// A string without its middle.
    fn text(&mut self, node: Node, budget: usize) {
        let outline = self.outline;
        let body = outline.slice(node.start + 1, node.end - 1);
        match middle(body, Form::Json, budget.saturating_sub(4)) {
            Some(cut) => {
                self.out.push('"');
                self.marked += push_around(&mut self.out, body, &cut);
                self.out.push('"');
            }
            None => self.marker(node),
        }
    }

    /// A marker in place of a whole value.
    fn marker(&mut self, node: Node) {
        let before = self.out.len();
        self.out.push('"');
        marker::push_bytes_cut(&mut self.out, node.len());
        self.out.push('"');
        self.marked += self.out.len() - before;
    }

    /// The marker of a run of items or fields, in quotes.
    fn run_marker(&mut self, count: usize, noun: &str, bytes: usize) {
        let before = self.out.len();
        self.out.push('"');
        marker::push_run_cut(&mut self.out, count, noun, bytes);
        self.out.push('"');
        self.marked += self.out.len() - before;
    }

    /// A value whose strings are shortened and nothing else: the text is copied, but for the long strings.
    fn shorten(&mut self, at: usize, budget: usize) {
        let outline = self.outline;
        let nodes = outline.subtree(at);
        let long = |node: &&Node| node.kind == Kind::Text && node.encoded() > KEPT;
        let mut sizes: Vec<usize> = nodes.iter().filter(long).map(Node::encoded).collect();
        let others = outline.node(at).encoded() - sizes.iter().sum::<usize>();
        let level = level(&mut sizes, budget.saturating_sub(others));
        let mut copied = outline.node(at).start;
        for node in nodes.iter().filter(long).filter(|node| node.encoded() > level) {
            self.copy(copied, node.start);
            self.text(*node, level);
            copied = node.end;
        }
        self.copy(copied, outline.node(at).end);
    }

    /// A list without its first items: the last ones that fit stand whole, the one before them, or the last of
    /// all, is trimmed if there is room for something of it, and the marker stands where the others were.
    pub fn list(&mut self, at: usize, budget: usize, noun: &str) {
        let outline = self.outline;
        let items: Vec<usize> = outline.children(at).collect();
        let marker = marker::run_cut_len(items.len(), noun, outline.node(at).len()) + 4 + 1;
        let mut left = budget.saturating_sub(2 + marker);
        let mut first = items.len();
        let mut trimmed = 0;
        for (index, item) in items.iter().enumerate().rev() {
            let cost = outline.node(*item).encoded() + 1;
            if cost <= left {
                left -= cost;
                first = index;
                continue;
            }
            let room = if index == 0 { left + marker } else { left };
            let least = if first == items.len() { LEAST } else { KEPT };
            if room > least {
                first = index;
                trimmed = room - 1;
            }
            break;
        }
        self.out.push('[');
        if let Some((from, to)) = items.first().zip(items.get(..first).and_then(<[_]>::last)) {
            let bytes = outline.node(*to).end - outline.node(*from).start;
            self.run_marker(first, noun, bytes as usize);
        }
        for (index, item) in items.iter().enumerate().skip(first) {
            self.comma_unless(index == 0);
            let whole = outline.node(*item).encoded();
            self.value(*item, if index == first && trimmed > 0 { trimmed } else { whole });
        }
        self.out.push(']');
    }

    /// An object without its last fields: those that fit, each at `KEPT` if it is longer, are kept and share
    /// the room there is; the marker stands under a key of its own where the others were.
    fn object(&mut self, at: usize, budget: usize) {
        let fields = self.outline.fields(at);
        let room = budget.saturating_sub(2);
        let cost = |field: &Field| field_cost(field) + field.value.encoded().min(KEPT);
        let all = fields.iter().map(cost).sum::<usize>() <= room;
        let room = if all { room } else { room.saturating_sub(self.fields_marker_len(&fields)) };
        let mut used = 0;
        let fits = |field: &&Field| {
            used += cost(field);
            used <= room
        };
        let kept = fields.iter().take_while(fits).count();
        let fixed: usize = fields.iter().take(kept).map(field_cost).sum();
        let mut sizes: Vec<usize> = fields.iter().take(kept).map(|field| field.value.encoded()).collect();
        let level = level(&mut sizes, room - fixed);
        self.fields(&fields, kept, |trim, field| trim.value(field.at, level));
    }

    /// An object of the first `kept` of `fields`, each value written by `write`, and a marker for the others.
    pub fn fields(&mut self, fields: &[Field], kept: usize, mut write: impl FnMut(&mut Self, &Field)) {
        self.out.push('{');
        for (index, field) in fields.iter().take(kept).enumerate() {
            self.comma_unless(index == 0);
            self.copy(field.key.start, field.key.end);
            self.out.push(':');
            write(self, field);
        }
        if let Some((from, to)) = fields.get(kept).zip(fields.last()) {
            self.comma_unless(kept == 0);
            let before = self.out.len();
            self.out.push('"');
            self.out.push_str(marker::FIELDS_CUT);
            self.out.push_str("\":");
            self.marked += self.out.len() - before;
            self.run_marker(fields.len() - kept, "fields", (to.value.end - from.key.start) as usize);
        }
        self.out.push('}');
    }

    fn comma_unless(&mut self, first: bool) {
        if !first {
            self.out.push(',');
        }
    }

    /// What the marker of cut fields costs at most, with its key, colon and comma.
    fn fields_marker_len(&self, fields: &[Field]) -> usize {
        marker::FIELDS_CUT.len()
            + 4
            + 2
            + marker::run_cut_len(fields.len(), "fields", self.outline.text.len())
            + 4
    }
}

/// What a field costs besides its value: the key, a colon, a comma.
pub(super) fn field_cost(field: &Field) -> usize {
    field.key.encoded() + 2
}
