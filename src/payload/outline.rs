//! Where each value of a JSON text stands, and what it costs: all that cutting needs to know.

use std::borrow::Cow;

use memchr::memchr2;
use serde::de::IgnoredAny;

use super::encoded::{escaped_byte, escaped_len};

/// Values nested deeper than this are treated as text. serde_json reads no deeper, so no reader of ours does.
pub(super) const MAX_DEPTH: usize = 127;
/// The longest text that is outlined, in bytes: places and costs (at most 7 times that, where text of control
/// characters has to be quoted first) fit into 32 bits.
const MAX_TEXT: usize = 256 << 20;
/// What a string costs at least when it is shortened rather than left out, in encoded bytes: enough for the
/// marker and something on both sides of it.
pub(super) const KEPT: usize = 128;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number, `true`, `false` or `null`.
    #[default]
    Scalar,
    Text,
    Key,
    List,
    Object,
}

/// One value, or one key, of the text.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Node {
    /// The first byte, and the one after the last.
    pub start: u32,
    pub end: u32,
    /// The number of the node after this one and all that is in it.
    next: u32,
    /// Bytes it takes inside a JSON string.
    encoded: u32,
    /// The same, with every string in it held down to `KEPT`.
    floor: u32,
    pub kind: Kind,
}

impl Node {
    pub fn encoded(&self) -> usize {
        self.encoded as usize
    }

    pub fn floor(&self) -> usize {
        self.floor as usize
    }

    /// Bytes of text.
    pub fn len(&self) -> usize {
        (self.end - self.start) as usize
    }
}

/// A field of an object. The node of the key, and the number and the node of the value.
#[derive(Clone, Copy)]
pub(super) struct Field {
    pub key: Node,
    pub at: usize,
    pub value: Node,
}

/// A text and its nodes, in the order in which they begin. Node 0 is the whole value.
pub(super) struct Outline<'a> {
    pub text: Cow<'a, str>,
    nodes: Vec<Node>,
}

impl<'a> Outline<'a> {
    /// The outline of a JSON text; of a string that holds `text`, if that is no JSON or too deep.
    /// Nothing for a text beyond all measure (256 MiB).
    pub fn of(text: &'a str) -> Option<Self> {
        if text.len() > MAX_TEXT {
            return None;
        }
        if let Some(nodes) = scan(text) {
            return Some(Self { text: Cow::Borrowed(text), nodes });
        }
        let quoted = serde_json::to_string(text).ok()?;
        let nodes = scan(&quoted)?;
        Some(Self { text: Cow::Owned(quoted), nodes })
    }

    pub fn root(&self) -> Node {
        self.node(0)
    }

    pub fn node(&self, at: usize) -> Node {
        self.nodes.get(at).copied().unwrap_or_default()
    }

    pub fn slice(&self, start: u32, end: u32) -> &str {
        self.text.get(start as usize..end as usize).unwrap_or_default()
    }

    /// The node at `at` and all that is in it.
    pub fn subtree(&self, at: usize) -> &[Node] {
        self.nodes.get(at..self.node(at).next as usize).unwrap_or_default()
    }

    /// The numbers of the nodes directly in the one at `at`; for an object, key and value in turn.
    pub fn children(&self, at: usize) -> impl Iterator<Item = usize> {
        let end = self.node(at).next as usize;
        let next = move |child: usize| Some(self.node(child).next as usize).filter(|next| *next > child);
        std::iter::successors(Some(at + 1), move |child| next(*child)).take_while(move |child| *child < end)
    }

    pub fn fields(&self, at: usize) -> Vec<Field> {
        let mut fields = Vec::new();
        let mut children = self.children(at);
        while let (Some(key), Some(value)) = (children.next(), children.next()) {
            fields.push(Field { key: self.node(key), at: value, value: self.node(value) });
        }
        fields
    }
}

/// The nodes of `text`; nothing if it is no JSON or nested deeper than `MAX_DEPTH`.
///
/// serde_json says whether it is JSON, without recursion and without decoding anything. So the scan may rely
/// on it, though it never trusts it so far as to panic.
fn scan(text: &str) -> Option<Vec<Node>> {
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let mut scan = Scan { bytes: text.as_bytes(), ..Scan::default() };
    while let Some(byte) = scan.bytes.get(scan.at) {
        match byte {
            b'[' => scan.open(Kind::List)?,
            b'{' => scan.open(Kind::Object)?,
            b']' | b'}' => scan.close()?,
            b'"' => scan.string()?,
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => scan.pass(escaped_byte(*byte)),
            _ => scan.scalar()?,
        }
    }
    Some(scan.nodes)
}

/// The scan of a text, with what all of it up to `at` costs.
#[derive(Default)]
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    encoded: usize,
    floor: usize,
    nodes: Vec<Node>,
    /// The containers that are open, by node number.
    open: Vec<usize>,
}

impl Scan<'_> {
    /// Goes over one byte that belongs to no string and no scalar.
    fn pass(&mut self, cost: usize) {
        self.at += 1;
        self.encoded += cost;
        self.floor += cost;
    }

    /// Until it is closed, a container's node holds what everything before it cost.
    fn open(&mut self, kind: Kind) -> Option<()> {
        if self.open.len() == MAX_DEPTH {
            return None;
        }
        self.open.push(self.nodes.len());
        let start = u32::try_from(self.at).ok()?;
        let (encoded, floor) = (u32::try_from(self.encoded).ok()?, u32::try_from(self.floor).ok()?);
        self.nodes.push(Node { start, end: start, next: 0, encoded, floor, kind });
        self.pass(1);
        Some(())
    }

    fn close(&mut self) -> Option<()> {
        self.pass(1);
        let next = u32::try_from(self.nodes.len()).ok()?;
        let node = self.nodes.get_mut(self.open.pop()?)?;
        node.end = u32::try_from(self.at).ok()?;
        node.next = next;
        node.encoded = u32::try_from(self.encoded).ok()?.checked_sub(node.encoded)?;
        node.floor = u32::try_from(self.floor).ok()?.checked_sub(node.floor)?;
        Some(())
    }

    fn string(&mut self) -> Option<()> {
        let mut end = self.at + 1;
        loop {
            end += memchr2(b'"', b'\\', self.bytes.get(end..)?)?;
            if self.bytes.get(end) == Some(&b'"') {
                break;
            }
            end += 2;
        }
        end += 1;
        let after = self.bytes.iter().skip(end).find(|byte| !byte.is_ascii_whitespace());
        let encoded = escaped_len(self.bytes.get(self.at..end)?);
        match after {
            Some(b':') => self.leaf(Kind::Key, end, encoded, encoded),
            _ => self.leaf(Kind::Text, end, encoded, encoded.min(KEPT)),
        }
    }

    fn scalar(&mut self) -> Option<()> {
        let rest = self.bytes.get(self.at..)?;
        let length = rest.iter().position(|byte| b",]} \t\n\r".contains(byte)).unwrap_or(rest.len());
        self.leaf(Kind::Scalar, self.at + length, length, length)
    }

    fn leaf(&mut self, kind: Kind, end: usize, encoded: usize, floor: usize) -> Option<()> {
        self.nodes.push(Node {
            start: u32::try_from(self.at).ok()?,
            end: u32::try_from(end).ok()?,
            next: u32::try_from(self.nodes.len() + 1).ok()?,
            encoded: u32::try_from(encoded).ok()?,
            floor: u32::try_from(floor).ok()?,
            kind,
        });
        self.at = end;
        self.encoded += encoded;
        self.floor += floor;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::encoded_len;

    #[test]
    fn each_value_is_found_with_what_it_costs() {
        let text = r#" {"a\"":[1, "x\n",true],"b" : {}} "#;
        let outline = Outline::of(text).unwrap();
        let pieces: Vec<_> =
            outline.subtree(0).iter().map(|n| (n.kind, outline.slice(n.start, n.end))).collect();
        assert_eq!(
            pieces[1..],
            [
                (Kind::Key, r#""a\"""#),
                (Kind::List, r#"[1, "x\n",true]"#),
                (Kind::Scalar, "1"),
                (Kind::Text, r#""x\n""#),
                (Kind::Scalar, "true"),
                (Kind::Key, r#""b""#),
                (Kind::Object, "{}"),
            ]
        );
        for node in outline.subtree(0) {
            assert_eq!(node.encoded() + 2, encoded_len(outline.slice(node.start, node.end)));
        }
        assert_eq!(outline.fields(0).len(), 2);
        assert_eq!(outline.children(2).count(), 3);
    }

    #[test]
    fn the_floor_holds_strings_down_but_not_keys() {
        let text = format!(r#"{{"{0}":"{0}"}}"#, "k".repeat(1000));
        assert_eq!(Outline::of(&text).unwrap().root().floor(), 2 + 1004 + 1 + KEPT);
    }

    #[test]
    fn what_is_no_json_or_too_deep_is_one_string() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert_eq!(Outline::of(&deep(MAX_DEPTH)).unwrap().root().kind, Kind::List);
        for text in [deep(MAX_DEPTH + 1), deep(1_000_000), "{oops".into(), String::new(), "\"\\".into()] {
            let outline = Outline::of(&text).unwrap();
            assert_eq!(outline.root().kind, Kind::Text);
            assert_eq!(serde_json::from_str::<String>(&outline.text).unwrap(), text);
        }
    }
}
