//! How many calls succeeded and failed in the last while: counts in a few slots of time, the oldest of which go as time goes on.

use std::time::Duration;

use crate::time::Time;

/// A window that slides by a tenth of its length at a time.
#[derive(Debug)]
pub(super) struct Window {
    /// How many nanoseconds one slot stands for.
    slot: u64,
    /// The number of the slot that was written last, counted from the start of the engine.
    newest: u64,
    counts: [Count; SLOTS],
}

/// Calls that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) succeeded: u32,
    pub(super) failed: u32,
}

impl Count {
    pub(super) fn total(self) -> u32 {
        self.succeeded.saturating_add(self.failed)
    }
}

/// Enough for a window that slides and does not jump, few enough to be summed whenever a call fails.
const SLOTS: usize = 10;

impl Window {
    pub(super) fn new(length: Duration) -> Self {
        let slot = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX) / SLOTS as u64;
        Self { slot: slot.max(1), newest: 0, counts: [Count::default(); SLOTS] }
    }

    pub(super) fn on_succeeded(&mut self, now: Time) {
        let count = self.slot(now);
        count.succeeded = count.succeeded.saturating_add(1);
    }

    /// Counts a failure, and tells what the window holds with it.
    pub(super) fn on_failed(&mut self, now: Time) -> Count {
        let count = self.slot(now);
        count.failed = count.failed.saturating_add(1);
        self.counts.iter().fold(Count::default(), |sum, count| Count {
            succeeded: sum.succeeded.saturating_add(count.succeeded),
            failed: sum.failed.saturating_add(count.failed),
        })
    }

    pub(super) fn clear(&mut self) {
        self.counts = [Count::default(); SLOTS];
    }

    /// The slot of this time; those that were passed over since the last one are empty.
    fn slot(&mut self, now: Time) -> &mut Count {
        let number = u64::try_from(now.since_start().as_nanos()).unwrap_or(u64::MAX) / self.slot;
        for passed in self.newest + 1..=number.min(self.newest.saturating_add(SLOTS as u64)) {
            self.counts[place(passed)] = Count::default();
        }
        self.newest = number.max(self.newest);
        &mut self.counts[place(self.newest)]
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number % SLOTS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_start(Duration::from_secs(seconds))
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count_any_more() {
        let mut window = Window::new(Duration::from_secs(10));
        for second in 100..110 {
            window.on_succeeded(at(second));
        }
        assert_eq!(window.on_failed(at(109)), Count { succeeded: 10, failed: 1 });
        assert_eq!(window.on_failed(at(112)), Count { succeeded: 7, failed: 2 });
        assert_eq!(window.on_failed(at(119)), Count { succeeded: 0, failed: 2 });
        assert_eq!(window.on_failed(at(1_000)), Count { succeeded: 0, failed: 1 }, "after a long silence");
    }

    #[test]
    fn a_window_of_a_nanosecond_and_one_without_end_are_windows() {
        let mut window = Window::new(Duration::from_nanos(1));
        window.on_succeeded(at(1));
        assert_eq!(window.on_failed(at(2)), Count { succeeded: 0, failed: 1 });
        let mut window = Window::new(Duration::MAX);
        window.on_succeeded(at(1));
        assert_eq!(window.on_failed(at(1_000_000)), Count { succeeded: 1, failed: 1 });
    }
}
