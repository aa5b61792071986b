//! What a burst needed, kept for the next one.

/// So many are kept.
const MOST: usize = 16;
/// Of these, those that are kept though nobody needs them.
const KEPT: usize = 4;

pub struct Pool<T> {
    spare: Vec<T>,
    /// So many of them have not been needed since [`Pool::unneeded`].
    idle: usize,
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Pool { spare: Vec::new(), idle: 0 }
    }
}

impl<T> Pool<T> {
    pub fn take(&mut self) -> Option<T> {
        let spare = self.spare.pop();
        self.idle = self.idle.min(self.spare.len());
        spare
    }

    /// What is done with. It comes back if it is not needed, to be freed where that holds up nobody.
    pub fn give_back(&mut self, one: T) -> Option<T> {
        if self.spare.len() >= MOST {
            return Some(one);
        }
        self.spare.push(one);
        None
    }

    /// Whether more are kept than should be for long.
    pub fn keeps_many(&self) -> bool {
        self.spare.len() > KEPT
    }

    /// Those that were not needed since the last call, to be freed where that holds up nobody. A few are kept.
    pub fn unneeded(&mut self) -> Vec<T> {
        let from = KEPT.max(self.spare.len() - self.idle).min(self.spare.len());
        let unneeded = self.spare.split_off(from);
        self.idle = self.spare.len();
        unneeded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many are needed at once, and given back.
    fn burst(pool: &mut Pool<Box<u8>>, needed: usize) {
        (0..needed).for_each(|_| drop(pool.take()));
        (0..needed).for_each(|_| drop(pool.give_back(Box::new(0))));
    }

    #[test]
    fn what_a_burst_needed_is_kept_for_the_next_one_and_freed_when_none_comes() {
        let mut pool = Pool::default();
        burst(&mut pool, 10);
        assert_eq!((pool.spare.len(), pool.unneeded().len()), (10, 0));
        burst(&mut pool, 8);
        assert_eq!((pool.unneeded().len(), pool.spare.len()), (2, 8));
        assert!(pool.keeps_many());
        pool.unneeded();
        assert_eq!((pool.spare.len(), pool.keeps_many()), (KEPT, false));
        burst(&mut pool, 2 * MOST);
        assert_eq!(pool.spare.len(), MOST);
    }
}
