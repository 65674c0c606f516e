//! When a channel nobody uses goes IDLE ([CONN-10] to [CONN-16]).
//!
//! The time counts from the end of the last call, or from leaving IDLE when no call was made since. Nothing is told at the start or end of
//! a call: the room asks when it looks, and looks no later than the earliest time at which the channel could be due.

use std::time::Duration;

use crate::time::Time;

/// One channel's idleness.
#[derive(Debug)]
pub(crate) struct Idle {
    /// `None` is never.
    timeout: Option<Duration>,
    /// When to look; set exactly while the channel is not IDLE.
    look_at: Option<Time>,
}

/// What a channel's calls do, at the time of a look.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Activity {
    /// Whether a call runs or waits ([CONN-12]).
    pub(crate) has_calls: bool,
    /// When the last call ended.
    pub(crate) last_ended: Option<Time>,
}

impl Idle {
    pub(crate) fn new(timeout: Option<Duration>) -> Self {
        Self { timeout, look_at: None }
    }

    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.look_at
    }

    /// The channel left IDLE, for a call or because it was asked to connect ([CONN-13]).
    pub(crate) fn on_left_idle(&mut self, now: Time) {
        self.look_at = self.timeout.map(|timeout| now + timeout);
    }

    /// Whether it is time to go IDLE.
    pub(crate) fn on_time(&mut self, now: Time, activity: Activity) -> bool {
        let (Some(timeout), Some(look_at)) = (self.timeout, self.look_at) else { return false };
        if look_at > now {
            return false;
        }
        // A call that runs ends now at the earliest, and the time counts from then.
        let quiet_since = if activity.has_calls { Some(now) } else { activity.last_ended };
        let due = quiet_since.map_or(look_at, |since| look_at.max(since + timeout));
        self.look_at = (due > now).then_some(due);
        self.look_at.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_start(Duration::from_secs(seconds))
    }

    fn idle() -> Idle {
        let mut idle = Idle::new(Some(Duration::from_secs(10)));
        idle.on_left_idle(at(100));
        idle
    }

    fn quiet_since(seconds: u64) -> Activity {
        Activity { has_calls: false, last_ended: Some(at(seconds)) }
    }

    const NEVER_USED: Activity = Activity { has_calls: false, last_ended: None };
    const BUSY: Activity = Activity { has_calls: true, last_ended: None };

    /// [CONN-13]
    #[test]
    fn a_channel_that_was_only_connected_goes_idle_too() {
        let mut idle = idle();
        assert!(!idle.on_time(at(109), NEVER_USED));
        assert!(idle.on_time(at(110), NEVER_USED));
        assert_eq!(idle.next_deadline(), None);
    }

    /// [CONN-12]
    #[test]
    fn the_time_counts_from_the_end_of_the_last_call() {
        let mut idle = idle();
        assert!(!idle.on_time(at(110), quiet_since(104)));
        assert_eq!(idle.next_deadline(), Some(at(114)));
        assert!(idle.on_time(at(114), quiet_since(104)));
    }

    /// [CONN-12]
    #[test]
    fn while_a_call_runs_or_waits_the_channel_stays() {
        let mut idle = idle();
        for look in [110, 120, 130] {
            assert!(!idle.on_time(at(look), BUSY));
            assert_eq!(idle.next_deadline(), Some(at(look + 10)));
        }
        // It ended just after the look before.
        assert!(!idle.on_time(at(140), quiet_since(131)));
        assert!(idle.on_time(at(141), quiet_since(131)));
    }

    #[test]
    fn calls_of_an_earlier_life_do_not_shorten_this_one() {
        let mut idle = idle();
        assert!(!idle.on_time(at(105), quiet_since(1)));
        assert!(idle.on_time(at(110), quiet_since(1)));
    }

    /// [CONN-11]
    #[test]
    fn without_a_timeout_nothing_is_looked_at() {
        let mut idle = Idle::new(None);
        idle.on_left_idle(at(1));
        assert_eq!(idle.next_deadline(), None);
        assert!(!idle.on_time(at(1_000_000), NEVER_USED));
    }
}
