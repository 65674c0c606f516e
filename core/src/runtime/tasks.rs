//! A loop's tasks: futures that stay on one thread and are polled in the order they were woken.
//!
//! Whoever moves a loop polls [`Tasks::turn`], and lets [`Ready::fall_asleep`] decide before it waits for the world. A task may be woken
//! from any thread; a loop that is awake looks by itself before it sleeps, so only one that sleeps costs its waker a system call.
//! With a whole turn's tasks run before the loop looks at its sockets again, what they have to send goes out together.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::AcqRel, Ordering::Acquire, Ordering::Release};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use super::Task;
use crate::foreign::contain;

/// The tasks of one loop. Clones are the same loop.
#[derive(Clone)]
pub(super) struct Tasks(Rc<Inner>);

struct Inner {
    slots: RefCell<Slots>,
    ready: Arc<Ready>,
    /// What this turn still has to poll; only [`Tasks::turn`] borrows it.
    batch: RefCell<VecDeque<Arc<Handle>>>,
    is_over: Cell<bool>,
    /// Set when nothing is polled any more: what is spawned then is dropped.
    is_gone: Cell<bool>,
}

#[derive(Default)]
struct Slots {
    tasks: Vec<Option<Slot>>,
    free: Vec<usize>,
}

struct Slot {
    handle: Arc<Handle>,
    /// Taken out while it is polled.
    polled: Option<Polled>,
}

struct Polled {
    future: Pin<Box<dyn Future<Output = ()>>>,
    waker: Waker,
}

/// As many polls make a turn at most; then sockets and timers get theirs, whatever else is ready.
const MOST_POLLS: usize = 256;

/// A task that wakes itself has much to do and leaves others their turn; it counts as many polls, so that sockets and timers have theirs
/// soon, also while a server sends faster than it is read.
const POLLS_OF_ONE_WITH_MORE: usize = 32;

impl Tasks {
    pub(super) fn new(ready: Arc<Ready>) -> Self {
        let (slots, batch) = (RefCell::default(), RefCell::default());
        Self(Rc::new(Inner { slots, ready, batch, is_over: Cell::new(false), is_gone: Cell::new(false) }))
    }

    /// Takes a task in; it is polled in this turn or the next. A panic ends it alone.
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + 'static) -> TaskHandle {
        let mut slots = self.0.slots.borrow_mut();
        let index = slots.free.pop().unwrap_or(slots.tasks.len());
        let handle = Arc::new(Handle {
            index,
            is_queued: AtomicBool::new(true),
            is_aborted: AtomicBool::new(false),
            ready: Arc::clone(&self.0.ready),
        });
        let polled = Polled { future: Box::pin(future), waker: Waker::from(Arc::clone(&handle)) };
        let slot = Some(Slot { handle: Arc::clone(&handle), polled: Some(polled) });
        if index == slots.tasks.len() {
            slots.tasks.push(slot);
        } else {
            slots.tasks[index] = slot;
        }
        drop(slots);
        if self.0.is_gone.get() {
            let dropped = self.take(&handle);
            contain(|| drop(dropped));
        } else {
            self.0.ready.push(Arc::clone(&handle));
        }
        TaskHandle(handle)
    }

    /// Makes [`Tasks::turn`] complete when nothing is ready any more, or the turn has been long enough.
    pub(super) fn end(&self) {
        self.0.is_over.set(true);
    }

    /// Polls what is ready until nothing is, or the turn is long enough; completes after [`Tasks::end`].
    pub(super) fn turn(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.ready.is_moved_by(cx.waker());
        let mut batch = self.0.batch.borrow_mut();
        let mut polls = 0;
        while polls < MOST_POLLS {
            self.0.ready.take(&mut batch, MOST_POLLS - polls);
            if batch.is_empty() {
                return if self.0.is_over.get() { Poll::Ready(()) } else { Poll::Pending };
            }
            polls += batch.len();
            while let Some(handle) = batch.pop_front() {
                self.poll(&handle);
                if handle.is_queued.load(Acquire) {
                    polls += POLLS_OF_ONE_WITH_MORE;
                }
            }
        }
        if self.0.is_over.get() {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Drops every task, and whoever would wake one.
    pub(super) fn drop_all(&self) {
        self.0.is_gone.set(true);
        let slots = std::mem::take(&mut *self.0.slots.borrow_mut());
        for slot in slots.tasks.into_iter().flatten() {
            contain(|| drop(slot));
        }
        self.0.ready.end();
    }

    fn poll(&self, handle: &Arc<Handle>) {
        // Before polling: what wakes it from now on wants it polled again.
        handle.is_queued.store(false, Release);
        let Some(mut polled) = self.take(handle) else { return };
        let is_aborted = handle.is_aborted.load(Acquire);
        let mut is_over = true;
        if !is_aborted {
            let mut cx = Context::from_waker(&polled.waker);
            contain(|| is_over = polled.future.as_mut().poll(&mut cx).is_ready());
        }
        if is_over {
            self.free(handle.index);
            contain(|| drop(polled));
        } else if let Some(Some(slot)) = self.0.slots.borrow_mut().tasks.get_mut(handle.index) {
            slot.polled = Some(polled);
        }
    }

    /// The task of this handle; `None` when it has ended and its place may be another's.
    fn take(&self, handle: &Arc<Handle>) -> Option<Polled> {
        let mut slots = self.0.slots.borrow_mut();
        let slot = slots.tasks.get_mut(handle.index)?.as_mut()?;
        if Arc::ptr_eq(&slot.handle, handle) { slot.polled.take() } else { None }
    }

    fn free(&self, index: usize) {
        let mut slots = self.0.slots.borrow_mut();
        slots.tasks[index] = None;
        slots.free.push(index);
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").finish_non_exhaustive()
    }
}

/// A spawned task; dropping it lets the task go on.
pub(crate) struct TaskHandle(Arc<Handle>);

impl Task for TaskHandle {
    fn abort(&self) {
        self.0.is_aborted.store(true, Release);
        self.0.wake_by_ref();
    }
}

/// What wakes a task.
struct Handle {
    index: usize,
    /// Whether it waits in [`Ready`] already.
    is_queued: AtomicBool,
    is_aborted: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for Handle {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_queued.swap(true, AcqRel) {
            self.ready.push(Arc::clone(self));
        }
    }
}

/// The tasks that were woken, and whether anybody must tell the loop.
#[derive(Default)]
pub(super) struct Ready {
    /// Held for a push or a swap alone; never while something is woken.
    state: Mutex<ReadyState>,
}

#[derive(Default)]
struct ReadyState {
    woken: VecDeque<Arc<Handle>>,
    /// Set by the loop before it waits for the world, cleared by the first push.
    is_asleep: bool,
    /// Polls [`Tasks::turn`]. Its runtime holds what holds this, so it is let go when the loop is over.
    mover: Option<Waker>,
    is_over: bool,
}

impl Ready {
    /// Whoever moves the loop is about to wait for the world: from now on a woken task wakes it. When something is ready already it is
    /// woken at once.
    pub(super) fn fall_asleep(&self) {
        let mut state = self.state();
        if state.woken.is_empty() {
            state.is_asleep = true;
            return;
        }
        let mover = state.mover.clone();
        drop(state);
        if let Some(mover) = mover {
            mover.wake();
        }
    }

    /// Whether no task was woken.
    #[cfg(any(test, fuzzing))]
    pub(super) fn is_empty(&self) -> bool {
        self.state().woken.is_empty()
    }

    fn push(&self, handle: Arc<Handle>) {
        let mut state = self.state();
        if state.is_over {
            return;
        }
        state.woken.push_back(handle);
        if !std::mem::take(&mut state.is_asleep) {
            return;
        }
        let mover = state.mover.clone();
        drop(state);
        if let Some(mover) = mover {
            mover.wake();
        }
    }

    /// Moves at most so many into the empty queue.
    fn take(&self, into: &mut VecDeque<Arc<Handle>>, most: usize) {
        let mut state = self.state();
        if state.woken.len() <= most {
            std::mem::swap(&mut state.woken, into);
        } else {
            into.extend(state.woken.drain(..most));
        }
    }

    /// Nothing will be polled any more.
    fn end(&self) {
        let mut state = self.state();
        state.is_over = true;
        let let_go = (std::mem::take(&mut state.woken), state.mover.take());
        drop(state);
        drop(let_go);
    }

    fn is_moved_by(&self, waker: &Waker) {
        let mut state = self.state();
        state.is_asleep = false;
        match &mut state.mover {
            Some(mover) => mover.clone_from(waker),
            None => state.mover = Some(waker.clone()),
        }
    }

    fn state(&self) -> MutexGuard<'_, ReadyState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{pending, poll_fn};
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    /// Counts how often the loop was told.
    #[derive(Default)]
    struct Mover(AtomicUsize);

    impl Wake for Mover {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    struct World {
        tasks: Tasks,
        ready: Arc<Ready>,
        mover: Arc<Mover>,
    }

    impl World {
        fn new() -> Self {
            let ready = Arc::<Ready>::default();
            Self { tasks: Tasks::new(Arc::clone(&ready)), ready, mover: Arc::default() }
        }

        fn turn(&self) -> Poll<()> {
            self.tasks.turn(&mut Context::from_waker(&Waker::from(Arc::clone(&self.mover))))
        }

        fn told(&self) -> usize {
            self.mover.0.swap(0, SeqCst)
        }
    }

    /// A task that waits, and the waker that is wanted for it.
    fn sleeper(polls: &Rc<Cell<usize>>, waker: &Rc<RefCell<Option<Waker>>>) -> impl Future<Output = ()> + use<> {
        let (polls, waker) = (Rc::clone(polls), Rc::clone(waker));
        poll_fn(move |cx| {
            polls.set(polls.get() + 1);
            *waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
    }

    #[test]
    fn tasks_are_polled_in_the_order_they_were_woken_and_once_however_often_they_were() {
        let world = World::new();
        let order = Rc::new(RefCell::new(Vec::new()));
        for name in ["a", "b"] {
            let order = Rc::clone(&order);
            world.tasks.spawn(async move { order.borrow_mut().push(name) });
        }
        assert!(world.turn().is_pending());
        assert_eq!(*order.borrow(), ["a", "b"]);

        let (polls, waker) = (Rc::default(), Rc::default());
        world.tasks.spawn(sleeper(&polls, &waker));
        assert!(world.turn().is_pending());
        let waker = waker.borrow().clone().expect("polled");
        waker.wake_by_ref();
        waker.wake();
        assert!(world.turn().is_pending());
        assert_eq!(polls.get(), 2);
    }

    #[test]
    fn a_loop_that_is_awake_is_not_told_and_one_that_sleeps_is_told_once() {
        let world = World::new();
        let (polls, waker) = (Rc::default(), Rc::default());
        world.tasks.spawn(sleeper(&polls, &waker));
        assert!(world.turn().is_pending());
        let waker = waker.borrow().clone().expect("polled");
        waker.wake_by_ref();
        assert_eq!(world.told(), 0, "it looks before it sleeps");
        world.ready.fall_asleep();
        assert_eq!(world.told(), 1, "and there is something");
        assert!(world.turn().is_pending());
        world.ready.fall_asleep();
        assert_eq!(world.told(), 0);
        std::thread::scope(|scope| scope.spawn(|| waker.wake_by_ref()).join().expect("no panic"));
        waker.wake_by_ref();
        assert_eq!(world.told(), 1);
        assert!(world.turn().is_pending());
        assert_eq!(polls.get(), 3);
    }

    #[test]
    fn a_task_that_is_always_ready_leaves_the_sockets_their_turn_soon() {
        let world = World::new();
        let polls = Rc::new(Cell::new(0));
        let counted = Rc::clone(&polls);
        world.tasks.spawn(poll_fn(move |cx| {
            counted.set(counted.get() + 1);
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        assert!(world.turn().is_pending());
        assert_eq!(world.told(), 1);
        assert_eq!(polls.get(), MOST_POLLS.div_ceil(1 + POLLS_OF_ONE_WITH_MORE));
    }

    #[test]
    fn a_panic_ends_its_task_alone_and_its_place_is_used_again() {
        let world = World::new();
        let done = Rc::new(Cell::new(false));
        let is_done = Rc::clone(&done);
        world.tasks.spawn(async { panic!("a bug") });
        world.tasks.spawn(async move { is_done.set(true) });
        assert!(world.turn().is_pending());
        assert!(done.get());
        let handle = world.tasks.spawn(pending());
        assert!(handle.0.index < 2);
    }

    #[test]
    fn an_aborted_task_is_dropped_and_a_late_waker_of_an_ended_one_harms_nobody() {
        let world = World::new();
        let (polls, waker) = (Rc::default(), Rc::default());
        let aborted = world.tasks.spawn(sleeper(&polls, &waker));
        assert!(world.turn().is_pending());
        aborted.abort();
        assert!(world.turn().is_pending());
        assert_eq!(Rc::strong_count(&polls), 1, "dropped");

        let (other_polls, other_waker) = (Rc::default(), Rc::default());
        world.tasks.spawn(sleeper(&other_polls, &other_waker));
        assert!(world.turn().is_pending());
        waker.borrow().clone().expect("polled").wake();
        assert!(world.turn().is_pending());
        assert_eq!(other_polls.get(), 1, "in the place of the ended one, and not woken");
    }

    #[test]
    fn the_end_comes_although_a_task_is_always_ready_and_lets_go_of_everything() {
        let world = World::new();
        world.tasks.spawn(poll_fn(|cx| {
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        world.tasks.end();
        assert!(world.turn().is_ready());
        world.tasks.drop_all();
        assert_eq!(Arc::strong_count(&world.mover), 1, "the mover is held by nobody");
        let held = Rc::new(());
        let holds = Rc::clone(&held);
        world.tasks.spawn(async move { drop(holds) });
        assert_eq!(Rc::strong_count(&held), 1, "what comes later is dropped");
    }

    #[test]
    fn the_end_comes_after_what_is_ready_and_drops_the_rest() {
        let world = World::new();
        let held = Rc::new(());
        let holds = Rc::clone(&held);
        world.tasks.spawn(async move {
            pending::<()>().await;
            drop(holds);
        });
        let tasks = world.tasks.clone();
        world.tasks.spawn(async move { tasks.end() });
        assert!(world.turn().is_ready());
        world.tasks.drop_all();
        assert_eq!(Rc::strong_count(&held), 1);
    }
}
