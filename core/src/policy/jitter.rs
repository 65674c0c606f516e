//! Lengths made to differ, so that what began together does not go on in step.

use std::time::Duration;

/// The length, up to `share` of it shorter or longer; `unit` is a random fraction in 0..1.
#[must_use]
pub(crate) fn jittered(length: Duration, share: f64, unit: f64) -> Duration {
    length.mul_f64(1.0 + share * (2.0 * unit - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fraction_goes_from_the_shortest_to_the_longest() {
        let of = |unit| jittered(Duration::from_secs(10), 0.1, unit);
        assert_eq!([of(0.0), of(0.5), of(1.0)], [9, 10, 11].map(Duration::from_secs));
    }
}
