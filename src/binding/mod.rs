//! The only code that knows Node. One file per noun of the public API; no decision is made here.
//!
//! Structure crosses as JSON text: one cheap string instead of one crossing per property. `shim/native.ts` is the
//! other side of this boundary and says what each function means.

pub mod catalog;
pub mod diagnostics;
pub mod exit;
pub mod flush;
mod guard;
pub mod init;
pub mod span;
pub mod stats;
