//! The streams a server allows at once: places taken by calls, given back when their streams end.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::tap::Seen;
use crate::observe::counters::ConnectionCounters;

/// The places of one connection.
pub(super) struct Places {
    seen: Rc<Seen>,
    counters: Arc<ConnectionCounters>,
    taken: Cell<u32>,
    /// Set once the connection takes no new streams.
    is_closed: Cell<bool>,
    /// Set while the connection is checked: calls wait for the answer.
    are_held: Cell<bool>,
    /// The calls that wait for a place, by their tickets, which are given in order.
    line: RefCell<BTreeMap<u64, Waker>>,
    next_ticket: Cell<u64>,
}

impl Places {
    pub(super) fn new(seen: Rc<Seen>, counters: Arc<ConnectionCounters>) -> Rc<Self> {
        let places = Self {
            seen,
            counters,
            taken: Cell::new(0),
            is_closed: Cell::new(false),
            are_held: Cell::new(false),
            line: RefCell::default(),
            next_ticket: Cell::new(0),
        };
        places.show_limit();
        Rc::new(places)
    }

    /// Takes a place, waiting for one; `None` once the connection takes no new streams. `waits` is called whenever it waits.
    ///
    /// Who waits longest goes first. Cancel safe: a dropped wait takes nothing.
    pub(super) async fn take(self: &Rc<Self>, waits: impl Fn()) -> Option<Place> {
        let mut turn = Turn { places: self, ticket: None };
        poll_fn(|cx| {
            if self.is_closed.get() {
                return Poll::Ready(None);
            }
            if turn.has_come() && self.has_free() {
                self.taken.set(self.taken.get() + 1);
                self.counters.streams_active.enter();
                return Poll::Ready(Some(Place(Rc::clone(self))));
            }
            turn.wait(cx);
            waits();
            Poll::Pending
        })
        .await
    }

    fn has_free(&self) -> bool {
        !self.are_held.get() && self.seen.stream_limit().is_none_or(|limit| self.taken.get() < limit)
    }

    /// Lets who is first in the line look whether there is a place.
    fn call_next(&self) {
        if let Some(next) = self.line.borrow().values().next() {
            next.wake_by_ref();
        }
    }

    /// Whether a stream is open, or about to be.
    pub(super) fn are_taken(&self) -> bool {
        self.taken.get() > 0
    }

    /// Gives no place until they are released.
    pub(super) fn hold(&self) {
        self.are_held.set(true);
    }

    pub(super) fn release(&self) {
        self.are_held.set(false);
        self.call_next();
    }

    pub(super) fn are_held(&self) -> bool {
        self.are_held.get()
    }

    pub(super) fn have_waiting(&self) -> bool {
        !self.line.borrow().is_empty()
    }

    /// The server announced another limit.
    pub(super) fn on_limit_changed(&self) {
        self.show_limit();
        self.call_next();
    }

    pub(super) fn close(&self) {
        self.is_closed.set(true);
        self.line.borrow().values().for_each(Waker::wake_by_ref);
    }

    fn show_limit(&self) {
        if let Some(limit) = self.seen.stream_limit() {
            self.counters.set_stream_limit(limit);
        }
    }
}

/// A call's turn; in the line once it has waited.
struct Turn<'a> {
    places: &'a Places,
    ticket: Option<u64>,
}

impl Turn<'_> {
    /// Whether nobody has waited longer.
    fn has_come(&self) -> bool {
        let line = self.places.line.borrow();
        line.first_key_value().is_none_or(|(first, _)| Some(*first) == self.ticket)
    }

    fn wait(&mut self, cx: &Context<'_>) {
        let next = &self.places.next_ticket;
        let ticket = *self.ticket.get_or_insert_with(|| next.replace(next.get() + 1));
        self.places.line.borrow_mut().insert(ticket, cx.waker().clone());
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.places.line.borrow_mut().remove(&ticket);
            // There may be a place for the next as well.
            self.places.call_next();
        }
    }
}

/// One stream's place; given back when dropped.
pub(crate) struct Place(Rc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
        self.0.counters.streams_active.leave();
        self.0.call_next();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::{Pin, pin};

    use super::*;

    fn polled(call: Pin<&mut impl Future<Output = Option<Place>>>) -> Poll<bool> {
        call.poll(&mut Context::from_waker(Waker::noop())).map(|place| {
            std::mem::forget(place);
            true
        })
    }

    /// Who has waited longest is first, and whoever comes when a place is free goes behind.
    #[test]
    fn places_go_to_calls_in_the_order_in_which_they_began_to_wait() {
        let places = Places::new(Rc::default(), Arc::default());
        places.hold();
        let [first, given_up, second] = [0, 1, 2].map(|_| Box::pin(places.take(|| {})));
        let (mut first, mut given_up, mut second) = (first, given_up, second);
        for waiting in [&mut first, &mut given_up, &mut second] {
            assert!(polled(waiting.as_mut()).is_pending());
        }
        places.release();
        let mut newcomer = pin!(places.take(|| {}));
        assert!(polled(newcomer.as_mut()).is_pending());
        assert!(polled(second.as_mut()).is_pending());
        assert!(polled(first.as_mut()).is_ready());
        drop((first, given_up));
        assert!(polled(newcomer.as_mut()).is_pending());
        assert!(polled(second.as_mut()).is_ready());
        drop(second);
        assert!(polled(newcomer.as_mut()).is_ready());
        assert!(!places.have_waiting());
    }
}
