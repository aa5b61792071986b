//! One test, since what is said is one per process.

use std::sync::Arc;
use std::time::Duration;

use super::*;

type Heard = (Kind, Option<&'static str>, u64);

fn dropped(reason: &'static str, message: &'static str, count: u64) -> Event<'static> {
    Event { kind: Kind::Dropped, message: message.into(), count, reason: Some(reason) }
}

#[test]
fn the_first_of_a_kind_and_reason_goes_at_once_and_the_rest_of_the_second_in_one() {
    let heard: Arc<Mutex<Vec<Heard>>> = Arc::default();
    let hearing = Arc::clone(&heard);
    let id = listen(move |event| hearing.lock().push((event.kind, event.reason, event.count)));
    // Other tests of this process drop spans, too.
    let is_ours = |(_, reason, _): &Heard| reason.is_some_and(|reason| reason.starts_with("test-"));
    let take = || -> Vec<Heard> { heard.lock().drain(..).filter(is_ours).collect() };

    let begun = Instant::now();
    for _ in 0..10_000 {
        report(dropped("test-a", "a", 1));
    }
    report(dropped("test-b", "b", 7));
    assert_eq!(take(), [(Kind::Dropped, Some("test-a"), 1), (Kind::Dropped, Some("test-b"), 7)]);

    assert!(due().is_some());
    flush_due(begun);
    assert_eq!(take(), [], "the second is not over");
    let later = Instant::now() + Duration::from_secs(1);
    flush_due(later);
    assert_eq!(take(), [(Kind::Dropped, Some("test-a"), 9_999)]);
    flush_due(later + Duration::from_secs(5));
    assert_eq!(take(), [], "what was said is not said again");

    stop_listening(id);
    report(dropped("test-c", "c", 1));
    assert_eq!(take(), [], "nobody listens any more");
}
