//! The PINGs of one connection: what the machines of `policy` decide, carried out.
//!
//! The HTTP/2 library has one PING of ours in flight at a time, so whoever wants one while it is has that one
//! ([decision 6](../../docs/decisions/0006-one-ping-and-suspicion.md)).

use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::io::{AsyncRead, AsyncWrite};

use super::message::Outbound;
use super::tap::Seen;
use super::trust::{Trust, words_of};
use crate::observe::counters::{ChannelCounters, ConnectionCounters};
use crate::observe::log::names::ConnectionName;
use crate::observe::log::{LogLevel, Room, log};
use crate::observe::trail::Milliseconds;
use crate::policy::bdp::Bdp;
use crate::policy::keepalive::{Keepalive, KeepaliveOptions, KeepaliveStep};
use crate::policy::liveness::Suspicion;
use crate::time::{Time, earliest};

/// One connection's PINGs and the machines that ask for them.
pub(super) struct Pings {
    name: Rc<ConnectionName>,
    /// Boxed, because most connections have none.
    keepalive: Option<Box<Keepalive>>,
    trust: Option<Rc<Trust>>,
    bdp: Measuring,
    seen: Rc<Seen>,
    /// What [`Seen::answers`] said when keepalive was told of them last.
    answers: u32,
    counters: Arc<ChannelCounters>,
    /// Taken from the library with the first PING: from then on it costs a little with every frame.
    http2: Option<PingPong>,
    /// Set by a machine, cleared when a PING is in flight.
    is_wanted: bool,
    /// When the PING in flight was handed over.
    sent: Option<Time>,
    /// Set when the next PING, if none is in flight, may measure the line.
    measures: bool,
    /// The stream window to announce, until it is.
    window: Option<u32>,
    /// Set while the opening of a stream sets a deadline.
    is_dormant: bool,
    /// Set when a deadline may have become earlier than the one the connection's task waits for.
    has_moved: bool,
    /// The deadline the connection's task waits for.
    armed: Option<Time>,
    /// Why another connection is wanted, until that is told.
    successor: Option<Suspicion>,
    /// Why the connection is given up, `None` being keepalive, and how long nothing was read; once it is.
    dead: Option<(Option<Suspicion>, Duration)>,
}

/// The measuring of the line. It takes no room before much has arrived.
enum Measuring {
    /// Stream windows do not grow.
    Off,
    /// From this window to that one, once there is something to measure.
    Waiting(u32, u32),
    On(Box<Bdp>),
}

impl Measuring {
    /// DATA was received, so much by now. Says whether a PING is wanted.
    fn on_data(&mut self, received: u64) -> bool {
        match self {
            Self::Off => false,
            Self::Waiting(window, most) => {
                let bdp = Bdp::new(*window, *most);
                let is_wanted = bdp.on_data(received);
                if is_wanted {
                    *self = Self::On(Box::new(bdp));
                }
                is_wanted
            }
            Self::On(bdp) => bdp.on_data(received),
        }
    }
}

impl Pings {
    pub(super) fn new(
        name: Rc<ConnectionName>,
        keepalive: Option<KeepaliveOptions>,
        trust: Option<Rc<Trust>>,
        (window, max_window): (u32, u32),
        seen: Rc<Seen>,
        counters: Arc<ChannelCounters>,
        now: Time,
    ) -> Self {
        Self {
            name,
            keepalive: keepalive.map(|options| Box::new(Keepalive::new(options, now))),
            trust,
            bdp: if window < max_window { Measuring::Waiting(window, max_window) } else { Measuring::Off },
            answers: seen.answers(),
            seen,
            counters,
            http2: None,
            is_wanted: false,
            sent: None,
            measures: false,
            window: None,
            is_dormant: false,
            has_moved: false,
            armed: None,
            successor: None,
            dead: None,
        }
    }

    /// Before HTTP/2 is polled: hands over a PING if one is wanted and none is in flight. A stream opened on a connection that was not
    /// in use may want one before its headers ([CONN-93]).
    pub(super) fn before_frames<S>(
        &mut self,
        cx: &Context<'_>,
        http2: &mut h2::client::Connection<S, Outbound>,
        connection: &ConnectionCounters,
        is_in_use: bool,
        now: impl Fn() -> Time,
    ) where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if let Some(trust) = &self.trust {
            trust.is_moved_by(cx.waker());
        }
        if self.is_dormant && is_in_use {
            self.on_stream_opened(now(), connection);
        }
        // The library refuses a second change before the server has acknowledged the first.
        if let Some(window) = self.window
            && http2.set_initial_window_size(window).is_ok()
        {
            self.window = None;
        }
        let measures = std::mem::take(&mut self.measures);
        if !std::mem::take(&mut self.is_wanted) || self.sent.is_some() {
            return;
        }
        if self.http2.is_none() {
            self.http2 = http2.ping_pong();
        }
        // It fails when the connection is over, which is told elsewhere.
        if self.http2.as_mut().is_none_or(|pings| pings.send_ping(Ping::opaque()).is_err()) {
            return;
        }
        let sent = now();
        self.sent = Some(sent);
        connection.pings.one();
        log(LogLevel::Trace, Room::Http2Ping, || format!("{}: PING sent", self.name));
        if let Some(keepalive) = &mut self.keepalive {
            keepalive.on_ping_sent(sent);
        }
        if let Measuring::On(bdp) = &mut self.bdp
            && measures
        {
            bdp.on_ping_sent(sent, self.seen.data());
            if let Some(trust) = &self.trust {
                trust.on_other_ping();
            }
        }
    }

    /// After HTTP/2 was polled: what was read has been looked at.
    pub(super) fn after_frames(
        &mut self,
        cx: &mut Context<'_>,
        connection: &ConnectionCounters,
        now: impl Fn() -> Time,
    ) {
        let mut must_go_on = false;
        if let Some(sent) = self.sent
            && let Some(pings) = &mut self.http2
            && let Poll::Ready(answered) = pings.poll_pong(cx)
        {
            self.sent = None;
            let now = now();
            if answered.is_ok() {
                log(LogLevel::Trace, Room::Http2Ping, || {
                    format!("{}: PING answered after {}", self.name, Milliseconds(now.since(sent)))
                });
                connection.set_round_trip(now.since(sent));
            }
            let window = match &mut self.bdp {
                Measuring::On(bdp) => bdp.on_ping_answered(now, self.seen.data()),
                Measuring::Off | Measuring::Waiting(..) => None,
            };
            must_go_on = window.is_some();
            self.window = window.or(self.window);
        }
        if let Some(trust) = &self.trust {
            let asked = trust.take_asked();
            if asked.ping {
                self.counters.liveness_checks.one();
                self.is_wanted = true;
            }
            self.has_moved |= asked.has_moved;
            self.successor = asked.successor.or(self.successor);
            self.dead = asked.dead.map(|(suspicion, silence)| (Some(suspicion), silence)).or(self.dead);
        }
        if self.is_wanted || must_go_on {
            cx.waker().wake_by_ref();
        }
    }

    /// Bytes were read; the time is asked for only if it matters.
    pub(super) fn on_bytes_read(&mut self, now: impl Fn() -> Time) {
        if let Some(trust) = &self.trust {
            trust.on_bytes_read(&now);
        }
        if let Some(keepalive) = &mut self.keepalive {
            let answers = self.seen.answers();
            let has_answer = std::mem::replace(&mut self.answers, answers) != answers;
            self.has_moved |= keepalive.on_bytes_read(now(), has_answer);
        }
        // Whoever is dead does not send.
        self.dead = None;
        if self.sent.is_none() && self.bdp.on_data(self.seen.data()) {
            (self.is_wanted, self.measures) = (true, true);
        }
    }

    /// A deadline may have passed. What waits to be read has been read.
    pub(super) fn on_time(&mut self, now: Time, connection: &ConnectionCounters, is_in_use: bool) {
        if let Some(trust) = &self.trust {
            trust.on_time(now);
        }
        if let Some(keepalive) = &mut self.keepalive {
            let step = keepalive.on_time(now, is_in_use);
            self.on_keepalive(step, connection);
        }
    }

    /// The earliest deadline of the machines, for the connection's task to wait for.
    pub(super) fn arm(&mut self, is_in_use: bool) -> Option<Time> {
        let next = |is_in_use| self.keepalive.as_ref().and_then(|keepalive| keepalive.next_deadline(is_in_use));
        let (keepalive, keepalive_in_use) = (next(is_in_use), next(true));
        let liveness = self.trust.as_ref().and_then(|trust| trust.next_deadline());
        self.is_dormant = keepalive != keepalive_in_use || self.trust.as_ref().is_some_and(|trust| !trust.is_beating());
        self.armed = earliest([keepalive, liveness]);
        self.has_moved = false;
        self.armed
    }

    /// Whether the task waits too long.
    pub(super) fn must_be_armed(&mut self, is_in_use: bool) -> bool {
        if !std::mem::take(&mut self.has_moved) {
            return false;
        }
        let before = self.armed;
        let now = self.arm(is_in_use);
        now.is_some_and(|now| before.is_none_or(|before| now < before))
    }

    /// Why another connection is wanted, once for each reason.
    pub(super) fn take_successor(&mut self) -> Option<String> {
        let suspicion = self.successor.take()?;
        Some(format!("the connection is in doubt, because {}", words_of(suspicion)))
    }

    /// Why the connection is given up, once.
    pub(super) fn take_death(&mut self) -> Option<String> {
        let (suspicion, silence) = self.dead.take()?;
        self.counters.keepalives_failed.one();
        let silence = format!("nothing was read for {:.1} s, a PING included", silence.as_secs_f64());
        Some(match suspicion.map(words_of) {
            None => format!("closed by keepalive: {silence}"),
            Some(why) => format!("closed by liveness: {silence}, which was sent because {why}"),
        })
    }

    fn on_stream_opened(&mut self, now: Time, connection: &ConnectionCounters) {
        self.is_dormant = false;
        self.has_moved = true;
        if let Some(trust) = &self.trust {
            trust.on_stream_opened(now);
        }
        if let Some(keepalive) = &mut self.keepalive {
            let step = keepalive.on_stream_opened(now);
            self.on_keepalive(step, connection);
        }
    }

    fn on_keepalive(&mut self, step: KeepaliveStep, connection: &ConnectionCounters) {
        match step {
            KeepaliveStep::Nothing => {}
            KeepaliveStep::Ping => {
                self.counters.keepalive_pings.one();
                connection.keepalive_pings.one();
                self.is_wanted = true;
            }
            KeepaliveStep::Dead(silence) => self.dead = Some((None, silence)),
        }
    }
}
