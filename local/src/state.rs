//! All that the server remembers, in one place. Every part has its own lock; none is held while
//! another is taken.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::assignments::Assignments;
use crate::catalog::Catalog;
use crate::faults::Faults;
use crate::log::Log;
use crate::negotiation::Negotiation;
use crate::options::Options;
use crate::raw::Raw;
use crate::store::Store;

/// The state, shared by all requests.
pub type App = Arc<State>;

/// What the server remembers.
pub struct State {
    pub options: Options,
    pub negotiation: Mutex<Negotiation>,
    pub store: Mutex<Store>,
    pub log: Mutex<Log>,
    pub catalog: Mutex<Catalog>,
    pub assignments: Mutex<Assignments>,
    pub faults: Mutex<Faults>,
    pub raw: Raw,
}

impl State {
    pub fn new(options: Options) -> App {
        Arc::new(State {
            negotiation: Mutex::new(options.negotiation),
            store: Mutex::default(),
            log: Mutex::default(),
            catalog: Mutex::default(),
            assignments: Mutex::default(),
            faults: Mutex::default(),
            raw: Raw::new(options.keep_raw),
            options,
        })
    }

    /// Back to how it started.
    pub fn reset(&self) {
        *self.negotiation.lock() = self.options.negotiation;
        *self.store.lock() = Store::default();
        self.log.lock().clear();
        *self.catalog.lock() = Catalog::default();
        *self.assignments.lock() = Assignments::default();
        *self.faults.lock() = Faults::default();
        self.raw.clear();
    }
}
