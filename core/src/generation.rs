//! Generations of processes: what a forked child must not take over from its parent, and how it gets its own.
//!
//! At a fork the child gets a copy of all memory, but only the thread that forked. A lock that another thread held stays locked
//! for ever, and what it guards may be half changed. So everything shared between threads belongs to the process that made it: it
//! remembers its generation, and in a process of another generation it is neither locked nor changed nor dropped, but left
//! where it is, and made anew. Nothing here waits, in the parent or in the child.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use once_cell::race::OnceBox;

/// How many forks lie between the process that loaded this library and this one. Only a forked child's first moment changes it,
/// when it has one thread; so it stays as it is for as long as anybody can look.
static GENERATION: AtomicU64 = AtomicU64::new(0);

/// The generation of this process: 0 for the one that loaded the library, one more in each forked child.
#[must_use]
pub fn process_generation() -> u64 {
    GENERATION.load(Relaxed)
}

/// This process is a forked child. It may be called from a signal handler.
pub(crate) fn begin() {
    GENERATION.fetch_add(1, Relaxed);
}

/// A value that each process has for itself.
///
/// In a forked child the parent's value is still there to look at, carefully: a lock of it may only be tried, never waited for. It
/// is not dropped there, because it may be half changed, and because its destructor would do in the child what is the parent's to do.
pub struct PerProcess<T> {
    first: Slot<T>,
}

struct Slot<T> {
    generation: u64,
    /// Empty only while it is dropped.
    value: Option<T>,
    /// The value of a later generation; not one that waits for whoever is making it, since that thread may not be there.
    next: OnceBox<Self>,
}

impl<T> PerProcess<T> {
    /// This process's value.
    #[must_use]
    pub fn new(value: T) -> Self {
        Self { first: Slot::new(process_generation(), value) }
    }

    /// The value of the process that loaded the library; for a `static`.
    #[must_use]
    pub const fn of_first(value: T) -> Self {
        Self { first: Slot::new(0, value) }
    }

    /// This process's value. In a forked child that has none yet, `renew` makes it from the parent's; of two threads that do so at
    /// once one wins, and the other's is dropped.
    pub fn get(&self, renew: impl FnOnce(&T) -> T) -> &T {
        let last = self.last();
        if last.is_of_this_process() {
            return last.value();
        }
        let make = || Box::new(Slot::new(process_generation(), renew(last.value())));
        last.next.get_or_init(make).value()
    }

    /// This process's value; `None` in a forked child that has not asked for one.
    #[must_use]
    pub fn current(&self) -> Option<&T> {
        let last = self.last();
        last.is_of_this_process().then(|| last.value())
    }

    fn last(&self) -> &Slot<T> {
        let mut slot = &self.first;
        while !slot.is_of_this_process()
            && let Some(next) = slot.next.get()
        {
            slot = next;
        }
        slot
    }
}

impl<T> Slot<T> {
    const fn new(generation: u64, value: T) -> Self {
        Self { generation, value: Some(value), next: OnceBox::new() }
    }

    fn is_of_this_process(&self) -> bool {
        self.generation == process_generation()
    }

    fn value(&self) -> &T {
        self.value.as_ref().expect("a slot has its value until it is dropped")
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        if !self.is_of_this_process() {
            std::mem::forget(self.value.take());
        }
    }
}

impl<T: Default> Default for PerProcess<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for PerProcess<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PerProcess").field(&self.current()).finish()
    }
}
