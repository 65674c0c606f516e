//! What calls saw of one endpoint: calls write it, policies and their pickers read it.
//!
//! It belongs to the endpoint, not to an address or a connection ([NAME-83]), so it outlasts both.

use std::cell::{Cell, OnceCell, RefCell};
use std::fmt::Debug;
use std::rc::{Rc, Weak};

use super::breaker::{Circuit, Standing, Verdict};
use crate::load_report::LoadReport;
use crate::time::Time;

/// The tally of one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    in_flight: Cell<u32>,
    succeeded: Cell<u64>,
    failed: Cell<u64>,
    is_ejected: Cell<bool>,
    /// Who asked last to be told of the endpoint's load.
    load_listener: RefCell<Option<Weak<dyn LoadListener>>>,
    /// Its circuit breaker, where the channel has breakers.
    circuit: OnceCell<Box<RefCell<Circuit>>>,
}

/// A policy that wants to know what servers say of their load.
pub(crate) trait LoadListener: Debug {
    /// A call ended with this report. Whether the policy's next deadline may be an earlier one now.
    fn on_report(&self, now: Time, report: &LoadReport<'_>) -> bool;
}

impl Tally {
    /// A call was given to this endpoint; it counts until the guard is dropped ([LB-57]).
    pub(crate) fn enter(self: &Rc<Self>) -> InFlight {
        self.in_flight.set(self.in_flight.get() + 1);
        let turn = self.circuit().map(|circuit| circuit.borrow_mut().on_admitted());
        InFlight { tally: Rc::clone(self), turn: Cell::new(turn) }
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

    /// Whether outlier detection keeps calls away.
    pub(crate) fn is_ejected(&self) -> bool {
        self.is_ejected.get()
    }

    pub(super) fn set_ejected(&self, is_ejected: bool) {
        self.is_ejected.set(is_ejected);
    }

    /// Reports of load are read from now on and told to this one, as long as somebody keeps it.
    pub(crate) fn listen(&self, listener: Weak<dyn LoadListener>) {
        *self.load_listener.borrow_mut() = Some(listener);
    }

    /// Puts the endpoint behind a circuit breaker, the one it has or a new one.
    pub(super) fn guard(&self, circuit: impl FnOnce() -> Circuit) -> &RefCell<Circuit> {
        self.circuit.get_or_init(|| Box::new(RefCell::new(circuit())))
    }

    pub(super) fn circuit(&self) -> Option<&RefCell<Circuit>> {
        self.circuit.get().map(Box::as_ref)
    }

    /// Where its breaker stands, where the channel has breakers.
    pub(crate) fn breaker(&self) -> Option<Standing> {
        Some(self.circuit()?.borrow().standing())
    }

    /// Whether its breaker lets another call through.
    pub(crate) fn admits(&self) -> bool {
        self.circuit().is_none_or(|circuit| circuit.borrow().admits())
    }
}

/// A call that an endpoint has been given.
#[derive(Debug)]
pub(crate) struct InFlight {
    tally: Rc<Tally>,
    /// What the breaker gave it, until its end was judged.
    turn: Cell<Option<u32>>,
}

impl InFlight {
    /// The call, which was sent, has ended.
    pub(crate) fn on_ended(&self, is_ok: bool) {
        let count = if is_ok { &self.tally.succeeded } else { &self.tally.failed };
        count.set(count.get() + 1);
    }

    /// Who is to be told what the server said of its load; mostly nobody, and then nobody has to read it.
    pub(crate) fn load_listener(&self) -> Option<Rc<dyn LoadListener>> {
        self.tally.load_listener.borrow().as_ref()?.upgrade()
    }

    /// Whether a breaker waits for the verdict on this call.
    pub(crate) fn is_judged(&self) -> bool {
        self.turn.get().is_some()
    }

    /// What the call's end says of the endpoint, if anything. Whether there is something new to see of its breaker.
    pub(crate) fn on_verdict(&self, now: Time, verdict: Option<Verdict>) -> bool {
        let (Some(verdict), Some(circuit)) = (verdict, self.tally.circuit()) else { return self.leave() };
        self.turn.take().is_some_and(|turn| circuit.borrow_mut().on_ended(now, turn, verdict))
    }

    /// Whether it probes the endpoint.
    pub(crate) fn is_probe(&self) -> bool {
        self.tally.circuit().is_some_and(|circuit| circuit.borrow().is_probed())
    }

    /// The call is over and proves nothing. Whether another may probe the endpoint in its stead.
    pub(crate) fn leave(&self) -> bool {
        let (Some(turn), Some(circuit)) = (self.turn.take(), self.tally.circuit()) else { return false };
        circuit.borrow_mut().on_left(turn)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.leave();
        self.tally.in_flight.set(self.tally.in_flight.get() - 1);
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

    #[derive(Debug)]
    struct Nobody;

    impl LoadListener for Nobody {
        fn on_report(&self, _: Time, _: &LoadReport<'_>) -> bool {
            false
        }
    }

    /// [LB-49]
    #[test]
    fn load_is_told_to_the_one_who_asked_last_and_only_while_it_is_there() {
        let tally = Rc::new(Tally::default());
        let call = tally.enter();
        assert!(call.load_listener().is_none());
        let [first, second] = [(); 2].map(|()| Rc::new(Nobody) as Rc<dyn LoadListener>);
        tally.listen(Rc::downgrade(&first));
        tally.listen(Rc::downgrade(&second));
        assert!(call.load_listener().is_some_and(|listener| Rc::ptr_eq(&listener, &second)));
        drop(second);
        assert!(call.load_listener().is_none());
    }
}
