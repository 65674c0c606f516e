//! The way out: completions, the queue they go to, one bell per batch.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;

use crate::call::{CallEnd, UnaryEnd};
use crate::error::{Error, ErrorKind};
use crate::foreign::contain;
use crate::generation::process_generation;
use crate::metadata::Metadata;
use crate::observe::log::{LogLevel, Room, log};
use crate::state::State;

/// Something that happened to a call or a watch.
#[derive(Debug)]
pub enum Event {
    /// A unary call ended. Final.
    Unary(Box<UnaryEnd>),
    /// A stream's initial metadata arrived.
    Headers {
        /// The metadata.
        initial: Metadata,
        /// The address the call is on.
        peer: Arc<str>,
    },
    /// A stream's next message; it used one unit of read credit.
    Message(Bytes),
    /// A refused sender may send again; once per refusal.
    Writable,
    /// A stream ended. Final.
    Status(Box<CallEnd>),
    /// A watch ended. Final.
    Connectivity {
        /// The state now.
        state: State,
        /// Whether it ended by its timeout or its cancellation and not by a change.
        timed_out: bool,
    },
}

impl Event {
    fn is_final(&self) -> bool {
        matches!(self, Self::Unary(_) | Self::Status(_) | Self::Connectivity { .. })
    }
}

/// An event in a queue, with the tag its operation was started with.
#[derive(Debug)]
pub struct Completion {
    /// The caller's.
    pub tag: u64,
    /// What happened.
    pub event: Event,
}

/// Rung when something is waiting.
pub type Bell = Box<dyn Fn() + Send + Sync>;

/// Where completions wait for their consumer.
///
/// The bell rings once when the queue turns from empty to not empty. A consumer that is rung drains until empty, or comes back
/// by itself.
///
/// It belongs to the process that made it: in a forked child it is empty, takes nothing in, and keeps nobody waiting.
pub struct CompletionQueue {
    limit: usize,
    generation: u64,
    /// Guards the queue alone; never held while a bell rings.
    state: Mutex<QueueState>,
    arrived: Condvar,
}

#[derive(Default)]
struct QueueState {
    completions: VecDeque<Completion>,
    /// Places kept for the final completions of running operations.
    reserved: usize,
    bell: Option<Arc<Bell>>,
    waiters: usize,
    is_woken: bool,
    is_closed: bool,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// This many completions were taken.
    Ready(usize),
    /// Nothing came in time.
    TimedOut,
    /// [`CompletionQueue::wake`] was called.
    Woken,
    /// The queue is closed.
    Closed,
    /// The queue is the parent's and this is a forked child: what it was to bring is not coming.
    Forked,
}

impl CompletionQueue {
    /// A queue for at most `limit` operations and waiting completions together.
    #[must_use]
    pub fn new(limit: usize) -> Arc<Self> {
        let generation = process_generation();
        Arc::new(Self { limit, generation, state: Mutex::default(), arrived: Condvar::new() })
    }

    /// Whether it is the parent's and this is a forked child.
    #[must_use]
    pub fn is_parents(&self) -> bool {
        self.generation != process_generation()
    }

    /// Sets or removes the bell. Rung at once when something is waiting already.
    pub fn set_bell(&self, bell: Option<Bell>) {
        if self.is_parents() {
            return;
        }
        let bell = bell.map(Arc::new);
        let mut state = self.state();
        let before = std::mem::replace(&mut state.bell, bell.clone());
        let is_waiting = !state.completions.is_empty();
        drop(state);
        drop(before);
        if let Some(bell) = bell.filter(|_| is_waiting) {
            ring(&bell);
        }
    }

    /// Takes at most `max` completions; returns how many.
    pub fn drain(&self, into: &mut Vec<Completion>, max: usize) -> usize {
        if self.is_parents() { 0 } else { take(&mut self.state(), into, max) }
    }

    /// Like [`CompletionQueue::drain`], waiting until there is one; `None` waits without limit. Blocks the thread.
    pub fn wait(&self, into: &mut Vec<Completion>, max: usize, timeout: Option<Duration>) -> Waited {
        if self.is_parents() {
            return Waited::Forked;
        }
        let mut state = self.state();
        state.waiters += 1;
        let is_idle = |state: &mut QueueState| state.completions.is_empty() && !state.is_woken && !state.is_closed;
        state = match timeout {
            None => self.arrived.wait_while(state, is_idle).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                self.arrived.wait_timeout_while(state, timeout, is_idle).unwrap_or_else(PoisonError::into_inner).0
            }
        };
        state.waiters -= 1;
        let taken = take(&mut state, into, max);
        if state.waiters > 0 && !state.completions.is_empty() {
            // One waiter is woken for many completions; whoever leaves some wakes the next.
            self.arrived.notify_one();
        }
        match taken {
            0 if state.is_closed => Waited::Closed,
            0 if std::mem::take(&mut state.is_woken) => Waited::Woken,
            0 => Waited::TimedOut,
            count => Waited::Ready(count),
        }
    }

    /// Ends one wait, or the next, with [`Waited::Woken`].
    pub fn wake(&self) {
        if self.is_parents() {
            return;
        }
        self.state().is_woken = true;
        self.arrived.notify_one();
    }

    /// Drops what waits and what will come.
    pub fn close(&self) {
        if self.is_parents() {
            return;
        }
        let mut state = self.state();
        state.is_closed = true;
        let dropped = std::mem::take(&mut state.completions);
        let bell = state.bell.take();
        drop(state);
        drop((dropped, bell));
        self.arrived.notify_all();
    }

    /// How many completions wait.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.is_parents() { 0 } else { self.state().completions.len() }
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Puts in something of its owner's, that is no operation's; what it is, its tag says. It must not be a final event.
    ///
    /// # Errors
    /// Nothing was put in: [`ErrorKind::Limit`] when the queue is full, [`ErrorKind::Closed`], [`ErrorKind::Forked`].
    pub fn post(&self, completion: Completion) -> Result<(), Error> {
        if completion.event.is_final() {
            return Err(Error::new(ErrorKind::State, "a final event comes from the engine alone"));
        }
        self.reserve()?;
        self.state().reserved -= 1;
        self.push(std::iter::once(completion));
        Ok(())
    }

    fn reserve(&self) -> Result<(), Error> {
        if self.is_parents() {
            let text = "the completion queue belongs to the parent of this forked process; make a new one";
            return Err(Error::new(ErrorKind::Forked, text));
        }
        let mut state = self.state();
        if state.is_closed {
            return Err(Error::new(ErrorKind::Closed, "the completion queue is closed"));
        }
        if state.reserved + state.completions.len() >= self.limit {
            let text = format!(
                "the completion queue holds {} operations already, its limit; take completions out first",
                self.limit
            );
            return Err(Error::new(ErrorKind::Limit, text));
        }
        state.reserved += 1;
        Ok(())
    }

    /// Takes completions in, in order: one lock, one bell and one woken waiter, who wakes the next if it leaves some.
    pub(super) fn push(&self, completions: impl Iterator<Item = Completion>) {
        let mut state = self.state();
        let was_empty = state.completions.is_empty();
        let mut dropped = Vec::new();
        for completion in completions {
            if completion.event.is_final() {
                state.reserved -= 1;
            }
            if state.is_closed {
                dropped.push(completion);
            } else {
                state.completions.push_back(completion);
            }
        }
        let bell = state.bell.clone().filter(|_| was_empty && !state.completions.is_empty());
        let has_waiter = state.waiters > 0;
        drop(state);
        // Their bytes may run the host's release function; not under the lock.
        drop(dropped);
        if has_waiter {
            self.arrived.notify_one();
        }
        if let Some(bell) = bell {
            ring(&bell);
        }
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CompletionQueue {
    /// In a forked child the parent's completions are left where they are: they may be half changed, and are not the child's to drop.
    fn drop(&mut self) {
        if self.is_parents() {
            let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            std::mem::forget(std::mem::take(state));
        }
    }
}

fn take(state: &mut QueueState, into: &mut Vec<Completion>, max: usize) -> usize {
    let count = max.min(state.completions.len());
    into.extend(state.completions.drain(..count));
    count
}

/// Foreign code must not unwind into the loop.
fn ring(bell: &Bell) {
    call("a bell", bell);
}

fn call(what: &str, foreign: impl FnOnce()) {
    if !contain(foreign) {
        log(LogLevel::Error, Room::Engine, || format!("{what} panicked; the panic ends here"));
    }
}

impl fmt::Debug for CompletionQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompletionQueue")
            .field("limit", &self.limit)
            .field("waiting", &self.len())
            .finish_non_exhaustive()
    }
}

/// Where an operation's completions go.
#[derive(Clone)]
pub struct Reply(To);

#[derive(Clone)]
enum To {
    Queue(Arc<CompletionQueue>, u64),
    Callback(Arc<dyn Fn(Event) + Send + Sync>),
}

impl Reply {
    /// Into `queue`, each with `tag`.
    #[must_use]
    pub fn queue(queue: &Arc<CompletionQueue>, tag: u64) -> Self {
        Self(To::Queue(Arc::clone(queue), tag))
    }

    /// To a function, on the engine's thread, with no lock of ours held. It must not block; a panic in it is contained.
    #[must_use]
    pub fn callback(callback: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(To::Callback(Arc::new(callback)))
    }

    /// Keeps a place for the final completion.
    pub(super) fn reserve(&self) -> Result<(), Error> {
        match &self.0 {
            To::Queue(queue, _) => queue.reserve(),
            To::Callback(_) => Ok(()),
        }
    }

    /// Gives a place back: the operation was refused after all.
    pub(super) fn release(&self) {
        match &self.0 {
            To::Queue(queue, _) => queue.state().reserved -= 1,
            To::Callback(_) => {}
        }
    }

    /// Where it leads.
    pub(super) fn target(&self) -> Target<'_> {
        match &self.0 {
            To::Queue(queue, tag) => Target::Queue(queue, *tag),
            To::Callback(_) => Target::Callback,
        }
    }

    /// Delivers one event at once.
    pub(super) fn deliver(&self, event: Event) {
        match &self.0 {
            To::Queue(queue, tag) => queue.push(std::iter::once(Completion { tag: *tag, event })),
            To::Callback(callback) => call("a completion callback", || callback(event)),
        }
    }
}

/// Where a [`Reply`] leads.
pub(super) enum Target<'a> {
    /// Into this queue, with this tag.
    Queue(&'a Arc<CompletionQueue>, u64),
    /// To a function of the host's.
    Callback,
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            To::Queue(_, tag) => write!(f, "Reply(queue, tag {tag})"),
            To::Callback(_) => f.write_str("Reply(callback)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use super::*;

    fn changed() -> Event {
        Event::Connectivity { state: State::Ready, timed_out: false }
    }

    fn bell_counter(queue: &CompletionQueue) -> Arc<AtomicUsize> {
        let rung = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&rung);
        queue.set_bell(Some(Box::new(move || {
            counter.fetch_add(1, SeqCst);
        })));
        rung
    }

    fn deliver(queue: &Arc<CompletionQueue>, tag: u64) {
        let reply = Reply::queue(queue, tag);
        reply.reserve().expect("room");
        reply.deliver(changed());
    }

    #[test]
    fn the_bell_rings_once_per_batch() {
        let queue = CompletionQueue::new(10);
        let rung = bell_counter(&queue);
        for tag in 0..3 {
            deliver(&queue, tag);
        }
        assert_eq!(rung.load(SeqCst), 1);
        let mut taken = Vec::new();
        assert_eq!(queue.drain(&mut taken, 2), 2);
        deliver(&queue, 3);
        assert_eq!(rung.load(SeqCst), 1, "not empty before");
        assert_eq!(queue.drain(&mut taken, 10), 2);
        deliver(&queue, 4);
        assert_eq!(rung.load(SeqCst), 2);
        assert_eq!(taken.iter().map(|completion| completion.tag).collect::<Vec<_>>(), [0, 1, 2, 3]);
    }

    #[test]
    fn a_bell_set_late_rings_for_what_waits() {
        let queue = CompletionQueue::new(10);
        deliver(&queue, 0);
        assert_eq!(bell_counter(&queue).load(SeqCst), 1);
    }

    #[test]
    fn a_full_queue_refuses_the_operation_and_not_its_completion() {
        let queue = CompletionQueue::new(2);
        let reply = Reply::queue(&queue, 7);
        reply.reserve().expect("room");
        reply.reserve().expect("room");
        assert_eq!(reply.reserve().expect_err("full").kind(), ErrorKind::Limit);
        reply.deliver(changed());
        assert_eq!(reply.reserve().expect_err("still full").kind(), ErrorKind::Limit);
        queue.drain(&mut Vec::new(), 1);
        reply.reserve().expect("room again");
    }

    #[test]
    fn waits_end_by_completion_wake_close_or_timeout() {
        let queue = CompletionQueue::new(10);
        let mut taken = Vec::new();
        assert_eq!(queue.wait(&mut taken, 1, Some(Duration::ZERO)), Waited::TimedOut);
        queue.wake();
        assert_eq!(queue.wait(&mut taken, 1, None), Waited::Woken);
        deliver(&queue, 1);
        assert_eq!(queue.wait(&mut taken, 1, None), Waited::Ready(1));
        queue.close();
        assert_eq!(queue.wait(&mut taken, 1, None), Waited::Closed);
        assert_eq!(Reply::queue(&queue, 1).reserve().expect_err("closed").kind(), ErrorKind::Closed);
    }

    #[test]
    fn a_completion_wakes_a_waiting_thread() {
        let queue = CompletionQueue::new(10);
        let waited = std::thread::scope(|scope| {
            let waiting = scope.spawn(|| queue.wait(&mut Vec::new(), 1, Some(Duration::from_secs(60))));
            deliver(&queue, 1);
            waiting.join().expect("no panic")
        });
        assert_eq!(waited, Waited::Ready(1));
    }

    #[test]
    fn completions_that_came_together_wake_as_many_waiters_as_they_need() {
        let queue = CompletionQueue::new(10);
        let reply = Reply::queue(&queue, 1);
        std::thread::scope(|scope| {
            let waiting =
                [(); 3].map(|()| scope.spawn(|| queue.wait(&mut Vec::new(), 1, Some(Duration::from_secs(60)))));
            while queue.state().waiters < 3 {
                std::thread::yield_now();
            }
            for _ in 0..3 {
                reply.reserve().expect("room");
            }
            queue.push((0..3).map(|tag| Completion { tag, event: changed() }));
            for thread in waiting {
                assert_eq!(thread.join().expect("no panic"), Waited::Ready(1));
            }
        });
    }

    #[test]
    fn a_panic_in_a_callback_or_a_bell_stays_there() {
        Reply::callback(|_| panic!("foreign")).deliver(changed());
        let queue = CompletionQueue::new(10);
        queue.set_bell(Some(Box::new(|| panic!("foreign"))));
        deliver(&queue, 1);
        assert_eq!(queue.len(), 1);
    }
}
