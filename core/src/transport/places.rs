//! The streams a server allows at once on one connection: places taken by calls, given back when their streams end.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use super::tap::Seen;
use crate::line::Line;
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
    /// How many of the places are taken by what is no call.
    watching: Cell<u8>,
    /// The calls that wait for a place here or on another connection to the same address.
    line: Rc<Line>,
}

impl Places {
    pub(super) fn new(seen: Rc<Seen>, counters: Arc<ConnectionCounters>, line: Rc<Line>) -> Rc<Self> {
        let (taken, is_closed, are_held) = (Cell::new(0), Cell::new(false), Cell::new(false));
        let watching = Cell::new(0);
        let places = Self { seen, counters, taken, is_closed, are_held, watching, line };
        places.show_limit();
        Rc::new(places)
    }

    pub(super) fn take(self: &Rc<Self>) -> Place {
        self.taken.set(self.taken.get() + 1);
        self.counters.streams_active.enter();
        Place(Rc::clone(self))
    }

    pub(super) fn have_room(&self) -> bool {
        let is_usable = !self.is_closed.get() && !self.are_held.get();
        is_usable && self.seen.stream_limit().is_none_or(|limit| self.taken.get() < limit)
    }

    /// How many streams are open, or about to be.
    pub(super) fn taken(&self) -> u32 {
        self.taken.get()
    }

    /// Whether a stream is open, or about to be.
    pub(super) fn are_taken(&self) -> bool {
        self.taken.get() > 0
    }

    /// Whether a call has a stream, or is about to.
    pub(super) fn have_calls(&self) -> bool {
        self.taken.get() > u32::from(self.watching.get())
    }

    /// One place is taken by what is no call, for as long as this is kept.
    pub(super) fn watch(self: &Rc<Self>) -> Watching {
        self.watching.set(self.watching.get() + 1);
        Watching(Rc::clone(self))
    }

    /// Gives no place until they are released.
    pub(super) fn hold(&self) {
        self.are_held.set(true);
    }

    pub(super) fn release(&self) {
        self.are_held.set(false);
        self.line.call_next();
    }

    pub(super) fn are_held(&self) -> bool {
        self.are_held.get()
    }

    pub(super) fn have_waiting(&self) -> bool {
        !self.line.is_empty()
    }

    /// The server announced another limit.
    pub(super) fn on_limit_changed(&self) {
        self.show_limit();
        self.line.call_next();
    }

    pub(super) fn close(&self) {
        self.is_closed.set(true);
    }

    pub(super) fn are_closed(&self) -> bool {
        self.is_closed.get()
    }

    fn show_limit(&self) {
        if let Some(limit) = self.seen.stream_limit() {
            self.counters.set_stream_limit(limit);
        }
    }
}

/// One stream's place; given back when dropped.
pub(crate) struct Place(Rc<Places>);

impl Place {
    /// The stream there ended without the server having ended it.
    pub(super) fn on_stream_failed(&self) {
        self.0.counters.streams_failed.one();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.set(self.0.taken.get() - 1);
        self.0.counters.streams_active.leave();
        self.0.line.call_next();
    }
}

/// Kept while a stream is open that is no call.
pub(crate) struct Watching(Rc<Places>);

impl Drop for Watching {
    fn drop(&mut self) {
        self.0.watching.set(self.0.watching.get() - 1);
    }
}
