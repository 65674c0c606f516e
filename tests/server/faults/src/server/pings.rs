//! How a gRPC server judges PINGs: A8, [CONN-110].

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a server allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PingPolicy {
    /// A8's PERMIT_KEEPALIVE_TIME.
    pub min_time_ms: u64,
    /// A8's PERMIT_KEEPALIVE_WITHOUT_CALLS.
    pub without_calls: bool,
}

impl Default for PingPolicy {
    /// The defaults of A8 and of every implementation.
    fn default() -> Self {
        Self { min_time_ms: 300_000, without_calls: false }
    }
}

/// The gap asked for when no call is open and such pings are not permitted.
const WITHOUT_CALLS_MS: u64 = 2 * 3600 * 1000;
const MOST_STRIKES: u32 = 2;

/// One connection's record. Times are the connection's own: the length since it was opened.
#[derive(Debug, Default)]
pub(super) struct Pings {
    strikes: u32,
    last_valid: Option<Duration>,
}

impl Pings {
    /// Whether this PING is the one too many.
    pub(super) fn on_ping(&mut self, policy: PingPolicy, now: Duration, has_streams: bool) -> bool {
        let wanted = if has_streams || policy.without_calls { policy.min_time_ms } else { WITHOUT_CALLS_MS };
        if self.last_valid.is_some_and(|last| now < last + Duration::from_millis(wanted)) {
            self.strikes += 1;
        } else {
            self.last_valid = Some(now);
        }
        self.strikes > MOST_STRIKES
    }

    /// HEADERS or DATA were sent: the client may ask again.
    pub(super) fn on_sent(&mut self) {
        *self = Self::default();
    }

    pub(super) fn strikes(&self) -> u32 {
        self.strikes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// [CONN-110], [CONN-111]: one valid PING and two strikes are borne, the third strike is not.
    #[test]
    fn the_fourth_ping_in_five_minutes_is_one_too_many() {
        let mut pings = Pings::default();
        for (second, is_too_many) in [(0, false), (10, false), (20, false), (30, true)] {
            assert_eq!(pings.on_ping(PingPolicy::default(), at(second), true), is_too_many, "at {second} s");
        }
    }

    #[test]
    fn what_was_sent_forgives_and_a_long_gap_is_valid() {
        let mut pings = Pings::default();
        for second in 0..3 {
            assert!(!pings.on_ping(PingPolicy::default(), at(second), true));
        }
        assert_eq!(pings.strikes(), 2);
        pings.on_sent();
        assert_eq!(pings.strikes(), 0);
        for five_minutes in 0..10 {
            assert!(!pings.on_ping(PingPolicy::default(), at(1_000 + 300 * five_minutes), true));
        }
        assert_eq!(pings.strikes(), 0);
    }

    #[test]
    fn without_calls_two_hours_must_pass_unless_permitted() {
        let (mut strict, mut lenient) = (Pings::default(), Pings::default());
        let permitted = PingPolicy { without_calls: true, ..PingPolicy::default() };
        for minutes in [0, 6, 12] {
            assert!(!strict.on_ping(PingPolicy::default(), at(60 * minutes), false));
            assert!(!lenient.on_ping(permitted, at(60 * minutes), false));
        }
        assert!(strict.on_ping(PingPolicy::default(), at(18 * 60), false));
        assert!(!lenient.on_ping(permitted, at(18 * 60), false));
        assert_eq!(lenient.strikes(), 0);
    }
}
