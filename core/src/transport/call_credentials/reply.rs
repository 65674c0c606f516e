//! The one answer of a plug-in, on its way from any thread to the call that waits for it.

use std::fmt;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::failure::Failure;
use crate::foreign::contain;
use crate::generation::process_generation;
use crate::metadata::Metadata;
use crate::status::Code;

/// Where a [`MetadataPlugin`](super::MetadataPlugin) answers: once, from any thread, whenever it can. Dropped without an answer it fails the call.
pub struct MetadataReply {
    slot: Arc<Slot>,
}

/// The call's side.
pub(super) struct Asked {
    slot: Arc<Slot>,
}

struct Slot {
    /// Of the process that made it; in a forked child the call is over, and this lock may be nobody's.
    generation: u64,
    /// Held for as long as it takes to put an answer down.
    state: Mutex<State>,
}

enum State {
    Open {
        waker: Option<Waker>,
        unwanted: Option<Box<dyn FnOnce() + Send>>,
    },
    Answered(Result<Metadata, Failure>),
    /// The answer was taken, or the call does not want it any more.
    Over,
}

pub(super) fn asked() -> (MetadataReply, Asked) {
    let state = Mutex::new(State::Open { waker: None, unwanted: None });
    let slot = Arc::new(Slot { generation: process_generation(), state });
    (MetadataReply { slot: Arc::clone(&slot) }, Asked { slot })
}

impl MetadataReply {
    /// The call is sent with this metadata. `false` when it does not wait any more, which is harmless.
    #[expect(clippy::must_use_candidate, reason = "a plug-in need not care")]
    pub fn give(self, metadata: Metadata) -> bool {
        self.slot.answer(Ok(metadata))
    }

    /// The attempt fails with this code and text. Codes that only servers may use become INTERNAL ([A54-2]). `false` when the call does not wait any
    /// more, which is harmless.
    pub fn fail(self, code: Code, text: impl Into<String>) -> bool {
        self.slot.answer(Err(Failure::CredentialsFailed { code, text: text.into() }))
    }

    /// Whether the call still waits: it may have ended meanwhile, by its deadline for example.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.slot.state().is_some_and(|state| matches!(*state, State::Open { .. }))
    }

    /// Has `tell` run once if the call ends before it got an answer, on the engine's loop; at once if it has ended already. It must not block. One
    /// that was set before is replaced.
    pub fn on_unwanted(&self, tell: impl FnOnce() + Send + 'static) {
        let Some(mut state) = self.slot.state() else { return };
        if let State::Open { unwanted, .. } = &mut *state {
            let before = unwanted.replace(Box::new(tell));
            // What it holds is the host's, whose code may ask this reply: not under the lock.
            drop(state);
            contain(|| drop(before));
            return;
        }
        drop(state);
        contain(tell);
    }
}

impl Drop for MetadataReply {
    /// After an answer this one is too late, and harmless.
    fn drop(&mut self) {
        let text = "the plug-in let go of the call without an answer".to_owned();
        self.slot.answer(Err(Failure::CredentialsFailed { code: Code::Unauthenticated, text }));
    }
}

impl fmt::Debug for MetadataReply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataReply").field("is_wanted", &self.is_wanted()).finish_non_exhaustive()
    }
}

impl Asked {
    /// The answer, taken once.
    pub(super) fn poll_answer(&self, cx: &mut Context<'_>) -> Poll<Result<Metadata, Failure>> {
        let gone = || Failure::Internal { text: "an answer of call credentials was taken twice".into() };
        let Some(mut state) = self.slot.state() else { return Poll::Ready(Err(gone())) };
        match &mut *state {
            State::Open { waker, .. } => {
                *waker = Some(cx.waker().clone());
                Poll::Pending
            }
            State::Answered(_) | State::Over => match mem::replace(&mut *state, State::Over) {
                State::Answered(answer) => Poll::Ready(answer),
                State::Open { .. } | State::Over => Poll::Ready(Err(gone())),
            },
        }
    }

    /// What the plug-in failed with, in place of what its reply said when it was dropped.
    pub(super) fn fail_instead(&self, code: Code, text: &str) {
        if let Some(mut state) = self.slot.state()
            && let State::Answered(answer @ Err(_)) = &mut *state
        {
            *answer = Err(Failure::CredentialsFailed { code, text: text.to_owned() });
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        let before = self.slot.state().map(|mut state| mem::replace(&mut *state, State::Over));
        if let Some(State::Open { unwanted: Some(tell), .. }) = before {
            contain(tell);
        }
    }
}

impl Slot {
    fn answer(&self, answer: Result<Metadata, Failure>) -> bool {
        let Some(mut state) = self.state() else { return false };
        if !matches!(*state, State::Open { .. }) {
            return false;
        }
        let before = mem::replace(&mut *state, State::Answered(answer));
        drop(state);
        let State::Open { waker, unwanted } = before else { return false };
        if let Some(waker) = waker {
            waker.wake();
        }
        // It may run the host's code; not under the lock.
        contain(|| drop(unwanted));
        true
    }

    /// `None` in a forked child.
    fn state(&self) -> Option<MutexGuard<'_, State>> {
        let is_own = self.generation == process_generation();
        is_own.then(|| self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
