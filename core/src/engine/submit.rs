//! The way in: one bounded queue from every thread to the loop, and the loop's thread, which lives only while it is needed.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use super::channel::ChannelCore;
use super::handle::EngineOptions;
use super::on_loop::MakeTask;
use super::run;
use super::slot::{CallSlot, WatchSlot};
use super::snapshot::Asked;
use crate::call::CallSpec;
use crate::call::inbox::{Cancel, Outgoing};
use crate::call::quota::SendQuota;
use crate::error::{Error, ErrorKind};
use crate::generation::process_generation;
use crate::runtime::tokio::TokioDriver;
use crate::state::State;

/// Something a loop is asked to do.
pub(super) enum Submission {
    Connect(Arc<ChannelCore>),
    ResetBackoff(Arc<ChannelCore>),
    Close {
        channel: Arc<ChannelCore>,
        grace: Option<Duration>,
    },
    /// Nobody holds this channel any more.
    Forget {
        channel: u64,
    },
    Unary(Box<UnaryCall>),
    Stream(Box<StreamCall>),
    Send {
        call: u64,
        outgoing: Outgoing,
    },
    Read {
        call: u64,
        credit: u32,
    },
    Cancel {
        call: u64,
        cancel: Cancel,
    },
    Watch(Box<Watch>),
    CancelWatch {
        watch: u64,
    },
    /// Somebody wants to see how things stand, and waits for it.
    Show(Asked),
    /// A task of the host's.
    Run(MakeTask),
    /// Close every channel.
    Shutdown {
        grace: Option<Duration>,
    },
}

pub(super) struct UnaryCall {
    pub(super) id: u64,
    pub(super) channel: Arc<ChannelCore>,
    pub(super) spec: CallSpec,
    pub(super) message: bytes::Bytes,
    pub(super) slot: CallSlot,
}

pub(super) struct StreamCall {
    pub(super) id: u64,
    pub(super) channel: Arc<ChannelCore>,
    pub(super) spec: CallSpec,
    pub(super) first: Option<Outgoing>,
    /// No message will come: half-close with the headers.
    pub(super) is_empty: bool,
    pub(super) credit: u32,
    pub(super) quota: Arc<SendQuota>,
    pub(super) slot: CallSlot,
}

pub(super) struct Watch {
    pub(super) id: u64,
    pub(super) channel: Arc<ChannelCore>,
    pub(super) last: State,
    pub(super) timeout: Option<Duration>,
    pub(super) slot: WatchSlot,
}

/// As many submissions may wait for a loop; above that starting something is refused. Ends and wishes are always let in: what
/// they are about was counted when it started.
const LIMIT: usize = 65_536;

/// The queue, shared by an engine's handles and its loop.
pub(super) struct SubmitQueue {
    options: EngineOptions,
    /// Of the process whose thread serves it; another touches nothing of it.
    generation: u64,
    /// Guards the queue and the thread's life alone.
    state: Mutex<QueueState>,
    stopped: Condvar,
    /// Set under the lock, read without: whoever must not miss it takes the lock.
    is_shut_down: AtomicBool,
}

#[derive(Default)]
struct QueueState {
    submissions: Vec<Submission>,
    /// The loop's, while it waits.
    waker: Option<Waker>,
    /// How many [`Batch`]es are open; the loop is not woken meanwhile.
    batches: usize,
    /// Whether a thread serves the queue.
    is_running: bool,
    thread: Option<JoinHandle<()>>,
    /// Set while somebody waits for the last moments of the thread.
    is_being_joined: bool,
}

impl SubmitQueue {
    pub(super) fn new(options: EngineOptions) -> Arc<Self> {
        Self::with(options, false)
    }

    fn with(options: EngineOptions, is_shut_down: bool) -> Arc<Self> {
        Arc::new(Self {
            options,
            generation: process_generation(),
            state: Mutex::default(),
            stopped: Condvar::new(),
            is_shut_down: AtomicBool::new(is_shut_down),
        })
    }

    /// The queue of the same engine in a forked child: empty, and no thread serves it yet.
    pub(super) fn in_forked_child(&self) -> Arc<Self> {
        Self::with(self.options.clone(), self.is_shut_down())
    }

    /// Whether it is the parent's and this is a forked child: what it served is over, and its locks are nobody's.
    pub(super) fn is_parents(&self) -> bool {
        self.generation != process_generation()
    }

    /// Hands something to the loop, starting its thread when there is none. What is handed over is made only once nothing can be
    /// refused any more, because whatever it owes is paid when it is dropped.
    ///
    /// # Errors
    /// The engine is shut down, the queue is full, or the system refuses a thread.
    pub(super) fn start(self: &Arc<Self>, submission: impl FnOnce() -> Submission) -> Result<(), Error> {
        let mut state = self.state();
        if self.is_shut_down() {
            return Err(Error::new(ErrorKind::Closed, "the engine is shut down"));
        }
        if state.submissions.len() >= LIMIT {
            let text = format!("{LIMIT} operations wait for the engine already; start fewer at once");
            return Err(Error::new(ErrorKind::Limit, text));
        }
        if !state.is_running {
            let queue = Arc::clone(self);
            // The thread before has stopped serving; it is let go, not waited for.
            state.thread =
                Some(TokioDriver::run_on_thread(&self.options.thread_name, move |driver| run::run(driver, queue))?);
            state.is_running = true;
        }
        state.submissions.push(submission());
        wake(state, false);
        Ok(())
    }

    /// Tells the loop something about what it has. Without a loop there is nothing to tell.
    pub(super) fn tell(&self, submission: Submission) {
        if self.is_parents() {
            return;
        }
        let mut state = self.state();
        if state.is_running {
            let is_urgent = matches!(
                submission,
                Submission::Cancel { .. }
                    | Submission::CancelWatch { .. }
                    | Submission::Show(_)
                    | Submission::Close { .. }
                    | Submission::Shutdown { .. }
            );
            state.submissions.push(submission);
            wake(state, is_urgent);
        } else {
            // What it holds may run foreign code when dropped; not under the lock.
            drop(state);
            drop(submission);
        }
    }

    /// Refuses everything from now on and asks the loop to close what it has.
    pub(super) fn shut_down(&self, grace: Option<Duration>) {
        let state = self.state();
        self.is_shut_down.store(true, SeqCst);
        drop(state);
        self.tell(Submission::Shutdown { grace });
    }

    pub(super) fn is_shut_down(&self) -> bool {
        self.is_shut_down.load(SeqCst)
    }

    /// Whether a thread serves it. Once it is shut down none begins to.
    pub(super) fn is_served(&self) -> bool {
        self.state().is_running
    }

    /// Waits until the thread is gone; `false` when it is not in time.
    pub(super) fn join(&self, timeout: Option<Duration>) -> bool {
        let is_there = |state: &mut QueueState| state.is_running || state.is_being_joined;
        let mut state = match timeout {
            None => self.stopped.wait_while(self.state(), is_there).unwrap_or_else(PoisonError::into_inner),
            Some(timeout) => {
                let (mut state, _) = self
                    .stopped
                    .wait_timeout_while(self.state(), timeout, is_there)
                    .unwrap_or_else(PoisonError::into_inner);
                if is_there(&mut state) {
                    return false;
                }
                state
            }
        };
        let Some(thread) = state.thread.take() else { return true };
        state.is_being_joined = true;
        drop(state);
        // It serves no more, so this is a matter of microseconds.
        let ended_well = thread.join().is_ok();
        self.state().is_being_joined = false;
        self.stopped.notify_all();
        ended_well
    }

    /// A test moves the loop itself; no thread is started.
    #[cfg(any(test, fuzzing))]
    pub(super) fn serve_by_hand(&self) {
        self.state().is_running = true;
    }

    /// The loop's side: swaps what waits into `batch`, which is empty.
    pub(super) fn poll_batch(&self, cx: &mut Context<'_>, batch: &mut Vec<Submission>) -> Poll<()> {
        let mut state = self.state();
        if state.submissions.is_empty() {
            match &mut state.waker {
                Some(waker) => waker.clone_from(cx.waker()),
                None => state.waker = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        std::mem::swap(&mut state.submissions, batch);
        Poll::Ready(())
    }

    /// The loop's side: stops serving, unless something has come.
    pub(super) fn try_stop(&self) -> bool {
        let mut state = self.state();
        if !state.submissions.is_empty() {
            return false;
        }
        state.is_running = false;
        state.waker = None;
        drop(state);
        self.stopped.notify_all();
        true
    }

    /// The loop's side: it is over in a way it should not be. What waits is dropped, which reports each as an internal error.
    pub(super) fn stop_now(&self) {
        let mut state = self.state();
        let dropped = std::mem::take(&mut state.submissions);
        state.is_running = false;
        state.waker = None;
        drop(state);
        drop(dropped);
        self.stopped.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn options(&self) -> &EngineOptions {
        &self.options
    }
}

/// What is started while a batch is open wakes the loop once, when it is dropped. A loop that is awake may take some of it earlier.
///
/// Other threads' calls on the same engine wait with it, so it should be open for as long as the starting takes and no longer. Whoever waits for
/// a call while it is open waits for ever; it cannot be sent to another thread, so that no spawned task keeps one across a wait. What ends
/// something is not held back, nor is a snapshot.
#[must_use = "a batch ends when it is dropped"]
pub struct Batch {
    queue: Arc<SubmitQueue>,
    stays_here: PhantomData<*const ()>,
}

impl Batch {
    pub(super) fn open(queue: &Arc<SubmitQueue>) -> Self {
        queue.state().batches += 1;
        Self { queue: Arc::clone(queue), stays_here: PhantomData }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if self.queue.is_parents() {
            return;
        }
        let mut state = self.queue.state();
        state.batches -= 1;
        if !state.submissions.is_empty() {
            wake(state, false);
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Batch")
    }
}

/// Wakes the loop if it waits: once, until it has taken what is there.
/// A batch holds it back, but not for what is urgent: ends, and what somebody waits for.
fn wake(mut state: MutexGuard<'_, QueueState>, is_urgent: bool) {
    if state.batches > 0 && !is_urgent {
        return;
    }
    let waker = state.waker.take();
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}
