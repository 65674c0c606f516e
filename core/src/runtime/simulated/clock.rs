//! Virtual time: it stands still while a task is ready and jumps to the earliest timer when none is.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::random::Random;
use crate::time::Time;

/// Reads the virtual time; may be taken anywhere, into callbacks too.
#[derive(Clone, Debug, Default)]
pub(crate) struct Now(Arc<AtomicU64>);

impl Now {
    pub(crate) fn time(&self) -> Time {
        Time::from_start(Duration::from_nanos(self.0.load(Relaxed)))
    }
}

/// The clock and everything that waits for it.
#[derive(Debug)]
pub(crate) struct Clock {
    now: Now,
    timers: RefCell<BTreeMap<Key, Waker>>,
    last: Cell<u64>,
    /// Of timers that are due at the same time, chance says which is first.
    random: Random,
}

/// When it is due, its place among those due then, and a number that makes it unique.
type Key = (Time, u64, u64);

impl Clock {
    pub(super) fn new(random: Random) -> Rc<Self> {
        Rc::new(Self { now: Now::default(), timers: RefCell::default(), last: Cell::new(0), random })
    }

    pub(crate) fn now(&self) -> Time {
        self.now.time()
    }

    pub(crate) fn reader(&self) -> Now {
        self.now.clone()
    }

    /// Moves to the earliest timer and wakes all that are due; `false` when nothing waits for the time.
    pub(super) fn advance(&self) -> bool {
        let mut timers = self.timers.borrow_mut();
        let Some(((earliest, ..), _)) = timers.first_key_value() else { return false };
        let earliest = *earliest;
        let now = earliest.max(self.now());
        self.set(now);
        let later = timers.split_off(&(now + Duration::from_nanos(1), 0, 0));
        let due = std::mem::replace(&mut *timers, later);
        drop(timers);
        due.into_values().for_each(Waker::wake);
        true
    }

    /// Time passes in which nobody gets to run: what was due meanwhile is due at once afterwards.
    pub(super) fn jump(&self, length: Duration) {
        self.set(self.now() + length);
    }

    fn set(&self, now: Time) {
        self.now.0.store(u64::try_from(now.since_start().as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(crate) fn sleep_until(self: &Rc<Self>, deadline: Time) -> Sleep {
        Sleep { clock: Rc::clone(self), deadline, key: None }
    }

    pub(crate) fn sleep(self: &Rc<Self>, length: Duration) -> Sleep {
        self.sleep_until(self.now() + length)
    }
}

/// Completes at its deadline.
#[derive(Debug)]
pub(crate) struct Sleep {
    clock: Rc<Clock>,
    deadline: Time,
    key: Option<Key>,
}

impl Sleep {
    pub(super) fn deadline(&self) -> Time {
        self.deadline
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.deadline <= self.clock.now() {
            return Poll::Ready(());
        }
        let clock = Rc::clone(&self.clock);
        let deadline = self.deadline;
        let key = *self.key.get_or_insert_with(|| {
            clock.last.set(clock.last.get() + 1);
            (deadline, clock.random.bits(), clock.last.get())
        });
        clock.timers.borrow_mut().insert(key, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.clock.timers.borrow_mut().remove(&key);
        }
    }
}
