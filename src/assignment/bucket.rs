//! The bucket of a session: `u32_be(md5(utf8(session_id))[0..4]) % 1_000_000` (`wire.md`, "Assignment").

use md5::{Digest, Md5};

/// How many buckets there are: a weight of 1 percent is 10,000 of them.
pub const BUCKETS: u32 = 1_000_000;

/// The bucket of a session, from 0 to [`BUCKETS`] - 1.
///
/// There is no salt, so two tests of equal weights give one session the same arm: that is the contract. MD5
/// spreads sessions evenly here and guards nothing. A lone surrogate in a JavaScript string has become U+FFFD
/// before it gets here, which is how the contract hashes it.
pub fn of(session_id: &str) -> u32 {
    let hash = Md5::digest(session_id.as_bytes());
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]]) % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_session_keeps_the_bucket_it_has_today() {
        assert_eq!(of("session-123"), 5516);
        assert_eq!(of(""), 706_393);
        assert_eq!(of("日本語-セッション"), 926_897);
    }

    #[test]
    fn sessions_spread_evenly() {
        let mut tenths = [0_u32; 10];
        for n in 0..100_000 {
            tenths[(of(&format!("session-{n}")) / (BUCKETS / 10)) as usize] += 1;
        }
        for count in tenths {
            assert!((9_500..10_500).contains(&count), "{tenths:?}");
        }
    }

    proptest! {
        #[test]
        fn every_session_has_a_bucket(session_id in any::<String>()) {
            prop_assert!(of(&session_id) < BUCKETS);
        }
    }
}
