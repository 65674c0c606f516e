//! The state of a blocking stream or future, shared by the engine's thread and any number of Python threads.
//!
//! The engine's thread stores what it reports and wakes who waits; it never waits itself. The lock is held for a few
//! lines, never across a call into the engine or the interpreter. Readers take what has come all at once and hand it
//! out from a place of their own, so that most messages cost neither side a look at the other's lock.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use linkspan_core::{CallEnd, CallHandle, Code, Event, Metadata, Sent};

use super::outcome::Outcome;
use super::receiving::credit_to_give;
use super::sending::{Sending, Step};
use crate::callbacks;

/// One call's state and those who wait for it.
pub(crate) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// Messages taken out of `state` for the readers, who share them. Locked before `state` where both are.
    batch: Mutex<VecDeque<Bytes>>,
    /// Whether `batch` holds any; changed under its lock, and to true under the lock of `state` as well.
    has_batch: AtomicBool,
}

struct State {
    /// From the engine's acceptance to the call's end.
    handle: Option<CallHandle>,
    initial: Option<Metadata>,
    peer: Option<Arc<str>>,
    received: VecDeque<Bytes>,
    /// Messages the engine may still report.
    credit: u32,
    sending: Sending,
    /// Set once, by the engine's report or by a cancel from here, whichever is first.
    outcome: Option<Arc<Outcome>>,
    /// Told to the callback thread at the end.
    observers: Vec<u64>,
    /// How many threads wait on `changed`; without one, telling costs nothing.
    waiting: u32,
}

/// What a thread may wait for.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    /// A message or the end.
    Message,
    /// The initial metadata or the end.
    Headers,
    /// Room for a request message, or the end.
    Room,
    /// The end.
    End,
}

/// What a reader found.
pub(crate) enum Taken {
    Message(Bytes),
    /// None is here yet.
    Nothing,
    /// None is here, and none will come.
    End,
}

impl Shared {
    pub(crate) fn new(sending: Sending, credit: u32) -> Self {
        let state = State {
            handle: None,
            initial: None,
            peer: None,
            received: VecDeque::new(),
            credit,
            sending,
            outcome: None,
            observers: Vec::new(),
            waiting: 0,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
            batch: Mutex::default(),
            has_batch: AtomicBool::new(false),
        }
    }

    /// The same call in a forked child: one that had ended is as it was, with what was not read of it; one that was running ends
    /// here. Its locks may be a thread's that is not there, so they are only tried.
    pub(crate) fn in_forked_child(&self) -> Self {
        let (state, batch) = (self.state.try_lock().ok(), self.batch.try_lock().ok());
        let mut ours = Self::new(Sending::finished(), 0);
        let initial = state.as_ref().and_then(|state| state.initial.clone());
        let peer = state.as_ref().and_then(|state| state.peer.clone());
        let ended = state.filter(|state| state.outcome.is_some());
        let (outcome, received) = match (ended, batch) {
            (Some(state), Some(batch)) => {
                ours.has_batch = AtomicBool::new(!batch.is_empty());
                ours.batch = Mutex::new(batch.clone());
                (state.outcome.clone(), state.received.clone())
            }
            _ => {
                let outcome = Outcome::new(CallEnd::in_forked_child(), initial.clone());
                (Some(Arc::new(outcome)), VecDeque::new())
            }
        };
        let state = ours.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        (state.initial, state.peer, state.outcome, state.received) = (initial, peer, outcome, received);
        ours
    }

    /// The engine accepted the call. It may have reported already, its end included.
    pub(crate) fn on_started(&self, handle: CallHandle) {
        let mut state = self.lock();
        if state.outcome.is_none() {
            state.handle = Some(handle);
        }
    }

    /// The engine refused the call.
    pub(crate) fn on_refused(&self, outcome: Outcome) {
        self.end(self.lock(), outcome);
    }

    /// The engine's thread reports.
    pub(crate) fn on_event(&self, event: Event) {
        let mut state = self.lock();
        match event {
            Event::Headers { initial, peer } => {
                state.initial = Some(initial);
                state.peer = Some(peer);
                self.tell(state);
            }
            Event::Message(message) => {
                let was_empty = state.received.is_empty();
                state.store(message);
                // Else whoever waits for messages was told of the first, and has not come yet.
                if was_empty {
                    self.tell(state);
                }
            }
            Event::Writable => {
                state.sending.on_room();
                drop(state);
                self.flush();
            }
            Event::Status(end) => self.on_end(state, *end),
            Event::Unary(unary) => {
                state.initial = unary.initial;
                if let Some(message) = unary.message {
                    state.store(message);
                }
                self.on_end(state, unary.end);
            }
            // Only a watch reports this.
            Event::Connectivity { .. } => {}
        }
    }

    fn on_end(&self, state: MutexGuard<'_, State>, end: CallEnd) {
        if state.outcome.is_some() {
            return;
        }
        let outcome = Outcome::new(end, state.initial.clone());
        self.end(state, outcome);
    }

    /// Ends the call from this side; false when it had ended.
    pub(crate) fn cancel(&self, code: Code, details: &str) -> bool {
        let mut state = self.lock();
        if state.outcome.is_some() {
            return false;
        }
        state.received.clear();
        let handle = state.handle.take();
        let outcome = Outcome::decided_here(code, details, state.initial.clone(), Sent::Processed);
        self.end(state, outcome);
        self.batch().clear();
        if let Some(handle) = handle {
            handle.cancel(code, details);
        }
        true
    }

    fn end(&self, mut state: MutexGuard<'_, State>, outcome: Outcome) {
        state.outcome = Some(Arc::new(outcome));
        state.handle = None;
        state.sending.stop();
        let observers = std::mem::take(&mut state.observers);
        self.tell(state);
        for token in observers {
            callbacks::push(token);
        }
    }

    /// Adds request messages behind those that wait; `complete` says that these are the last.
    pub(crate) fn send(&self, messages: impl IntoIterator<Item = Bytes>, complete: bool) {
        {
            let mut state = self.lock();
            if state.outcome.is_some() {
                return;
            }
            state.sending.add(messages, complete);
        }
        self.flush();
    }

    /// Hands waiting messages to the engine until it has no room or none is left.
    fn flush(&self) {
        loop {
            let (handle, step) = {
                let mut state = self.lock();
                let Some(handle) = state.handle.clone() else { return };
                let Some(step) = state.sending.next_step() else { return };
                (handle, step)
            };
            let answer = match step {
                Step::Message(message, last) => handle.send(message, last),
                Step::HalfClose => handle.half_close(),
            };
            let mut state = self.lock();
            state.sending.on_answer(answer);
            if state.sending.has_room() {
                self.tell(state);
            }
        }
    }

    /// The next response message, if one is here.
    pub(crate) fn take_message(&self) -> Taken {
        let mut batch = self.batch();
        let mut owed = None;
        let mut is_over = false;
        if batch.is_empty() {
            let mut state = self.lock();
            owed = state.take_batch(&mut batch);
            is_over = state.outcome.is_some();
            self.has_batch.store(batch.len() > 1, Ordering::Release);
        }
        let message = batch.pop_front();
        if batch.is_empty() {
            self.has_batch.store(false, Ordering::Release);
        }
        drop(batch);
        if let Some((handle, credit)) = owed {
            handle.read(credit);
        }
        match message {
            Some(message) => Taken::Message(message),
            None if is_over => Taken::End,
            None => Taken::Nothing,
        }
    }

    /// Waits for `until`, at most `longest`; true when it holds.
    pub(crate) fn wait(&self, until: Until, longest: Option<Duration>) -> bool {
        let mut state = self.lock();
        state.waiting += 1;
        let pending = |state: &mut State| !self.holds_in(state, until);
        let mut state = match longest {
            Some(longest) => {
                self.changed.wait_timeout_while(state, longest, pending).unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.changed.wait_while(state, pending).unwrap_or_else(PoisonError::into_inner),
        };
        state.waiting -= 1;
        self.holds_in(&state, until)
    }

    /// Whether `until` holds now.
    pub(crate) fn holds(&self, until: Until) -> bool {
        self.holds_in(&self.lock(), until)
    }

    fn holds_in(&self, state: &State, until: Until) -> bool {
        state.outcome.is_some()
            || match until {
                Until::Message => !state.received.is_empty() || self.has_batch.load(Ordering::Acquire),
                Until::Headers => state.initial.is_some(),
                Until::Room => state.sending.has_room(),
                Until::End => false,
            }
    }

    /// Has `token` marked as due at the end; false, and nothing will be, when the call has ended.
    pub(crate) fn observe(&self, token: u64) -> bool {
        let mut state = self.lock();
        if state.outcome.is_some() {
            return false;
        }
        state.observers.push(token);
        true
    }

    pub(crate) fn outcome(&self) -> Option<Arc<Outcome>> {
        self.lock().outcome.clone()
    }

    pub(crate) fn initial(&self) -> Option<Metadata> {
        self.lock().initial.clone()
    }

    pub(crate) fn peer(&self) -> Option<Arc<str>> {
        self.lock().peer.clone()
    }

    /// Wakes who waits; without the lock, which is the first thing they want.
    fn tell(&self, state: MutexGuard<'_, State>) {
        let has_waiters = state.waiting > 0;
        drop(state);
        if has_waiters {
            self.changed.notify_all();
        }
    }

    fn batch(&self) -> MutexGuard<'_, VecDeque<Bytes>> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock can panic halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn store(&mut self, message: Bytes) {
        self.credit = self.credit.saturating_sub(1);
        // After a cancel from here nobody asks for messages any more.
        if self.outcome.is_none() {
            self.received.push_back(message);
        }
    }

    /// Moves messages to a reader's empty `batch`; the credit to give for that, if any.
    fn take_batch(&mut self, batch: &mut VecDeque<Bytes>) -> Option<(CallHandle, u32)> {
        if self.waiting == 0 {
            std::mem::swap(&mut self.received, batch);
        } else {
            // The thread that waits was told of these messages too, and comes for its own.
            batch.extend(self.received.pop_front());
        }
        let waiting = u32::try_from(self.received.len()).unwrap_or(u32::MAX);
        let sizes = || batch.iter().chain(&self.received).map(Bytes::len);
        let credit = credit_to_give(self.credit.saturating_add(waiting), sizes().sum(), sizes().max().unwrap_or(0));
        self.credit += credit;
        if credit == 0 { None } else { self.handle.clone().map(|handle| (handle, credit)) }
    }
}
