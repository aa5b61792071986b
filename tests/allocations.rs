//! What a span costs in memory that is asked for and given back, from the bytes that the shim hands over to the request
//! that delivers them, and on the thread that hands them over. The bounds stand in `__test__/bounds.json`; how to lower
//! them, in CONTRIBUTING.md ("The guard").
//!
//! Counted is what Rust allocates. Pages that are mapped (`src/pages.rs`) and what zstd allocates in C are not; the
//! instructions that they cost are, by `scripts/guard.mjs`.

#![cfg(feature = "node")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail")]

#[path = "allocations/counting.rs"]
mod counting;
#[path = "allocations/shapes.rs"]
mod shapes;
#[path = "allocations/stage.rs"]
mod stage;

use parking_lot::{Mutex, MutexGuard};
use serde_json::Value;

use counting::{Allocated, Counting, by_caller, by_native};
use shapes::SHAPES;
use stage::Stage;

#[global_allocator]
static COUNTING: Counting = Counting;

/// Of one measurement; so many that what belongs to a request and not to a span hardly counts.
const SPANS: usize = 64;
/// Buffers, connections and tables are there after so many.
const WARM_UP: usize = 64;

/// One after the other: all threads but the caller's count as the core's.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[test]
fn from_the_inbox_to_the_request_a_span_takes_no_more_allocations_than_it_did() {
    let stage = Measuring::new();
    for (name, shape) in SHAPES {
        stage.deliver(WARM_UP, shape);
        let before = by_native();
        stage.deliver(SPANS, shape);
        holds(name, "native", by_native() - before, SPANS);
    }
}

#[test]
fn handing_over_a_span_allocates_next_to_nothing_in_a_burst() {
    let stage = Measuring::new();
    for (name, shape) in SHAPES {
        stage.deliver(WARM_UP, shape);
        let allocated = stage.deliver(SPANS, shape);
        holds(name, "record in a burst", allocated, SPANS);
    }
}

#[test]
fn handing_over_a_span_allocates_next_to_nothing_when_the_core_has_nothing_else_to_do() {
    let stage = Measuring::new();
    for (name, shape) in SHAPES {
        stage.deliver(WARM_UP, shape);
        let each = (0..SPANS).map(|_| stage.deliver(1, shape));
        let allocated = each.fold(Allocated::default(), |sum, one| sum + one);
        holds(name, "record alone", allocated, SPANS);
    }
}

/// A stage that nobody else stands on.
struct Measuring {
    stage: Stage,
    _alone: MutexGuard<'static, ()>,
}

impl Measuring {
    fn new() -> Self {
        let alone = ONE_AT_A_TIME.lock();
        Measuring { stage: Stage::new(), _alone: alone }
    }

    /// Hands over so many spans, all before the first is taken, and waits until they are delivered. Gives what was
    /// allocated while they were handed over.
    fn deliver(&self, spans: usize, shape: shapes::Shape) -> Allocated {
        let envelopes: Vec<Vec<u8>> = (0..spans).map(shape).collect();
        self.stage.settled(spans, || {
            let before = by_caller();
            envelopes.iter().for_each(|envelope| self.stage.record(envelope));
            by_caller() - before
        })
    }
}

/// Compares with the bound, or only says what it is (`npm run guard -- --measure`).
fn holds(shape: &str, what: &str, allocated: Allocated, spans: usize) {
    let bounds: Value = serde_json::from_str(include_str!("../__test__/bounds.json")).unwrap();
    let bound = &bounds["allocations"][what][shape];
    let [count, bytes] = [allocated.count, allocated.bytes].map(|sum| sum as f64 / spans as f64);
    println!("{what}, {shape}: {count:.2} allocations, {bytes:.0} bytes a span; bounds {bound}");
    if std::env::var_os("GUARD_MEASURE").is_some() {
        return;
    }
    for (what, is, most) in [("allocations", count, &bound["count"]), ("bytes", bytes, &bound["bytes"])] {
        let most = most.as_f64().unwrap();
        assert!(is <= most, "{shape}: {is:.2} {what} a span, and at most {most} are allowed");
    }
}
