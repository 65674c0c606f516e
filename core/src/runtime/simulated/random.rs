//! The one source of chance of a simulated world.

use std::cell::Cell;
use std::time::Duration;

/// A seeded generator; what it gives depends on the seed and on nothing else.
#[derive(Debug)]
pub(crate) struct Random(Cell<u64>);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    /// A generator of its own, so that one consumer's number of draws does not change what another gets.
    pub(crate) fn fork(&self) -> Self {
        Self::new(self.bits())
    }

    /// splitmix64.
    pub(crate) fn bits(&self) -> u64 {
        let seed = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(seed);
        let mut mixed = seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A fraction in 0..1.
    pub(crate) fn unit(&self) -> f64 {
        // 53 bits are what a double holds exactly.
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Below `end`, which is not 0.
    pub(crate) fn below(&self, end: u64) -> u64 {
        self.bits() % end
    }

    /// True that often, of a hundred.
    pub(crate) fn percent(&self, often: u64) -> bool {
        self.below(100) < often
    }

    /// One of them.
    pub(crate) fn one_of<T: Copy>(&self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).expect("an index")]
    }

    /// A length in `from..to`.
    pub(crate) fn between(&self, from: Duration, to: Duration) -> Duration {
        from + (to - from).mul_f64(self.unit())
    }
}
