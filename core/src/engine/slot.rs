//! A completion that is owed: it is delivered exactly once, also when the task that owes it is dropped or panics.

use std::sync::Arc;

use super::completion::{Event, Reply};
use crate::call::quota::SendQuota;
use crate::call::{CallEnd, UnaryEnd};
use crate::channel::Shown;
use crate::failure::{Dialect, Failure};
use crate::observe::trail::Sent;
use crate::state::State;
use crate::status::{Code, Status};

/// The final completion of a call, and the calls' counters.
pub(super) struct CallSlot {
    kind: CallKind,
    reply: Reply,
    shown: Arc<Shown>,
    quota: Arc<SendQuota>,
    is_paid: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallKind {
    Unary,
    Stream,
}

impl CallSlot {
    /// Counts a call that was accepted. Its place in the reply's queue is reserved already.
    pub(super) fn new(kind: CallKind, reply: Reply, shown: Arc<Shown>, quota: Arc<SendQuota>) -> Self {
        shown.counters.calls_started.one();
        shown.counters.calls_in_flight.enter();
        Self { kind, reply, shown, quota, is_paid: false }
    }

    pub(super) fn reply(&self) -> &Reply {
        &self.reply
    }

    /// Pays through `deliver`, which knows how the loop gives completions out.
    pub(super) fn finish_unary(mut self, end: UnaryEnd, deliver: impl FnOnce(&Reply, Event)) {
        let code = end.end.status.code();
        self.pay(code, Event::Unary(Box::new(end)), deliver);
    }

    /// As [`CallSlot::finish_unary`].
    pub(super) fn finish_stream(mut self, end: CallEnd, deliver: impl FnOnce(&Reply, Event)) {
        let code = end.status.code();
        self.pay(code, Event::Status(Box::new(end)), deliver);
    }

    /// The channel was closed between the acceptance of the call and its start.
    pub(super) fn refuse(mut self, dialect: Dialect) {
        let failure = Failure::ChannelClosed;
        self.deliver_local(Status::new(failure.code(), failure.words(dialect)), Sent::NotSent);
    }

    fn deliver_local(&mut self, status: Status, sent: Sent) {
        let code = status.code();
        let end = CallEnd::local(status, sent);
        let event = match self.kind {
            CallKind::Unary => Event::Unary(Box::new(UnaryEnd { end, initial: None, message: None })),
            CallKind::Stream => Event::Status(Box::new(end)),
        };
        self.pay(code, event, Reply::deliver);
    }

    fn pay(&mut self, code: Code, event: Event, deliver: impl FnOnce(&Reply, Event)) {
        self.is_paid = true;
        self.quota.end();
        self.shown.counters.call_ended(code);
        deliver(&self.reply, event);
    }
}

impl Drop for CallSlot {
    fn drop(&mut self) {
        if !self.is_paid {
            let text = "the call's task ended before the call did; this is a bug in linkspan";
            self.deliver_local(Status::new(Code::Internal, text), Sent::Processed);
        }
    }
}

/// A call in the channel's counters, for one whose end nobody is owed: its caller holds its future.
pub(super) struct Counted {
    shown: Arc<Shown>,
    code: Code,
}

impl Counted {
    pub(super) fn start(shown: Arc<Shown>) -> Self {
        shown.counters.calls_started.one();
        shown.counters.calls_in_flight.enter();
        // What counts when the future is dropped.
        Self { shown, code: Code::Cancelled }
    }

    pub(super) fn end(mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.shown.counters.call_ended(self.code);
    }
}

/// The final completion of a watch.
pub(super) struct WatchSlot {
    reply: Reply,
    shown: Arc<Shown>,
    is_paid: bool,
}

impl WatchSlot {
    pub(super) fn new(reply: Reply, shown: Arc<Shown>) -> Self {
        Self { reply, shown, is_paid: false }
    }

    pub(super) fn finish(mut self, state: State, timed_out: bool) {
        self.is_paid = true;
        self.reply.deliver(Event::Connectivity { state, timed_out });
    }
}

impl Drop for WatchSlot {
    fn drop(&mut self) {
        if !self.is_paid {
            self.reply.deliver(Event::Connectivity { state: self.shown.state(), timed_out: true });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::completion::CompletionQueue;

    #[test]
    fn a_dropped_slot_pays_with_an_internal_error_and_a_paid_one_pays_once() {
        let queue = CompletionQueue::new(10);
        let shown = Arc::new(Shown::new(1));
        let slot = || {
            let reply = Reply::queue(&queue, 1);
            reply.reserve().expect("room");
            CallSlot::new(CallKind::Stream, reply, Arc::clone(&shown), Arc::new(SendQuota::new(1)))
        };
        drop(slot());
        let mut taken = Vec::new();
        queue.drain(&mut taken, 10);
        assert!(
            matches!(&taken[..], [completion] if matches!(&completion.event, Event::Status(end) if end.status.code() == Code::Internal))
        );
        let Some(Event::Status(end)) = taken.pop().map(|completion| completion.event) else { panic!("a status") };
        slot().finish_stream(*end, Reply::deliver);
        assert_eq!(queue.drain(&mut taken, 10), 1);
        assert_eq!(shown.counters.calls_in_flight.read(), 0);
        assert_eq!(shown.counters.calls_failed(), 2);
    }
}
