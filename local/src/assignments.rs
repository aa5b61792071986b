//! The assignments that were posted.

use serde_json::{Map, Value};

/// The most assignments that are kept; later ones are checked and counted, but not kept.
const MAX_KEPT: usize = 100_000;

/// The assignments that were posted, in order.
#[derive(Debug, Default)]
pub struct Assignments {
    pub kept: Vec<Map<String, Value>>,
    pub count: u64,
}

impl Assignments {
    pub fn add(&mut self, assignment: Map<String, Value>) {
        self.count += 1;
        if self.kept.len() < MAX_KEPT {
            self.kept.push(assignment);
        }
    }
}
