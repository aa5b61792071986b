//! What becomes of the spans of a request that has ended.

use std::time::{Duration, Instant};

use super::ledger::{DropReason, Place};
use super::queue::State;
use super::unit::{Delayed, Queued, Unit};
use crate::diagnostics::debug;
use crate::settings::Retry;
use crate::transport::{Limit, backoff};

/// While somebody waits, backoffs and the rests of the circuit are at most one part of so many of `retry.baseMs`.
const HURRY: u32 = 4;

/// How a unit that was refused goes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parts {
    /// Each span must speak for itself, in the one form that is known to be accepted.
    Plainly,
    /// The span that made it too large by itself; where there is none, two halves.
    BySize,
}

impl State {
    /// The request of this unit has ended, whichever way. Its spans may have been compressed meanwhile. Says what they
    /// hold now.
    fn leave_flight(&mut self, unit: &mut Unit) -> usize {
        self.forget_gone_of(unit);
        self.requests -= 1;
        self.in_flight_bytes -= unit.held_bytes;
        let now: usize = unit.spans.iter().map(|span| span.held.len()).sum();
        self.held_bytes = self.held_bytes - unit.held_bytes + now;
        now
    }

    /// The spans come back to be dropped, which takes time that nobody should wait for under the lock.
    pub fn delivered(&mut self, mut unit: Unit) -> Vec<Queued> {
        self.held_bytes -= self.leave_flight(&mut unit);
        self.circuit.succeeded();
        self.deliver(&unit.spans);
        unit.spans
    }

    /// All spans of the unit are given up.
    pub fn dropped(&mut self, mut unit: Unit, reason: DropReason) {
        self.leave_flight(&mut unit);
        for span in unit.spans {
            self.held_bytes -= span.held.len();
            self.give_up(Place::InFlight, &span, reason);
        }
    }

    /// The unit goes again after its backoff; spans that are too old for that are given up, or left to the spool.
    pub fn retry(&mut self, mut unit: Unit, after: Option<Duration>, retry: &Retry) {
        let now = Instant::now();
        self.leave_flight(&mut unit);
        self.circuit.failed(now, retry);
        self.asked_to_wait_until = self.asked_to_wait_until.max(after.map(|after| now + after));
        let (old, spans): (Vec<_>, Vec<_>) =
            unit.spans.into_iter().partition(|span| now.duration_since(span.since) >= retry.max_age);
        for span in old {
            self.held_bytes -= span.held.len();
            self.leave_memory(Place::InFlight, &span, DropReason::Expired);
        }
        if spans.is_empty() {
            return;
        }
        self.stats.requeue(spans.len() as u64);
        let attempts = unit.attempts.saturating_add(1);
        let mut wait = backoff(attempts, retry);
        if self.hurry_until.is_some_and(|until| until > now) {
            wait = wait.min(retry.base / HURRY);
            self.circuit.rest_at_most_until(now + retry.base / HURRY);
        }
        debug(|| format!("{} spans go again in {} ms, try {}", spans.len(), wait.as_millis(), attempts + 1));
        self.delayed.push(Delayed {
            unit: Unit { limit: unit.limit, ..Unit::new(spans, attempts) },
            until: now + wait,
        });
        self.make_room(0);
    }

    /// The unit goes again at once, whole or in parts.
    pub fn resend(&mut self, mut unit: Unit, parts: Parts) {
        self.leave_flight(&mut unit);
        self.circuit.succeeded();
        self.stats.requeue(unit.spans.len() as u64);
        let attempts = unit.attempts.saturating_add(1);
        let parts: Vec<(Vec<Queued>, Limit)> = match parts {
            Parts::Plainly => unit.spans.into_iter().map(|span| (vec![span], Limit::Plain)).collect(),
            Parts::BySize => by_size(unit.spans)
                .map(|part| {
                    let limit = if part.len() == 1 { Limit::Single } else { Limit::None };
                    (part, limit)
                })
                .collect(),
        };
        let units = parts.into_iter().map(|(spans, limit)| Unit { limit, ..Unit::new(spans, attempts) });
        self.prepared.extend(units);
        self.make_room(0);
    }

    /// Gives up all that is queued: the key was refused.
    pub fn drop_queue(&mut self, reason: DropReason) {
        let delayed = self.delayed.drain(..).map(|delayed| delayed.unit);
        let units: Vec<Unit> = self.prepared.drain(..).chain(delayed).collect();
        let spans: Vec<Queued> =
            units.into_iter().flat_map(|unit| unit.spans).chain(self.ready.drain(..)).collect();
        self.ready_bytes = 0;
        for span in spans {
            self.held_bytes -= span.held.len();
            self.give_up(Place::Queued, &span, reason);
        }
        while let Some(span) = self.inbox.pop() {
            self.give_up_raw(&span, reason);
        }
    }
}

/// Two parts: the largest span and the rest if it has more than half of the bytes, else two halves.
fn by_size(mut spans: Vec<Queued>) -> impl Iterator<Item = Vec<Queued>> {
    let bytes: usize = spans.iter().map(|span| span.held.wire_len()).sum();
    let largest = spans.iter().enumerate().max_by_key(|(_, span)| span.held.wire_len());
    let alone = largest.filter(|(_, span)| span.held.wire_len() > bytes / 2).map(|(at, _)| at);
    let rest = match alone {
        Some(at) => vec![spans.remove(at)],
        None => spans.split_off(spans.len() / 2),
    };
    [spans, rest].into_iter().filter(|part| !part.is_empty())
}
