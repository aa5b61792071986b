//! libFuzzer over one of the targets, the one that `FALLOM_FUZZ_TARGET` names. `scripts/fuzz.mjs` builds and runs it.

#![no_main]

mod targets;

use std::sync::LazyLock;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    static TARGET: LazyLock<targets::Target> = LazyLock::new(|| {
        let name = std::env::var("FALLOM_FUZZ_TARGET").expect("FALLOM_FUZZ_TARGET names a target");
        let found = targets::TARGETS.iter().find(|(known, _)| *known == name);
        found.expect("FALLOM_FUZZ_TARGET names a target").1
    });
    TARGET(input);
});
