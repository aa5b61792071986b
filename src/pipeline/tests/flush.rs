//! What a flush waits for, and what it tells.

use std::time::{Duration, Instant};

use super::ledger::*;
use crate::pipeline::queue::State;
use crate::settings::Retry;
use crate::spool::Changes;
use crate::transport::{Encoding, Form};

#[test]
fn a_flush_tells_what_became_of_the_spans_that_were_there_and_of_no_others() {
    let mut run = Run::new(false);
    for _ in 0..3 {
        run.apply(Event::Record { bytes: 10 });
    }
    let (id, mut done) = run.state.begin_flush(Instant::now(), false);
    run.apply(Event::Record { bytes: 10 });
    run.apply(Event::Encode { most: 10, grows_to: 10 });
    run.apply(Event::Hurry);
    run.apply(Event::Send { ndjson: false });
    run.apply(Event::Refused);
    run.apply(Event::KeepUp);
    assert!(done.try_recv().is_err());
    for _ in 0..2 {
        run.apply(Event::Send { ndjson: false });
        run.apply(Event::Delivered);
    }
    assert!(done.try_recv().is_err(), "the files do not know yet what was delivered");
    run.apply(Event::KeepUp);
    assert!(done.try_recv().is_ok());
    let result = run.state.end_flush(id);
    assert_eq!((result.delivered, result.dropped, result.pending, result.timed_out), (2, 1, 0, false));
}

#[test]
fn a_flush_that_runs_out_of_time_counts_what_is_on_disk_as_spooled() {
    let mut run = Run::new(true);
    for _ in 0..3 {
        run.apply(Event::Record { bytes: 600 });
    }
    run.apply(Event::Encode { most: 2, grows_to: 10 });
    let (id, _) = run.state.begin_flush(Instant::now(), false);
    let result = run.state.end_flush(id);
    assert_eq!((result.spooled, result.pending, result.timed_out), (2, 1, true));
}

#[test]
fn the_end_of_the_process_does_not_wait_for_a_server_that_is_down_once_all_is_on_disk() {
    let mut run = Run::new(true);
    for _ in 0..6 {
        run.apply(Event::Record { bytes: 600 });
    }
    run.apply(Event::Encode { most: 5, grows_to: 10 });
    let (id, mut done) = run.state.begin_flush(Instant::now(), true);
    for _ in 0..10 {
        run.apply(Event::Hurry);
        run.apply(Event::Send { ndjson: false });
        run.apply(Event::Failed { expired: false });
    }
    run.apply(Event::KeepUp);
    assert!(done.try_recv().is_err(), "one span is in memory alone");
    run.apply(Event::Encode { most: 1, grows_to: 10 });
    run.apply(Event::KeepUp);
    assert!(done.try_recv().is_ok());
    let result = run.state.end_flush(id);
    assert_eq!((result.spooled, result.pending, result.timed_out), (6, 0, false));
}

#[test]
fn what_had_to_make_room_on_disk_counts_as_memory_alone() {
    let mut run = Run::new(true);
    for _ in 0..2 {
        run.apply(Event::Record { bytes: 600 });
        run.apply(Event::Encode { most: 1, grows_to: 10 });
    }
    run.apply(Event::Hurry);
    run.apply(Event::Send { ndjson: false });
    run.state.spool_changed(Changes { gone: (0..100_000).collect(), ..Changes::default() });
    run.apply(Event::Failed { expired: false });
    let (id, _) = run.state.begin_flush(Instant::now(), false);
    let result = run.state.end_flush(id);
    assert_eq!((result.spooled, result.pending), (0, 2));
}

#[test]
fn spans_that_came_in_before_the_spool_was_there_are_not_taken_for_safe() {
    let mut state = State::new(MAX_QUEUE_BYTES);
    state.push(&[0; 10]);
    state.start_spool();
    let (id, _) = state.begin_flush(Instant::now(), false);
    assert_eq!(state.end_flush(id).pending, 1);
}

#[test]
fn a_flush_does_not_have_a_server_that_is_down_asked_without_a_pause() {
    let retry = Retry { base: Duration::from_secs(60), max: Duration::from_secs(60), ..RETRY };
    let mut run = Run::new(false);
    for _ in 0..50 {
        run.apply(Event::Record { bytes: 10 });
    }
    run.encode(50, |before| before);
    run.state.hurry(Instant::now() + Duration::from_secs(600));
    let form = Form { ndjson: false, encoding: Encoding::Identity };
    let mut tries = 0;
    while let Some(unit) = run.state.next_unit(Instant::now(), &BATCH, MOST_REQUESTS, form) {
        run.state.retry(unit, None, &retry);
        tries += 1;
    }
    assert_eq!(tries, 5, "then the circuit rests");
    assert!(run.state.next_unit(Instant::now() + retry.base / 4, &BATCH, MOST_REQUESTS, form).is_some());
}
