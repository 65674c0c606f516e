//! The one source of chance of a simulated world.

use std::time::Duration;

use crate::random;

/// A seeded generator; what it gives depends on the seed and on nothing else.
#[derive(Debug)]
pub(crate) struct Random(random::Random);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(random::Random::new(seed))
    }

    /// A generator of its own, so that one consumer's number of draws does not change what another gets.
    pub(crate) fn fork(&self) -> Self {
        Self::new(self.bits())
    }

    pub(crate) fn bits(&self) -> u64 {
        self.0.bits()
    }

    /// A fraction in 0..1.
    pub(crate) fn unit(&self) -> f64 {
        self.0.unit()
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
