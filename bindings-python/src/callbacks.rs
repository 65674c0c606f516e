//! From the engine's thread to the one Python thread that runs callbacks.
//!
//! The engine only leaves a number here; the thread "linkspan-callbacks", a Python thread made on first need, picks the
//! numbers up and knows which callbacks they stand for.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use linkspan_core::PerProcess;
use pyo3::prelude::*;

struct Due {
    /// At most one number per registered call or watch, so it is bounded by what Python keeps alive.
    tokens: Mutex<VecDeque<u64>>,
    arrived: Condvar,
}

/// A forked child begins with nothing due; what was registered there is looked after by `_callbacks.py`.
static DUE: PerProcess<Due> = PerProcess::of_first(Due::new());

impl Due {
    const fn new() -> Self {
        Self { tokens: Mutex::new(VecDeque::new()), arrived: Condvar::new() }
    }

    fn of_this_process() -> &'static Self {
        DUE.get(|_| Self::new())
    }
}

/// Marks what `token` stands for as due. Never waits, never touches the interpreter.
pub(crate) fn push(token: u64) {
    let due = Due::of_this_process();
    lock(&due.tokens).push_back(token);
    due.arrived.notify_one();
}

/// The same from Python.
#[pyfunction]
pub(crate) fn push_due(token: u64) {
    push(token);
}

/// Waits until something is due and takes all of it.
#[pyfunction]
pub(crate) fn next_due(py: Python<'_>) -> Vec<u64> {
    py.detach(|| {
        let due = Due::of_this_process();
        let mut tokens = lock(&due.tokens);
        while tokens.is_empty() {
            tokens = due.arrived.wait(tokens).unwrap_or_else(PoisonError::into_inner);
        }
        tokens.drain(..).collect()
    })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under this lock can panic halfway through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
