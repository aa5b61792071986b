//! `@fallom/trace`, the native core.

pub mod assignment;
pub mod catalog;
pub mod payload;
pub mod wire;
