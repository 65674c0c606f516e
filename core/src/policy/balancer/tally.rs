//! What calls saw of one endpoint: calls write it, policies and their pickers read it.
//!
//! It belongs to the endpoint, not to an address or a connection ([NAME-83]), so it outlasts both.

use std::cell::Cell;
use std::rc::Rc;

/// The tally of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    in_flight: Cell<u32>,
    succeeded: Cell<u64>,
    failed: Cell<u64>,
}

impl Tally {
    /// A call was given to this endpoint; it counts until the guard is dropped ([LB-57]).
    pub(crate) fn enter(self: &Rc<Self>) -> InFlight {
        self.in_flight.set(self.in_flight.get() + 1);
        InFlight(Rc::clone(self))
    }

    /// Calls that were given to the endpoint and have not ended, those that wait for a place on its connection too.
    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    /// How many calls have ended OK since the endpoint was first listed.
    pub(crate) fn succeeded(&self) -> u64 {
        self.succeeded.get()
    }

    /// How many that were sent have ended otherwise ([LB-80]).
    pub(crate) fn failed(&self) -> u64 {
        self.failed.get()
    }
}

/// A call that an endpoint has been given.
#[derive(Debug)]
pub(crate) struct InFlight(Rc<Tally>);

impl InFlight {
    /// The call, which was sent, has ended.
    pub(crate) fn on_ended(&self, is_ok: bool) {
        let count = if is_ok { &self.0.succeeded } else { &self.0.failed };
        count.set(count.get() + 1);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [LB-57], [LB-80]
    #[test]
    fn a_call_counts_while_it_runs_and_by_its_end() {
        let tally = Rc::new(Tally::default());
        let (first, second) = (tally.enter(), tally.enter());
        assert_eq!(tally.in_flight(), 2);
        first.on_ended(true);
        drop(first);
        drop(second);
        assert_eq!((tally.in_flight(), tally.succeeded(), tally.failed()), (0, 1, 0));
        tally.enter().on_ended(false);
        assert_eq!((tally.succeeded(), tally.failed()), (1, 1));
    }
}
