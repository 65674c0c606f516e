//! What reaches a running call from outside: messages to send, read credit, a cancellation.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use crate::status::Code;
use crate::transport::message::Payload;

/// Something to send.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    /// `None` half-closes without a message.
    pub(crate) message: Option<Payload>,
    /// The message's length as its sender gave it, which its quota holds.
    pub(crate) size: usize,
    /// Whether the message is not to be compressed.
    pub(crate) goes_as_it_is: bool,
    pub(crate) is_last: bool,
}

impl Outgoing {
    /// A message as its sender gave it.
    pub(crate) fn message(message: Bytes, is_uncompressed: bool, is_last: bool) -> Self {
        Self { size: message.len(), message: Some(message.into()), goes_as_it_is: is_uncompressed, is_last }
    }

    pub(crate) fn half_close() -> Self {
        Self { message: None, size: 0, goes_as_it_is: true, is_last: true }
    }
}

/// Why a call must end now.
#[derive(Debug)]
pub(crate) enum Cancel {
    /// Its caller wants it to end so.
    ByCaller { code: Code, text: String },
    /// Its channel was closed and the grace time is over.
    ChannelClosed,
}

/// One call's inbox. It lives on one loop, and whatever waits for it is one task.
///
/// The queue is bounded by the sender's quota, see `quota.rs`.
#[derive(Default)]
pub(crate) struct Inbox {
    outgoing: RefCell<VecDeque<Outgoing>>,
    credit: Cell<u32>,
    cancel: RefCell<Option<Cancel>>,
    /// The call's task; it looks at everything when it is woken.
    waker: Cell<Option<Waker>>,
}

impl Inbox {
    pub(crate) fn send(&self, outgoing: Outgoing) {
        self.outgoing.borrow_mut().push_back(outgoing);
        self.wake();
    }

    pub(crate) fn read(&self, credit: u32) {
        self.credit.set(self.credit.get().saturating_add(credit));
        self.wake();
    }

    /// The first reason stands ([WIRE-243]).
    pub(crate) fn cancel(&self, cancel: Cancel) {
        self.cancel.borrow_mut().get_or_insert(cancel);
        self.wake();
    }

    /// The next thing to send, if it `fits`.
    pub(super) fn poll_outgoing(&self, cx: &mut Context<'_>, fits: impl FnOnce(&Outgoing) -> bool) -> Poll<Outgoing> {
        self.poll(cx, || {
            let mut outgoing = self.outgoing.borrow_mut();
            if outgoing.front().is_some_and(fits) { outgoing.pop_front() } else { None }
        })
    }

    /// Uses one unit of credit, waiting until there is one.
    pub(super) async fn credit(&self) {
        poll_fn(|cx| self.poll(cx, || self.credit.get().checked_sub(1).map(|left| self.credit.set(left)))).await;
    }

    pub(super) fn poll_cancelled(&self, cx: &mut Context<'_>) -> Poll<Cancel> {
        self.poll(cx, || self.cancel.borrow_mut().take())
    }

    fn poll<T>(&self, cx: &mut Context<'_>, take: impl FnOnce() -> Option<T>) -> Poll<T> {
        if let Some(taken) = take() {
            return Poll::Ready(taken);
        }
        let waker = match self.waker.take() {
            Some(waker) if waker.will_wake(cx.waker()) => waker,
            _ => cx.waker().clone(),
        };
        self.waker.set(Some(waker));
        Poll::Pending
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
