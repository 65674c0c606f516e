//! Calls that wait: counted and bounded in number, and in line where a limit of calls in flight is reached.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use super::progress::Attempt;
use crate::channel::LocalChannel;
use crate::channel::call_limits::{AddressLimit, Running};
use crate::channel::slot::Turn;
use crate::channel::snapshot::Snapshot;
use crate::failure::{CallLimit, Failure};
use crate::line;
use crate::observe::counters::ChannelCounters;
use crate::runtime::Driver;

/// A call that waits, counted.
pub(super) struct Waiting<'a>(&'a ChannelCounters);

impl<'a> Waiting<'a> {
    /// `reached` is the limit the call waits at, if it does not wait for a connection.
    pub(super) fn enter<D: Driver>(channel: &'a LocalChannel<D>, reached: Option<CallLimit>) -> Result<Self, Failure> {
        let counters = channel.counters();
        let most = channel.config().max_queued_calls;
        if let Some(limit) = most.filter(|limit| counters.calls_queued.read() >= *limit) {
            return Err(Failure::TooManyQueued { limit, reached });
        }
        counters.calls_queued.enter();
        Ok(Self(counters))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.calls_queued.leave();
    }
}

/// Counts a call towards the limit of its channel, if it has one; waits for room where there is none, until the channel is closed.
pub(super) async fn enter<D: Driver>(channel: &LocalChannel<D>, attempt: &Attempt) -> Result<Option<Running>, Failure> {
    let Some(limit) = channel.limit() else { return Ok(None) };
    if let Some(running) = limit.take() {
        return Ok(Some(running));
    }
    let reached = CallLimit::OfChannel(limit.most);
    let _waiting = Waiting::enter(channel, Some(reached))?;
    attempt.on_limit_reached(reached);
    // Boxed, because few calls wait and every call would have room for it.
    let running = Box::pin(limit.wait()).await;
    attempt.on_limit_passed();
    running.map(Some).ok_or(Failure::ChannelClosed)
}

/// A call's place in the line of those that found no address with room; it is taken when the call waits.
pub(super) struct Place<'a> {
    limit: Option<&'a AddressLimit>,
    turn: Option<line::Turn<'a>>,
}

impl<'a> Place<'a> {
    pub(super) fn at<D: Driver>(channel: &'a LocalChannel<D>) -> Self {
        Self { limit: channel.address_limit().map(Rc::as_ref), turn: None }
    }

    /// What is waited for.
    pub(super) fn limit(&self) -> Option<CallLimit> {
        self.limit.map(|limit| CallLimit::OfAddress(limit.most))
    }

    /// Whether nobody has waited longer.
    pub(super) fn is_first(&self) -> bool {
        match (&self.turn, self.limit) {
            (Some(turn), _) => turn.has_come(),
            (None, Some(limit)) => limit.line.is_empty(),
            (None, None) => true,
        }
    }

    /// The call has looked as the first, and is about to wait for something else: the next may look.
    pub(super) fn leave(&mut self) {
        self.turn = None;
    }

    /// Waits until there may be room: a call at an address has ended, or another snapshot has come. The newest is returned; `None` when
    /// nothing will come any more.
    pub(super) async fn wait<D: Driver>(
        &mut self,
        channel: &LocalChannel<D>,
        attempt: &Attempt,
        seen: &Rc<Snapshot>,
        turn: &mut Turn,
    ) -> Option<Rc<Snapshot>> {
        if let (Some(limit), Some(reached)) = (self.limit, self.limit()) {
            attempt.on_limit_reached(reached);
            self.turn.get_or_insert_with(|| limit.line.turn());
        }
        let mut has_waited = false;
        let mut newer = pin!(channel.snapshots().newer_than(seen, turn));
        let newest = poll_fn(|cx| {
            if let Poll::Ready(newer) = newer.as_mut().poll(cx) {
                return Poll::Ready(newer);
            }
            // Woken, and not by a snapshot.
            if std::mem::replace(&mut has_waited, true) {
                return Poll::Ready(Some(Rc::clone(seen)));
            }
            if let Some(turn) = &mut self.turn {
                turn.wait(cx);
            }
            Poll::Pending
        });
        let newest = newest.await;
        attempt.on_limit_passed();
        newest
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn a_call_that_comes_when_others_are_in_line_does_not_look_before_them() {
        let limit = AddressLimit::new(1);
        let place = || Place { limit: Some(&*limit), turn: None };
        let (mut first, newcomer) = (place(), place());
        assert!(newcomer.is_first());
        first.turn.insert(limit.line.turn()).wait(&Context::from_waker(Waker::noop()));
        assert!(first.is_first());
        assert!(!newcomer.is_first());
        first.leave();
        assert!(newcomer.is_first());
    }
}
