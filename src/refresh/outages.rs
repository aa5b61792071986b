//! A failed refresh is said once for each outage, not for each try and each list.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;

use crate::catalog::List;

/// The lists that cannot be read now, by URL.
#[derive(Default)]
pub struct Outages(Mutex<HashMap<String, HashSet<List>>>);

impl Outages {
    /// Whether an outage begins with this failure.
    pub fn failed(&self, url: &str, list: List) -> bool {
        let mut outages = self.0.lock();
        let failing = outages.entry(url.to_owned()).or_default();
        let begins = failing.is_empty();
        failing.insert(list);
        begins
    }

    /// Whether an outage ends with this success.
    pub fn succeeded(&self, url: &str, list: List) -> bool {
        let mut outages = self.0.lock();
        let Some(failing) = outages.get_mut(url) else { return false };
        let ends = failing.remove(&list) && failing.is_empty();
        if failing.is_empty() {
            outages.remove(url);
        }
        ends
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_begins_with_the_first_list_that_fails_and_ends_with_the_last_that_is_back() {
        let outages = Outages::default();
        assert!(!outages.succeeded("a", List::Prompts));
        assert!(outages.failed("a", List::Prompts));
        assert!(!outages.failed("a", List::Prompts));
        assert!(!outages.failed("a", List::Configs));
        assert!(outages.failed("b", List::Configs), "another service has outages of its own");
        assert!(!outages.succeeded("a", List::Prompts));
        assert!(outages.succeeded("a", List::Configs));
        assert!(outages.failed("a", List::Prompts));
    }
}
