//! What a call keeps about itself on the way, and how it becomes a [`CallEnd`].

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::inbox::{Cancel, Inbox};
use super::verdict::verdict;
use super::{CallEnd, CallSpec, Timeout};
use crate::channel::LocalChannel;
use crate::channel::call_limits::AtAddress;
use crate::failure::{CallLimit, Failure};
use crate::load_report::{self, LoadReport};
use crate::metadata::Metadata;
use crate::observe::trail::{ConnectTrail, Phase, Sent, Trail};
use crate::policy::balancer::tally::InFlight;
use crate::runtime::{Driver, sleep_until};
use crate::status::Status;
use crate::time::Time;
use crate::transport::connection::Connection;
use crate::transport::pool::{Lacks, Pool};
use crate::transport::{Ending, Outcome};

/// Where a call is.
pub(super) struct Progress {
    started: Time,
    /// `None` is no deadline.
    timeout: Option<Duration>,
    pub(super) phase: Cell<Phase>,
    pub(super) sent: Cell<Sent>,
    place: RefCell<Where>,
    /// When its stream was opened or it began to wait for a place; kept for calls with a deadline.
    since: Cell<Time>,
    /// How often bytes had been read from the connection then.
    reads_then: Cell<u32>,
    /// The connection whose server did not process it last.
    refused_by: Cell<Option<u64>>,
    /// Whether it has waited for the end of others.
    has_waited: Cell<bool>,
}

/// Which connection a call has to do with.
enum Where {
    Nowhere,
    /// It waits for a stream on this connection or another one of the pool.
    WaitsFor(Connection, Lacks),
    /// Its stream was opened there; the endpoint counts it.
    On(Connection, AtAddress),
    /// It waits for the end of other calls.
    AtLimit(CallLimit),
}

/// Longer timeouts are none: nobody waits ten years, and clocks need not hold it.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Progress {
    pub(super) fn start<D: Driver>(channel: &LocalChannel<D>, spec: &CallSpec) -> Self {
        Self::begin(channel.driver().now(), timeout(channel, spec))
    }

    /// The call was given its method's config, which may leave it less time; it counts from the start of the call ([SC-20]).
    pub(super) fn on_configured<D: Driver>(&mut self, channel: &LocalChannel<D>, spec: &CallSpec) {
        self.timeout = timeout(channel, spec);
    }

    fn begin(started: Time, timeout: Option<Duration>) -> Self {
        Self {
            started,
            timeout,
            phase: Cell::new(Phase::Queue),
            sent: Cell::new(Sent::NotSent),
            place: RefCell::new(Where::Nowhere),
            since: Cell::new(Time::ZERO),
            reads_then: Cell::new(0),
            refused_by: Cell::new(None),
            has_waited: Cell::new(false),
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.timeout.map(|timeout| self.started + timeout)
    }

    /// Whether the deadline has passed.
    fn is_late<D: Driver>(&self, driver: &D) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= driver.now())
    }

    /// When the call was made.
    pub(super) fn started(&self) -> Time {
        self.started
    }

    /// The time left for a stream that is about to be opened; `None` without a deadline.
    pub(super) fn remaining<D: Driver>(&self, driver: &D) -> Option<Duration> {
        let deadline = self.deadline()?;
        self.since.set(driver.now());
        Some(deadline.since(self.since.get()))
    }

    /// The call waits for a stream to the pool's address.
    pub(super) fn on_waits_for<D: Driver>(&self, driver: &D, pool: &Pool) {
        let Some(connection) = pool.oldest() else { return };
        let mut place = self.place.borrow_mut();
        let mut lacks = pool.lacks();
        match &*place {
            Where::WaitsFor(known, before) if known.id() == connection.id() => {
                // The doubt comes of calls that waited in vain, and is not what they waited for.
                lacks = if before.is_a_stream() && !lacks.is_a_stream() { *before } else { lacks };
            }
            _ => {
                self.since.set(driver.now());
                self.reads_then.set(connection.reads());
            }
        }
        *place = Where::WaitsFor(connection, lacks);
    }

    /// The call waits for the end of others.
    pub(super) fn on_limit_reached(&self, limit: CallLimit) {
        self.has_waited.set(true);
        *self.place.borrow_mut() = Where::AtLimit(limit);
    }

    /// It waits for that no more.
    pub(super) fn on_limit_passed(&self) {
        *self.place.borrow_mut() = Where::Nowhere;
    }

    /// Whether no time has passed since it was made.
    pub(super) fn has_just_begun(&self) -> bool {
        !self.has_waited.get() && self.refused_by.get().is_none()
    }

    /// The call's stream was opened.
    pub(super) fn on_opened(&self, connection: Connection, in_flight: AtAddress) {
        self.phase.set(Phase::Send);
        self.reads_then.set(connection.reads());
        *self.place.borrow_mut() = Where::On(connection, in_flight);
    }

    /// The address of the connection the call is on.
    pub(super) fn peer(&self) -> Option<Arc<str>> {
        match &*self.place.borrow() {
            Where::On(connection, _) => Some(Arc::clone(connection.address())),
            Where::Nowhere | Where::WaitsFor(..) | Where::AtLimit(_) => None,
        }
    }

    /// The connection whose server did not process the call last: another one is better.
    pub(super) fn refused_by(&self) -> Option<u64> {
        self.refused_by.get()
    }

    /// The server did not process what was sent; the call waits for a connection anew.
    pub(super) fn on_retry(&self) {
        self.phase.set(Phase::Queue);
        self.sent.set(Sent::Refused);
        if let Where::On(connection, in_flight) = self.place.replace(Where::Nowhere) {
            in_flight.on_ended(false);
            self.refused_by.set(Some(connection.id()));
        }
    }

    fn deadline_exceeded(&self) -> Failure {
        Failure::DeadlineExceeded { timeout: self.timeout }
    }

    /// Runs a call's work under its deadline and its caller's cancellation. What ends first decides; the rest is dropped with `work`.
    ///
    /// The work is lent, so that its many states are not in the call's future twice.
    pub(super) async fn supervise<D: Driver>(
        &self,
        driver: &D,
        inbox: &Inbox,
        work: Pin<&mut impl Future<Output = Outcome>>,
    ) -> Outcome {
        let outcome = match self.supervised(driver, inbox, work).await {
            Ok(outcome) => outcome,
            Err(failure) => return self.local(failure),
        };
        // [WIRE-166]: the server noticed our deadline before we did.
        let is_cancel = matches!(outcome.ending, Ending::Local(Failure::StreamReset { http2_code: 8 }));
        if is_cancel && self.is_late(driver) {
            return self.local(self.deadline_exceeded());
        }
        outcome
    }

    /// The same for a part of a call's work.
    pub(super) async fn supervised<T, D: Driver>(
        &self,
        driver: &D,
        inbox: &Inbox,
        mut work: Pin<&mut impl Future<Output = T>>,
    ) -> Result<T, Failure> {
        // [WIRE-43]
        if self.timeout == Some(Duration::ZERO) {
            return Err(self.deadline_exceeded());
        }
        let mut over = pin!(sleep_until(driver, self.deadline()));
        let ended = poll_fn(|cx| {
            if let Poll::Ready(cancel) = inbox.poll_cancelled(cx) {
                return Poll::Ready(Err(self.failure_of(cancel)));
            }
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            over.as_mut().poll(cx).map(|()| {
                self.on_deadline(driver);
                Err(self.deadline_exceeded())
            })
        });
        ended.await
    }

    /// Nothing read since the stream was opened, or since the call began to wait for a place, is evidence against the connection.
    fn on_deadline<D: Driver>(&self, driver: &D) {
        if let Where::On(connection, _) | Where::WaitsFor(connection, _) = &*self.place.borrow()
            && connection.reads() == self.reads_then.get()
        {
            connection.on_silent_deadline(driver.now(), self.since.get());
        }
    }

    /// A failure at this point of the call.
    pub(super) fn local(&self, failure: Failure) -> Outcome {
        Outcome { ending: Ending::Local(failure), sent: self.sent.get() }
    }

    fn failure_of(&self, cancel: Cancel) -> Failure {
        match cancel {
            Cancel::ByCaller { code, text } => Failure::Cancelled { code, text },
            // [CONN-154]: a call that is not on a connection yet was waiting.
            Cancel::ChannelClosed if self.peer().is_none() => Failure::ChannelClosed,
            Cancel::ChannelClosed => Failure::ChannelClosedWhileRunning,
        }
    }

    /// Makes the call's end, after its stream was let go.
    pub(super) fn end<D: Driver>(&self, channel: &LocalChannel<D>, outcome: Outcome) -> CallEnd {
        let now = channel.driver().now();
        channel.on_call_ended(now);
        let elapsed = now.since(self.started);
        let peer = self.peer();
        let waits_for = match self.place.replace(Where::Nowhere) {
            Where::On(connection, in_flight) => {
                connection.on_call_ended(now);
                in_flight.on_ended(outcome.is_ok());
                if tell_load(now, &in_flight, &outcome.ending) {
                    channel.on_load_reported();
                }
                if in_flight.is_judged() && in_flight.on_verdict(now, verdict(&outcome)) {
                    channel.on_breaker_changed();
                }
                None
            }
            Where::WaitsFor(connection, lacks) if self.phase.get() == Phase::Queue => {
                Some(lacks.words(connection.address()))
            }
            Where::AtLimit(limit) => Some(format!("{limit}, {} other calls waiting", channel.waiting_at(limit))),
            Where::WaitsFor(..) | Where::Nowhere => None,
        };
        match outcome.ending {
            Ending::Peer { status, trailing } => {
                CallEnd { status, trailing, local: false, sent: outcome.sent, peer, elapsed, trail: String::new() }
            }
            Ending::Local(failure) => {
                let connect = if peer.is_none() { connect_trail(channel) } else { None };
                let phase = self.phase.get();
                let address = peer.as_deref().map(str::to_owned);
                let trail = Trail { phase, address, connect, waits_for, sent: outcome.sent, now }.to_string();
                let words = failure.words(channel.config().dialect);
                let text = if failure.is_callers_own() { words } else { format!("{words}; {trail}") };
                let status = Status::new(failure.code(), text);
                CallEnd { status, trailing: Metadata::new(), local: true, sent: outcome.sent, peer, elapsed, trail }
            }
        }
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
fn timeout<D: Driver>(channel: &LocalChannel<D>, spec: &CallSpec) -> Option<Duration> {
    let of_call = match spec.timeout {
        Timeout::ChannelDefault => channel.config().default_timeout,
        Timeout::None => None,
        Timeout::After(timeout) => Some(timeout),
        Timeout::AlreadyPast => Some(Duration::ZERO),
    };
    let of_method = spec.method.config.as_ref().and_then(|config| config.timeout);
    let timeout = [of_call, of_method].into_iter().flatten().min();
    timeout.filter(|timeout| *timeout <= LONGEST_TIMEOUT)
}

fn connect_trail<D: Driver>(channel: &LocalChannel<D>) -> Option<Rc<ConnectTrail>> {
    channel.snapshot().trail.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::memory::MemoryDriver;
    use crate::status::Code;

    /// [WIRE-166], [DL-6]
    #[test]
    fn a_cancel_from_the_server_after_the_deadline_is_the_deadline() {
        const CANCEL: u32 = 8;
        const INTERNAL_ERROR: u32 = 2;
        MemoryDriver::run(|driver| async move {
            let (soon, late) = (Duration::from_nanos(1), Duration::from_secs(1));
            for (timeout, http2_code, code) in [
                (Some(soon), CANCEL, Code::DeadlineExceeded),
                (Some(soon), INTERNAL_ERROR, Code::Internal),
                (Some(late), CANCEL, Code::Cancelled),
                (None, CANCEL, Code::Cancelled),
            ] {
                let progress = Progress::begin(driver.now(), timeout);
                let reset = Outcome::local(Failure::StreamReset { http2_code });
                let work = pin!(std::future::ready(reset));
                let outcome = progress.supervise(&driver, &Inbox::default(), work).await;
                let Ending::Local(failure) = outcome.ending else { panic!("a status from nobody") };
                assert_eq!(failure.code(), code, "{timeout:?}, {http2_code}");
            }
        });
    }

    /// [DL-7]
    #[test]
    fn a_status_that_came_before_anybody_looked_at_the_deadline_stands() {
        MemoryDriver::run(|driver| async move {
            let progress = Progress::begin(driver.now(), Some(Duration::from_nanos(1)));
            let status = Status::new(Code::Ok, "");
            let ending = Ending::Peer { status, trailing: Metadata::new() };
            let work = pin!(std::future::ready(Outcome { ending, sent: Sent::Processed }));
            assert!(progress.supervise(&driver, &Inbox::default(), work).await.is_ok());
        });
    }
}
