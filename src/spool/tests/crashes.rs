//! A model of the spool: whatever happens, a process that takes over finds what was written and not settled.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use proptest::prelude::*;

use crate::held::Held;
use crate::spool::testing::{Scratch, look};
use crate::spool::{Address, Spool};

const LARGE: u64 = 64 * 1024 * 1024;

#[derive(Clone, Debug)]
enum Action {
    Write {
        spans: usize,
    },
    Settle {
        which: prop::sample::Index,
    },
    Wait {
        which: prop::sample::Index,
    },
    Replay,
    /// The process is killed; half of a write may be left at the end of its last segment.
    Kill {
        torn: Vec<u8>,
    },
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (1..6_usize).prop_map(|spans| Action::Write { spans }),
        4 => any::<prop::sample::Index>().prop_map(|which| Action::Settle { which }),
        2 => any::<prop::sample::Index>().prop_map(|which| Action::Wait { which }),
        1 => Just(Action::Replay),
        1 => prop::collection::vec(any::<u8>(), 0..40).prop_map(|torn| Action::Kill { torn }),
    ]
}

/// What must be on disk: the spans that were written and not settled, by where this process has them.
struct Model {
    spool: Spool,
    held: Vec<(Address, u32)>,
    waiting: BTreeMap<u32, Option<Address>>,
    next: u32,
}

impl Model {
    fn apply(&mut self, action: Action, scratch: &Scratch) {
        match action {
            Action::Write { spans } => {
                let texts: Vec<Held> =
                    (self.next..).take(spans).map(|n| Held::plain(n.to_string().into())).collect();
                let written: Vec<(&Held, Duration)> =
                    texts.iter().map(|held| (held, Duration::ZERO)).collect();
                let addresses = self.spool.append(&written).unwrap();
                self.held.extend(addresses.into_iter().zip(self.next..));
                self.next += spans as u32;
            }
            Action::Settle { which } if !self.held.is_empty() => {
                let (address, _) = self.held.remove(which.index(self.held.len()));
                self.spool.settle(&[address]);
            }
            Action::Wait { which } if !self.held.is_empty() => {
                let (address, n) = self.held.remove(which.index(self.held.len()));
                self.spool.wait(&[address]);
                self.waiting.insert(n, Some(address));
            }
            Action::Replay => {
                for span in self.spool.replay(3, 1000) {
                    let n = number(&span.held);
                    assert!(self.waiting.remove(&n).is_some(), "{n} came back, and was not waiting");
                    self.held.push((span.address, n));
                }
            }
            Action::Kill { torn } => self.kill(&torn, scratch),
            Action::Settle { .. } | Action::Wait { .. } => {}
        }
    }

    fn kill(&mut self, torn: &[u8], scratch: &Scratch) {
        self.spool = scratch.spool(LARGE);
        if let Some(last) = scratch.files().pop() {
            let mut bytes = fs::read(&last).unwrap();
            bytes.extend_from_slice(torn);
            fs::write(last, bytes).unwrap();
        }
        look(&mut self.spool);
        self.waiting.extend(self.held.drain(..).map(|(_, n)| (n, None)));
        assert_eq!(self.spool.take_changes().found, self.waiting.len() as u64);
    }
}

fn number(held: &Held) -> u32 {
    std::str::from_utf8(&held.wire()).unwrap().parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_kill_at_any_moment_loses_nothing_that_was_written(actions in prop::collection::vec(action(), 1..60)) {
        let scratch = Scratch::new();
        let mut model = Model { spool: scratch.spool(LARGE), held: Vec::new(), waiting: BTreeMap::new(), next: 0 };
        for action in actions {
            model.apply(action, &scratch);
        }
        model.kill(&[], &scratch);
        let mut back = Vec::new();
        while model.spool.has_waiting() {
            let spans = model.spool.replay(100, 10_000);
            back.extend(spans.iter().map(|span| number(&span.held)));
            model.spool.settle(&spans.iter().map(|span| span.address).collect::<Vec<_>>());
        }
        back.sort_unstable();
        assert_eq!(back, model.waiting.keys().copied().collect::<Vec<_>>());
        assert_eq!(scratch.segments(), 0);
    }
}
