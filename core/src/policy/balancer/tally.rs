//! What calls saw of one endpoint: calls write it, policies and their pickers read it.
//!
//! It belongs to the endpoint, not to an address or a connection ([NAME-83]), so it outlasts both.

use std::cell::Cell;
use std::rc::Rc;

/// The tally of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    in_flight: Cell<u32>,
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
}

/// A call that an endpoint has been given.
#[derive(Debug)]
pub(crate) struct InFlight(Rc<Tally>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [LB-57]
    #[test]
    fn a_call_counts_while_it_runs() {
        let tally = Rc::new(Tally::default());
        let (first, second) = (tally.enter(), tally.enter());
        assert_eq!(tally.in_flight(), 2);
        drop(first);
        assert_eq!(tally.in_flight(), 1);
        drop(second);
        assert_eq!(tally.in_flight(), 0);
    }
}
