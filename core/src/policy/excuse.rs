//! A deadline after which somebody is given up, and the excuse of a process that did not run when it passed.
//!
//! A process that was stopped, or whose loop was held up, could not read what came meanwhile. When it finds the deadline long past it
//! reads first, and asks again a little later.

use std::time::Duration;

use crate::time::Time;

/// A timer that fires this late did not fire late by chance.
pub(super) const FROZEN: Duration = Duration::from_secs(5);

/// What waits in the socket is read in far less.
const READING: Duration = Duration::from_secs(1);

/// When somebody is given up.
#[derive(Debug)]
pub(super) struct Deadline {
    at: Time,
    is_excused: bool,
}

impl Deadline {
    pub(super) fn new(at: Time) -> Self {
        Self { at, is_excused: false }
    }

    pub(super) fn at(&self) -> Time {
        self.at
    }

    /// Whether it has passed. The first time it is asked far too late it moves a little instead.
    pub(super) fn is_over(&mut self, now: Time) -> bool {
        if now < self.at {
            return false;
        }
        if now.since(self.at) >= FROZEN && !self.is_excused {
            *self = Self { at: now + READING, is_excused: true };
            return false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_start(Duration::from_secs(seconds))
    }

    #[test]
    fn it_is_over_when_it_has_passed() {
        let mut deadline = Deadline::new(at(10));
        assert!(!deadline.is_over(at(9)));
        assert!(deadline.is_over(at(10)));
        assert!(Deadline::new(at(10)).is_over(at(14)));
    }

    #[test]
    fn it_is_excused_once() {
        let mut deadline = Deadline::new(at(10));
        assert!(!deadline.is_over(at(15)));
        assert_eq!(deadline.at(), at(16));
        assert!(!deadline.is_over(at(15)));
        assert!(deadline.is_over(at(60)), "and not twice");
    }
}
