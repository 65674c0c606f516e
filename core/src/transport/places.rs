//! The streams a server allows at once: places taken by calls, given back when their streams end.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;

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
    /// How many calls wait for a place.
    waiting: Cell<u32>,
    /// Rung when a place was given back, the limit changed, or the places closed: whoever waits looks again.
    changed: Notify,
}

impl Places {
    pub(super) fn new(seen: Rc<Seen>, counters: Arc<ConnectionCounters>) -> Rc<Self> {
        let places = Self {
            seen,
            counters,
            taken: Cell::new(0),
            is_closed: Cell::new(false),
            are_held: Cell::new(false),
            waiting: Cell::new(0),
            changed: Notify::new(),
        };
        places.show_limit();
        Rc::new(places)
    }

    /// Takes a place, waiting for one; `None` once the connection takes no new streams. `waits` is called whenever it waits.
    ///
    /// Cancel safe: a dropped wait takes nothing.
    pub(super) async fn take(self: &Rc<Self>, waits: impl Fn()) -> Option<Place> {
        loop {
            if self.is_closed.get() {
                return None;
            }
            let is_free = !self.are_held.get();
            if is_free && self.seen.stream_limit().is_none_or(|limit| self.taken.get() < limit) {
                self.taken.set(self.taken.get() + 1);
                self.counters.streams_active.enter();
                return Some(Place(Rc::clone(self)));
            }
            // Nothing changes between the look and the wait: they are on one loop, with no wait between them.
            let _waiting = Waiting::enter(self);
            waits();
            self.changed.notified().await;
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
        self.changed.notify_waiters();
    }

    pub(super) fn are_held(&self) -> bool {
        self.are_held.get()
    }

    pub(super) fn have_waiting(&self) -> bool {
        self.waiting.get() > 0
    }

    /// The server announced another limit.
    pub(super) fn on_limit_changed(&self) {
        self.show_limit();
        self.changed.notify_waiters();
    }

    pub(super) fn close(&self) {
        self.is_closed.set(true);
        self.changed.notify_waiters();
    }

    fn show_limit(&self) {
        if let Some(limit) = self.seen.stream_limit() {
            self.counters.set_stream_limit(limit);
        }
    }
}

/// A call that waits for a place, counted.
struct Waiting<'a>(&'a Places);

impl<'a> Waiting<'a> {
    fn enter(places: &'a Places) -> Self {
        places.waiting.set(places.waiting.get() + 1);
        Self(places)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}

/// One stream's place; given back when dropped.
pub(crate) struct Place(Rc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
        self.0.counters.streams_active.leave();
        self.0.changed.notify_one();
    }
}
