//! The texts that prompts were rendered to of late, and which prompts those are. Of a text, its hash is kept.

use lru::LruCache;

use super::scan::{Index, Place, Scan, TextHash, text_hash};
use crate::catalog::template::{ENOUGH_OWN, OwnText};

/// Renderings remembered, the least recently used forgotten first,
pub const MOST_RENDERINGS: usize = 10_000;
/// or so many bytes.
pub const MOST_BYTES: usize = 16 * 1024 * 1024;
/// What an entry takes beside the keys of its prompts, roughly.
const ENTRY_BYTES: usize = 256;
/// The shortest rendering, in characters, that is sought inside longer texts.
const SHORTEST_INSIDE: usize = 32;
/// Prompts remembered for one text; with two it is ambiguous already.
const MOST_PROMPTS: usize = 16;

/// One version of one prompt.
pub type Prompt = (String, i64);

/// A text that a prompt was rendered to.
#[derive(Clone, Copy, Debug)]
pub struct Rendering<'t> {
    pub text: &'t str,
    /// What of it is its template's own. Of a text that is all variables, nobody can say that it is the prompt's.
    pub own: OwnText,
}

/// Where in a call a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// What the agent was told to be: the developer's words.
    Instructions,
    /// A message: anybody's words.
    Message,
}

/// A prompt that may be what a text came from.
struct Source {
    prompt: Prompt,
    /// Whether the text tells the prompt even where it is a message.
    in_messages: bool,
}

impl Source {
    fn counts(&self, role: Role) -> bool {
        role == Role::Instructions || self.in_messages
    }
}

struct Entry {
    /// A text may be the rendering of several prompts.
    sources: Vec<Source>,
    /// Where it is in the index; nowhere, if it is too short to be sought inside others.
    place: Option<Place>,
}

impl Entry {
    fn bytes(&self) -> usize {
        ENTRY_BYTES + self.sources.iter().map(|source| source.prompt.0.len()).sum::<usize>()
    }
}

/// The bounded table of renderings.
pub struct Renderings {
    entries: LruCache<TextHash, Entry>,
    index: Index,
    bytes: usize,
}

impl Default for Renderings {
    fn default() -> Self {
        Renderings { entries: LruCache::unbounded(), index: Index::default(), bytes: 0 }
    }
}

impl Renderings {
    /// Remembers that a prompt was rendered to this text. Spaces around it do not count: whoever builds instructions
    /// trims them as they like.
    pub fn insert(&mut self, prompt: &Prompt, rendering: Rendering<'_>) {
        let text = rendering.text.trim();
        if rendering.own.chars == 0 || text.is_empty() {
            return;
        }
        let in_messages = !rendering.own.varies || rendering.own.chars >= ENOUGH_OWN;
        let hash = text_hash(text);
        let mut entry = match self.entries.pop(&hash) {
            Some(entry) => {
                self.bytes -= entry.bytes();
                entry
            }
            None => self.new_entry(text, hash),
        };
        match entry.sources.iter_mut().find(|source| source.prompt == *prompt) {
            Some(source) => source.in_messages |= in_messages,
            None => {
                entry.sources.truncate(MOST_PROMPTS - 1);
                entry.sources.push(Source { prompt: prompt.clone(), in_messages });
            }
        }
        self.bytes += entry.bytes();
        self.entries.put(hash, entry);
        self.forget_oldest();
    }

    fn new_entry(&mut self, text: &str, hash: TextHash) -> Entry {
        let place = Place::of(text).filter(|_| text.chars().nth(SHORTEST_INSIDE - 1).is_some());
        if let Some(place) = place {
            self.index.insert(place, hash);
        }
        Entry { sources: Vec::new(), place }
    }

    fn forget_oldest(&mut self) {
        while self.entries.len() > MOST_RENDERINGS || self.bytes > MOST_BYTES {
            let Some((_, entry)) = self.entries.pop_lru() else { return };
            self.bytes -= entry.bytes();
            if let Some(place) = entry.place {
                self.index.remove(place);
            }
        }
    }

    /// The prompts that were rendered to this very text.
    pub fn equal(&mut self, text: &str, role: Role) -> Vec<Prompt> {
        let text = text.trim();
        // A text of 32 bytes but fewer characters is in the table and not in the index.
        let short = text.len() < SHORTEST_INSIDE * char::MAX.len_utf8();
        if text.is_empty() || !short && !self.index.may_hold(text) {
            return Vec::new();
        }
        self.sources(&text_hash(text), role)
    }

    /// The prompts of the longest rendering that stands in one of the texts. None, where the search would take too long.
    pub fn inside<'t>(&mut self, texts: impl Iterator<Item = &'t str>, role: Role) -> Vec<Prompt> {
        let mut scan = Scan::new(&self.index);
        let counts = |hash: &TextHash| {
            self.entries
                .peek(hash)
                .is_some_and(|entry| entry.sources.iter().any(|source| source.counts(role)))
        };
        for text in texts {
            if !scan.through(text, counts) {
                return Vec::new();
            }
        }
        let found = scan.found;
        let mut prompts: Vec<Prompt> = found.iter().flat_map(|hash| self.sources(hash, role)).collect();
        prompts.sort_unstable();
        prompts.dedup();
        prompts
    }

    /// Uses the entry.
    fn sources(&mut self, hash: &TextHash, role: Role) -> Vec<Prompt> {
        let sources = self.entries.get(hash).map(|entry| entry.sources.as_slice()).unwrap_or_default();
        sources.iter().filter(|source| source.counts(role)).map(|source| source.prompt.clone()).collect()
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    #[cfg(test)]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}
