//! How a span is written for a server. No I/O.

pub mod fallom;
pub mod time;
