//! What a call keeps about itself on the way, and how it becomes a [`CallEnd`].

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::inbox::{Cancel, Inbox};
use super::{CallEnd, CallSpec, Timeout};
use crate::channel::LocalChannel;
use crate::failure::Failure;
use crate::metadata::Metadata;
use crate::observe::trail::{ConnectTrail, Phase, Sent, Trail};
use crate::runtime::{Driver, sleep_until};
use crate::status::Status;
use crate::time::Time;
use crate::transport::connection::Connection;
use crate::transport::{Ending, Outcome};

/// Where a call is.
pub(super) struct Progress {
    started: Time,
    /// `None` is no deadline.
    timeout: Option<Duration>,
    pub(super) phase: Cell<Phase>,
    pub(super) sent: Cell<Sent>,
    /// The connection the call is on, once it is on one.
    connection: RefCell<Option<Connection>>,
    /// Of a call with a deadline: when its stream was opened.
    opened: Cell<Time>,
    /// How often bytes had been read from the connection then.
    reads_at_opening: Cell<u32>,
}

/// Longer timeouts are none: nobody waits ten years, and clocks need not hold it.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Progress {
    pub(super) fn start<D: Driver>(channel: &LocalChannel<D>, spec: &CallSpec) -> Self {
        let timeout = match spec.timeout {
            Timeout::ChannelDefault => channel.config().default_timeout,
            Timeout::None => None,
            Timeout::After(timeout) => Some(timeout).filter(|timeout| *timeout <= LONGEST_TIMEOUT),
            Timeout::AlreadyPast => Some(Duration::ZERO),
        };
        Self {
            started: channel.driver().now(),
            timeout,
            phase: Cell::new(Phase::Queue),
            sent: Cell::new(Sent::NotSent),
            connection: RefCell::new(None),
            opened: Cell::new(Time::ZERO),
            reads_at_opening: Cell::new(0),
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.timeout.map(|timeout| self.started + timeout)
    }

    /// When the call was made.
    pub(super) fn started(&self) -> Time {
        self.started
    }

    /// The time left for a stream that is about to be opened; `None` without a deadline.
    pub(super) fn remaining<D: Driver>(&self, driver: &D) -> Option<Duration> {
        let deadline = self.deadline()?;
        self.opened.set(driver.now());
        Some(deadline.since(self.opened.get()))
    }

    /// The call's stream was opened.
    pub(super) fn on_opened(&self, connection: Connection) {
        self.phase.set(Phase::Send);
        self.reads_at_opening.set(connection.reads());
        *self.connection.borrow_mut() = Some(connection);
    }

    /// The address of the connection the call is on.
    pub(super) fn peer(&self) -> Option<Arc<str>> {
        self.connection.borrow().as_ref().map(|connection| Arc::clone(connection.address()))
    }

    /// The server did not process what was sent; the call waits for a connection anew.
    pub(super) fn on_retry(&self) {
        self.phase.set(Phase::Queue);
        self.sent.set(Sent::Refused);
        self.connection.borrow_mut().take();
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
        mut work: Pin<&mut impl Future<Output = Outcome>>,
    ) -> Outcome {
        // [WIRE-43]
        if self.timeout == Some(Duration::ZERO) {
            return self.local(self.deadline_exceeded());
        }
        let mut over = pin!(sleep_until(driver, self.deadline()));
        let outcome = poll_fn(|cx| {
            if let Poll::Ready(cancel) = inbox.poll_cancelled(cx) {
                return Poll::Ready(Err(self.failure_of(cancel)));
            }
            if let Poll::Ready(outcome) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(outcome));
            }
            over.as_mut().poll(cx).map(|()| {
                self.on_deadline(driver);
                Err(self.deadline_exceeded())
            })
        });
        let outcome = match outcome.await {
            Ok(outcome) => outcome,
            Err(failure) => return self.local(failure),
        };
        // [WIRE-166]: the server noticed our deadline before we did.
        let is_cancel = matches!(outcome.ending, Ending::Local(Failure::StreamReset { http2_code: 8 }));
        if is_cancel && self.deadline().is_some_and(|deadline| deadline <= driver.now()) {
            return self.local(self.deadline_exceeded());
        }
        outcome
    }

    /// Nothing read since the stream was opened is evidence against the connection.
    fn on_deadline<D: Driver>(&self, driver: &D) {
        if let Some(connection) = &*self.connection.borrow()
            && connection.reads() == self.reads_at_opening.get()
        {
            connection.on_silent_deadline(driver.now(), self.opened.get());
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
            Cancel::ChannelClosed if self.connection.borrow().is_none() => Failure::ChannelClosed,
            Cancel::ChannelClosed => Failure::ChannelClosedWhileRunning,
        }
    }

    /// Makes the call's end, after its stream was let go.
    pub(super) fn end<D: Driver>(&self, channel: &LocalChannel<D>, outcome: Outcome) -> CallEnd {
        let now = channel.driver().now();
        channel.on_call_ended(now);
        let elapsed = now.since(self.started);
        let connection = self.connection.take();
        if let Some(connection) = &connection {
            connection.on_call_ended(now);
        }
        let peer = connection.map(|connection| Arc::clone(connection.address()));
        match outcome.ending {
            Ending::Peer { status, trailing } => {
                CallEnd { status, trailing, local: false, sent: outcome.sent, peer, elapsed, trail: String::new() }
            }
            Ending::Local(failure) => {
                let connect = if peer.is_none() { connect_trail(channel) } else { None };
                let phase = self.phase.get();
                let trail =
                    Trail { phase, address: peer.as_deref().map(str::to_owned), connect, sent: outcome.sent, now }
                        .to_string();
                let words = failure.words(channel.config().dialect);
                let text = if failure.is_callers_own() { words } else { format!("{words}; {trail}") };
                let status = Status::new(failure.code(), text);
                CallEnd { status, trailing: Metadata::new(), local: true, sent: outcome.sent, peer, elapsed, trail }
            }
        }
    }
}

fn connect_trail<D: Driver>(channel: &LocalChannel<D>) -> Option<Rc<ConnectTrail>> {
    channel.snapshot().trail.clone()
}
