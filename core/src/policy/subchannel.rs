//! The life of one address: when it may be dialed, and when again.
//!
//! ```text
//!            connect requested              usable
//!   IDLE ───────────────────▶ CONNECTING ───────────▶ READY
//!    ▲                            │                     │
//!    │ backoff over               │ failed              │ lost, or GOAWAY
//!    └──── TRANSIENT_FAILURE ◀────┘                     │
//!    ▲                                                  │
//!    └──────────────────────────────────────────────────┘
//! ```

use std::time::Duration;

use super::backoff::{Backoff, BackoffOptions};
use crate::state::State;
use crate::time::Time;

/// One address and its backoff ([CONN-34]).
#[derive(Debug)]
pub(crate) struct Subchannel {
    state: State,
    backoff: Backoff,
    min_connect_timeout: Duration,
    /// When the running or last dial started.
    dial_started: Time,
    /// When TRANSIENT_FAILURE ends; set exactly while in it ([CONN-31]).
    retry_at: Option<Time>,
    /// When the connection became usable.
    ready_since: Time,
    /// Connections in a row that were gone again at once, without an answer to anything.
    fruitless: u32,
}

/// Start a dial, and give it up at this time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DialOrder {
    pub(crate) deadline: Time,
}

/// A connection that lives as long as this was worth dialing, whatever it was used for.
const FRUITLESS: Duration = Duration::from_secs(1);

impl Subchannel {
    pub(crate) fn new(backoff: BackoffOptions, min_connect_timeout: Duration) -> Self {
        Self {
            state: State::Idle,
            backoff: Backoff::new(backoff),
            min_connect_timeout,
            dial_started: Time::ZERO,
            retry_at: None,
            ready_since: Time::ZERO,
            fruitless: 0,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// When to call [`Subchannel::on_time`].
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.retry_at
    }

    /// The balancing policy asks for a connection. Honoured only in IDLE ([CONN-30], [CONN-55]).
    pub(crate) fn on_connect_requested(&mut self, now: Time) -> Option<DialOrder> {
        if self.state != State::Idle {
            return None;
        }
        self.state = State::Connecting;
        self.dial_started = now;
        // [CONN-41]: never shorter than the wait that would follow a failure.
        Some(DialOrder { deadline: now + self.min_connect_timeout.max(self.backoff.base()) })
    }

    /// The connection is usable: the server's SETTINGS arrived ([CONN-40]).
    pub(crate) fn on_dial_succeeded(&mut self, now: Time) {
        self.state = State::Ready;
        self.ready_since = now;
        // [CONN-43], unless the last ones came to nothing.
        if self.fruitless == 0 {
            self.backoff.on_reset();
        }
    }

    /// The dial failed; `unit` is a random fraction.
    pub(crate) fn on_dial_failed(&mut self, now: Time, unit: f64) {
        self.state = State::TransientFailure;
        // [CONN-52]: the wait counts from the start of the attempt.
        self.retry_at = Some(now.max(self.dial_started + self.backoff.on_failure(unit)));
    }

    /// The connection ended or is draining. No backoff: it was reset when the connection became usable ([CONN-32], [CONN-33]).
    ///
    /// A server that accepts and drops connections one after the other would be dialed without a pause, so from the second
    /// in a row that lived less than a second and answered nothing, the wait of a failed dial follows ([CONN-82]). The first
    /// is let pass: a server that is going away may refuse one call, and that call must find the next server at once.
    pub(crate) fn on_connection_lost(&mut self, now: Time, has_answered: bool, unit: f64) {
        if has_answered || now.since(self.ready_since) >= FRUITLESS {
            self.fruitless = 0;
        } else {
            self.fruitless += 1;
        }
        if self.fruitless > 1 {
            self.on_dial_failed(now, unit);
        } else {
            self.state = State::Idle;
        }
    }

    /// Time passed. Whether the state changed.
    pub(crate) fn on_time(&mut self, now: Time) -> bool {
        let over = self.retry_at.is_some_and(|at| at <= now);
        if over {
            self.retry_at = None;
            self.state = State::Idle;
        }
        over
    }

    /// The user asked to forget the backoff ([CONN-56]). A dial in flight is not disturbed. Whether the state changed.
    pub(crate) fn on_backoff_reset(&mut self) -> bool {
        self.backoff.on_reset();
        let was_waiting = self.retry_at.take().is_some();
        if was_waiting {
            self.state = State::Idle;
        }
        was_waiting
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Time {
        Time::from_start(Duration::from_secs_f64(seconds))
    }

    fn subchannel() -> Subchannel {
        Subchannel::new(BackoffOptions::default(), Duration::from_secs(20))
    }

    fn fail_at(subchannel: &mut Subchannel, started: f64, failed: f64) {
        subchannel.on_connect_requested(at(started)).expect("idle");
        subchannel.on_dial_failed(at(failed), 0.5);
    }

    /// [CONN-41]
    #[test]
    fn a_dial_has_at_least_the_connect_timeout() {
        assert_eq!(subchannel().on_connect_requested(at(5.0)), Some(DialOrder { deadline: at(25.0) }));
    }

    /// [CONN-41]
    #[test]
    fn a_dial_has_as_long_as_the_backoff_when_that_is_longer() {
        let mut subchannel = subchannel();
        let mut now = 0.0;
        for _ in 0..20 {
            fail_at(&mut subchannel, now, now);
            now = subchannel.next_deadline().expect("waiting").since_start().as_secs_f64();
            subchannel.on_time(at(now));
        }
        assert_eq!(subchannel.on_connect_requested(at(10_000.0)), Some(DialOrder { deadline: at(10_120.0) }));
    }

    /// [CONN-52]
    #[test]
    fn the_wait_counts_from_the_start_of_the_attempt() {
        let mut subchannel = subchannel();
        fail_at(&mut subchannel, 10.0, 10.25);
        assert_eq!(subchannel.next_deadline(), Some(at(11.0)));
    }

    /// [CONN-52]
    #[test]
    fn an_attempt_longer_than_its_wait_may_be_repeated_at_once() {
        let mut subchannel = subchannel();
        fail_at(&mut subchannel, 10.0, 30.0);
        assert_eq!(subchannel.next_deadline(), Some(at(30.0)));
    }

    /// [CONN-30], [CONN-55]
    #[test]
    fn nothing_dials_during_a_dial_or_a_backoff() {
        let mut subchannel = subchannel();
        subchannel.on_connect_requested(at(0.0)).expect("idle");
        assert_eq!(subchannel.on_connect_requested(at(0.1)), None);
        subchannel.on_dial_failed(at(0.2), 0.5);
        assert_eq!(subchannel.on_connect_requested(at(0.3)), None);
    }

    /// [CONN-31]
    #[test]
    fn backoff_ends_in_idle_and_not_in_a_dial() {
        let mut subchannel = subchannel();
        fail_at(&mut subchannel, 0.0, 0.0);
        assert!(!subchannel.on_time(at(0.999)));
        assert_eq!(subchannel.state(), State::TransientFailure);
        assert!(subchannel.on_time(at(1.0)));
        assert_eq!(subchannel.state(), State::Idle);
        assert_eq!(subchannel.next_deadline(), None);
    }

    /// [CONN-32], [CONN-43]
    #[test]
    fn a_lost_connection_may_be_replaced_at_once_and_starts_backoff_anew() {
        let mut subchannel = subchannel();
        fail_at(&mut subchannel, 0.0, 0.0);
        subchannel.on_time(at(1.0));
        subchannel.on_connect_requested(at(1.0)).expect("idle");
        subchannel.on_dial_succeeded(at(1.0));
        subchannel.on_connection_lost(at(1.1), true, 0.5);
        fail_at(&mut subchannel, 2.0, 2.0);
        assert_eq!(subchannel.next_deadline(), Some(at(3.0)));
    }

    fn lose_at_once(subchannel: &mut Subchannel, now: f64) {
        subchannel.on_connect_requested(at(now)).expect("idle");
        subchannel.on_dial_succeeded(at(now));
        subchannel.on_connection_lost(at(now), false, 0.5);
    }

    /// [CONN-82]
    #[test]
    fn the_first_fruitless_connection_is_free_and_further_ones_wait_longer_and_longer() {
        let mut subchannel = subchannel();
        lose_at_once(&mut subchannel, 0.0);
        assert_eq!(subchannel.state(), State::Idle);
        lose_at_once(&mut subchannel, 0.0);
        assert_eq!(subchannel.next_deadline(), Some(at(1.0)));
        subchannel.on_time(at(1.0));
        lose_at_once(&mut subchannel, 1.0);
        assert_eq!(subchannel.next_deadline(), Some(at(2.6)));
    }

    /// [CONN-82]
    #[test]
    fn a_connection_that_answered_or_lasted_forgives_the_fruitless_ones() {
        for (lost_at, has_answered) in [(5.1, true), (6.0, false)] {
            let mut subchannel = subchannel();
            lose_at_once(&mut subchannel, 0.0);
            subchannel.on_connect_requested(at(5.0)).expect("idle");
            subchannel.on_dial_succeeded(at(5.0));
            subchannel.on_connection_lost(at(lost_at), has_answered, 0.5);
            lose_at_once(&mut subchannel, 7.0);
            assert_eq!(subchannel.state(), State::Idle);
        }
    }

    /// [CONN-56]
    #[test]
    fn a_backoff_reset_frees_a_waiting_subchannel_and_leaves_a_dial_alone() {
        let mut subchannel = subchannel();
        fail_at(&mut subchannel, 0.0, 0.0);
        assert!(subchannel.on_backoff_reset());
        assert_eq!(subchannel.state(), State::Idle);
        subchannel.on_connect_requested(at(0.1)).expect("idle");
        assert!(!subchannel.on_backoff_reset());
        assert_eq!(subchannel.state(), State::Connecting);
    }
}
