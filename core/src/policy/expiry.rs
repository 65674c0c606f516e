//! When it is time to warn that a certificate expires: from a week before on, or when two thirds of a short life are over, once a day.

use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// From so long before the end on, at the earliest.
const AHEAD: Duration = Duration::from_secs(7 * 86_400);

/// From when to when something may be used; since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) begins: Duration,
    pub(crate) ends: Duration,
}

impl Validity {
    /// From then on it ought to have been replaced. Certificates that live for a day are replaced each day, and that is no news.
    fn is_near_from(&self) -> Duration {
        let ahead = (self.ends.saturating_sub(self.begins) / 3).min(AHEAD);
        self.ends.saturating_sub(ahead)
    }
}

/// What was warned of. Times are since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expiry {
    warned: Option<Duration>,
}

impl Expiry {
    /// Whether to warn now of what ends then. Counts it, if so.
    pub(crate) fn is_due(&mut self, now: Duration, of: Validity) -> bool {
        let is_near = now >= of.is_near_from();
        // A clock that was set back by years must not keep it silent for years.
        let is_said = self.warned.is_some_and(|warned| now < warned + DAY && warned < now + DAY);
        let is_due = is_near && !is_said;
        if is_due {
            self.warned = Some(now);
        }
        is_due
    }

    /// How long from now until it can be due. The clock may be set: a day at most.
    pub(crate) fn look_again_in(&self, now: Duration, of: Validity) -> Duration {
        let again = self.warned.map_or(Duration::ZERO, |warned| warned + DAY);
        match of.is_near_from().max(again).saturating_sub(now) {
            Duration::ZERO => DAY,
            ahead => ahead.min(DAY),
        }
    }
}

/// What is said of an end, after the words for what ends.
pub(crate) fn words(now: Duration, ends: Duration) -> String {
    if ends <= now {
        format!("expired {} ago", length(now - ends))
    } else {
        format!("expires in {}", length(ends - now))
    }
}

/// For people, in days where there are two or more.
pub(crate) fn length(length: Duration) -> String {
    let seconds = length.as_secs();
    let (number, unit) = match seconds {
        172_800.. => (seconds / 86_400, "days"),
        7_200.. => (seconds / 3_600, "hours"),
        120.. => (seconds / 60, "minutes"),
        _ => (seconds, "seconds"),
    };
    format!("{number} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDS: Duration = Duration::from_secs(100 * 86_400);
    const OF: Validity = Validity { begins: Duration::ZERO, ends: ENDS };

    fn day(number: f64) -> Duration {
        DAY.mul_f64(number)
    }

    #[test]
    fn it_is_warned_of_a_week_before_and_each_day_from_then_on() {
        let mut expiry = Expiry::default();
        let mut due = |at: f64| expiry.is_due(day(at), OF);
        assert!(!due(92.9));
        assert!(due(93.0));
        assert!(!due(93.1) && !due(93.9));
        assert!(due(94.0));
        assert!(!due(94.5));
        assert!(due(120.0), "after its end too");
        assert!(!due(120.5));
    }

    #[test]
    fn of_a_short_life_a_third_is_near_its_end() {
        let of = Validity { begins: day(10.0), ends: day(10.9) };
        assert!(!Expiry::default().is_due(day(10.59), of));
        assert!(Expiry::default().is_due(day(10.61), of));
        assert!(Expiry::default().look_again_in(day(10.5), of) <= day(0.11));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_silence_it() {
        let mut expiry = Expiry::default();
        assert!(expiry.is_due(day(99.0), OF));
        assert!(!expiry.is_due(day(98.9), OF));
        assert!(expiry.is_due(day(95.0), OF));
    }

    #[test]
    fn it_is_looked_at_when_it_can_be_due_and_each_day_at_the_least() {
        let mut expiry = Expiry::default();
        assert_eq!(expiry.look_again_in(day(0.0), OF), DAY);
        assert_eq!(expiry.look_again_in(day(92.5), OF), day(0.5));
        assert!(expiry.is_due(day(93.0), OF));
        assert_eq!(expiry.look_again_in(day(93.0), OF), DAY);
        assert_eq!(expiry.look_again_in(day(93.75), OF), day(0.25));
        assert_eq!(expiry.look_again_in(day(101.0), OF), DAY);
    }

    #[test]
    fn what_is_said_has_one_unit() {
        assert_eq!(words(day(94.0), ENDS), "expires in 6 days");
        assert_eq!(words(day(99.5), ENDS), "expires in 12 hours");
        assert_eq!(words(ENDS, ENDS), "expired 0 seconds ago");
        assert_eq!(words(day(103.0), ENDS), "expired 3 days ago");
    }
}
