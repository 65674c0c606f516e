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
use crate::transport::{Ending, Outcome};

/// Where a call is.
pub(super) struct Progress {
    started: Time,
    /// `None` is no deadline.
    timeout: Option<Duration>,
    pub(super) phase: Cell<Phase>,
    pub(super) sent: Cell<Sent>,
    pub(super) peer: RefCell<Option<Arc<str>>>,
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
            peer: RefCell::new(None),
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.timeout.map(|timeout| self.started + timeout)
    }

    /// The time left; `None` without a deadline.
    pub(super) fn remaining<D: Driver>(&self, driver: &D) -> Option<Duration> {
        self.deadline().map(|deadline| deadline.since(driver.now()))
    }

    /// The server did not process what was sent; the call waits for a connection anew.
    pub(super) fn on_retry(&self) {
        self.phase.set(Phase::Queue);
        self.sent.set(Sent::Refused);
        self.peer.borrow_mut().take();
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
            over.as_mut().poll(cx).map(|()| Err(self.deadline_exceeded()))
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

    /// A failure at this point of the call.
    pub(super) fn local(&self, failure: Failure) -> Outcome {
        Outcome { ending: Ending::Local(failure), sent: self.sent.get() }
    }

    fn failure_of(&self, cancel: Cancel) -> Failure {
        match cancel {
            Cancel::ByCaller { code, text } => Failure::Cancelled { code, text },
            // [CONN-154]: a call that is not on a connection yet was waiting.
            Cancel::ChannelClosed if self.peer.borrow().is_none() => Failure::ChannelClosed,
            Cancel::ChannelClosed => Failure::ChannelClosedWhileRunning,
        }
    }

    pub(super) fn end<D: Driver>(&self, channel: &LocalChannel<D>, outcome: Outcome) -> CallEnd {
        let now = channel.driver().now();
        channel.on_call_ended(now);
        let elapsed = now.since(self.started);
        let peer = self.peer.borrow().clone();
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
