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
        }
        ask_again
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
