//! When it is time to warn that a certificate expires: from a week before on, once a day.

use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

/// From so long before the end on.
const AHEAD: Duration = Duration::from_secs(7 * 86_400);

/// What was warned of. Times are since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expiry {
    warned: Option<Duration>,
}

impl Expiry {
    /// Whether to warn now of what ends then. Counts it, if so.
    pub(crate) fn is_due(&mut self, now: Duration, ends: Duration) -> bool {
        let is_near = now + AHEAD >= ends;
        // A clock that was set back by years must not keep it silent for years.
        let is_said = self.warned.is_some_and(|warned| now < warned + DAY && warned < now + DAY);
        let is_due = is_near && !is_said;
        if is_due {
            self.warned = Some(now);
        }
        is_due
    }

    /// How long from now until it can be due. The clock may be set: a day at most.
    pub(crate) fn look_again_in(now: Duration, ends: Duration) -> Duration {
        match ends.saturating_sub(now + AHEAD) {
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

    fn day(number: f64) -> Duration {
        DAY.mul_f64(number)
    }

    #[test]
    fn it_is_warned_of_a_week_before_and_each_day_from_then_on() {
        let mut expiry = Expiry::default();
        let mut due = |at: f64| expiry.is_due(day(at), ENDS);
        assert!(!due(92.9));
        assert!(due(93.0));
        assert!(!due(93.1) && !due(93.9));
        assert!(due(94.0));
        assert!(!due(94.5));
        assert!(due(120.0), "after its end too");
        assert!(!due(120.5));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_silence_it() {
        let mut expiry = Expiry::default();
        assert!(expiry.is_due(day(99.0), ENDS));
        assert!(!expiry.is_due(day(98.9), ENDS));
        assert!(expiry.is_due(day(95.0), ENDS));
    }

    #[test]
    fn it_is_looked_at_when_the_week_begins_and_each_day_at_the_least() {
        assert_eq!(Expiry::look_again_in(day(0.0), ENDS), DAY);
        assert_eq!(Expiry::look_again_in(day(92.5), ENDS), day(0.5));
        assert_eq!(Expiry::look_again_in(day(93.0), ENDS), DAY);
        assert_eq!(Expiry::look_again_in(day(101.0), ENDS), DAY);
    }

    #[test]
    fn what_is_said_has_one_unit() {
        assert_eq!(words(day(94.0), ENDS), "expires in 6 days");
        assert_eq!(words(day(99.5), ENDS), "expires in 12 hours");
        assert_eq!(words(ENDS, ENDS), "expired 0 seconds ago");
        assert_eq!(words(day(103.0), ENDS), "expired 3 days ago");
    }
}
