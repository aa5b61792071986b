//! The prompts that sessions asked for by themselves: variants of A/B tests, and prompts of `session.prompt`.

use std::num::NonZeroUsize;

use lru::LruCache;

use super::renderings::Prompt;
use super::scan::{TextHash, text_hash};
use crate::wire::fallom::PromptLink;

/// Sessions remembered, the least recently used forgotten first.
const MOST_SESSIONS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// Prompts and tests remembered of one session, the latest.
const MOST_OF_ONE: usize = 32;

/// By the hash of a session's id, which may be of any length.
pub struct Sessions {
    known: LruCache<TextHash, Own>,
}

/// What one session asked for.
#[derive(Clone, Default)]
pub struct Own {
    /// The variant that it has in each test.
    assigned: Vec<PromptLink>,
    rendered: Vec<Prompt>,
}

impl Default for Sessions {
    fn default() -> Self {
        Sessions { known: LruCache::new(MOST_SESSIONS) }
    }
}

impl Sessions {
    /// A later variant of the same test takes the place of the earlier.
    pub fn assigned(&mut self, session_id: &str, link: PromptLink) {
        let own = self.own_mut(session_id);
        own.assigned.retain(|other| other.prompt_ab_test_key != link.prompt_ab_test_key);
        push_latest(&mut own.assigned, link);
    }

    pub fn rendered(&mut self, session_id: &str, prompt: Prompt) {
        let own = self.own_mut(session_id);
        own.rendered.retain(|other| *other != prompt);
        push_latest(&mut own.rendered, prompt);
    }

    pub fn own(&mut self, session_id: &str) -> Own {
        self.known.get(&text_hash(session_id)).cloned().unwrap_or_default()
    }

    fn own_mut(&mut self, session_id: &str) -> &mut Own {
        self.known.get_or_insert_mut(text_hash(session_id), Own::default)
    }
}

impl Own {
    /// The session's one variant, if it takes part in one test.
    pub fn only_variant(&self) -> Option<PromptLink> {
        only(self.assigned.iter()).cloned()
    }

    /// The link to a prompt: with the test, if the session got it from one.
    pub fn link_to(&self, prompt: &Prompt) -> PromptLink {
        let variants = self.assigned.iter().filter(|link| is_of(link, prompt));
        only(variants).cloned().unwrap_or_else(|| PromptLink {
            prompt_key: Some(prompt.0.clone()),
            prompt_version: Some(prompt.1),
            ..PromptLink::default()
        })
    }

    /// The one of these prompts that the session has from a test, else the one that was rendered for it.
    pub fn one_of(&self, prompts: &[Prompt]) -> Option<PromptLink> {
        let variants = self.assigned.iter().filter(|link| prompts.iter().any(|prompt| is_of(link, prompt)));
        let rendered = || only(self.rendered.iter().filter(|prompt| prompts.contains(prompt)));
        only(variants).cloned().or_else(|| rendered().map(|prompt| self.link_to(prompt)))
    }
}

fn push_latest<T>(list: &mut Vec<T>, item: T) {
    if list.len() >= MOST_OF_ONE {
        list.remove(0);
    }
    list.push(item);
}

fn is_of(link: &PromptLink, (key, version): &Prompt) -> bool {
    link.prompt_key.as_ref() == Some(key) && link.prompt_version == Some(*version)
}

/// The one item, if there is exactly one.
fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next();
    if items.next().is_some() { None } else { first }
}
