//! How attempts and calls end: the attempt's endpoint is told, the call becomes a [`CallEnd`].

use std::rc::Rc;
use std::time::Duration;

use super::progress::{Attempt, Progress, Where, Whose};
use super::verdict::verdict;
use super::{CallEnd, CallSpec, Timeout};
use crate::channel::LocalChannel;
use crate::failure::Failure;
use crate::load_report::{self, LoadReport};
use crate::metadata::Metadata;
use crate::observe::log::{LogLevel, Room, log};
use crate::observe::trail::{ConnectTrail, Milliseconds, Phase, Trail};
use crate::policy::balancer::tally::InFlight;
use crate::runtime::Driver;
use crate::status::Status;
use crate::time::Time;
use crate::transport::{Ending, Outcome};

/// Longer timeouts are none: nobody waits ten years, and clocks need not hold it.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Attempt {
    /// Tells its endpoint what it came to, after its stream was let go ([INT-07]). What it waited for, in words, if that is where it was.
    pub(super) fn end<D: Driver>(&self, channel: &LocalChannel<D>, now: Time, outcome: &Outcome) -> Option<String> {
        match self.place.replace(Where::Nowhere) {
            Where::On(connection, in_flight) => {
                connection.on_call_ended(now);
                self.log_stream(&connection, || format!("its stream ended {}", outcome.code()));
                in_flight.on_ended(outcome.is_ok());
                if tell_load(now, &in_flight, &outcome.ending) {
                    channel.on_load_reported();
                }
                if in_flight.is_judged() && in_flight.on_verdict(now, verdict(outcome)) {
                    channel.on_breaker_changed();
                }
                None
            }
            Where::WaitsFor(connection, lacks) if self.phase.get() == Phase::Queue => {
                Some(lacks.words(connection.address()))
            }
            Where::AtLimit(limit) => Some(format!("{limit}, {} other calls waiting", channel.waiting_at(limit))),
            Where::WaitsFor(..) | Where::Nowhere => None,
        }
    }
}

impl Progress {
    /// Makes the call's end, after its stream was let go.
    pub(super) fn end<D: Driver>(&self, channel: &LocalChannel<D>, outcome: Outcome) -> CallEnd {
        let now = channel.driver().now();
        channel.on_call_ended(now);
        let elapsed = now.since(self.started);
        self.settle_hedges(channel, now, &outcome);
        let (peer, made) = (self.peer(), self.told(now, &outcome));
        let waits_for = self.attempt.end(channel, now, &outcome);
        if outcome.is_ok() {
            channel.on_success();
        }
        let (sent, attempts) = (self.furthest(outcome.sent), self.attempts.get());
        let address = || peer.as_deref().map(str::to_owned);
        let end = match outcome.ending {
            Ending::Peer { status, trailing } => {
                let trail = made.map(|made| {
                    let (phase, address, made) = (Phase::Wait, address(), Some(made));
                    let (connect, is_of_look_up, waits_for, deadline) = (None, false, None, None);
                    Trail { phase, address, connect, is_of_look_up, waits_for, made, deadline, sent, now }.to_string()
                });
                let trail = trail.unwrap_or_default();
                CallEnd { status, trailing, local: false, sent, attempts, peer, elapsed, trail }
            }
            Ending::Local(failure) => {
                let connect = if peer.is_none() { connect_trail(channel) } else { None };
                let phase = match (self.attempt.phase.get(), &connect) {
                    (Phase::Connect, Some(connect)) => connect.phase(),
                    (phase, _) => phase,
                };
                let (address, is_of_look_up) = (address(), failure.is_of_look_up());
                let is_deadline = matches!(failure, Failure::DeadlineExceeded { .. });
                let deadline = is_deadline.then(|| self.whose_deadline()).flatten();
                let trail = Trail { phase, address, connect, is_of_look_up, waits_for, made, deadline, sent, now };
                let trail = trail.to_string();
                let words = failure.words(channel.config().dialect);
                let text = if failure.is_callers_own() { words } else { format!("{words}; {trail}") };
                let status = Status::new(failure.code(), text);
                CallEnd { status, trailing: Metadata::new(), local: true, sent, attempts, peer, elapsed, trail }
            }
        };
        self.log_end(channel, &end);
        end
    }

    fn log_end<D: Driver>(&self, channel: &LocalChannel<D>, end: &CallEnd) {
        let level = if end.status.is_ok() { LogLevel::Trace } else { LogLevel::Debug };
        log(level, Room::Call, || {
            let (name, call, took) = (&channel.config().name, self.attempt.call, Milliseconds(end.elapsed));
            let (code, text) = (end.status.code(), end.status.message());
            let text = if text.is_empty() { String::new() } else { format!(": {text}") };
            format!("{name}: call {call}: ended {code} after {took}{text}")
        });
    }
}

/// [LB-49]: tells a policy that asked for it what the server said of its load, whatever the status was. Whether that is news to it.
fn tell_load(now: Time, in_flight: &InFlight, ending: &Ending) -> bool {
    let Some(listener) = in_flight.load_listener() else { return false };
    let Ending::Peer { trailing, .. } = ending else { return false };
    let report = trailing.get(load_report::TRAILER).and_then(|message| LoadReport::read(message));
    report.is_some_and(|report| listener.on_report(now, &report))
}

/// The shorter of the call's and its method's ([SC-20]).
pub(super) fn timeout<D: Driver>(channel: &LocalChannel<D>, spec: &CallSpec) -> (Option<Duration>, Whose) {
    let (of_call, whose) = match spec.timeout {
        Timeout::ChannelDefault => (channel.config().default_timeout, Whose::Channel),
        Timeout::None => (None, Whose::Call),
        Timeout::After(timeout) => (Some(timeout), Whose::Call),
        Timeout::AlreadyPast => (Some(Duration::ZERO), Whose::Call),
    };
    let of_method = spec.method.config.as_ref().and_then(|config| config.timeout);
    let (timeout, whose) = match (of_call, of_method) {
        (Some(of_call), Some(of_method)) if of_method < of_call => (Some(of_method), Whose::Method),
        (None, Some(of_method)) => (Some(of_method), Whose::Method),
        (of_call, _) => (of_call, whose),
    };
    (timeout.filter(|timeout| *timeout <= LONGEST_TIMEOUT), whose)
}

fn connect_trail<D: Driver>(channel: &LocalChannel<D>) -> Option<Rc<ConnectTrail>> {
    channel.snapshot().trail.clone()
}
