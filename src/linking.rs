//! Which prompt a call used, told from its texts. Never from what was fetched last: contexts flow into calls that never
//! used it.
//!
//! In order of strength: what the caller said (it crosses with the span, and is not asked about here); the text of a
//! rendering in the call; the session's own A/B assignment, if it has only one. Among texts, the instructions come
//! before the messages, which are anybody's words, and a text that equals a rendering before one that holds it, of
//! which the longest counts. Where two prompts have the same text, the rest of the call decides, then what the session
//! itself asked for. When nothing does: none, rather than a wrong one.

mod renderings;
mod scan;
mod sessions;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::catalog::template::OwnText;
use crate::wire::fallom::PromptLink;
use renderings::{MOST_BYTES, MOST_RENDERINGS, Renderings, Role};
pub use renderings::{Prompt, Rendering};
use sessions::{Own, Sessions};

/// So many notes, or bytes of them, are worth waking the thread that takes them in.
const ENOUGH_NOTES: usize = 256;
const ENOUGH_BYTES: usize = 256 * 1024;

/// So many renderings are compared with the next one, of so many bytes each.
const MOST_LATELY: usize = 16;
const LONGEST_LATELY: usize = 64 * 1024;

/// The prompts rendered lately and what sessions asked for. One per process.
///
/// The event loop only takes notes, in a list of its own; whoever searches takes them in first. So `prompts.get` never
/// waits for a search, nor hashes a text.
#[derive(Default)]
pub struct Linking {
    notes: Mutex<Notes>,
    known: Mutex<Known>,
    any: AtomicBool,
}

#[derive(Default)]
struct Known {
    renderings: Renderings,
    sessions: Sessions,
}

/// What was said and not taken in yet, oldest first; bounded as the table is.
#[derive(Default)]
struct Notes {
    list: VecDeque<Note>,
    bytes: usize,
    called: bool,
    /// What was noted last, oldest first: an application renders the same over and over.
    lately: VecDeque<Lately>,
}

/// A rendering that was noted, to be compared with the next one.
struct Lately {
    prompt: Prompt,
    texts: Vec<String>,
}

enum Note {
    Rendered { prompt: Prompt, texts: Vec<OwnedRendering> },
    RenderedFor { session_id: String, prompt: Prompt },
    Assigned { session_id: String, link: PromptLink },
}

struct OwnedRendering {
    text: String,
    own: OwnText,
}

impl Linking {
    /// Notes what a prompt was rendered to. Whether it is time to `settle`, on another thread.
    #[must_use]
    pub fn rendered<'t>(
        &self,
        key: &str,
        version: i64,
        renderings: impl IntoIterator<Item = Rendering<'t>>,
    ) -> bool {
        let told = renderings.into_iter().filter(|rendering| rendering.own.chars > 0);
        let told: Vec<Rendering<'_>> = told.collect();
        if told.is_empty() || self.notes.lock().had_lately(key, version, &told) {
            return false;
        }
        let owned = |Rendering { text, own }| OwnedRendering { text: String::from(text), own };
        let texts: Vec<_> = told.into_iter().map(owned).collect();
        self.note(Note::Rendered { prompt: (key.to_owned(), version), texts })
    }

    /// Notes that a prompt was rendered for this session. As [`Linking::rendered`].
    #[must_use]
    pub fn rendered_for(&self, session_id: &str, key: &str, version: i64) -> bool {
        let prompt = (key.to_owned(), version);
        self.note(Note::RenderedFor { session_id: session_id.to_owned(), prompt })
    }

    /// Notes the variant that a session got in a test. As [`Linking::rendered`].
    #[must_use]
    pub fn assigned(&self, session_id: &str, link: PromptLink) -> bool {
        self.note(Note::Assigned { session_id: session_id.to_owned(), link })
    }

    fn note(&self, note: Note) -> bool {
        self.any.store(true, Ordering::Release);
        self.notes.lock().push(note)
    }

    /// Takes in what was noted.
    pub fn settle(&self) {
        drop(self.up_to_date());
    }

    fn up_to_date(&self) -> MutexGuard<'_, Known> {
        let mut known = self.known.lock();
        // Not held while they are taken in: the event loop would wait for it.
        let notes = self.notes.lock().take();
        for note in notes {
            known.take_in(note);
        }
        known
    }

    /// Whether any prompt was rendered: without one, the texts of a call need not be looked at.
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Looks for the prompt of one call in this session.
    pub fn search(&self, session_id: &str) -> Search<'_> {
        let mut known = self.up_to_date();
        let session = known.sessions.own(session_id);
        Search { known, session, prompts: Vec::new() }
    }
}

impl Notes {
    fn push(&mut self, note: Note) -> bool {
        self.bytes += note.bytes();
        self.list.push_back(note);
        while self.list.len() > MOST_RENDERINGS || self.bytes > MOST_BYTES {
            let Some(oldest) = self.list.pop_front() else { break };
            self.bytes -= oldest.bytes();
        }
        let enough = self.list.len() >= ENOUGH_NOTES || self.bytes >= ENOUGH_BYTES;
        enough && !std::mem::replace(&mut self.called, true)
    }

    /// Whether the same was noted a moment ago; if not, it is remembered.
    fn had_lately(&mut self, key: &str, version: i64, told: &[Rendering<'_>]) -> bool {
        let same = |lately: &Lately| {
            (lately.prompt.0.as_str(), lately.prompt.1) == (key, version)
                && lately.texts.iter().map(String::as_str).eq(told.iter().map(|rendering| rendering.text))
        };
        if self.lately.iter().any(same) {
            return true;
        }
        if told.iter().map(|rendering| rendering.text.len()).sum::<usize>() <= LONGEST_LATELY {
            if self.lately.len() == MOST_LATELY {
                self.lately.pop_front();
            }
            let texts = told.iter().map(|rendering| String::from(rendering.text)).collect();
            self.lately.push_back(Lately { prompt: (key.to_owned(), version), texts });
        }
        false
    }

    fn take(&mut self) -> VecDeque<Note> {
        self.bytes = 0;
        self.called = false;
        std::mem::take(&mut self.list)
    }
}

impl Note {
    fn bytes(&self) -> usize {
        let texts = match self {
            Note::Rendered { prompt, texts } => {
                prompt.0.len() + texts.iter().map(|rendering| rendering.text.len()).sum::<usize>()
            }
            Note::RenderedFor { session_id, prompt } => session_id.len() + prompt.0.len(),
            Note::Assigned { session_id, .. } => session_id.len(),
        };
        size_of::<Note>() + texts
    }
}

impl Known {
    fn take_in(&mut self, note: Note) {
        match note {
            Note::Rendered { prompt, texts } => {
                for OwnedRendering { text, own } in &texts {
                    self.renderings.insert(&prompt, Rendering { text, own: *own });
                }
            }
            Note::RenderedFor { session_id, prompt } => self.sessions.rendered(&session_id, prompt),
            Note::Assigned { session_id, link } => self.sessions.assigned(&session_id, link),
        }
    }
}

/// The search for the prompt of one call: first its instructions, then, if they leave it open, its messages.
pub struct Search<'l> {
    known: MutexGuard<'l, Known>,
    session: Own,
    /// Those that it may be.
    prompts: Vec<Prompt>,
}

impl Search<'_> {
    pub fn instructions(&mut self, texts: &[&str]) {
        self.texts(texts, Role::Instructions);
    }

    pub fn messages(&mut self, texts: &[&str]) {
        self.texts(texts, Role::Message);
    }

    /// Whether further texts would change nothing.
    pub fn is_decided(&self) -> bool {
        self.prompts.len() == 1
    }

    /// What was found. The session's own variant stands in for a text only where the call is `outermost`: it was
    /// assigned for the agent that the session talks to, not for the agents that this one asks.
    pub fn link(self, outermost: bool) -> PromptLink {
        let link = match self.prompts.as_slice() {
            [] if outermost => self.session.only_variant(),
            [] => None,
            [prompt] => Some(self.session.link_to(prompt)),
            several => self.session.one_of(several),
        };
        link.unwrap_or_default()
    }

    fn texts(&mut self, texts: &[&str], role: Role) {
        if self.is_decided() {
            return;
        }
        let renderings = &mut self.known.renderings;
        let equal = common(texts.iter().map(|text| renderings.equal(text, role)));
        let found = if equal.is_empty() { renderings.inside(texts.iter().copied(), role) } else { equal };
        if self.prompts.is_empty() {
            self.prompts = found;
        } else {
            narrow(&mut self.prompts, &found);
        }
    }
}

/// The prompts that explain all of these findings, else all that explain one.
fn common(findings: impl Iterator<Item = Vec<Prompt>>) -> Vec<Prompt> {
    let (mut common, mut all): (Option<Vec<Prompt>>, Vec<Prompt>) = (None, Vec::new());
    for found in findings.filter(|found| !found.is_empty()) {
        all.extend(found.iter().filter(|prompt| !all.contains(prompt)).cloned().collect::<Vec<_>>());
        match &mut common {
            None => common = Some(found),
            Some(common) => common.retain(|prompt| found.contains(prompt)),
        }
    }
    common.filter(|common| !common.is_empty()).unwrap_or(all)
}

/// Keeps those that are among `found`, if any are.
fn narrow(prompts: &mut Vec<Prompt>, found: &[Prompt]) {
    if prompts.iter().any(|prompt| found.contains(prompt)) {
        prompts.retain(|prompt| found.contains(prompt));
    }
}
