//! The `FALLOM_*` variables (`wire.md`, "Where"; `options.md`).

use std::collections::HashMap;

use super::check::clean_url;
use crate::diagnostics::warn_once;

/// The variables of the process, as the shim read them. An empty value counts as absent.
#[derive(Default)]
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// From JSON text of an object of strings; anything else is an empty environment.
    pub fn from_json(text: &str) -> Self {
        Environment(serde_json::from_str(text).unwrap_or_default())
    }

    /// The same environment, as if it held no key.
    #[must_use]
    pub fn without_key(&self) -> Self {
        Environment(
            self.0
                .iter()
                .filter(|(name, _)| *name != "FALLOM_API_KEY")
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect(),
        )
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.0.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// A base URL, its trailing slashes dropped.
    pub fn url(&self, name: &str) -> Option<String> {
        let text = self.text(name)?;
        let url = clean_url(&text);
        if url.is_none() {
            warn_once(&format!("{name} is not an http:// or https:// URL; it is ignored."));
        }
        url
    }

    /// `true`, `1`, `yes`, `on` and `false`, `0`, `no`, `off`, in any case.
    pub fn flag(&self, name: &str) -> Option<bool> {
        let text = self.text(name)?;
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Some(true),
            "false" | "0" | "no" | "off" => Some(false),
            _ => {
                warn_once(&format!("{name} is neither true nor false; it is ignored."));
                None
            }
        }
    }
}
