//! Completions of one turn of the loop, given out together: one lock and one bell for all of them.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::iter::once;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Waker};

use super::completion::{Completion, CompletionQueue, Event, Reply, Target};
use super::slot::CallSlot;
use crate::call::streaming::StreamEvents;
use crate::call::{CallEnd, UnaryEnd};
use crate::metadata::Metadata;

/// What waits for the end of the turn.
#[derive(Default)]
pub(super) struct Outbox {
    held: RefCell<Vec<(Arc<CompletionQueue>, Completion)>>,
    /// Of [`Outbox::run`], while nothing is held.
    waker: Cell<Option<Waker>>,
}

/// As many wait at most; then they are given out, whatever else is ready.
const MOST_HELD: usize = 32;

impl Outbox {
    /// Gives out what is held, each time after everything that was ready before. A task for as long as the loop lives.
    pub(super) async fn run(self: Rc<Self>) {
        poll_fn(|cx| {
            self.flush();
            self.waker.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await
    }

    /// Gives out what is held, now.
    pub(super) fn flush(&self) {
        let mut held = self.held.take();
        {
            let mut rest = held.drain(..).peekable();
            while let Some((queue, first)) = rest.next() {
                let of_same =
                    || rest.next_if(|(other, _)| Arc::ptr_eq(other, &queue)).map(|(_, completion)| completion);
                queue.push(once(first).chain(std::iter::from_fn(of_same)));
            }
        }
        // Its room is used again, unless a bell has brought something new.
        let mut now_held = self.held.borrow_mut();
        if now_held.is_empty() {
            *now_held = held;
        }
    }

    fn deliver(&self, reply: &Reply, event: Event) {
        let (queue, tag) = match reply.target() {
            Target::Queue(queue, tag) => (Arc::clone(queue), tag),
            Target::Callback => return reply.deliver(event),
        };
        let count = {
            let mut held = self.held.borrow_mut();
            held.push((queue, Completion { tag, event }));
            held.len()
        };
        if count >= MOST_HELD {
            self.flush();
        } else if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.flush();
    }
}

/// A call's slot on the loop: what it owes is delivered through the outbox, in order.
pub(super) struct LoopSlot {
    /// Taken out when it is paid.
    slot: Option<CallSlot>,
    outbox: Rc<Outbox>,
}

impl LoopSlot {
    pub(super) fn new(slot: CallSlot, outbox: Rc<Outbox>) -> Self {
        Self { slot: Some(slot), outbox }
    }

    pub(super) fn finish_unary(mut self, end: UnaryEnd) {
        if let Some(slot) = self.slot.take() {
            slot.finish_unary(end, |reply, event| self.outbox.deliver(reply, event));
        }
    }

    pub(super) fn finish_stream(mut self, end: CallEnd) {
        if let Some(slot) = self.slot.take() {
            slot.finish_stream(end, |reply, event| self.outbox.deliver(reply, event));
        }
    }

    fn deliver(&self, event: Event) {
        if let Some(slot) = &self.slot {
            self.outbox.deliver(slot.reply(), event);
        }
    }
}

impl StreamEvents for LoopSlot {
    fn on_headers(&self, initial: Metadata, peer: Arc<str>) {
        self.deliver(Event::Headers { initial, peer });
    }

    fn on_message(&self, message: bytes::Bytes) {
        self.deliver(Event::Message(message));
    }

    fn on_writable(&self) {
        self.deliver(Event::Writable);
    }
}

impl Drop for LoopSlot {
    /// What is owed and was not paid is reported by the slot itself, at once; what came before goes first.
    fn drop(&mut self) {
        if self.slot.is_some() {
            self.outbox.flush();
        }
    }
}
