//! When to try again: exponential backoff with full jitter, and a circuit that rests while the server is down.

use std::time::{Duration, Instant};

use crate::diagnostics::debug;
use crate::settings::Retry;

/// So many failures in a row, and the server counts as down.
const FAILURES_TO_REST: u32 = 5;

/// A random wait before try number `attempt` (1 is the first retry): evenly from 0 to the doubled base, at most
/// `max` ("full jitter": many clients that failed together do not come back together).
pub fn backoff(attempt: u32, retry: &Retry) -> Duration {
    let doubled = retry.base.saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(retry.max).mul_f64(fastrand::f64())
}

/// Counts failures in a row. After a few it rests, and then lets one request through at a time until one
/// succeeds.
#[derive(Debug, Default)]
pub struct Circuit {
    failures: u32,
    resting_until: Option<Instant>,
}

impl Circuit {
    pub fn succeeded(&mut self) {
        if self.failures >= FAILURES_TO_REST {
            debug(|| format!("the server answers again, after {} failures in a row", self.failures));
        }
        *self = Circuit::default();
    }

    pub fn failed(&mut self, now: Instant, retry: &Retry) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= FAILURES_TO_REST {
            let rest = backoff(self.failures - FAILURES_TO_REST + 2, retry).max(retry.base / 2);
            let rest = rest.min(retry.max);
            debug(|| {
                let (failures, ms) = (self.failures, rest.as_millis());
                format!("{failures} failures in a row: no request for {ms} ms, then one at a time")
            });
            self.resting_until = Some(now + rest);
        }
    }

    /// Ends a rest before its time, for a flush or the end of the process.
    pub fn hurry(&mut self) {
        if self.resting_until.take().is_some() {
            debug(|| "the rest ends early: somebody waits for delivery".to_owned());
        }
    }

    /// When the rest ends, if it has not.
    pub fn resting_until(&self, now: Instant) -> Option<Instant> {
        self.resting_until.filter(|until| *until > now)
    }

    /// Whether the last try failed.
    pub fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// Whether so many tries failed in a row that the server counts as down.
    pub fn is_down(&self) -> bool {
        self.failures >= FAILURES_TO_REST
    }

    /// How many requests may be under way at once: one while the server counts as down.
    pub fn most_concurrent(&self, most: usize) -> usize {
        if self.is_down() { 1 } else { most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRY: Retry = Retry {
        max_age: Duration::from_secs(600),
        base: Duration::from_millis(500),
        max: Duration::from_secs(30),
    };

    #[test]
    fn backoff_grows_to_its_bound_and_is_spread_over_all_of_it() {
        for (attempt, most) in [(1, 500), (2, 1000), (5, 8000), (7, 30_000), (40, 30_000), (u32::MAX, 30_000)]
        {
            let waits: Vec<u128> = (0..500).map(|_| backoff(attempt, &RETRY).as_millis()).collect();
            assert!(waits.iter().all(|wait| *wait <= most), "attempt {attempt}");
            assert!(waits.iter().any(|wait| *wait < most / 4), "attempt {attempt}");
            assert!(waits.iter().any(|wait| *wait > most * 3 / 4), "attempt {attempt}");
        }
    }

    #[test]
    fn the_circuit_rests_after_failures_in_a_row_and_recovers_at_the_first_success() {
        let now = Instant::now();
        let mut circuit = Circuit::default();
        for _ in 0..4 {
            circuit.failed(now, &RETRY);
        }
        assert_eq!((circuit.resting_until(now), circuit.most_concurrent(4)), (None, 4));
        circuit.failed(now, &RETRY);
        assert!(circuit.resting_until(now).is_some());
        assert_eq!(circuit.most_concurrent(4), 1);
        assert_eq!(circuit.resting_until(now + RETRY.max), None);
        circuit.succeeded();
        assert_eq!((circuit.resting_until(now), circuit.most_concurrent(4)), (None, 4));
    }
}
