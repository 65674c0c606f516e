//! When a connection is pinged to see whether its server still lives, and when it is given up (A8, [CONN-90] to [CONN-102]).
//!
//! ```text
//! quiet ── keepalive time passed since the last byte read, and it is in use ──▶ PING ── timeout passed ──▶ dead
//!   ▲                                                                             │
//!   └───────────────────────────────── any byte read ────────────────────────────┘
//! ```
//!
//! A connection that is not in use, and need not be pinged then, has no deadline; when a stream opens on it after its time it is pinged
//! at once.
//!
//! A server that polices PINGs counts those between two of its own HEADERS or DATA frames. Once one has complained, a channel's new
//! connections send one there, and further ones only as rarely as servers allow by default.

use std::time::Duration;

use super::excuse::Deadline;
use crate::time::Time;

/// The parameters of keepalive; each is an option of the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeepaliveOptions {
    /// How long nothing may be read before a PING.
    pub(crate) time: Duration,
    /// How long nothing may be read after it before the connection is given up.
    pub(crate) timeout: Duration,
    /// Whether to ping while no stream is open.
    pub(crate) without_calls: bool,
    /// Whether a server has complained of PINGs.
    pub(crate) is_policed: bool,
}

/// Servers by default want 5 minutes between two PINGs while a stream is open, and two hours while none is ([CONN-110], [CONN-111]). A
/// tenth is added, because what is sent evenly does not arrive so.
const ALLOWED_IN_USE: Duration = Duration::from_secs(330);
const ALLOWED_IDLE: Duration = Duration::from_secs(7_920);

/// What follows from an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeepaliveStep {
    Nothing,
    Ping,
    /// The connection is dead; nothing was read for so long.
    Dead(Duration),
}

/// One connection's keepalive.
#[derive(Debug)]
pub(crate) struct Keepalive {
    options: KeepaliveOptions,
    last_read: Time,
    /// The last PING since the server's last headers or data, whatever it was for.
    last_ping: Option<Time>,
    /// Set while a PING waits for any byte: when it has waited long enough.
    dead_at: Option<Deadline>,
}

impl Keepalive {
    pub(crate) fn new(options: KeepaliveOptions, now: Time) -> Self {
        Self { options, last_read: now, last_ping: None, dead_at: None }
    }

    /// [CONN-92]: any byte is life; `has_answer` is whether headers or data were among them. Says whether the next deadline may be earlier
    /// than the last.
    pub(crate) fn on_bytes_read(&mut self, now: Time, has_answer: bool) -> bool {
        self.last_read = now;
        let is_allowed = self.last_ping.take_if(|_| has_answer).is_some() && self.options.is_policed;
        self.dead_at.take().is_some() || is_allowed
    }

    /// A PING was sent, for whatever purpose: servers count them all.
    pub(crate) fn on_ping_sent(&mut self, now: Time) {
        self.last_ping = Some(now);
    }

    /// [CONN-93]: the time goes on while the connection is not in use.
    pub(crate) fn on_stream_opened(&mut self, now: Time) -> KeepaliveStep {
        if self.dead_at.is_none() && self.ping_at(true) <= now { self.ping(now) } else { KeepaliveStep::Nothing }
    }

    pub(crate) fn on_time(&mut self, now: Time, is_in_use: bool) -> KeepaliveStep {
        if let Some(dead_at) = &mut self.dead_at {
            let is_dead = dead_at.is_over(now);
            return if is_dead { KeepaliveStep::Dead(now.since(self.last_read)) } else { KeepaliveStep::Nothing };
        }
        if self.pings_when(is_in_use) && self.ping_at(is_in_use) <= now {
            self.ping(now)
        } else {
            KeepaliveStep::Nothing
        }
    }

    pub(crate) fn next_deadline(&self, is_in_use: bool) -> Option<Time> {
        match &self.dead_at {
            Some(dead_at) => Some(dead_at.at()),
            None => self.pings_when(is_in_use).then(|| self.ping_at(is_in_use)),
        }
    }

    fn pings_when(&self, is_in_use: bool) -> bool {
        is_in_use || self.options.without_calls
    }

    /// [CONN-90], [CONN-91]. A PING waits until something is read after it, so two are never closer than this ([CONN-102]).
    fn ping_at(&self, is_in_use: bool) -> Time {
        let due = self.last_read + self.options.time;
        let allowed = if is_in_use { ALLOWED_IN_USE } else { ALLOWED_IDLE };
        match self.last_ping {
            Some(last) if self.options.is_policed => due.max(last + allowed),
            _ => due,
        }
    }

    /// [CONN-99]: the timeout runs from here, however long the PING waits to be written.
    fn ping(&mut self, now: Time) -> KeepaliveStep {
        self.dead_at = Some(Deadline::new(now + self.options.timeout));
        KeepaliveStep::Ping
    }
}

/// [CONN-95]: the keepalive time of new connections after a server said `too_many_pings` on one that had `time`. Several connections
/// that are told at once double it once.
pub(crate) fn doubled(current: Duration, time: Duration) -> Duration {
    const MOST: Duration = Duration::from_millis(i32::MAX as u64);
    current.max(time.saturating_mul(2)).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: Duration = Duration::from_secs(10);
    const TIMEOUT: Duration = Duration::from_secs(5);

    fn at(milliseconds: u64) -> Time {
        Time::from_start(Duration::from_millis(milliseconds))
    }

    fn keepalive(without_calls: bool) -> Keepalive {
        Keepalive::new(KeepaliveOptions { time: TIME, timeout: TIMEOUT, without_calls, is_policed: false }, at(0))
    }

    /// [CONN-90], [CONN-91]
    #[test]
    fn a_connection_in_use_is_pinged_when_its_time_has_passed_since_the_last_byte() {
        let mut keepalive = keepalive(false);
        assert!(!keepalive.on_bytes_read(at(3_000), false));
        assert_eq!(keepalive.next_deadline(true), Some(at(13_000)));
        assert_eq!(keepalive.on_time(at(12_999), true), KeepaliveStep::Nothing);
        assert_eq!(keepalive.on_time(at(13_000), true), KeepaliveStep::Ping);
        assert_eq!(keepalive.next_deadline(true), Some(at(18_000)));
    }

    /// [CONN-92]
    #[test]
    fn silence_for_the_timeout_is_death() {
        let mut keepalive = keepalive(false);
        assert_eq!(keepalive.on_time(at(10_000), true), KeepaliveStep::Ping);
        assert_eq!(keepalive.on_time(at(14_999), true), KeepaliveStep::Nothing);
        assert_eq!(keepalive.on_time(at(15_000), true), KeepaliveStep::Dead(Duration::from_secs(15)));
    }

    /// [CONN-92]
    #[test]
    fn any_byte_within_the_timeout_is_life() {
        let mut keepalive = keepalive(false);
        assert_eq!(keepalive.on_time(at(10_000), true), KeepaliveStep::Ping);
        assert!(keepalive.on_bytes_read(at(14_999), false), "waited for");
        assert_eq!(keepalive.next_deadline(true), Some(at(24_999)));
        assert_eq!(keepalive.on_time(at(15_000), true), KeepaliveStep::Nothing);
    }

    /// [CONN-90]
    #[test]
    fn no_ping_while_no_call_is_open_unless_asked_for() {
        let mut quiet = keepalive(false);
        assert_eq!(quiet.next_deadline(false), None);
        assert_eq!(quiet.on_time(at(60_000), false), KeepaliveStep::Nothing);
        let mut asked = keepalive(true);
        assert_eq!(asked.next_deadline(false), Some(at(10_000)));
        assert_eq!(asked.on_time(at(10_000), false), KeepaliveStep::Ping);
    }

    /// [CONN-93]
    #[test]
    fn a_stream_opened_after_the_time_pings_at_once_and_one_opened_before_it_does_not_start_it_anew() {
        let mut keepalive = keepalive(false);
        assert_eq!(keepalive.on_stream_opened(at(9_999)), KeepaliveStep::Nothing);
        assert_eq!(keepalive.next_deadline(true), Some(at(10_000)));
        assert_eq!(keepalive.on_stream_opened(at(70_000)), KeepaliveStep::Ping);
        assert_eq!(keepalive.next_deadline(true), Some(at(75_000)));
    }

    /// [CONN-102]
    #[test]
    fn one_ping_is_in_flight_at_most() {
        let mut keepalive = keepalive(true);
        assert_eq!(keepalive.on_time(at(10_000), true), KeepaliveStep::Ping);
        assert_eq!(keepalive.on_time(at(12_000), true), KeepaliveStep::Nothing);
        assert_eq!(keepalive.on_stream_opened(at(12_000)), KeepaliveStep::Nothing);
    }

    /// [CONN-92], [CONN-102]
    #[test]
    fn two_pings_are_never_closer_than_the_time() {
        let mut keepalive = keepalive(true);
        let (mut now, mut pings) = (0, Vec::new());
        while pings.len() < 5 {
            now += 100;
            match keepalive.on_time(at(now), true) {
                KeepaliveStep::Ping => pings.push(now),
                step => assert_eq!(step, KeepaliveStep::Nothing),
            }
            // The answer to each takes 300 ms; meanwhile other bytes come too.
            if pings.last().is_some_and(|ping| now - ping == 300) {
                keepalive.on_bytes_read(at(now), false);
            }
        }
        assert_eq!(pings, [10_000, 20_300, 30_600, 40_900, 51_200]);
    }

    /// [CONN-95], [CONN-110]
    #[test]
    fn once_a_server_has_complained_one_ping_follows_an_answer_and_the_next_when_servers_allow_it() {
        let options = KeepaliveOptions { time: TIME, timeout: TIMEOUT, without_calls: true, is_policed: true };
        let mut keepalive = Keepalive::new(options, at(0));
        assert_eq!(keepalive.on_time(at(10_000), true), KeepaliveStep::Ping);
        keepalive.on_ping_sent(at(10_000));
        keepalive.on_bytes_read(at(10_300), false);
        assert_eq!(keepalive.next_deadline(true), Some(at(340_000)));
        assert_eq!(keepalive.next_deadline(false), Some(at(7_930_000)));
        assert_eq!(keepalive.on_stream_opened(at(30_000)), KeepaliveStep::Nothing);
        assert_eq!(keepalive.on_time(at(340_000), true), KeepaliveStep::Ping);
        keepalive.on_ping_sent(at(340_000));
        keepalive.on_bytes_read(at(340_200), false);
        assert!(keepalive.on_bytes_read(at(350_000), true), "earlier than 670 s");
        assert_eq!(keepalive.next_deadline(true), Some(at(360_000)), "the server counts anew");
    }

    /// [CONN-110]
    #[test]
    fn once_a_server_has_complained_pings_for_other_purposes_count_too() {
        let options = KeepaliveOptions { time: TIME, timeout: TIMEOUT, without_calls: false, is_policed: true };
        let mut keepalive = Keepalive::new(options, at(0));
        keepalive.on_ping_sent(at(3_000));
        keepalive.on_bytes_read(at(3_100), false);
        assert_eq!(keepalive.next_deadline(true), Some(at(333_000)));
    }

    /// What the server sent meanwhile waits in the socket.
    #[test]
    fn a_timer_that_fires_far_too_late_leaves_time_to_read_first() {
        let mut keepalive = keepalive(true);
        assert_eq!(keepalive.on_time(at(10_000), true), KeepaliveStep::Ping);
        assert_eq!(keepalive.on_time(at(60_000), true), KeepaliveStep::Nothing);
        assert_eq!(keepalive.next_deadline(true), Some(at(61_000)));
        assert_eq!(keepalive.on_time(at(61_000), true), KeepaliveStep::Dead(Duration::from_secs(61)));
    }

    /// [CONN-92]
    #[test]
    fn an_unanswered_ping_counts_also_when_the_stream_it_was_for_is_gone() {
        let mut keepalive = keepalive(false);
        assert_eq!(keepalive.on_stream_opened(at(20_000)), KeepaliveStep::Ping);
        assert_eq!(keepalive.next_deadline(false), Some(at(25_000)));
        assert_eq!(keepalive.on_time(at(25_000), false), KeepaliveStep::Dead(Duration::from_secs(25)));
    }

    /// [CONN-95]
    #[test]
    fn too_many_pings_double_the_time_once_however_many_connections_are_told() {
        let once = doubled(TIME, TIME);
        assert_eq!(once, 2 * TIME);
        assert_eq!(doubled(once, TIME), 2 * TIME);
        assert_eq!(doubled(once, once), 4 * TIME);
        let most = Duration::from_millis(2_147_483_647);
        assert_eq!(doubled(most, most), most);
    }
}
