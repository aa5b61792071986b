//! Prompts, A/B tests and model configs as the server listed them, and what a session gets of them (`wire.md`,
//! "Reading configs, prompts and A/B tests").
//!
//! Pure: bytes come in, typed answers go out. Whoever fetches, refreshes and keeps the lists does it outside.
//!
//! - `template`: variables become text
//! - `variables`: which a prompt uses, and whether just those were given
//! - `body`: the bytes of an answer become JSON entries, however odd some of them are
//! - `lists`: entries become prompts, tests and configs
//! - `versions`: one list, indexed by key and version
//! - `snapshot`: the three lists of one moment, and the lookups
//! - `error`: why there is no answer, and what to do about it

mod body;
mod error;
pub mod lists;
mod snapshot;
pub mod template;
mod variables;
mod versions;

pub use body::BodyError;
pub use error::{CatalogError, List};
pub use lists::{Config, ModelVariant, Parsed, Prompt, PromptRef, PromptTest};
pub use snapshot::{AbChoice, AssignedModel, RenderedPrompt, Snapshot};
pub use variables::{Mismatch, Variables, mismatch};
