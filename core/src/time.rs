//! A point on the engine's own clock.
//!
//! Pure rooms never ask for the time; they are given one of these and hand one back. It counts nanoseconds since the engine
//! started, so a simulated clock and a real one look the same, and wall-clock jumps cannot be seen.

use std::num::NonZeroU64;
use std::ops::Add;
use std::time::Duration;

/// Nanoseconds since the engine started.
///
/// Kept as one more than they are: there is a value left for "no time" then, so an optional time takes no more room, and is a number
/// wherever it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Time(NonZeroU64);

impl Time {
    /// The start of the engine.
    pub(crate) const ZERO: Self = Self(NonZeroU64::MIN);

    /// The point `since_start` after the start; a length beyond 584 years is the last point there is.
    #[must_use]
    pub(crate) fn from_start(since_start: Duration) -> Self {
        Self::ZERO + since_start
    }

    /// How long after the start this is.
    #[must_use]
    pub(crate) fn since_start(self) -> Duration {
        self.since(Self::ZERO)
    }

    /// The length from `earlier` to here; zero when `earlier` is in fact later.
    #[must_use]
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

impl Default for Time {
    fn default() -> Self {
        Self::ZERO
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, length: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// The earliest of the times there are.
#[must_use]
pub(crate) fn earliest(times: impl IntoIterator<Item = Option<Time>>) -> Option<Time> {
    times.into_iter().flatten().min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_is_of_those_there_are() {
        let at = |seconds| Some(Time::from_start(Duration::from_secs(seconds)));
        assert_eq!(earliest([None, at(3), at(2), None]), at(2));
        assert_eq!(earliest([at(0), None]), at(0));
        assert_eq!(earliest([None, None]), None);
        assert_eq!(earliest([]), None);
    }

    #[test]
    fn an_optional_time_takes_no_more_room() {
        assert_eq!(size_of::<Option<Time>>(), size_of::<Time>());
    }

    #[test]
    fn a_length_no_clock_reaches_is_the_last_point_there_is() {
        let last = Time::from_start(Duration::MAX);
        assert_eq!(last + Duration::from_secs(1), last);
        assert_eq!(Time::from_start(Duration::from_nanos(7)).since_start(), Duration::from_nanos(7));
        assert_eq!(Time::ZERO.since(last), Duration::ZERO);
    }
}
