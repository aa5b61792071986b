//! `prompts.get`, `prompts.getAB`, `models.get`: an answer from memory, or what to load first.

use napi::bindgen_prelude::{Env, Object};
use napi_derive::napi;
use serde_json::{Map, Value, json};

use super::guard::guard;
use crate::catalog::{AssignedModel, RenderedPrompt, Variables};
use crate::core::{self, Core};
use crate::refresh::{Miss, Read};

/// JSON text of an `Answer<PromptResult>`.
#[napi(catch_unwind)]
pub fn prompt(key: String, version: Option<f64>, variables: Option<String>) -> String {
    answer(|core| core.prompt(&key, version.map(whole), &parse(variables)).map(prompt_json))
}

/// JSON text of an `Answer<PromptResult>`.
#[napi(catch_unwind, js_name = "promptAB")]
pub fn prompt_ab(test: String, session_id: String, variables: Option<String>) -> String {
    answer(|core| core.prompt_ab(&test, &session_id, &parse(variables)).map(prompt_json))
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
            .map(model_json)
    })
}

/// A promise that is fulfilled when `what` was read or given up.
#[napi(catch_unwind)]
pub fn load<'env>(env: &'env Env, what: String) -> napi::Result<Object<'env>> {
    let (deferred, promise) = env.create_deferred()?;
    let done = move || deferred.resolve(|_| Ok(()));
    match (core::running(), read_of(&what)) {
        (Some(core), Some(read)) => core.load(read, done),
        _ => done(),
    }
    Ok(promise)
}

fn answer(ask: impl FnOnce(&Core) -> Result<Value, Miss>) -> String {
    let failed = || json!({ "error": "The tracer met an error of its own." }).to_string();
    guard(failed(), || {
        let Some(core) = core::running() else {
            return json!({ "error": "Call fallom.init({ apiKey }) before you ask for prompts or models." })
                .to_string();
        };
        match ask(&core) {
            Ok(value) => json!({ "ok": value }),
            Err(Miss::Load(read)) => json!({ "load": name_of(&read) }),
            Err(Miss::Error(text)) => json!({ "error": text }),
        }
        .to_string()
    })
}

fn prompt_json(prompt: RenderedPrompt) -> Value {
    let mut result = json!({
        "key": prompt.key,
        "version": prompt.version,
        "system": prompt.system,
        "user": prompt.user,
    });
    if let (Some(choice), Some(fields)) = (prompt.ab, result.as_object_mut()) {
        fields.insert("abTestKey".to_owned(), choice.test_key.into());
        fields.insert("variantIndex".to_owned(), choice.variant_index.into());
    }
    result
}

fn model_json(assigned: AssignedModel) -> Value {
    json!({ "model": assigned.model })
}

fn parse(variables: Option<String>) -> Variables {
    variables.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// A version as JavaScript gives it; what is no whole number matches none.
fn whole(version: f64) -> i64 {
    if version.fract() == 0.0 { version as i64 } else { i64::MIN }
}

fn name_of(read: &Read) -> String {
    match read {
        Read::Prompts => "prompts".to_owned(),
        Read::Configs => "configs".to_owned(),
        Read::ConfigVersion(key, version) => format!("config {version} {key}"),
    }
}

fn read_of(name: &str) -> Option<Read> {
    match name {
        "prompts" => Some(Read::Prompts),
        "configs" => Some(Read::Configs),
        _ => {
            let (version, key) = name.strip_prefix("config ")?.split_once(' ')?;
            Some(Read::ConfigVersion(key.to_owned(), version.parse().ok()?))
        }
    }
}
