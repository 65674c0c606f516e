//! Random numbers for what needs spread, not secrecy: jitter, turns, draws. The same seed gives the same numbers.

use std::cell::Cell;

/// A generator; what it gives depends on the seed and on nothing else.
#[derive(Debug)]
pub(crate) struct Random(Cell<u64>);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    /// The next number.
    pub(crate) fn bits(&self) -> u64 {
        // splitmix64
        let seed = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(seed);
        let mut mixed = seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number as a fraction in 0..1.
    pub(crate) fn unit(&self) -> f64 {
        // 53 bits are what a double holds exactly.
        #[expect(clippy::cast_precision_loss, reason = "both sides are below 2^53")]
        let unit = (self.bits() >> 11) as f64 / (1_u64 << 53) as f64;
        unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_repeat_with_their_seed_and_are_spread() {
        let drawn = |seed| {
            let random = Random::new(seed);
            (0..10_000).map(|_| random.unit()).collect::<Vec<_>>()
        };
        assert_eq!(drawn(1), drawn(1));
        assert_ne!(drawn(1), drawn(2));
        for tenth in 0..10 {
            let within = |unit: &&f64| (f64::from(tenth) / 10.0..f64::from(tenth + 1) / 10.0).contains(*unit);
            let count = drawn(7).iter().filter(within).count();
            assert!((900..1_100).contains(&count), "{tenth}: {count}");
        }
    }
}
