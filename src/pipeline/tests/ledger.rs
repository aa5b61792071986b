//! The sum of the ledger holds, and the bytes add up, under any order of events, with a spool and without.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use crate::held::Held;
use crate::pipeline::DropReason;
use crate::pipeline::inbox::Raw;
use crate::pipeline::outcome::Parts;
use crate::pipeline::queue::{Moved, State};
use crate::pipeline::unit::{Queued, Unit};
use crate::settings::{Batch, Retry};
use crate::spool::Spool;
use crate::spool::testing::{SMALL, Scratch, look};
use crate::transport::{Encoding, Form};

pub(super) const MAX_QUEUE_BYTES: usize = 4000;
pub(super) const BATCH: Batch = Batch { max_spans: 4, max_bytes: 1000, max_delay: Duration::from_millis(5) };
pub(super) const RETRY: Retry =
    Retry { max_age: Duration::from_secs(60), base: Duration::from_nanos(1), max: Duration::from_nanos(1) };
pub(super) const MOST_REQUESTS: usize = 3;

/// What can happen to the queue.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Open,
    Record {
        bytes: usize,
    },
    Encode {
        most: usize,
        grows_to: usize,
    },
    Unreadable,
    Send {
        ndjson: bool,
    },
    Delivered,
    Refused,
    Failed {
        expired: bool,
    },
    Resent {
        parts: Parts,
    },
    KeyRefused,
    Hurry,
    NewKey,
    Stop,
    /// The spool is told what moved, and tells what it did.
    KeepUp,
    Replay,
    /// The disk takes nothing for a while.
    DiskFails,
    /// The process is killed, and another one begins.
    Crash,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => Just(Event::Open),
        6 => (1..1500_usize).prop_map(|bytes| Event::Record { bytes }),
        1 => Just(Event::Record { bytes: MAX_QUEUE_BYTES + 1 }),
        6 => (1..5_usize, 1..1500_usize).prop_map(|(most, grows_to)| Event::Encode { most, grows_to }),
        1 => Just(Event::Unreadable),
        8 => any::<bool>().prop_map(|ndjson| Event::Send { ndjson }),
        6 => Just(Event::Delivered),
        1 => Just(Event::Refused),
        2 => any::<bool>().prop_map(|expired| Event::Failed { expired }),
        2 => prop_oneof![Just(Parts::Plainly), Just(Parts::BySize)]
            .prop_map(|parts| Event::Resent { parts }),
        1 => Just(Event::KeyRefused),
        2 => Just(Event::Hurry),
        1 => Just(Event::NewKey),
        1 => Just(Event::Stop),
        4 => Just(Event::KeepUp),
        2 => Just(Event::Replay),
        1 => Just(Event::DiskFails),
        1 => Just(Event::Crash),
    ]
}

/// The queue, and the units that are in flight.
pub(super) struct Run {
    pub(super) state: State,
    pub(super) flying: Vec<Unit>,
    handed_in: u64,
    spool: Option<(Spool, Scratch)>,
}

impl Run {
    pub(super) fn new(spooled: bool) -> Self {
        let mut state = State::new(MAX_QUEUE_BYTES);
        let spool = spooled.then(|| {
            state.start_spool();
            let scratch = Scratch::new();
            (scratch.spool(SMALL), scratch)
        });
        Run { state, flying: Vec::new(), handed_in: 0, spool }
    }

    pub(super) fn apply(&mut self, event: Event) {
        match event {
            Event::Open => {
                self.state.stats.start();
                self.handed_in += 1;
            }
            Event::Record { bytes } => {
                if self.state.stats.open == 0 {
                    self.handed_in += 1;
                }
                self.state.push(&vec![0; bytes]);
            }
            Event::Encode { most, grows_to } => self.encode(most, |_| grows_to),
            Event::Unreadable => {
                if let Some(block) = self.state.take_inbox() {
                    for span in &block.spans {
                        self.state.give_up_raw(span, DropReason::Rejected);
                    }
                    let _ = self.state.give_back(block);
                }
            }
            Event::Send { ndjson } => {
                let form = Form { ndjson, encoding: Encoding::Identity };
                let unit = self.state.next_unit(Instant::now(), &BATCH, MOST_REQUESTS, form);
                assert!(unit.iter().all(|unit| ndjson || unit.spans.len() == 1));
                self.flying.extend(unit);
            }
            Event::Hurry => self.state.hurry(Instant::now() + Duration::from_millis(1)),
            Event::NewKey => {
                self.state.unauthorized = false;
                self.state.stopped = false;
            }
            Event::Stop => self.state.stopped = true,
            Event::KeepUp => self.keep_up(),
            Event::Replay => {
                let can_take = self.state.can_take_from_spool(Instant::now(), MOST_REQUESTS);
                if let Some((spool, _)) = self.spool.as_mut().filter(|_| can_take) {
                    self.state.returned(spool.replay(BATCH.max_spans, BATCH.max_bytes));
                }
            }
            Event::Crash => self.crash(),
            Event::DiskFails => {
                if let Some((_, scratch)) = &mut self.spool {
                    scratch.fail_once();
                }
            }
            Event::Delivered
            | Event::Refused
            | Event::Failed { .. }
            | Event::Resent { .. }
            | Event::KeyRefused => self.answer(event),
        }
    }

    pub(super) fn encode(&mut self, most: usize, grows_to: impl Fn(usize) -> usize) {
        for _ in 0..most {
            let Some(block) = self.state.take_inbox() else { return };
            for raw in &block.spans {
                self.encode_span(raw, grows_to(raw.at.len()));
            }
            let _ = self.state.give_back(block);
        }
    }

    fn encode_span(&mut self, raw: &Raw, bytes: usize) {
        let mut span =
            Queued { seq: raw.seq, since: raw.since, held: Held::plain(vec![1; bytes]), spooled: None };
        if let Some((spool, scratch)) = &mut self.spool
            && !scratch.fails()
        {
            let written = spool.append(&[(&span.held, Duration::ZERO)]);
            span.spooled = written.and_then(|written| written.first().copied());
        }
        self.state.ready([span], raw.at.len());
    }

    fn crash(&mut self) {
        if let Some((spool, scratch)) = &mut self.spool {
            *spool = scratch.spool(SMALL);
            self.state = State::new(MAX_QUEUE_BYTES);
            self.state.start_spool();
            self.flying.clear();
            look(spool);
            let changes = spool.take_changes();
            self.handed_in = changes.found;
            self.state.spool_changed(changes);
        }
    }

    fn keep_up(&mut self) {
        if let Some((spool, _)) = &mut self.spool {
            let Moved { settled, waiting } = self.state.take_moved();
            spool.wait(&waiting);
            spool.settle(&settled);
            self.state.spool_changed(spool.take_changes());
        }
        self.state.told();
    }

    /// The oldest request is answered.
    fn answer(&mut self, event: Event) {
        if self.flying.is_empty() {
            return;
        }
        let unit = self.flying.remove(0);
        let state = &mut self.state;
        match event {
            Event::Delivered => drop(state.delivered(unit)),
            Event::Refused => state.dropped(unit, DropReason::Rejected),
            Event::Failed { expired } => {
                let max_age = if expired { Duration::ZERO } else { RETRY.max_age };
                state.retry(unit, None, &Retry { max_age, ..RETRY });
            }
            Event::Resent { parts } => state.resend(unit, parts),
            Event::KeyRefused => {
                state.unauthorized = true;
                state.dropped(unit, DropReason::Unauthorized);
                state.drop_queue(DropReason::Unauthorized);
            }
            _ => {}
        }
    }

    fn check(&self) {
        let stats = &self.state.stats;
        let dropped = &stats.dropped;
        let reasons = dropped.queue_full
            + dropped.too_large
            + dropped.rejected
            + dropped.unauthorized
            + dropped.expired
            + dropped.disabled
            + dropped.spool_full;
        assert_eq!(dropped.total, reasons);
        assert_eq!(stats.started, self.handed_in);
        let places =
            stats.open + stats.queued + stats.in_flight + stats.spooled + stats.delivered + dropped.total;
        assert_eq!(stats.started, places, "{stats:?}");
        let flying: usize = self.flying.iter().map(|unit| unit.spans.len()).sum();
        assert_eq!(stats.in_flight, flying as u64);
        let flying_bytes: usize =
            self.flying.iter().flat_map(|unit| &unit.spans).map(|span| span.held.len()).sum();
        assert!(self.state.queued_bytes() <= MAX_QUEUE_BYTES.max(flying_bytes + 1500));
        if stats.queued == 0 {
            assert_eq!(self.state.queued_bytes(), 0);
        }
    }

    /// Everything that can still go, goes.
    fn drain(&mut self) {
        self.state.stats.open = {
            let open = self.state.stats.open;
            for _ in 0..open {
                self.state.push(&[0; 10]);
            }
            self.state.stats.open
        };
        self.apply(Event::NewKey);
        for _ in 0..10_000 {
            self.apply(Event::Encode { most: 100, grows_to: 20 });
            self.apply(Event::Hurry);
            self.apply(Event::Send { ndjson: true });
            self.apply(Event::Delivered);
            self.apply(Event::KeepUp);
            self.apply(Event::Replay);
            self.check();
            if self.state.is_quiet() && self.state.stats.spooled == 0 {
                return;
            }
        }
        panic!("spans were left behind: {:?}", self.state.stats);
    }
}

proptest! {
    // 1,000 runs of up to 200 events.
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_span_is_in_exactly_one_place_and_none_is_left_behind(
        spooled in prop::bool::weighted(0.25),
        events in prop::collection::vec(event(), 1..200),
    ) {
        let mut run = Run::new(spooled);
        for event in events {
            run.apply(event);
            run.check();
        }
        run.drain();
        if let Some((_, scratch)) = &run.spool {
            assert_eq!(scratch.segments(), 0);
        }
    }
}

#[test]
fn when_the_queue_is_full_the_oldest_spans_go() {
    let mut run = Run::new(false);
    for _ in 0..10 {
        run.apply(Event::Record { bytes: 500 });
    }
    assert_eq!(run.state.stats.dropped.queue_full, 2);
    let blocks = std::iter::from_fn(|| run.state.take_inbox());
    let left: Vec<u64> = blocks.flat_map(|block| block.spans).map(|span| span.seq).collect();
    assert_eq!(left, [2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_span_that_is_too_large_is_parted_from_its_neighbours_at_once() {
    let mut run = Run::new(false);
    for bytes in [10, 10, 900, 10] {
        run.apply(Event::Record { bytes });
    }
    run.encode(4, |before| before);
    run.apply(Event::Send { ndjson: true });
    run.apply(Event::Resent { parts: Parts::BySize });
    run.apply(Event::Send { ndjson: true });
    run.apply(Event::Send { ndjson: true });
    let sizes: Vec<Vec<usize>> =
        run.flying.iter().map(|unit| unit.spans.iter().map(|span| span.held.len()).collect()).collect();
    assert_eq!(sizes, [vec![10, 10, 10], vec![900]]);
}
