//! `@fallom/trace`, the native core: what becomes of a span after the shim has handed it in.
//!
//! Terms. A **session** is one conversation of one customer. A **trace** is a tree of **spans**; an *agent* span
//! is one run of an agent, a *tool* span one execution of a tool. A **prompt** has versions; a **test** (A/B)
//! assigns a session one of its **variants**. The **ledger** counts every span in exactly one place.
//!
//! The modules stand in the order in which a span meets them; imports run down this list, never up, and nothing
//! imports `binding`. Without the `node` feature the crate is a plain library without threads or sockets, which
//! the local server builds on.

/// The only code that knows Node: one file per noun of the public API.
#[cfg(feature = "node")]
pub mod binding;

/// How the process ends: spans go first, and signals keep their meaning.
#[cfg(feature = "node")]
mod exit;

/// What there is one of per process, started by the first `init`.
#[cfg(feature = "node")]
mod core;

/// Runs that wait to be resumed.
#[cfg(feature = "node")]
mod suspended;

/// The thread, the queue, the ledger, the batches: when a span is sent.
#[cfg(feature = "node")]
pub mod pipeline;

/// Spans on disk, so that they outlive the process.
#[cfg(feature = "node")]
pub mod spool;

/// The bytes of one span while it waits. Seen from outside by `fuzz/targets/spool.rs` alone.
#[cfg(feature = "node")]
#[doc(hidden)]
pub mod held;

/// What a burst needed, kept for the next one.
#[cfg(feature = "node")]
mod pool;

/// Memory that is written from its beginning on.
#[cfg(feature = "node")]
mod buffer;

/// Memory that goes back to the system.
#[cfg(feature = "node")]
mod pages;

/// Keeps the catalog fresh.
#[cfg(feature = "node")]
mod refresh;

/// Files for this user alone.
#[cfg(feature = "node")]
mod owner;

/// HTTP: the client, what the server understands, what an answer means.
#[cfg(feature = "node")]
pub mod transport;

/// Options, environment and defaults become one checked value.
pub mod settings;

/// What a finished span is.
pub mod span;

/// Which prompt a span used.
pub mod linking;

/// Content: repaired, shortened, kept within its limit.
pub mod payload;

/// How a span is written.
pub mod wire;

/// Prompts, tests and configs in memory.
pub mod catalog;

/// Which variant a session gets.
pub mod assignment;

/// The one place where anything is said: warnings, debug lines, and events for who listens.
pub mod diagnostics;
