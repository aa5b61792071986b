//! How a span is written for a server. No I/O.

mod escape;
pub mod fallom;
mod room;
pub mod time;

pub use room::Room;
