//! The end of a span that was written: its attributes are over, and the prompt follows.

use super::Straight;
use crate::wire::Room;
use crate::wire::fallom::PromptLink;

impl Straight<'_> {
    /// Writes the end, with the prompt that the span used.
    pub fn finish(&self, prompt: Option<&PromptLink>, room: &mut Room) -> Option<()> {
        room.put(b"}")?;
        if let Some(prompt) = prompt {
            put_prompt(room, prompt)?;
        }
        room.put(b"}")
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
