//! Which variant a session gets: targeting first, then the hash (`wire.md`, "Assignment").
//!
//! Pure: no I/O, and the same session gets the same variant in every process and language.
//!
//! - `js`: how JavaScript reads, compares and orders JSON values, which the contract rests on
//! - `bucket`: a session id becomes a number from 0 to 999,999
//! - `variants`: weighted choices, and the walk that picks one for a bucket
//! - `targeting`: rules that pick a variant by who is asking

pub mod bucket;
pub mod js;
pub mod targeting;
pub mod variants;

use targeting::{Context, Targeting};
use variants::Variants;

/// The index of the variant for this session, counted from 0; `None` when there are no variants.
///
/// The first match of `targeting` decides. Where it points outside of the variants, the hash decides as if
/// nothing had matched.
pub fn assign<T>(
    variants: &Variants<T>,
    targeting: Option<&Targeting>,
    context: &Context,
    session_id: &str,
) -> Option<usize> {
    targeting
        .and_then(|targeting| targeting.first_match(context))
        .filter(|&index| index < variants.len())
        .or_else(|| variants.walk(bucket::of(session_id)))
}
