//! `prompts.get`, `prompts.getAB`, `models.get`: an answer from memory, or what to load first.

use std::time::Duration;

use napi::bindgen_prelude::{Env, Object};
use napi_derive::napi;
use serde::Serialize;
use serde_json::{Map, Value};

use super::guard::guard;
use crate::catalog::{List, RenderedPrompt, Variables};
use crate::core::{self, Core};
use crate::refresh::{Miss, Patience, Read, Wanted};

/// What crosses: JSON text of an `Answer`.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Answer<T> {
    Ok(T),
    Error(String),
    Misuse(String),
    Load { what: String, seen: u64, error: String },
}

/// A `PromptResult`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Prompt {
    key: String,
    version: i64,
    system: String,
    user: String,
    variables: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ab_test_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variant_index: Option<u32>,
}

#[derive(Serialize)]
struct Model {
    model: String,
}

/// JSON text of an `Answer<PromptResult>`.
#[napi(catch_unwind)]
pub fn prompt(key: String, version: Option<f64>, variables: Option<String>, strict: bool) -> String {
    answer(|core| {
        core.prompt(&key, version.map(whole), &parse(variables.as_deref()), strict).map(Prompt::from)
    })
}

/// JSON text of an `Answer<PromptResult>`.
#[napi(catch_unwind, js_name = "promptAB")]
pub fn prompt_ab(test: String, session_id: String, variables: Option<String>, strict: bool) -> String {
    answer(|core| core.prompt_ab(&test, &session_id, &parse(variables.as_deref()), strict).map(Prompt::from))
}

/// A prompt was asked for by this session itself.
#[napi(catch_unwind)]
pub fn prompt_for(session_id: String, key: String, version: f64) {
    guard((), || {
        if let Some(core) = core::running() {
            core.prompt_for(&session_id, &key, whole(version));
        }
    });
}

/// Whether the texts of calls are wanted, to link them to prompts.
#[napi(catch_unwind)]
pub fn links() -> bool {
    guard(false, || core::running().is_some_and(|core| core.links()))
}

/// JSON text of an `Answer<{ model: string }>`.
#[napi(catch_unwind)]
pub fn model(
    config_key: String,
    session_id: String,
    version: Option<f64>,
    customer_id: Option<String>,
    context: Option<String>,
) -> String {
    answer(|core| {
        let context: Map<String, Value> =
            context.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        core.model(&config_key, &session_id, version.map(whole), customer_id.as_deref(), context)
            .map(|assigned| Model { model: assigned.model })
    })
}

/// A promise of whether something of `what` came after `seen` within the timeout, of which so much is spent.
#[napi(catch_unwind)]
pub fn load<'env>(
    env: &'env Env,
    what: String,
    seen: Option<f64>,
    waited_ms: f64,
    timeout_ms: Option<f64>,
) -> napi::Result<Object<'env>> {
    let (deferred, promise) = env.create_deferred()?;
    let done = move |came: bool| deferred.resolve(move |_| Ok(came));
    let patience = Patience { timeout: timeout_ms.map(duration), waited: duration(waited_ms) };
    match (core::running(), read_of(&what)) {
        (Some(core), Some(read)) => core.load((read, seen.map(|seen| seen as u64)), patience, done),
        _ => done(false),
    }
    Ok(promise)
}

/// Whether a list is known: `"prompts"`, `"prompt_ab_tests"` or `"configs"`; of a version of a config, its list.
#[napi(catch_unwind)]
pub fn is_loaded(what: String) -> bool {
    guard(false, || match (core::running(), read_of(&what)) {
        (Some(core), Some(Read::List(list))) => core.has(list),
        (Some(core), Some(Read::ConfigVersion(..))) => core.has(List::Configs),
        _ => false,
    })
}

fn answer<T: Serialize>(ask: impl FnOnce(&Core) -> Result<T, Miss>) -> String {
    let failed = || json(&Answer::<()>::Error("The tracer met an error of its own.".to_owned()));
    guard(failed(), || {
        let Some(core) = core::running() else {
            return json(&Answer::<()>::Error(
                "Call fallom.init({ apiKey }) before you ask for prompts or models.".to_owned(),
            ));
        };
        json(&match ask(&core) {
            Ok(value) => Answer::Ok(value),
            Err(Miss::Load(Wanted { read, seen, error })) => {
                Answer::Load { what: name_of(&read), seen, error }
            }
            Err(Miss::Error(text)) => Answer::Error(text),
            Err(Miss::Misuse(text)) => Answer::Misuse(text),
        })
    })
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

impl From<RenderedPrompt> for Prompt {
    fn from(prompt: RenderedPrompt) -> Self {
        let (ab_test_key, variant_index) = prompt.ab.map(|ab| (ab.test_key, ab.variant_index)).unzip();
        Prompt {
            key: prompt.key,
            version: prompt.version,
            system: prompt.system,
            user: prompt.user,
            variables: prompt.variables.to_vec(),
            ab_test_key,
            variant_index,
        }
    }
}

fn parse(variables: Option<&str>) -> Variables {
    variables.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// A version as JavaScript gives it; what is no whole number matches none.
fn whole(version: f64) -> i64 {
    if version.fract() == 0.0 { version as i64 } else { i64::MIN }
}

/// What is no time counts as none at all.
fn duration(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default()
}

const LISTS: [List; 3] = [List::Prompts, List::PromptAbTests, List::Configs];

fn name_of(read: &Read) -> String {
    match read {
        Read::List(list) => list.field().to_owned(),
        Read::ConfigVersion(key, version) => format!("config {version} {key}"),
    }
}

fn read_of(name: &str) -> Option<Read> {
    if let Some(list) = LISTS.into_iter().find(|list| list.field() == name) {
        return Some(Read::List(list));
    }
    let (version, key) = name.strip_prefix("config ")?.split_once(' ')?;
    Some(Read::ConfigVersion(key.to_owned(), version.parse().ok()?))
}
