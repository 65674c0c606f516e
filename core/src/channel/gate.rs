//! The loop's dial gate, and the channels that wait at it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::mailbox::{Mail, Mailbox};
use crate::address::Address;
use crate::policy::dial_gate::DialGate;
use crate::time::Time;

/// One per loop.
#[derive(Default)]
pub(crate) struct Gate {
    room: RefCell<DialGate>,
    /// Who wants to hear when an address is open again.
    waiting: RefCell<BTreeMap<Address, BTreeMap<u64, Weak<Mailbox>>>>,
    next_visitor: Cell<u64>,
}

/// A channel at the gate.
pub(super) struct Visitor {
    gate: Rc<Gate>,
    number: u64,
    mailbox: Rc<Mailbox>,
}

impl Visitor {
    pub(super) fn new(gate: Rc<Gate>, mailbox: Rc<Mailbox>) -> Self {
        let number = gate.next_visitor.get();
        gate.next_visitor.set(number + 1);
        Self { gate, number, mailbox }
    }

    /// Whether the channel may dial now; else when to ask again. It hears earlier if the address is found open.
    pub(super) fn ask(&self, now: Time, address: &Address, interval: Duration) -> Option<Time> {
        let ask_again = self.gate.room.borrow_mut().on_dial_wanted(now, address, interval);
        if ask_again.is_some() {
            let mut waiting = self.gate.waiting.borrow_mut();
            waiting.entry(address.clone()).or_default().insert(self.number, Rc::downgrade(&self.mailbox));
        } else {
            self.leave(address);
        }
        ask_again
    }

    /// The channel does not wait for this address, or no longer.
    pub(super) fn leave(&self, address: &Address) {
        let mut waiting = self.gate.waiting.borrow_mut();
        if let Some(visitors) = waiting.get_mut(address) {
            visitors.remove(&self.number);
            if visitors.is_empty() {
                waiting.remove(address);
            }
        }
    }

    pub(super) fn on_dial_succeeded(&self, address: &Address) {
        self.gate.room.borrow_mut().on_dial_succeeded(address);
        let waiting = self.gate.waiting.borrow_mut().remove(address);
        for mailbox in waiting.into_iter().flat_map(BTreeMap::into_values).filter_map(|mailbox| mailbox.upgrade()) {
            mailbox.post(Mail::GateOpened);
        }
    }

    /// A dial failed or a connection was lost.
    pub(super) fn on_failure(&self, address: &Address) {
        self.gate.room.borrow_mut().on_failure(address);
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.gate.waiting.borrow_mut().retain(|_, visitors| {
            visitors.remove(&self.number);
            !visitors.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(1);

    fn address(last: u8) -> Address {
        Address::Inet(([10, 0, 0, last], 1).into())
    }

    /// Addresses come and go for as long as a process lives.
    #[test]
    fn nobody_is_kept_for_an_address_that_is_not_wanted_any_more() {
        let gate = Rc::<Gate>::default();
        let [dialing, first, second] = [0, 1, 2].map(|_| Visitor::new(Rc::clone(&gate), Rc::default()));
        for last in 0..100 {
            let address = address(last);
            dialing.on_failure(&address);
            for visitor in [&dialing, &first, &second] {
                visitor.ask(Time::ZERO, &address, INTERVAL);
            }
            assert_eq!(gate.waiting.borrow()[&address].len(), 2, "all but the one that dials");
            first.leave(&address);
            second.leave(&address);
        }
        assert!(gate.waiting.borrow().is_empty());
    }

    #[test]
    fn who_may_dial_waits_no_longer() {
        let gate = Rc::<Gate>::default();
        let [dialing, waiting] = [0, 1].map(|_| Visitor::new(Rc::clone(&gate), Rc::default()));
        dialing.on_failure(&address(1));
        assert_eq!(dialing.ask(Time::ZERO, &address(1), INTERVAL), None);
        let ask_again = waiting.ask(Time::ZERO, &address(1), INTERVAL).expect("one is under way");
        assert_eq!(gate.waiting.borrow().len(), 1);
        assert_eq!(waiting.ask(ask_again, &address(1), INTERVAL), None);
        assert!(gate.waiting.borrow().is_empty());
    }
}
