//! A failed refresh is said once for each outage, not for each try and each list.

use std::collections::{HashMap, HashSet};

use parking_lot::Mutex;

use super::ServiceName;
use crate::catalog::List;

/// The lists that cannot be read now, by URL.
#[derive(Default)]
pub struct Outages(Mutex<HashMap<String, HashSet<List>>>);

/// What begins with a failure: at most one warning for each URL, and one event for each service.
#[derive(Debug, PartialEq, Eq)]
pub struct Begins {
    pub at_url: bool,
    pub of_service: bool,
}

impl Outages {
    /// Whether an outage begins with this failure.
    pub fn failed(&self, url: &str, list: List) -> Begins {
        let mut outages = self.0.lock();
        let failing = outages.entry(url.to_owned()).or_default();
        let service = ServiceName::of(list);
        let of_service = !failing.iter().any(|other| ServiceName::of(*other) == service);
        let begins = Begins { at_url: failing.is_empty(), of_service };
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
        let begins = |at_url, of_service| Begins { at_url, of_service };
        assert!(!outages.succeeded("a", List::Prompts));
        assert_eq!(outages.failed("a", List::Prompts), begins(true, true));
        assert_eq!(outages.failed("a", List::Prompts), begins(false, false));
        assert_eq!(outages.failed("a", List::PromptAbTests), begins(false, false));
        assert_eq!(outages.failed("a", List::Configs), begins(false, true));
        assert_eq!(
            outages.failed("b", List::Configs),
            begins(true, true),
            "another URL has outages of its own"
        );
        assert!(!outages.succeeded("a", List::Prompts));
        assert!(!outages.succeeded("a", List::PromptAbTests));
        assert!(outages.succeeded("a", List::Configs));
        assert_eq!(outages.failed("a", List::Prompts), begins(true, true));
    }
}
