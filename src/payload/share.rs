//! Dividing too few bytes among several claims.

/// The largest level such that all `sizes`, each held down to that level, sum up to `budget` at most: small
/// ones stay whole, and the longest give first. `usize::MAX` if all stay whole. Sorts `sizes`.
pub fn level(sizes: &mut [usize], budget: usize) -> usize {
    sizes.sort_unstable();
    let mut left = budget;
    let mut claims = sizes.len();
    for size in sizes {
        let share = left / claims;
        if *size > share {
            return share;
        }
        left -= *size;
        claims -= 1;
    }
    usize::MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_longest_give_first() {
        assert_eq!(level(&mut [10, 1000, 20], 100), 70);
        assert_eq!(level(&mut [100, 100, 100], 100), 33);
        assert_eq!(level(&mut [1, 2], 3), usize::MAX);
        assert_eq!(level(&mut [], 0), usize::MAX);
    }

    proptest! {
        #[test]
        fn the_sum_fits_and_hardly_a_byte_is_wasted(sizes in prop::collection::vec(0usize..5000, 0..50), budget in 0usize..50_000) {
            let level = level(&mut sizes.clone(), budget);
            let sum: usize = sizes.iter().map(|size| *size.min(&level)).sum();
            prop_assert!(sum <= budget);
            prop_assert!(level == usize::MAX || sum + sizes.len() > budget);
        }
    }
}
