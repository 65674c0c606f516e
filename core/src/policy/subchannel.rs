//! The life of one address: when it may be dialed, and when again.
//!
//! ```text
//!            connect requested              usable
//!   IDLE ───────────────────▶ CONNECTING ───────────▶ READY ◀─┐
//!    ▲                            │                     │  │   │ further ones are dialed beside the
//!    │ backoff over               │ failed              │  └───┘ connection there is
//!    └──── TRANSIENT_FAILURE ◀────┘                     │
//!    ▲                                                  │ the last is lost, or GOAWAY
//!    └──────────────────────────────────────────────────┘
//! ```
//!
//! The state follows from what there is: connections, a dial, a wait ([CONN-129]). So the last connection, lost while another one is
//! being dialed, leaves CONNECTING behind, and lost after another one failed, TRANSIENT_FAILURE.

use std::time::Duration;

use super::backoff::{Backoff, BackoffOptions};
use crate::state::State;
use crate::time::Time;

/// How an address is dialed; the same for all of a channel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct DialRules {
    pub(crate) backoff: BackoffOptions,
    /// The least time a dial gets.
    pub(crate) connect_timeout: Duration,
    /// Whether a dial gets as long as the wait that would follow its failure, when that is longer ([CONN-41]).
    pub(crate) timeout_grows_with_backoff: bool,
    /// The wait after a failed dial while calls arrive; `None` is the backoff's.
    pub(crate) probe_interval: Option<Duration>,
}

/// One address and its backoff ([CONN-34]).
#[derive(Debug)]
pub(crate) struct Subchannel {
    backoff: Backoff,
    /// How many connections calls may use.
    connections: u32,
    /// Whether a dial is under way, of the first connection or of a further one.
    is_dialing: bool,
    /// When the running or last dial started.
    dial_started: Time,
    /// When the next dial may start; set exactly while none may ([CONN-31]).
    retry_at: Option<Time>,
    /// Whether that wait follows no failure: calls may wait for it.
    is_resting: bool,
    /// Connections in a row that were gone again at once, without an answer to anything.
    fruitless: u32,
}

/// Start a dial, and give it up at this time.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DialOrder {
    pub(crate) deadline: Time,
}

/// What a connection was good for before it was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The server had answered a call on it.
    HadAnswered,
    /// The server said goodbye, with nothing being wrong, before any call was made on it.
    SentAwayUnused,
    /// Neither.
    Fruitless,
}

/// A connection that lives as long as this was worth dialing, whatever it was used for.
const FRUITLESS: Duration = Duration::from_secs(1);

impl Subchannel {
    pub(crate) fn new() -> Self {
        Self {
            backoff: Backoff::default(),
            connections: 0,
            is_dialing: false,
            dial_started: Time::ZERO,
            retry_at: None,
            is_resting: false,
            fruitless: 0,
        }
    }

    pub(crate) fn state(&self) -> State {
        match self {
            Self { connections: 1.., .. } => State::Ready,
            Self { is_dialing: true, .. } => State::Connecting,
            Self { retry_at: Some(_), is_resting: false, .. } => State::TransientFailure,
            _ => State::Idle,
        }
    }

    /// How many dials have failed in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.backoff.failures()
    }

    /// When to call [`Subchannel::on_time`].
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.retry_at
    }

    /// Whether a dial may start, of the first connection or of a further one: one at a time, and none during a wait ([CONN-30], [CONN-55],
    /// [CONN-124]).
    pub(crate) fn may_dial(&self) -> bool {
        !self.is_dialing && self.retry_at.is_none()
    }

    /// A dial starts. Only where it may.
    pub(crate) fn on_dial_started(&mut self, now: Time, rules: &DialRules) -> DialOrder {
        self.is_dialing = true;
        self.dial_started = now;
        let longest = if rules.timeout_grows_with_backoff { self.backoff.base(&rules.backoff) } else { Duration::ZERO };
        DialOrder { deadline: now + rules.connect_timeout.max(longest) }
    }

    /// A connection is usable: the server's SETTINGS arrived ([CONN-40]).
    pub(crate) fn on_dial_succeeded(&mut self) {
        self.is_dialing = false;
        self.connections += 1;
        // [CONN-43], unless the last ones came to nothing.
        if self.fruitless == 0 {
            self.backoff.on_reset();
        }
    }

    /// The dial failed; `unit` is a random fraction. While calls arrive the wait is the probe's, if that is shorter.
    pub(crate) fn on_dial_failed(&mut self, now: Time, rules: &DialRules, calls_arrive: bool, unit: f64) {
        (self.is_dialing, self.is_resting) = (false, false);
        let wait = self.backoff.on_failure(&rules.backoff, unit);
        let probe = rules.probe_interval.filter(|_| calls_arrive).unwrap_or(wait);
        // [CONN-52]: the wait counts from the start of the attempt.
        self.retry_at = Some(now.max(self.dial_started + wait.min(probe)));
    }

    /// A call waits, or failed for want of a connection: the address is probed as soon as probes may follow each other.
    pub(crate) fn on_call_waits(&mut self, now: Time, rules: &DialRules) {
        if let (Some(retry_at), Some(interval)) = (&mut self.retry_at, rules.probe_interval) {
            *retry_at = (*retry_at).min(now.max(self.dial_started + interval));
        }
    }

    /// A connection takes no more calls because we want it so: another one has its place, or it was not used.
    pub(crate) fn on_connection_let_go(&mut self) {
        self.connections -= 1;
    }

    /// A connection, `lived` old, ended or is draining. No backoff: it was reset when the connection became usable ([CONN-32],
    /// [CONN-33]).
    ///
    /// A server that accepts and drops connections one after the other would be dialed without a pause, so from the second
    /// in a row that lived less than a second and answered nothing, the wait of a failed dial follows ([CONN-82]). The first
    /// is let pass: a server that is going away may refuse one call, and that call must find the next server at once. A server that
    /// sends connections away which nobody has used lets nobody down: the address rests for the first wait, is IDLE meanwhile, and
    /// does not count it as a failure.
    pub(crate) fn on_connection_lost(&mut self, now: Time, lived: Duration, how: Loss, rules: &DialRules, unit: f64) {
        self.connections -= 1;
        if how == Loss::HadAnswered || lived >= FRUITLESS {
            self.fruitless = 0;
        } else {
            self.fruitless += 1;
        }
        if self.fruitless > 1 && !self.is_dialing {
            if how == Loss::SentAwayUnused {
                self.is_resting = true;
                self.retry_at = Some(now.max(self.dial_started + Backoff::pause(&rules.backoff, unit)));
            } else {
                // Whether calls arrive does not matter: it is their server that lets them down.
                self.on_dial_failed(now, rules, false, unit);
            }
        }
    }

    /// Time passed. Whether a wait is over.
    pub(crate) fn on_time(&mut self, now: Time) -> bool {
        self.retry_at.take_if(|at| *at <= now).is_some()
    }

    /// The user asked to forget the backoff ([CONN-56]). A dial in flight is not disturbed. Whether a wait is over.
    pub(crate) fn on_backoff_reset(&mut self) -> bool {
        self.backoff.on_reset();
        self.retry_at.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: f64) -> Duration {
        Duration::from_secs_f64(count)
    }

    fn at(count: f64) -> Time {
        Time::from_start(seconds(count))
    }

    fn rules() -> DialRules {
        DialRules {
            backoff: BackoffOptions::default(),
            connect_timeout: Duration::from_secs(20),
            timeout_grows_with_backoff: true,
            probe_interval: None,
        }
    }

    fn subchannel() -> Subchannel {
        Subchannel::new()
    }

    fn start(subchannel: &mut Subchannel, now: Time, rules: &DialRules) -> DialOrder {
        assert!(subchannel.may_dial());
        subchannel.on_dial_started(now, rules)
    }

    fn fail_at(subchannel: &mut Subchannel, started: f64, failed: f64) {
        start(subchannel, at(started), &rules());
        subchannel.on_dial_failed(at(failed), &rules(), false, 0.5);
    }

    /// [CONN-41]
    #[test]
    fn a_dial_has_at_least_the_connect_timeout() {
        assert_eq!(start(&mut subchannel(), at(5.0), &rules()), DialOrder { deadline: at(25.0) });
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
        assert_eq!(start(&mut subchannel, at(10_000.0), &rules()), DialOrder { deadline: at(10_120.0) });
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
        start(&mut subchannel, at(0.0), &rules());
        assert!(!subchannel.may_dial());
        subchannel.on_dial_failed(at(0.2), &rules(), false, 0.5);
        assert!(!subchannel.may_dial());
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
        start(&mut subchannel, at(1.0), &rules());
        subchannel.on_dial_succeeded();
        subchannel.on_connection_lost(at(1.1), seconds(0.1), Loss::HadAnswered, &rules(), 0.5);
        fail_at(&mut subchannel, 2.0, 2.0);
        assert_eq!(subchannel.next_deadline(), Some(at(3.0)));
    }

    /// [CONN-82]
    #[test]
    fn an_address_whose_server_sends_unused_connections_away_rests_and_has_not_failed() {
        let mut subchannel = subchannel();
        for now in [0.0, 0.1, 1.1, 2.1] {
            start(&mut subchannel, at(now), &rules());
            subchannel.on_dial_succeeded();
            subchannel.on_connection_lost(at(now), Duration::ZERO, Loss::SentAwayUnused, &rules(), 0.5);
            assert_eq!(subchannel.state(), State::Idle);
            let rests_until = subchannel.next_deadline();
            assert_eq!(rests_until, (now > 0.0).then(|| at(now + 1.0)), "the first is free");
            assert!(rests_until.is_none_or(|at| subchannel.on_time(at)));
        }
        fail_at(&mut subchannel, 3.1, 3.2);
        assert_eq!((subchannel.state(), subchannel.next_deadline()), (State::TransientFailure, Some(at(4.1))));
    }

    fn lose_at_once(subchannel: &mut Subchannel, now: f64) {
        start(subchannel, at(now), &rules());
        subchannel.on_dial_succeeded();
        subchannel.on_connection_lost(at(now), Duration::ZERO, Loss::Fruitless, &rules(), 0.5);
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
        for (lost_at, how) in [(5.1, Loss::HadAnswered), (6.0, Loss::Fruitless)] {
            let mut subchannel = subchannel();
            lose_at_once(&mut subchannel, 0.0);
            start(&mut subchannel, at(5.0), &rules());
            subchannel.on_dial_succeeded();
            subchannel.on_connection_lost(at(lost_at), seconds(lost_at - 5.0), how, &rules(), 0.5);
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
        start(&mut subchannel, at(0.1), &rules());
        assert!(!subchannel.on_backoff_reset());
        assert_eq!(subchannel.state(), State::Connecting);
    }

    /// [CONN-129]
    #[test]
    fn a_connection_lost_while_its_successor_is_dialed_leaves_connecting() {
        let mut subchannel = subchannel();
        start(&mut subchannel, at(0.0), &rules());
        subchannel.on_dial_succeeded();
        assert_eq!(start(&mut subchannel, at(5.0), &rules()), DialOrder { deadline: at(25.0) });
        assert_eq!(subchannel.state(), State::Ready);
        assert!(!subchannel.may_dial(), "one at a time");
        subchannel.on_connection_lost(at(6.0), seconds(5.9), Loss::HadAnswered, &rules(), 0.5);
        assert_eq!(subchannel.state(), State::Connecting);
        subchannel.on_dial_succeeded();
        assert_eq!(subchannel.state(), State::Ready);
    }

    /// [CONN-129], [CONN-125]
    #[test]
    fn a_failed_successor_leaves_the_connection_and_a_wait_behind() {
        let mut subchannel = subchannel();
        start(&mut subchannel, at(0.0), &rules());
        subchannel.on_dial_succeeded();
        start(&mut subchannel, at(5.0), &rules());
        subchannel.on_dial_failed(at(5.2), &rules(), false, 0.5);
        assert_eq!((subchannel.state(), subchannel.next_deadline()), (State::Ready, Some(at(6.0))));
        assert!(!subchannel.may_dial());
        subchannel.on_connection_lost(at(5.6), seconds(5.5), Loss::HadAnswered, &rules(), 0.5);
        assert_eq!(subchannel.state(), State::TransientFailure);
        assert!(subchannel.on_time(at(6.0)));
        assert_eq!(subchannel.state(), State::Idle);
    }

    /// [CONN-129], [CONN-32]
    #[test]
    fn a_connection_of_several_leaves_the_others() {
        let mut subchannel = subchannel();
        for now in [0.0, 1.0, 2.0] {
            start(&mut subchannel, at(now), &rules());
            subchannel.on_dial_succeeded();
        }
        subchannel.on_connection_lost(at(9.0), seconds(9.0), Loss::HadAnswered, &rules(), 0.5);
        subchannel.on_connection_let_go();
        assert_eq!((subchannel.state(), subchannel.may_dial()), (State::Ready, true));
        subchannel.on_connection_lost(at(9.0), seconds(7.0), Loss::HadAnswered, &rules(), 0.5);
        assert_eq!(subchannel.state(), State::Idle);
    }

    fn probing() -> DialRules {
        DialRules { timeout_grows_with_backoff: false, probe_interval: Some(Duration::from_millis(500)), ..rules() }
    }

    #[test]
    fn while_calls_arrive_an_address_is_probed_however_often_it_failed() {
        let mut subchannel = subchannel();
        let mut now = 0.0;
        for _ in 0..10 {
            start(&mut subchannel, at(now), &probing());
            subchannel.on_dial_failed(at(now + 0.1), &probing(), true, 0.5);
            now += 0.5;
            assert_eq!(subchannel.next_deadline(), Some(at(now)));
            assert!(subchannel.on_time(at(now)));
        }
        assert_eq!(
            start(&mut subchannel, at(now), &probing()),
            DialOrder { deadline: at(now + 20.0) },
            "and a dial gets no longer for it"
        );
    }

    #[test]
    fn a_call_shortens_the_wait_of_a_channel_nobody_used() {
        let mut subchannel = subchannel();
        start(&mut subchannel, at(0.0), &probing());
        subchannel.on_dial_failed(at(0.1), &probing(), false, 0.5);
        assert_eq!(subchannel.next_deadline(), Some(at(1.0)));
        subchannel.on_call_waits(at(0.2), &probing());
        assert_eq!(subchannel.next_deadline(), Some(at(0.5)));
        subchannel.on_call_waits(at(0.7), &probing());
        assert_eq!(subchannel.next_deadline(), Some(at(0.5)), "never later");
    }

    /// [CONN-55]
    #[test]
    fn without_probes_a_call_shortens_nothing() {
        let mut subchannel = subchannel();
        fail_at(&mut subchannel, 0.0, 0.1);
        subchannel.on_call_waits(at(0.2), &rules());
        assert_eq!(subchannel.next_deadline(), Some(at(1.0)));
    }
}
