//! The variables of a prompt: which its templates use, and whether a caller gave just those.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::template;

/// Name to text, the text being JavaScript's `String(value)`.
pub type Variables = HashMap<String, String>;

/// What was given is not what the templates use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Used and not given, in the order of their first use.
    pub missing: Vec<String>,
    /// Given and not used, sorted.
    pub unused: Vec<String>,
}

/// The names that the templates use, each once, in the order of their first use.
pub(super) fn used_by(templates: [&str; 2]) -> Arc<[String]> {
    let mut seen = HashSet::new();
    let names = templates.into_iter().flat_map(template::variables);
    names.filter(|name| seen.insert(*name)).map(str::to_owned).collect()
}

/// Compares what the templates use with what was given; `None` where they agree.
pub fn mismatch(used: &[String], given: &Variables) -> Option<Mismatch> {
    let missing: Vec<_> = used.iter().filter(|name| !given.contains_key(*name)).cloned().collect();
    if missing.is_empty() && used.len() == given.len() {
        return None;
    }
    let mut unused: Vec<_> = given.keys().filter(|name| !used.contains(name)).cloned().collect();
    unused.sort_unstable();
    Some(Mismatch { missing, unused })
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.missing.is_empty() {
            write!(
                f,
                "its template uses {}, which {} not given",
                quoted(&self.missing),
                were(&self.missing)
            )?;
        }
        if !self.missing.is_empty() && !self.unused.is_empty() {
            f.write_str("; ")?;
        }
        if !self.unused.is_empty() {
            let them = if self.unused.len() == 1 { "it" } else { "them" };
            let (names, were) = (quoted(&self.unused), were(&self.unused));
            write!(f, "{names} {were} given and its template does not use {them}")?;
        }
        Ok(())
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
}

fn were(names: &[String]) -> &'static str {
    if names.len() == 1 { "was" } else { "were" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(used: &[&str], given: &[&str]) -> Option<String> {
        let used: Vec<_> = used.iter().map(|name| (*name).to_owned()).collect();
        let given = given.iter().map(|name| ((*name).to_owned(), String::new())).collect();
        mismatch(&used, &given).map(|mismatch| mismatch.to_string())
    }

    #[test]
    fn what_was_given_is_held_against_what_is_used() {
        assert_eq!(said(&[], &[]), None);
        assert_eq!(said(&["a", "b"], &["b", "a"]), None);
        assert_eq!(said(&["a"], &[]).unwrap(), "its template uses 'a', which was not given");
        assert_eq!(said(&["b", "a"], &[]).unwrap(), "its template uses 'b', 'a', which were not given");
        assert_eq!(said(&[], &["x"]).unwrap(), "'x' was given and its template does not use it");
        let both = "its template uses 'a', which was not given; 'x', 'y' were given and its template does not use them";
        assert_eq!(said(&["a", "b"], &["b", "y", "x"]).unwrap(), both);
    }

    #[test]
    fn both_templates_count_and_each_name_once() {
        assert_eq!(&*used_by(["{{b}} {{a}}", "{{ a }} {{c}}"]), ["b", "a", "c"]);
    }
}
