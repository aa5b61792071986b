//! HTTP: the one client of the process, what a server says that it understands, and what its answers mean.

mod answer;
mod client;
mod compress;
mod negotiation;
mod retry;

pub use answer::Answer;
pub use client::{Fetched, Http, Post};
pub use compress::Compressor;
pub use negotiation::{Encoding, Form, Limit, Negotiation};
pub use retry::{Circuit, backoff};
