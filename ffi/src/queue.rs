//! Completion queues: what a host drains, in batches, on a thread of its own choice.
//!
//! Core's queue does the queueing. This room adds what C needs around it: handles and tags for events, a file descriptor, the
//! last event after an engine's shutdown, and an order for closing.

use std::cell::Cell;
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use linkspan_core::{Completion, CompletionQueue, OptionScope, Waited};

use crate::auth;
use crate::bell::{Bell, Notify};
use crate::call::{self, CALLS};
use crate::engine::{ENGINES, Engine, duration, linkspan_engine};
use crate::error::{
    LINKSPAN_ECLOSED, LINKSPAN_EFORKED, LINKSPAN_EINTERRUPTED, LINKSPAN_EINVAL, LINKSPAN_ETIMEDOUT, Refusal,
    linkspan_error, linkspan_result,
};
use crate::event::{LINKSPAN_EVENT_SHUTDOWN, linkspan_event, write_event};
use crate::foreign::{check_pointer, check_stride, host};
use crate::guard;
use crate::handle::{Kind, Table, linkspan_handle};
use crate::log::linkspan_notify_fn;
use crate::message::{HostData, linkspan_release_fn};
use crate::options::{DEFAULT_QUEUE_LIMIT, Settings, linkspan_options};
use crate::watch::{self, WATCHES};

/// Where completions wait.
pub type linkspan_queue = linkspan_handle;

pub(crate) static QUEUES: Table<Arc<Queue>> = Table::new(Kind::Queue);

/// One queue.
pub(crate) struct Queue {
    pub(crate) core: Arc<CompletionQueue>,
    pub(crate) engine: Arc<Engine>,
    bell: Bell,
    is_closed: AtomicBool,
    /// Calls of the engine may ask a provider through it, for as long as they run.
    has_provider: AtomicBool,
    /// Operations whose final event has not been drained. Raised before the engine is asked whether it still runs, so that the
    /// SHUTDOWN event cannot overtake a final one. And [`FINISHED`], which is set in the same step that finds none.
    pending: AtomicUsize,
}

/// The SHUTDOWN event was delivered; nothing follows.
const FINISHED: usize = 1 << (usize::BITS - 1);

impl Queue {
    fn new(engine: Arc<Engine>, limit: usize) -> Self {
        let core = CompletionQueue::new(limit);
        Self {
            bell: Bell::new(Arc::clone(&core)),
            core,
            engine,
            is_closed: AtomicBool::new(false),
            has_provider: AtomicBool::new(false),
            pending: AtomicUsize::new(0),
        }
    }

    /// An operation that will end in this queue begins; [`Queue::end`] must follow.
    pub(crate) fn begin(&self) -> Result<(), Refusal> {
        self.pending.fetch_add(1, SeqCst);
        let refused = if self.is_closed() {
            Err(Refusal::new(LINKSPAN_ECLOSED, "the queue was closed"))
        } else {
            self.engine.refuse_after_shutdown()
        };
        refused.inspect_err(|_| self.end())
    }

    /// Puts in something that is no operation's; [`Queue::end`] must follow when it was taken out. Running calls need it after a shutdown too.
    pub(crate) fn post(&self, completion: Completion) -> Result<(), Refusal> {
        let is_finished = self.pending.fetch_add(1, SeqCst) & FINISHED != 0;
        let posted = if self.is_closed() || is_finished {
            Err(Refusal::new(LINKSPAN_ECLOSED, "the queue was closed"))
        } else {
            self.core.post(completion).map_err(Refusal::from)
        };
        posted.inspect_err(|_| self.end())
    }

    /// The operation's final event was drained, or there will be none.
    pub(crate) fn end(&self) {
        if self.pending.fetch_sub(1, SeqCst) == 1 {
            self.tell_last_event();
        }
    }

    /// A provider is bound to it. Its requests are no operations, and any call may make one.
    pub(crate) fn add_provider(&self) {
        self.has_provider.store(true, SeqCst);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(SeqCst)
    }

    /// Whoever waits is to be told that nothing more comes. While something still comes, the last [`Queue::end`] tells, or the end of the thread.
    pub(crate) fn tell_last_event(&self) {
        if self.has_last_event() {
            self.wake();
        }
    }

    /// On the engine's thread, which runs no call any more. Only who waited for that is told.
    pub(crate) fn engine_stopped(&self) {
        if self.has_provider.load(SeqCst) && self.has_last_event() {
            self.core.wake();
            self.bell.ring();
        }
    }

    fn wake(&self) {
        self.core.wake();
        self.bell.ring_fd();
    }

    /// The SHUTDOWN event, when it is due and nobody had it.
    fn last_event(&self) -> Option<linkspan_event> {
        let is_ours = self.nothing_starts() && self.pending.compare_exchange(0, FINISHED, SeqCst, SeqCst).is_ok();
        is_ours.then(|| linkspan_event::new(LINKSPAN_EVENT_SHUTDOWN, 0, 0))
    }

    /// Waits for events and hands each to `deliver`; returns how many.
    fn next(&self, max: usize, timeout_ns: i64, mut deliver: impl FnMut(linkspan_event)) -> Result<usize, Refusal> {
        let mut completions = SCRATCH.take();
        let outcome = loop {
            if let Some(event) = self.last_event() {
                deliver(event);
                self.core.wake();
                break Ok(1);
            }
            if self.is_finished() {
                // One wake reaches one waiter, so each passes it on.
                self.core.wake();
                break Err(Refusal::quiet(LINKSPAN_ECLOSED));
            }
            match self.core.wait(&mut completions, max, duration(timeout_ns)) {
                Waited::Ready(_) => {
                    let delivered = completions
                        .drain(..)
                        .filter_map(|completion| self.event_of(completion))
                        .map(&mut deliver)
                        .count();
                    // None at all only when the queue was closed meanwhile, which the next round finds.
                    if delivered > 0 {
                        break Ok(delivered);
                    }
                }
                Waited::Forked => break Err(Refusal::quiet(LINKSPAN_EFORKED)),
                Waited::Closed => break Err(Refusal::quiet(LINKSPAN_ECLOSED)),
                Waited::TimedOut | Waited::Woken if self.has_last_event() || self.is_finished() => {}
                Waited::TimedOut => break Err(Refusal::quiet(LINKSPAN_ETIMEDOUT)),
                Waited::Woken => break Err(Refusal::quiet(LINKSPAN_EINTERRUPTED)),
            }
        };
        SCRATCH.set(completions);
        self.bell.settle(|| self.has_last_event());
        outcome
    }

    fn event_of(&self, completion: Completion) -> Option<linkspan_event> {
        match Kind::of(completion.tag) {
            Some(Kind::Watch) => watch::complete(completion.tag, completion.event),
            Some(Kind::Request) => {
                self.end();
                auth::complete(completion.tag, &completion.event)
            }
            _ => call::complete(completion.tag, completion.event),
        }
    }

    fn has_last_event(&self) -> bool {
        self.nothing_starts() && self.pending.load(SeqCst) == 0
    }

    fn is_finished(&self) -> bool {
        self.pending.load(SeqCst) & FINISHED != 0
    }

    /// No operation begins any more, and nobody asks. To be looked at before `pending`: what came earlier is counted there.
    fn nothing_starts(&self) -> bool {
        self.engine.is_shutting_down() && !(self.has_provider.load(SeqCst) && self.engine.core.is_running())
    }
}

thread_local! {
    /// Saves an allocation per batch. Taken while in use, so host code run by dropping an event may drain on the same thread.
    static SCRATCH: Cell<Vec<Completion>> = const { Cell::new(Vec::new()) };
}

/// Closing: calls bound to the queue are cancelled, and what was not delivered is dropped.
pub(crate) fn close(queue: &Arc<Queue>) {
    queue.is_closed.store(true, SeqCst);
    for (handle, call) in CALLS.collect(|call| call.is_bound_to(queue)) {
        call.cancel_unseen();
        call::forget(handle);
    }
    for (handle, watch) in WATCHES.collect(|watch| watch.is_bound_to(queue)) {
        watch.cancel();
        watch::forget(handle);
    }
    auth::let_go(queue);
    queue.bell.silence();
    queue.core.close();
}

/// A new queue of an engine; `options` may be 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_queue_new(
    engine: linkspan_engine,
    options: linkspan_options,
    out: *mut linkspan_queue,
    error: *mut linkspan_error,
) -> linkspan_result {
    let body = || {
        let out = host!(out(out))?;
        let engine = ENGINES.get(engine)?;
        engine.refuse_after_shutdown()?;
        let limit = Settings::read(options, OptionScope::Queue)?.queue_limit.unwrap_or(DEFAULT_QUEUE_LIMIT);
        let queue = Queue::new(engine, usize::try_from(limit).unwrap_or(usize::MAX));
        out.write(QUEUES.insert(Arc::new(queue))?);
        Ok(())
    };
    // SAFETY: the host vouches for its error struct.
    unsafe { guard::run_telling("linkspan_queue_new", error, body) }
}

/// Waits for up to `max` events and writes them at `stride` bytes from each other; `stride` is sizeof(linkspan_event) as the
/// caller compiled it. Any number of threads may wait; each event goes to one. With timeout 0 or less it only takes what is
/// there and never blocks. ETIMEDOUT when nothing came; EINTERRUPTED after `linkspan_queue_wake`; ECLOSED after the SHUTDOWN
/// event or the queue's close. Release the events afterwards.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_queue_next(
    queue: linkspan_queue,
    events: *mut linkspan_event,
    stride: usize,
    max: usize,
    timeout_ns: i64,
    out_count: *mut usize,
) -> linkspan_result {
    guard::run("linkspan_queue_next", || {
        if timeout_ns > 0 {
            guard::refuse_inside_callback()?;
        }
        check_pointer(events)?;
        check_stride::<linkspan_event>(stride)?;
        let out_count = host!(out(out_count))?;
        if max == 0 {
            return Err(Refusal::new(LINKSPAN_EINVAL, "max is 0; there must be room for one event"));
        }
        let mut at = 0;
        let count = QUEUES.get(queue)?.next(max, timeout_ns, |event| {
            // SAFETY: at most `max` events are delivered, and the host's array has room for `max` of `stride` bytes.
            let place = unsafe { events.byte_add(at * stride) };
            // SAFETY: inside the array, and aligned because array and stride are.
            unsafe { write_event(place, stride, event) };
            at += 1;
        })?;
        out_count.write(count);
        Ok(())
    })
}

/// Calls `notify` once per change from empty to not empty, on the engine's thread; NULL removes it. Once called, drain until
/// ETIMEDOUT. If events wait already it is called before this returns. `release` runs once after the last use of `user_data`,
/// and only if this returns OK.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_queue_notify(
    queue: linkspan_queue,
    notify: linkspan_notify_fn,
    user_data: *mut c_void,
    release: linkspan_release_fn,
) -> linkspan_result {
    guard::run("linkspan_queue_notify", || {
        let queue = QUEUES.get(queue)?;
        if notify.is_none() && release.is_some() {
            return Err(Refusal::new(LINKSPAN_EINVAL, "a release function without a notify function"));
        }
        queue.bell.set_notify(notify.map(|function| Notify::new(function, HostData::new(user_data, release))));
        Ok(())
    })
}

/// A file descriptor that is readable (level) while events wait, for a host's own event loop. It is the queue's: constant for
/// its life, never read or closed by the host. Linux only in this version.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_queue_fd(queue: linkspan_queue, out: *mut i64) -> linkspan_result {
    guard::run("linkspan_queue_fd", || {
        let out = host!(out(out))?;
        out.write(QUEUES.get(queue)?.bell.fd()?);
        Ok(())
    })
}

/// Makes one `linkspan_queue_next`, blocked or the next, return EINTERRUPTED. From any thread.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_queue_wake(queue: linkspan_queue) -> linkspan_result {
    guard::run("linkspan_queue_wake", || {
        QUEUES.get(queue)?.wake();
        Ok(())
    })
}
