//! How servers police pings ([CONN-110]).

use std::time::Duration;

use crate::time::Time;

/// What a server allows; the defaults are those of gRPC's servers.
#[derive(Clone, Debug)]
pub(crate) struct Policing {
    pub(crate) min_time: Duration,
    pub(crate) permits_without_calls: bool,
    pub(crate) max_strikes: u32,
}

impl Default for Policing {
    fn default() -> Self {
        Self { min_time: Duration::from_secs(300), permits_without_calls: false, max_strikes: 2 }
    }
}

/// How far apart pings must be when no call is open and none are permitted then.
const WITHOUT_CALLS: Duration = Duration::from_secs(2 * 3600);

/// The strikes of one connection.
#[derive(Debug)]
pub(super) struct Police {
    rules: Policing,
    strikes: u32,
    /// `None` is long ago.
    last_valid: Option<Time>,
}

impl Police {
    pub(super) fn new(rules: Policing) -> Self {
        Self { rules, strikes: 0, last_valid: None }
    }

    /// Whether the client has misbehaved once too often.
    pub(super) fn on_ping(&mut self, now: Time, has_calls: bool) -> bool {
        let gap = if has_calls || self.rules.permits_without_calls { self.rules.min_time } else { WITHOUT_CALLS };
        if self.last_valid.is_some_and(|last| last + gap > now) {
            self.strikes += 1;
            return self.strikes > self.rules.max_strikes;
        }
        self.last_valid = Some(now);
        false
    }

    /// HEADERS or DATA were sent.
    pub(super) fn on_sent(&mut self) {
        self.strikes = 0;
        self.last_valid = None;
    }
}
