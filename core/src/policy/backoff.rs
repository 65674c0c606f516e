//! How long to wait after the n-th failed dial in a row (connection-backoff.md, [CONN-50] to [CONN-54]).

use std::time::Duration;

use super::jitter::jittered;

/// The parameters of the wait; each is an option of the channel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BackoffOptions {
    /// The first wait, before jitter.
    pub(crate) initial: Duration,
    /// Growth per failure.
    pub(crate) multiplier: f64,
    /// The share the wait may be shortened or lengthened by.
    pub(crate) jitter: f64,
    /// The cap, before jitter ([CONN-51]).
    pub(crate) max: Duration,
}

impl Default for BackoffOptions {
    fn default() -> Self {
        // connection-backoff.md
        Self { initial: Duration::from_secs(1), multiplier: 1.6, jitter: 0.2, max: Duration::from_secs(120) }
    }
}

/// Counts failures in a row and tells the wait after each. The parameters are given to it each time: one set of them serves many.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: i32,
}

impl Backoff {
    /// A dial failed. `unit` is a random fraction in 0..1; the wait counts from the start of that dial ([CONN-52]).
    pub(crate) fn on_failure(&mut self, options: &BackoffOptions, unit: f64) -> Duration {
        let wait = jittered(self.base(options), options.jitter, unit);
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// The wait after what is no failure, and does not make later waits longer.
    pub(crate) fn pause(options: &BackoffOptions, unit: f64) -> Duration {
        jittered(options.initial, options.jitter, unit)
    }

    /// A connection became usable, or the user asked to start over ([CONN-43], [CONN-56]).
    pub(crate) fn on_reset(&mut self) {
        self.failures = 0;
    }

    /// How many dials have failed in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures.unsigned_abs()
    }

    /// The next wait without its jitter.
    pub(crate) fn base(&self, options: &BackoffOptions) -> Duration {
        grown(options.initial, options.multiplier, self.failures, options.max)
    }
}

/// What `initial` has grown to after so many failures, no more than `max`.
pub(super) fn grown(initial: Duration, multiplier: f64, failures: i32, max: Duration) -> Duration {
    let grown = initial.as_secs_f64() * multiplier.powi(failures);
    // `powi` overflows to infinity after some hundred failures; the cap holds there too.
    Duration::from_secs_f64(grown.min(max.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(unit: f64, count: usize) -> Vec<f64> {
        let mut backoff = Backoff::default();
        (0..count).map(|_| backoff.on_failure(&BackoffOptions::default(), unit).as_secs_f64()).collect()
    }

    fn assert_close(left: f64, right: f64) {
        assert!((left - right).abs() < 1e-6, "{left} is not {right}");
    }

    /// [CONN-50]
    #[test]
    fn waits_grow_by_the_multiplier() {
        for (wait, wanted) in waits(0.5, 4).into_iter().zip([1.0, 1.6, 2.56, 4.096]) {
            assert_close(wait, wanted);
        }
    }

    /// [CONN-51]
    #[test]
    fn jitter_comes_after_the_cap() {
        assert_close(waits(0.0, 20)[19], 96.0);
        assert_close(waits(0.5, 20)[19], 120.0);
        assert_close(waits(1.0, 20)[19], 144.0);
    }

    #[test]
    fn a_thousand_failures_stay_at_the_cap() {
        assert_close(waits(0.5, 1_000)[999], 120.0);
    }

    /// [CONN-43]
    #[test]
    fn success_starts_over() {
        let (mut backoff, options) = (Backoff::default(), BackoffOptions::default());
        backoff.on_failure(&options, 0.5);
        backoff.on_failure(&options, 0.5);
        backoff.on_reset();
        assert_close(backoff.on_failure(&options, 0.5).as_secs_f64(), 1.0);
    }
}
