//! Which prompt a span used, told from the texts of the call. Never from what was fetched last.
//!
//! In order of strength: a text of the call equals a rendering of a prompt; the session's own A/B assignment, if
//! it has only one. When two prompts could be meant and nothing decides between them: none, rather than a wrong
//! one.

use std::num::NonZeroUsize;

use lru::LruCache;
use md5::{Digest, Md5};
use parking_lot::Mutex;

use crate::wire::fallom::PromptLink;

/// Renderings remembered, the least recently used forgotten first.
const MOST_RENDERINGS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();
/// Sessions with an A/B assignment remembered, likewise.
const MOST_SESSIONS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// One version of one prompt.
type Prompt = (String, i64);
/// What stands for a text: its hash, so that a rendering is not kept whole.
type TextHash = [u8; 16];

/// The prompts rendered lately and the tests that sessions take part in. One per process.
pub struct Linking {
    known: Mutex<Known>,
}

struct Known {
    /// A text may be the rendering of several prompts.
    renderings: LruCache<TextHash, Vec<Prompt>>,
    /// A session may take part in several tests.
    sessions: LruCache<String, Vec<PromptLink>>,
}

impl Default for Linking {
    fn default() -> Self {
        let known =
            Known { renderings: LruCache::new(MOST_RENDERINGS), sessions: LruCache::new(MOST_SESSIONS) };
        Linking { known: Mutex::new(known) }
    }
}

impl Linking {
    /// Remembers what a prompt was rendered to. Empty texts say nothing.
    pub fn rendered<'t>(&self, key: &str, version: i64, texts: impl IntoIterator<Item = &'t str>) {
        let mut known = self.known.lock();
        for text in texts.into_iter().filter(|text| !text.is_empty()) {
            let prompts = known.renderings.get_or_insert_mut(hash(text), Vec::new);
            if !prompts.iter().any(|(k, v)| k == key && *v == version) {
                prompts.push((key.to_owned(), version));
            }
        }
    }

    /// Remembers the variant that a session got in a test; a later one of the same test takes its place.
    pub fn assigned(&self, session_id: &str, link: PromptLink) {
        let mut known = self.known.lock();
        let links = known.sessions.get_or_insert_mut(session_id.to_owned(), Vec::new);
        links.retain(|other| other.prompt_ab_test_key != link.prompt_ab_test_key);
        links.push(link);
    }

    /// Whether any prompt was rendered: without one, the texts of a call need not be looked at.
    pub fn any(&self) -> bool {
        let known = self.known.lock();
        !known.renderings.is_empty() || !known.sessions.is_empty()
    }

    /// The prompt that a call in this session used, by its texts (instructions and messages). The session's own
    /// assignment stands in for a text only where the call is `outermost`: it was made for the agent that the session
    /// talks to, not for the agents that this one asks.
    pub fn of_call<'t>(
        &self,
        session_id: &str,
        outermost: bool,
        texts: impl IntoIterator<Item = &'t str>,
    ) -> PromptLink {
        let mut known = self.known.lock();
        let mut used: Vec<Prompt> = Vec::new();
        for text in texts {
            for prompt in known.renderings.get(&hash(text)).into_iter().flatten() {
                if !used.contains(prompt) {
                    used.push(prompt.clone());
                }
            }
        }
        let assigned = known.sessions.get(session_id).map(Vec::as_slice).unwrap_or_default();
        match used.as_slice() {
            [] if !outermost => PromptLink::default(),
            [] => only(assigned.iter().cloned()).unwrap_or_default(),
            [prompt] => by_text(prompt, assigned),
            several => {
                let in_test = assigned.iter().filter(|link| several.iter().any(|prompt| is_of(link, prompt)));
                only(in_test.cloned()).unwrap_or_default()
            }
        }
    }
}

/// The text decides for the prompt; the session's assignment adds the test, if it is the one that chose it.
fn by_text(prompt: &Prompt, assigned: &[PromptLink]) -> PromptLink {
    let in_test = assigned.iter().filter(|link| is_of(link, prompt)).cloned();
    only(in_test).unwrap_or_else(|| PromptLink {
        prompt_key: Some(prompt.0.clone()),
        prompt_version: Some(prompt.1),
        ..PromptLink::default()
    })
}

fn is_of(link: &PromptLink, (key, version): &Prompt) -> bool {
    link.prompt_key.as_ref() == Some(key) && link.prompt_version == Some(*version)
}

/// The one item, if there is exactly one.
fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    let first = items.next();
    if items.next().is_some() { None } else { first }
}

fn hash(text: &str) -> TextHash {
    Md5::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(key: &str, version: i64, test: &str, variant: u32) -> PromptLink {
        PromptLink {
            prompt_key: Some(key.into()),
            prompt_version: Some(version),
            prompt_ab_test_key: Some(test.into()),
            prompt_variant_index: Some(variant),
        }
    }

    fn plain(key: &str, version: i64) -> PromptLink {
        PromptLink { prompt_key: Some(key.into()), prompt_version: Some(version), ..PromptLink::default() }
    }

    #[test]
    fn a_call_is_linked_to_the_prompt_whose_rendering_it_used() {
        let linking = Linking::default();
        linking.rendered("support", 3, ["You help Acme.", ""]);
        assert_eq!(linking.of_call("s", true, ["hello", "You help Acme."]), plain("support", 3));
        assert_eq!(linking.of_call("s", true, ["hello", ""]), PromptLink::default());
    }

    #[test]
    fn a_session_with_one_test_is_linked_to_its_variant_and_other_sessions_are_not() {
        let linking = Linking::default();
        linking.assigned("a", link("va", 1, "test", 0));
        assert_eq!(linking.of_call("a", true, []), link("va", 1, "test", 0));
        assert_eq!(linking.of_call("b", true, []), PromptLink::default());
    }

    #[test]
    fn the_text_is_stronger_than_the_sessions_test() {
        let linking = Linking::default();
        linking.assigned("a", link("va", 1, "test", 0));
        linking.rendered("other", 2, ["other text"]);
        assert_eq!(linking.of_call("a", true, ["other text"]), plain("other", 2));
    }

    #[test]
    fn the_text_of_a_variant_carries_its_test_in_that_session_only() {
        let linking = Linking::default();
        linking.rendered("va", 1, ["variant text"]);
        linking.assigned("a", link("va", 1, "test", 0));
        linking.assigned("a", link("vb", 1, "second test", 1));
        assert_eq!(linking.of_call("a", true, ["variant text"]), link("va", 1, "test", 0));
        assert_eq!(linking.of_call("b", true, ["variant text"]), plain("va", 1));
    }

    #[test]
    fn when_two_could_be_meant_there_is_none_rather_than_a_wrong_one() {
        let linking = Linking::default();
        linking.rendered("one", 1, ["same text"]);
        linking.rendered("two", 1, ["same text"]);
        linking.assigned("a", link("va", 1, "test", 0));
        linking.assigned("a", link("vb", 1, "second test", 1));
        assert_eq!(linking.of_call("a", true, ["same text"]), PromptLink::default());
        assert_eq!(linking.of_call("a", true, ["neither"]), PromptLink::default());
    }

    #[test]
    fn a_sub_agent_is_linked_by_its_own_text_only() {
        let linking = Linking::default();
        linking.rendered("own", 1, ["own text"]);
        linking.assigned("a", link("va", 1, "test", 0));
        assert_eq!(linking.of_call("a", false, ["no prompt's"]), PromptLink::default());
        assert_eq!(linking.of_call("a", false, ["own text"]), plain("own", 1));
    }

    #[test]
    fn a_later_variant_of_the_same_test_takes_the_place_of_the_earlier() {
        let linking = Linking::default();
        linking.assigned("a", link("va", 1, "test", 0));
        linking.assigned("a", link("va", 2, "test", 0));
        assert_eq!(linking.of_call("a", true, []), link("va", 2, "test", 0));
    }
}
