//! The three lists of one moment, and what a session gets of them.
//!
//! A snapshot never changes: a refresh makes the next one with `with_…`, which shares the lists that stayed, and
//! puts it in the old one's place. To keep the lists on disk, keep the bodies that they were read from.

use super::body::BodyError;
use super::error::{CatalogError, List};
use super::lists::{self, Config, Prompt, PromptTest};
use super::template::{self, OwnText};
use super::variables::Variables;
use super::versions::{Entry, Versions};
use crate::assignment::targeting::Context;
use crate::assignment::{assign, bucket};
use std::sync::Arc;

/// The catalog at one moment. A list is `None` until it was loaded once. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    prompts: Option<Arc<Versions<Prompt>>>,
    tests: Option<Arc<Versions<PromptTest>>>,
    configs: Option<Arc<Versions<Config>>>,
}

/// A prompt with its variables filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RenderedPrompt {
    pub key: String,
    pub version: i64,
    pub system: String,
    pub user: String,
    /// The names that its templates use, each once, in the order of their first use.
    pub variables: Arc<[String]>,
    /// What of `system` is the template's own,
    pub system_own: OwnText,
    /// and of `user`.
    pub user_own: OwnText,
    /// The A/B test that chose the prompt, if one did.
    pub ab: Option<AbChoice>,
}

/// What an A/B test chose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbChoice {
    pub test_key: String,
    /// Counted from 0.
    pub variant_index: u32,
}

/// The model that a config assigns to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssignedModel {
    pub model: String,
    pub config_version: i64,
    /// Counted from 0.
    pub variant_index: u32,
}

impl Snapshot {
    /// A snapshot of this list alone, read from the server's answer, and how many entries could not be read.
    ///
    /// # Errors
    /// What came is no such list.
    pub fn of_body(list: List, body: &[u8]) -> Result<(Self, usize), BodyError> {
        let empty = Self::default();
        Ok(match list {
            List::Prompts => {
                let parsed = lists::prompts(body)?;
                (empty.with_prompts(parsed.entries), parsed.skipped)
            }
            List::PromptAbTests => {
                let parsed = lists::prompt_ab_tests(body)?;
                (empty.with_tests(parsed.entries), parsed.skipped)
            }
            List::Configs => {
                let parsed = lists::configs(body)?;
                (empty.with_configs(parsed.entries), parsed.skipped)
            }
        })
    }

    /// The same snapshot with this list of another one in place of its own. Copies no entry.
    #[must_use]
    pub fn with_list_of(&self, list: List, other: &Snapshot) -> Self {
        let mut next = self.clone();
        match list {
            List::Prompts => next.prompts.clone_from(&other.prompts),
            List::PromptAbTests => next.tests.clone_from(&other.tests),
            List::Configs => next.configs.clone_from(&other.configs),
        }
        next
    }

    /// The same snapshot with these prompts in place of its own.
    #[must_use]
    pub fn with_prompts(&self, prompts: Vec<Prompt>) -> Self {
        Self { prompts: Some(Arc::new(Versions::index(prompts))), ..self.clone() }
    }

    /// The same snapshot with these A/B tests in place of its own.
    #[must_use]
    pub fn with_tests(&self, tests: Vec<PromptTest>) -> Self {
        Self { tests: Some(Arc::new(Versions::index(tests))), ..self.clone() }
    }

    /// The same snapshot with these configs in place of its own.
    #[must_use]
    pub fn with_configs(&self, configs: Vec<Config>) -> Self {
        Self { configs: Some(Arc::new(Versions::index(configs))), ..self.clone() }
    }

    /// Whether a list was ever loaded.
    pub fn has(&self, list: List) -> bool {
        match list {
            List::Prompts => self.prompts.is_some(),
            List::PromptAbTests => self.tests.is_some(),
            List::Configs => self.configs.is_some(),
        }
    }

    /// A prompt in this version, or in its current one. Fails where it is not listed.
    pub fn prompt(
        &self,
        key: &str,
        version: Option<i64>,
        variables: &Variables,
    ) -> Result<RenderedPrompt, CatalogError> {
        let prompt = find(self.prompts.as_deref(), key, version)?;
        let render = |text: &str| template::render(text, |name| variables.get(name).map(String::as_str));
        Ok(RenderedPrompt {
            key: prompt.key.clone(),
            version: prompt.version,
            system: render(&prompt.system),
            user: render(&prompt.user),
            variables: Arc::clone(&prompt.variables),
            system_own: template::own_text(&prompt.system),
            user_own: template::own_text(&prompt.user),
            ab: None,
        })
    }

    /// The prompt that a test, in its current version, gives to a session. Fails where the test is not listed or
    /// chooses nothing, and with the prompt's own error where that is not listed.
    pub fn ab(
        &self,
        test: &str,
        session_id: &str,
        variables: &Variables,
    ) -> Result<RenderedPrompt, CatalogError> {
        let (list, key) = (List::PromptAbTests, test);
        let test = find(self.tests.as_deref(), key, None)?;
        let index = test.variants.walk(bucket::of(session_id));
        let index = index.ok_or_else(|| CatalogError::NoVariants { list, key: key.to_owned() })?;
        let variant_index = counted(index);
        let prompt = test.variants.get(index).and_then(|variant| variant.choice.as_ref());
        let prompt =
            prompt.ok_or_else(|| CatalogError::BrokenVariant { list, key: key.to_owned(), variant_index })?;
        let rendered = self.prompt(&prompt.key, prompt.version, variables)?;
        Ok(RenderedPrompt { ab: Some(AbChoice { test_key: test.key.clone(), variant_index }), ..rendered })
    }

    /// The model that a config, in this version or its current one, assigns to a session. Fails where the config
    /// is not listed or chooses nothing.
    pub fn model(
        &self,
        key: &str,
        session_id: &str,
        version: Option<i64>,
        context: &Context,
    ) -> Result<AssignedModel, CatalogError> {
        find(self.configs.as_deref(), key, version)?.model(session_id, context)
    }
}

impl Config {
    /// The model for a session, also of a config that was fetched by its version and is in no list.
    pub fn model(&self, session_id: &str, context: &Context) -> Result<AssignedModel, CatalogError> {
        let list = List::Configs;
        let index = assign(&self.variants, self.targeting.as_ref(), context, session_id)
            .ok_or_else(|| CatalogError::NoVariants { list, key: self.key.clone() })?;
        let variant_index = counted(index);
        let model = self.variants.get(index).and_then(|variant| variant.choice.model.clone());
        let model = model.ok_or_else(|| CatalogError::BrokenVariant {
            list,
            key: self.key.clone(),
            variant_index,
        })?;
        Ok(AssignedModel { model, config_version: self.version, variant_index })
    }
}

fn find<'a, T: Entry>(
    list: Option<&'a Versions<T>>,
    key: &str,
    version: Option<i64>,
) -> Result<&'a T, CatalogError> {
    let never_loaded = || CatalogError::NotFound { list: T::LIST, key: key.to_owned(), loaded: false };
    list.ok_or_else(never_loaded)?.find(key, version)
}

/// An index as spans carry it; no list that fits into memory is longer.
fn counted(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
