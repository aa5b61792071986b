//! Why the catalog has no answer. The beginnings of the messages are the contract's (`wire.md`, "Assignment" and
//! "Templates"); what follows says what to do.

use std::fmt;

use super::variables::Mismatch;

/// How many known versions a message names.
const VERSIONS_NAMED: usize = 10;

/// One of the three lists that the server gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum List {
    Prompts,
    PromptAbTests,
    Configs,
}

impl List {
    /// The field of the server's answer that holds the list.
    pub fn field(self) -> &'static str {
        match self {
            Self::Prompts => "prompts",
            Self::PromptAbTests => "prompt_ab_tests",
            Self::Configs => "configs",
        }
    }

    /// What one entry is called.
    fn noun(self) -> &'static str {
        match self {
            Self::Prompts => "Prompt",
            Self::PromptAbTests => "Prompt A/B test",
            Self::Configs => "Config",
        }
    }
}

/// Why there is no prompt or model for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatalogError {
    /// No entry has this key; where the list was never loaded, nothing is known of it.
    NotFound { list: List, key: String, loaded: bool },
    /// The key is listed, this version is not. `known` ascends.
    VersionNotFound { list: List, key: String, version: i64, known: Vec<i64> },
    /// There is nothing to choose from.
    NoVariants { list: List, key: String },
    /// The variant chosen, counted from 0, names no model or prompt.
    BrokenVariant { list: List, key: String, variant_index: u32 },
    /// Of a strict call: what was given is not what the prompt uses.
    Variables { key: String, version: i64, mismatch: Mismatch },
}

impl CatalogError {
    /// The list of which a fresher copy may have what is missing; `None` where asking again is no use.
    pub fn missing_from(&self) -> Option<List> {
        match self {
            Self::NotFound { list, .. } | Self::VersionNotFound { list, .. } => Some(*list),
            Self::NoVariants { .. } | Self::BrokenVariant { .. } | Self::Variables { .. } => None,
        }
    }
}

impl std::error::Error for CatalogError {}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound { list, key, loaded } => {
                write!(f, "{} '{key}' not found. {}", list.noun(), not_found_advice(*list, *loaded))
            }
            Self::VersionNotFound { list, key, version, known } => {
                write!(f, "{} '{key}' version {version} not found.", list.noun())?;
                write_known(f, known)
            }
            Self::NoVariants { list, key } => {
                write!(f, "{} '{key}' has no variants configured.", list.noun())
            }
            Self::BrokenVariant { list, key, variant_index } => {
                let lacking = if *list == List::Configs { "model" } else { "prompt" };
                let noun = list.noun();
                write!(
                    f,
                    "{noun} '{key}' names no {lacking} in variant {variant_index}. Correct it in Fallom."
                )
            }
            Self::Variables { key, version, mismatch } => {
                write!(f, "Prompt '{key}' version {version}: {mismatch}.")
            }
        }
    }
}

fn not_found_advice(list: List, loaded: bool) -> &'static str {
    match (list, loaded) {
        (List::Prompts, true) => "Check the key, or create the prompt in Fallom.",
        (List::Prompts, false) => {
            "The prompts are not loaded: call init() with an API key, check that Fallom can be reached, or pass a \
             fallback."
        }
        (List::PromptAbTests, true) => "Check the key, or create the test in Fallom.",
        (List::PromptAbTests, false) => {
            "The tests are not loaded: call init() with an API key, check that Fallom can be reached, or pass a \
             fallback."
        }
        (List::Configs, true) => "Check the key, create the config in Fallom, or pass a fallback model.",
        (List::Configs, false) => {
            "The configs are not loaded: call init() with an API key, check that Fallom can be reached, or pass a \
             fallback model."
        }
    }
}

/// Names the newest versions.
fn write_known(f: &mut fmt::Formatter<'_>, known: &[i64]) -> fmt::Result {
    let named: Vec<_> = known.iter().rev().take(VERSIONS_NAMED).map(i64::to_string).collect();
    if named.is_empty() {
        return Ok(());
    }
    write!(f, " Known versions: {}", named.join(", "))?;
    match known.len() - named.len() {
        0 => write!(f, "."),
        more => write!(f, " and {more} older."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version_not_found(known: Vec<i64>) -> String {
        CatalogError::VersionNotFound { list: List::Prompts, key: "k".into(), version: 9, known }.to_string()
    }

    #[test]
    fn a_missing_version_names_the_newest_known_ones() {
        assert_eq!(version_not_found(vec![1, 2]), "Prompt 'k' version 9 not found. Known versions: 2, 1.");
        assert_eq!(
            version_not_found((10..=22).collect()),
            "Prompt 'k' version 9 not found. Known versions: 22, 21, 20, 19, 18, 17, 16, 15, 14, 13 and 3 older."
        );
        assert_eq!(version_not_found(vec![]), "Prompt 'k' version 9 not found.");
    }

    #[test]
    fn a_list_that_was_never_loaded_is_not_blamed_on_the_key() {
        for list in [List::Prompts, List::PromptAbTests, List::Configs] {
            let message = |loaded| CatalogError::NotFound { list, key: "k".into(), loaded }.to_string();
            let start = format!("{} 'k' not found. ", list.noun());
            assert!(message(true).starts_with(&format!("{start}Check the key")));
            assert!(message(false).starts_with(&start) && message(false).contains("not loaded"));
        }
    }

    #[test]
    fn only_what_a_fresh_list_may_hold_is_missing_from_it() {
        let (list, key) = (List::Configs, String::from("k"));
        let not_found = CatalogError::NotFound { list, key: key.clone(), loaded: true };
        assert_eq!(not_found.missing_from(), Some(List::Configs));
        assert_eq!(CatalogError::NoVariants { list, key: key.clone() }.missing_from(), None);
        assert_eq!(CatalogError::BrokenVariant { list, key, variant_index: 0 }.missing_from(), None);
    }
}
