//! What reaches a running call from outside: messages to send, read credit, a cancellation.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use bytes::Bytes;
use tokio::sync::Notify;

use crate::status::Code;

/// Something to send.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// `None` half-closes without a message.
    pub(crate) message: Option<Bytes>,
    pub(crate) is_last: bool,
}

/// Why a call must end now.
#[derive(Debug)]
pub(crate) enum Cancel {
    /// Its caller wants it to end so.
    ByCaller { code: Code, text: String },
    /// Its channel was closed and the grace time is over.
    ChannelClosed,
}

/// One call's inbox. It lives on one loop.
///
/// The queue is bounded by the sender's quota, see `quota.rs`.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    outgoing: RefCell<VecDeque<Outgoing>>,
    outgoing_arrived: Notify,
    credit: Cell<u32>,
    credit_arrived: Notify,
    cancel: RefCell<Option<Cancel>>,
    cancel_arrived: Notify,
}

impl Inbox {
    pub(crate) fn send(&self, outgoing: Outgoing) {
        self.outgoing.borrow_mut().push_back(outgoing);
        self.outgoing_arrived.notify_one();
    }

    pub(crate) fn read(&self, credit: u32) {
        self.credit.set(self.credit.get().saturating_add(credit));
        self.credit_arrived.notify_one();
    }

    /// The first reason stands ([WIRE-243]).
    pub(crate) fn cancel(&self, cancel: Cancel) {
        self.cancel.borrow_mut().get_or_insert(cancel);
        self.cancel_arrived.notify_one();
    }

    pub(super) async fn outgoing(&self) -> Outgoing {
        loop {
            if let Some(outgoing) = self.outgoing.borrow_mut().pop_front() {
                return outgoing;
            }
            self.outgoing_arrived.notified().await;
        }
    }

    /// Uses one unit of credit, waiting until there is one.
    pub(super) async fn credit(&self) {
        while self.credit.get() == 0 {
            self.credit_arrived.notified().await;
        }
        self.credit.set(self.credit.get() - 1);
    }

    pub(super) async fn cancelled(&self) -> Cancel {
        loop {
            if let Some(cancel) = self.cancel.borrow_mut().take() {
                return cancel;
            }
            self.cancel_arrived.notified().await;
        }
    }
}
