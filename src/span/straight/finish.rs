//! The parts of a span that was written, in the order in which they go on the wire.

use super::{Straight, Tools};
use crate::wire::Room;
use crate::wire::fallom::PromptLink;

/// Of the attributes, and of the span.
const END: &[u8] = b"}}";

impl Tools {
    /// The parts of the span, with the prompt that it used; `None` if they are too long.
    ///
    /// `fits` is asked with their number, and how many of them belong to the names of the content.
    pub fn finish(
        &mut self,
        span: &Straight,
        prompt: &PromptLink,
        fits: impl FnOnce(usize, usize) -> bool,
    ) -> Option<[&[u8]; 10]> {
        let at = self.room.at();
        if *prompt != PromptLink::default() {
            put_prompt(&mut self.room, prompt)?;
        }
        let [before, after] = span.around_manual();
        let [first, second] = span.manual.clone().map(Option::unwrap_or_default);
        let between =
            if second.is_empty() { 0..0 } else { first.end.min(second.end)..first.start.max(second.start) };
        let between = if first.is_empty() { 0..0 } else { between };
        let [a, b, c, d, e, f, g, h, i] = [
            0..span.head,
            at..self.room.at(),
            span.head..before,
            between,
            after..span.attributes,
            span.content..span.raw,
            span.attributes..span.content,
            first,
            second,
        ]
        .map(|part| self.room.get(part));
        let parts = [a, b, c, d, e, f, g, h, i, END];
        fits(parts.iter().map(|part| part.len()).sum(), span.names).then_some(parts)
    }
}

impl Straight<'_> {
    /// Where the attributes are interrupted by the first of `input` and `output`, and where they go on behind the last.
    fn around_manual(&self) -> [usize; 2] {
        let mut ranges = self.manual.iter().flatten();
        let Some(first) = ranges.next() else { return [self.attributes; 2] };
        let last = ranges.next().unwrap_or(first);
        [first.start.min(last.start), first.end.max(last.end)]
    }
}

fn put_prompt(room: &mut Room, prompt: &PromptLink) -> Option<()> {
    let text = |room: &mut Room, name: &[u8], text: &Option<String>| {
        let Some(text) = text else { return Some(()) };
        room.put(name)?;
        room.put_utf8::<false>(text.as_bytes())?;
        room.put(b"\"")
    };
    let number = |room: &mut Room, name: &[u8], number: Option<i64>| {
        let Some(number) = number else { return Some(()) };
        room.put(name)?;
        room.put_whole(number)
    };
    text(room, b",\"prompt_key\":\"", &prompt.prompt_key)?;
    number(room, b",\"prompt_version\":", prompt.prompt_version)?;
    text(room, b",\"prompt_ab_test_key\":\"", &prompt.prompt_ab_test_key)?;
    number(room, b",\"prompt_variant_index\":", prompt.prompt_variant_index.map(i64::from))
}
