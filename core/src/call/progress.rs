//! Where a call is: what it keeps about itself on the way, and apart from that what it keeps about each of its attempts.
//!
//! Most calls have one attempt, and attempts one after the other share one [`Attempt`]. Hedges run side by side, and each has its own.

use std::cell::{Cell, OnceCell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use super::hedged::Hedge;
use super::inbox::{Cancel, Inbox};
use super::{CallSpec, ending};
use crate::channel::LocalChannel;
use crate::channel::call_limits::AtAddress;
use crate::failure::{CallLimit, Failure};
use crate::observe::attempts::{AttemptEnd, AttemptsTrail};
use crate::observe::log::{LogLevel, Room, log};
use crate::observe::trail::{Milliseconds, Phase, Sent};
use crate::policy::retry::sequence::Bound;
use crate::runtime::{Driver, sleep_until};
use crate::status::Code;
use crate::time::Time;
use crate::transport::connection::Connection;
use crate::transport::pool::{Lacks, Pool};
use crate::transport::{Ending, Outcome};

/// Where a call is.
pub(super) struct Progress {
    pub(super) started: Time,
    /// `None` is no deadline.
    timeout: Option<Duration>,
    timeout_is: Whose,
    /// How many attempts were started.
    pub(super) attempts: Cell<u32>,
    pub(super) attempt: Attempt,
    /// Of a call with more than one attempt, or one that is worth telling of.
    past: OnceCell<Box<Past>>,
}

/// Whose word a call's timeout is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Call,
    Channel,
    Method,
}

impl Whose {
    /// Whose the deadline was that has passed, for whoever did not set it.
    fn words(self, timeout: Option<Duration>) -> Option<String> {
        let source = match (self, timeout?) {
            (_, Duration::ZERO) => return Some("the deadline was past when the call was made".into()),
            (Self::Call, _) => return None,
            (Self::Channel, _) => "linkspan.default_timeout_ms",
            (Self::Method, _) => "the service config's timeout for the method",
        };
        Some(format!("the deadline was {source}, {}", Milliseconds(timeout?)))
    }
}

/// What calls keep besides that had failed attempts.
#[derive(Default)]
pub(super) struct Past {
    /// How far those came that are over.
    reached: Cell<Option<Sent>>,
    pub(super) attempts: RefCell<AttemptsTrail>,
    /// Those that run, of a hedged call; one is left once it is the call.
    pub(super) hedges: RefCell<Vec<Rc<Hedge>>>,
    /// Set when the call is hedged: its attempts are told as they end, not with the call.
    is_hedged: Cell<bool>,
    /// The address of the hedge that failed last.
    pub(super) peer: RefCell<Option<Arc<str>>>,
}

impl Past {
    /// It runs no more.
    pub(super) fn forget(&self, over: &Rc<Hedge>) {
        self.hedges.borrow_mut().retain(|hedge| !Rc::ptr_eq(hedge, over));
    }
}

/// Where one attempt is.
pub(super) struct Attempt {
    /// The call's number.
    pub(super) call: u64,
    /// The call's.
    deadline: Option<Time>,
    pub(super) phase: Cell<Phase>,
    pub(super) sent: Cell<Sent>,
    /// Set when no other attempt can take its place any more ([COMMIT-01], [COMMIT-02]).
    pub(super) bound: Cell<Option<Bound>>,
    /// How many attempts of the call the server is told of that were before it ([RPOL-27]).
    pub(super) previous: Cell<u32>,
    pub(super) place: RefCell<Where>,
    /// When it looks for a connection; `None` once time may have passed.
    looks_at: Cell<Option<Time>>,
    /// When its stream was opened or it began to wait for a place; kept for calls with a deadline.
    since: Cell<Time>,
    /// How often bytes had been read from the connection then.
    reads_then: Cell<u32>,
    /// The connection on which an attempt before it came to nothing.
    avoids: Cell<Option<u64>>,
    /// Held elsewhere while not all of a large request is written.
    unwritten: RefCell<Weak<()>>,
}

/// Which connection an attempt has to do with.
pub(super) enum Where {
    Nowhere,
    /// It waits for a stream on this connection or another one of the pool.
    WaitsFor(Connection, Lacks),
    /// Its stream was opened there; the endpoint counts it.
    On(Connection, AtAddress),
    /// It waits for the end of other calls.
    AtLimit(CallLimit),
}

impl Progress {
    pub(super) fn start<D: Driver>(channel: &LocalChannel<D>, spec: &CallSpec) -> Self {
        Self::begin(spec.id, channel.driver().now(), ending::timeout(channel, spec))
    }

    /// The call was given its method's config, which may leave it less time; it counts from the start of the call ([SC-20]).
    pub(super) fn on_configured<D: Driver>(&mut self, channel: &LocalChannel<D>, spec: &CallSpec) {
        (self.timeout, self.timeout_is) = ending::timeout(channel, spec);
        self.attempt.deadline = self.timeout.map(|timeout| self.started + timeout);
    }

    fn begin(call: u64, started: Time, (timeout, timeout_is): (Option<Duration>, Whose)) -> Self {
        let deadline = timeout.map(|timeout| started + timeout);
        Self {
            started,
            timeout,
            timeout_is,
            attempts: Cell::new(0),
            attempt: Attempt::begin(call, deadline, started),
            past: OnceCell::new(),
        }
    }

    /// Whether the deadline has passed.
    fn is_late<D: Driver>(&self, driver: &D) -> bool {
        self.attempt.deadline.is_some_and(|deadline| deadline <= driver.now())
    }

    /// An attempt is about to begin.
    pub(super) fn on_attempt(&self) {
        self.attempts.set(self.attempts.get() + 1);
        if let Some(past) = self.past.get() {
            past.attempts.borrow_mut().next = None;
            self.attempt.phase.set(Phase::Queue);
        }
    }

    /// The attempt came to this, and its stream was let go; another one follows, now or later.
    pub(super) fn on_failed<D: Driver>(&self, channel: &LocalChannel<D>, now: Time, outcome: &Outcome) {
        let attempt = &self.attempt;
        self.on_over(self.attempts.get(), attempt, now, outcome, cause(channel, outcome));
        attempt.avoids.set(attempt.connection().or(attempt.avoids.get()));
        attempt.end(channel, now, outcome);
        attempt.sent.set(Sent::NotSent);
        attempt.looks_at.set(None);
    }

    /// An attempt that is made beside others; the server is told of `previous` ones.
    pub(super) fn beside(&self, now: Time, previous: u32, avoids: Option<u64>) -> Attempt {
        let attempt = Attempt::begin(self.attempt.call, self.attempt.deadline, now);
        attempt.previous.set(previous);
        attempt.avoids.set(avoids);
        attempt
    }

    /// A hedge came to this, and its stream was let go.
    pub(super) fn on_failed_beside<D: Driver>(
        &self,
        channel: &LocalChannel<D>,
        hedge: &Hedge,
        now: Time,
        outcome: &Outcome,
    ) {
        *self.past().peer.borrow_mut() = hedge.attempt.peer();
        self.attempt.phase.set(hedge.attempt.phase.get());
        self.attempt.avoids.set(hedge.attempt.connection().or(self.attempt.avoids.get()));
        self.on_over(hedge.ordinal, &hedge.attempt, now, outcome, cause(channel, outcome));
        hedge.attempt.end(channel, now, outcome);
    }

    /// What follows the attempt with this number, which came to this.
    pub(super) fn log_what_follows<D: Driver>(
        &self,
        channel: &LocalChannel<D>,
        number: u32,
        outcome: &Outcome,
        words: impl FnOnce() -> String,
    ) {
        log(LogLevel::Debug, Room::Retry, || {
            let (name, call) = (&channel.config().name, self.attempt.call);
            let (code, cause) = (outcome.code(), cause(channel, outcome));
            format!("{name}: call {call}: attempt {number} ended {code}: {cause}; {}", words())
        });
    }

    /// A hedge is given up, because the call is another one or has failed; its stream was let go. Its endpoint neither failed nor
    /// succeeded.
    pub(super) fn on_abandoned(&self, now: Time, hedge: &Hedge) {
        let failure = Failure::Cancelled { code: Code::Cancelled, text: String::new() };
        let outcome = hedge.attempt.local(failure);
        self.on_over(hedge.ordinal, &hedge.attempt, now, &outcome, "another attempt decided".into());
        if let Where::On(connection, _) = hedge.attempt.place.replace(Where::Nowhere) {
            connection.on_call_ended(now);
            hedge.attempt.log_stream(&connection, || "given up for another attempt".to_owned());
        }
    }

    /// The call is made of hedges from now on.
    pub(super) fn on_hedged(&self) {
        self.past().is_hedged.set(true);
    }

    /// The call ends. If hedges run, it is the one that was made first, and the others end with it.
    pub(super) fn settle_hedges<D: Driver>(&self, channel: &LocalChannel<D>, now: Time, outcome: &Outcome) {
        let Some(past) = self.past.get() else { return };
        for (place, hedge) in past.hedges.take().iter().enumerate() {
            // One that was made alone and is the call has nothing to tell.
            if self.attempts.get() > 1 || !outcome.is_ok() {
                self.on_over(hedge.ordinal, &hedge.attempt, now, outcome, String::new());
            }
            if place == 0 {
                self.attempt.take_over(&hedge.attempt);
                past.peer.take();
            } else {
                hedge.attempt.end(channel, now, outcome);
            }
        }
    }

    /// An attempt is over; told if the call's end has to tell of attempts.
    pub(super) fn on_over(&self, number: u32, attempt: &Attempt, now: Time, outcome: &Outcome, cause: String) {
        let past = self.past();
        past.reached.set(past.reached.get().max(Some(outcome.sent)));
        let (address, at, code) = (attempt.peer(), now.since(self.started), outcome.code());
        past.attempts.borrow_mut().add(AttemptEnd { number, address, at, code, cause });
    }

    /// What is kept besides.
    pub(super) fn past(&self) -> &Past {
        self.past.get_or_init(Box::default)
    }

    /// How far the request got, in the attempt that came so far or in one before it.
    pub(super) fn furthest(&self, sent: Sent) -> Sent {
        self.past.get().and_then(|past| past.reached.get()).map_or(sent, |reached| reached.max(sent))
    }

    /// Whose the deadline was that has passed, unless it was the call's own.
    pub(super) fn whose_deadline(&self) -> Option<String> {
        self.timeout_is.words(self.timeout)
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
        // [WIRE-166]: the server noticed our deadline before we did. A proxy that it cancelled the call for says so in its own way.
        let may_be_that = matches!(
            outcome.ending,
            Ending::Local(Failure::StreamReset { http2_code: 8 } | Failure::HttpStatus { http: 500.., .. })
        );
        if may_be_that && self.is_late(driver) {
            return self.local(self.deadline_exceeded());
        }
        outcome
    }

    /// A failure of the call at this point.
    fn local(&self, failure: Failure) -> Outcome {
        let outcome = self.attempt.local(failure);
        let hedges = self.past.get().map(|past| past.hedges.borrow());
        let furthest = hedges.iter().flat_map(|hedges| hedges.iter()).map(|hedge| hedge.attempt.sent.get()).max();
        Outcome { sent: furthest.map_or(outcome.sent, |sent| sent.max(outcome.sent)), ..outcome }
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
        let mut over = pin!(sleep_until(driver, self.attempt.deadline));
        let ended = poll_fn(|cx| {
            if let Poll::Ready(cancel) = inbox.poll_cancelled(cx) {
                return Poll::Ready(Err(self.failure_of(cancel)));
            }
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(done));
            }
            over.as_mut().poll(cx).map(|()| {
                self.each_attempt(&mut |attempt| attempt.on_deadline(driver));
                Err(self.deadline_exceeded())
            })
        });
        ended.await
    }

    fn failure_of(&self, cancel: Cancel) -> Failure {
        match cancel {
            Cancel::ByCaller { code, text } => Failure::Cancelled { code, text },
            // [CONN-154]: a call that is not on a connection yet was waiting.
            Cancel::ChannelClosed => {
                let mut is_running = false;
                self.each_attempt(&mut |attempt| is_running |= attempt.connection().is_some());
                if is_running { Failure::ChannelClosedWhileRunning } else { Failure::ChannelClosed }
            }
        }
    }

    fn each_attempt(&self, each: &mut dyn FnMut(&Attempt)) {
        each(&self.attempt);
        if let Some(past) = self.past.get() {
            past.hedges.borrow().iter().for_each(|hedge| each(&hedge.attempt));
        }
    }

    /// The address of the connection the call is on, or was on when the last of its hedges failed.
    pub(super) fn peer(&self) -> Option<Arc<str>> {
        self.attempt.peer().or_else(|| self.past.get().and_then(|past| past.peer.borrow().clone()))
    }

    /// Tells of the attempts, that which ends the call last. Its cause is what the call's status says.
    pub(super) fn told(&self, now: Time, outcome: &Outcome) -> Option<String> {
        let past = self.past.get()?;
        if !past.is_hedged.get() && self.attempt.phase.get() != Phase::Backoff {
            self.on_over(self.attempts.get(), &self.attempt, now, outcome, String::new());
        }
        past.attempts.borrow().words(now)
    }
}

impl Attempt {
    /// One that looks for a connection now.
    fn begin(call: u64, deadline: Option<Time>, now: Time) -> Self {
        Self {
            call,
            deadline,
            phase: Cell::new(Phase::Queue),
            sent: Cell::new(Sent::NotSent),
            bound: Cell::new(None),
            previous: Cell::new(0),
            place: RefCell::new(Where::Nowhere),
            looks_at: Cell::new(Some(now)),
            since: Cell::new(Time::ZERO),
            reads_then: Cell::new(0),
            avoids: Cell::new(None),
            unwritten: RefCell::default(),
        }
    }

    /// When it looks for a connection first; the clock is asked only if time may have passed since it was known.
    pub(super) fn looks_at<D: Driver>(&self, driver: &D) -> Time {
        self.looks_at.take().unwrap_or_else(|| driver.now())
    }

    /// The connection on which an attempt before it came to nothing: another one is better.
    pub(super) fn avoids(&self) -> Option<u64> {
        self.avoids.get()
    }

    /// The time left for a stream that is about to be opened; `None` without a deadline.
    pub(super) fn remaining<D: Driver>(&self, driver: &D) -> Option<Duration> {
        let deadline = self.deadline?;
        self.since.set(driver.now());
        Some(deadline.since(self.since.get()))
    }

    /// It waits for a stream to the pool's address.
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

    /// It waits for the end of other calls.
    pub(super) fn on_limit_reached(&self, limit: CallLimit) {
        self.looks_at.set(None);
        *self.place.borrow_mut() = Where::AtLimit(limit);
    }

    /// It waits for that no more.
    pub(super) fn on_limit_passed(&self) {
        *self.place.borrow_mut() = Where::Nowhere;
    }

    /// Its stream was opened.
    pub(super) fn on_opened(&self, connection: Connection, in_flight: AtAddress) {
        self.phase.set(Phase::Send);
        self.reads_then.set(connection.reads());
        *self.place.borrow_mut() = Where::On(connection, in_flight);
    }

    /// The request was handed over as a whole; while this is held elsewhere, not all of it is written.
    pub(super) fn on_handed_over(&self, unwritten: Option<Weak<()>>) {
        self.phase.set(Phase::Wait);
        if let Some(unwritten) = unwritten {
            self.unwritten.replace(unwritten);
        }
    }

    /// The address of the connection it is on.
    pub(super) fn peer(&self) -> Option<Arc<str>> {
        match &*self.place.borrow() {
            Where::On(connection, _) => Some(Arc::clone(connection.address())),
            Where::Nowhere | Where::WaitsFor(..) | Where::AtLimit(_) => None,
        }
    }

    /// The connection it is on.
    pub(super) fn connection(&self) -> Option<u64> {
        match &*self.place.borrow() {
            Where::On(connection, _) => Some(connection.id()),
            Where::Nowhere | Where::WaitsFor(..) | Where::AtLimit(_) => None,
        }
    }

    /// The call goes on as this hedge, or ends as it.
    fn take_over(&self, hedge: &Self) {
        self.phase.set(hedge.phase.get());
        self.sent.set(hedge.sent.get());
        self.since.set(hedge.since.get());
        self.reads_then.set(hedge.reads_then.get());
        self.place.replace(hedge.place.replace(Where::Nowhere));
    }

    /// Nothing read since the stream was opened, or since it began to wait for a place, is evidence against the connection.
    fn on_deadline<D: Driver>(&self, driver: &D) {
        if self.unwritten.borrow().strong_count() > 0 {
            self.phase.set(Phase::Send);
        }
        if let Where::On(connection, _) | Where::WaitsFor(connection, _) = &*self.place.borrow()
            && connection.reads() == self.reads_then.get()
        {
            connection.on_silent_deadline(driver.now(), self.since.get());
        }
    }

    /// Something happened to its stream.
    pub(super) fn log_stream(&self, connection: &Connection, words: impl FnOnce() -> String) {
        log(LogLevel::Trace, Room::Call, || {
            let (name, call) = (connection.name(), self.call);
            format!("{}: call {call}: connection {} {}: {}", name.channel, name.id, name.address, words())
        });
    }

    /// A failure at this point.
    pub(super) fn local(&self, failure: Failure) -> Outcome {
        Outcome { ending: Ending::Local(failure), sent: self.sent.get() }
    }
}

/// How an attempt ended, for the trail.
fn cause<D: Driver>(channel: &LocalChannel<D>, outcome: &Outcome) -> String {
    match &outcome.ending {
        Ending::Peer { status, .. } => status.message().to_owned(),
        Ending::Local(failure) => failure.words(channel.config().dialect),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Metadata;
    use crate::runtime::memory::MemoryDriver;
    use crate::status::Status;

    /// [WIRE-166], [DL-6]
    #[test]
    fn a_cancel_from_the_server_or_a_proxys_error_after_the_deadline_is_the_deadline() {
        let reset = |http2_code| Failure::StreamReset { http2_code };
        let answer = |http| Failure::HttpStatus { http, content_type: None, body: "".into() };
        let (cancel, internal_error) = (8, 2);
        MemoryDriver::run(|driver| async move {
            let (soon, late) = (Duration::from_nanos(1), Duration::from_secs(1));
            for (timeout, failure, code) in [
                (Some(soon), reset(cancel), Code::DeadlineExceeded),
                (Some(soon), reset(internal_error), Code::Internal),
                (Some(late), reset(cancel), Code::Cancelled),
                (None, reset(cancel), Code::Cancelled),
                // As nginx does.
                (Some(soon), answer(502), Code::DeadlineExceeded),
                (Some(soon), answer(403), Code::PermissionDenied),
                (Some(late), answer(502), Code::Unavailable),
            ] {
                let case = format!("{timeout:?}, {failure:?}");
                let progress = Progress::begin(1, driver.now(), (timeout, Whose::Call));
                let work = pin!(std::future::ready(Outcome::local(failure)));
                let outcome = progress.supervise(&driver, &Inbox::default(), work).await;
                let Ending::Local(failure) = outcome.ending else { panic!("a status from nobody") };
                assert_eq!(failure.code(), code, "{case}");
            }
        });
    }

    /// [DL-7]
    #[test]
    fn a_status_that_came_before_anybody_looked_at_the_deadline_stands() {
        MemoryDriver::run(|driver| async move {
            let progress = Progress::begin(1, driver.now(), (Some(Duration::from_nanos(1)), Whose::Call));
            let status = Status::new(Code::Ok, "");
            let ending = Ending::Peer { status, trailing: Metadata::new() };
            let work = pin!(std::future::ready(Outcome { ending, sent: Sent::Processed }));
            assert!(progress.supervise(&driver, &Inbox::default(), work).await.is_ok());
        });
    }
}
