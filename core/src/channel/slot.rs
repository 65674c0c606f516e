//! The slot the newest snapshot lies in, and the tasks that wait for a newer one.
//!
//! One task writes, all on the same loop read. Who has waited longest is woken first, so calls that queued for a connection start in the
//! order they were made, and a simulated run repeats.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use super::snapshot::Snapshot;

/// The reading side.
pub(crate) struct SnapshotSlot {
    newest: RefCell<Rc<Snapshot>>,
    /// By ticket: the order in which they began to wait.
    waiting: RefCell<BTreeMap<u64, Waker>>,
    next_ticket: Cell<u64>,
    /// Set when nothing newer will come.
    is_over: Cell<bool>,
}

impl SnapshotSlot {
    /// A slot with this in it, and the one who may replace it.
    pub(super) fn new(first: Snapshot) -> (Publisher, Rc<Self>) {
        let slot = Rc::new(Self {
            newest: RefCell::new(Rc::new(first)),
            waiting: RefCell::default(),
            next_ticket: Cell::new(0),
            is_over: Cell::new(false),
        });
        (Publisher(Rc::clone(&slot)), slot)
    }

    pub(crate) fn newest(&self) -> Rc<Snapshot> {
        Rc::clone(&self.newest.borrow())
    }

    /// Waits for another snapshot than `seen`; `None` when the control task is over. `turn` is this waiter's place in the line, kept
    /// between waits.
    ///
    /// Cancel safe: who leaves, leaves the line.
    pub(crate) async fn newer_than(&self, seen: &Rc<Snapshot>, turn: &mut Turn) -> Option<Rc<Snapshot>> {
        let ticket = *turn.0.get_or_insert_with(|| self.next_ticket.replace(self.next_ticket.get() + 1));
        let leaving = Leave { slot: self, ticket };
        let newer = poll_fn(|cx| {
            let newest = self.newest.borrow();
            if !Rc::ptr_eq(&newest, seen) {
                return Poll::Ready(Some(Rc::clone(&newest)));
            }
            if self.is_over.get() {
                return Poll::Ready(None);
            }
            self.waiting.borrow_mut().insert(ticket, cx.waker().clone());
            Poll::Pending
        });
        let newer = newer.await;
        drop(leaving);
        newer
    }

    fn wake_all(&self) {
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        waiting.into_values().for_each(Waker::wake);
    }
}

/// A waiter's place in the line; empty until it waits.
#[derive(Debug, Default)]
pub(crate) struct Turn(Option<u64>);

/// Takes a waiter out of the line.
struct Leave<'a> {
    slot: &'a SnapshotSlot,
    ticket: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.slot.waiting.borrow_mut().remove(&self.ticket);
    }
}

/// The writing side; when it is gone nothing newer comes.
pub(super) struct Publisher(Rc<SnapshotSlot>);

impl Publisher {
    pub(super) fn newest(&self) -> Rc<Snapshot> {
        self.0.newest()
    }

    pub(super) fn publish(&self, snapshot: Snapshot) {
        *self.0.newest.borrow_mut() = Rc::new(snapshot);
        self.0.wake_all();
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.0.is_over.set(true);
        self.0.wake_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::Future;
    use std::pin::pin;
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Wake};

    /// Notes its number when it is woken.
    struct Noting(u32, Arc<Mutex<Vec<u32>>>);

    impl Wake for Noting {
        fn wake(self: Arc<Self>) {
            self.1.lock().expect("no panic").push(self.0);
        }
    }

    #[test]
    fn waiters_are_woken_in_the_order_they_came_and_one_that_left_is_not() {
        let (publisher, slot) = SnapshotSlot::new(Snapshot::idle());
        let woken = Arc::new(Mutex::new(Vec::new()));
        let seen = slot.newest();
        let mut turns = [const { Turn(None) }; 3];
        let [first, second, third] = &mut turns;
        let mut first = pin!(slot.newer_than(&seen, first));
        let mut third = pin!(slot.newer_than(&seen, third));
        let waker = |number| Waker::from(Arc::new(Noting(number, Arc::clone(&woken))));
        {
            let mut second = pin!(slot.newer_than(&seen, second));
            for (number, waiter) in [(1, first.as_mut()), (2, second.as_mut()), (3, third.as_mut())] {
                assert!(waiter.poll(&mut Context::from_waker(&waker(number))).is_pending());
            }
        }
        publisher.publish(Snapshot::idle());
        assert_eq!(*woken.lock().expect("no panic"), [1, 3]);
        assert!(first.as_mut().poll(&mut Context::from_waker(&waker(1))).is_ready());
    }

    #[test]
    fn a_waiter_keeps_its_place_through_snapshots_that_do_not_help_it() {
        let (publisher, slot) = SnapshotSlot::new(Snapshot::idle());
        let woken = Arc::new(Mutex::new(Vec::new()));
        let waker = |number| Waker::from(Arc::new(Noting(number, Arc::clone(&woken))));
        let (mut old_turn, mut new_turn) = (Turn::default(), Turn::default());
        let seen = slot.newest();
        {
            let mut old = pin!(slot.newer_than(&seen, &mut old_turn));
            assert!(old.as_mut().poll(&mut Context::from_waker(&waker(1))).is_pending());
        }
        publisher.publish(Snapshot::idle());
        let seen = slot.newest();
        let mut new = pin!(slot.newer_than(&seen, &mut new_turn));
        assert!(new.as_mut().poll(&mut Context::from_waker(&waker(2))).is_pending());
        let mut old = pin!(slot.newer_than(&seen, &mut old_turn));
        assert!(old.as_mut().poll(&mut Context::from_waker(&waker(1))).is_pending());
        publisher.publish(Snapshot::idle());
        assert_eq!(*woken.lock().expect("no panic"), [1, 2]);
    }

    #[test]
    fn the_end_of_the_publisher_ends_the_wait() {
        let (publisher, slot) = SnapshotSlot::new(Snapshot::idle());
        let (seen, mut turn) = (slot.newest(), Turn::default());
        let mut waiter = pin!(slot.newer_than(&seen, &mut turn));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(waiter.as_mut().poll(&mut cx).is_pending());
        drop(publisher);
        assert!(matches!(waiter.as_mut().poll(&mut cx), Poll::Ready(None)));
    }
}
