//! A local Fallom: it takes spans, serves prompts, A/B tests and configs, and shows what arrived.
//!
//! It is the server that people run beside their agent to see its traces without an account, and the
//! server of the tests. It is as strict as the contract (`wire.md`, `spans.md`): what it accepts is a
//! span that Fallom can read. Everything is in memory, but for the spans
//! that `--store` keeps over a restart.
//!
//! A request's way through it, one direction:
//!
//! - [`options`]: the command line becomes one checked value
//! - [`server`]: listens, and lists the routes
//! - [`connection`]: the socket, which keeps what arrived and can be reset
//! - [`exchange`]: what happens around every request: log, faults, key, negotiation
//! - [`body`]: content encodings and content types
//! - [`traces`], [`sessions`], [`lists`]: Fallom's own endpoints, as `wire.md` has them
//! - [`inspect`]: the `/_local` endpoints, for people and tests
//! - [`validate`]: whether a JSON object is a span
//! - [`faults`], [`negotiation`], [`log`], [`raw`], [`catalog`], [`store`], all in [`state`]: what the server remembers
//! - [`tree`]: traces as text
//! - [`respond`]: how answers and refusals are written

pub mod assignments;
pub mod body;
pub mod catalog;
pub mod connection;
pub mod exchange;
pub mod faults;
pub mod inspect;
pub mod lists;
pub mod log;
pub mod negotiation;
pub mod options;
pub mod raw;
pub mod respond;
pub mod server;
pub mod sessions;
pub mod state;
pub mod store;
pub mod traces;
pub mod tree;
pub mod validate;
