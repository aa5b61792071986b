//! The short run of the fuzz targets: every input that was kept, and seeded small changes of them. `npm run fuzz` looks
//! for new ones.

#![cfg(feature = "node")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a target panics where a promise is broken"
)]

#[path = "../fuzz/targets/mod.rs"]
mod targets;

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::{fs, thread};

use fastrand::Rng;
use targets::{TARGETS, Target};

/// Of each target. About two seconds without optimization.
const CHANGED_INPUTS: usize = 2000;
/// The same in each run: a test that fails by chance helps nobody.
const SEED: u64 = 7;

#[test]
fn no_input_that_was_kept_breaks_a_promise() {
    for_each_target(|name, target, corpus| {
        for (file, input) in corpus {
            assert!(holds(target, input), "{name} fails on {}, see above", file.display());
        }
    });
}

#[test]
fn no_small_change_of_a_kept_input_breaks_a_promise() {
    for_each_target(|name, target, corpus| {
        let mut random = Rng::with_seed(SEED);
        for _ in 0..CHANGED_INPUTS {
            let input = changed(&mut random, corpus);
            if !holds(target, &input) {
                let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
                fs::write(&file, &input).unwrap();
                panic!("{name} fails, see above; once it is mended, keep {} in its corpus", file.display());
            }
        }
    });
}

/// All at once, each in a thread of its own.
fn for_each_target(check: impl Fn(&str, Target, &[(PathBuf, Vec<u8>)]) + Sync) {
    thread::scope(|scope| {
        for (name, target) in TARGETS {
            let check = &check;
            scope.spawn(move || {
                let corpus = corpus(name);
                assert!(!corpus.is_empty(), "{name} has no corpus");
                check(name, target, &corpus);
            });
        }
    });
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

fn holds(target: Target, input: &[u8]) -> bool {
    catch_unwind(|| target(input)).is_ok()
}

/// One to four changes of a kept input: a byte, a piece that goes or comes twice, a piece of another input.
fn changed(random: &mut Rng, corpus: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
    let (_, kept) = random.choice(corpus).unwrap();
    let mut input = kept.clone();
    for _ in 0..random.u8(1..=4) {
        let at = random.usize(..=input.len());
        match random.u8(..4) {
            0 if at < input.len() => input[at] = random.u8(..),
            1 => drop(input.drain(piece(random, &input))),
            2 => {
                let again = input[piece(random, &input)].to_vec();
                input.splice(at..at, again);
            }
            _ => {
                let (_, other) = random.choice(corpus).unwrap();
                input.splice(at..at, other[piece(random, other)].iter().copied());
            }
        }
    }
    input
}

/// Mostly short.
fn piece(random: &mut Rng, bytes: &[u8]) -> std::ops::Range<usize> {
    let start = random.usize(..=bytes.len());
    let longest = if random.u8(..8) == 0 { bytes.len() } else { 24 };
    start..bytes.len().min(start + random.usize(..=longest))
}
