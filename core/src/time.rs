//! A point on the engine's own clock.
//!
//! Pure rooms never ask for the time; they are given one of these and hand one back. It counts nanoseconds since the engine
//! started, so a simulated clock and a real one look the same, and wall-clock jumps cannot be seen.

use std::ops::Add;
use std::time::Duration;

/// Nanoseconds since the engine started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Time(u64);

impl Time {
    /// The start of the engine.
    pub(crate) const ZERO: Self = Self(0);

    /// The point `since_start` after the start; a length beyond 584 years is the last point there is.
    #[must_use]
    pub(crate) fn from_start(since_start: Duration) -> Self {
        Self(u64::try_from(since_start.as_nanos()).unwrap_or(u64::MAX))
    }

    /// How long after the start this is.
    #[must_use]
    pub(crate) fn since_start(self) -> Duration {
        Duration::from_nanos(self.0)
    }

    /// The length from `earlier` to here; zero when `earlier` is in fact later.
    #[must_use]
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, length: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)))
    }
}
