//! The sessions of the last spans. An agent's run is several spans of one session, whose text is the same: it is read once.

use super::Text;
use crate::payload::well_formed;
use crate::span::reader::utf16;
use crate::wire::fallom::Session;

/// So many are remembered, of so many bytes of text each at most. Longer ones go the careful way.
const MOST: usize = 8;
const LONGEST: usize = 4 * 1024;

/// Newest first.
#[derive(Default)]
pub struct Sessions {
    known: Vec<Known>,
}

pub struct Known {
    /// As it stands in the envelope: the way in which it is written, and its bytes.
    text: (u8, Box<[u8]>),
    /// As it stands on the wire, from the brace that opens the span.
    pub members: Box<[u8]>,
    pub id: Box<str>,
}

impl Sessions {
    /// The session whose JSON text this is.
    pub fn of(&mut self, (kind, bytes): (u8, &[u8])) -> Option<&Known> {
        let is = |known: &Known| known.text.0 == kind && *known.text.1 == *bytes;
        if let Some(at) = self.known.iter().position(is) {
            self.known.get_mut(..=at)?.rotate_right(1);
        } else {
            if bytes.len() > LONGEST {
                return None;
            }
            let new = Known::read(kind, bytes)?;
            self.known.truncate(MOST - 1);
            self.known.insert(0, new);
        }
        self.known.first()
    }
}

impl Known {
    fn read(kind: u8, bytes: &[u8]) -> Option<Self> {
        let session: Session = match Text::of((kind, bytes))? {
            Text::Utf8(text) => serde_json::from_str(&well_formed(std::str::from_utf8(text).ok()?)),
            Text::Utf16(text) => serde_json::from_str(&well_formed(&utf16(text))),
        }
        .ok()?;
        let mut members = serde_json::to_vec(&session).ok()?;
        members.pop();
        Some(Known { text: (kind, bytes.into()), members: members.into(), id: session.session_id.into() })
    }
}
