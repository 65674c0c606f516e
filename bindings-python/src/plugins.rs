//! Call credentials whose plug-in is a Python function: from the engine's thread to the Python threads that run plug-ins.
//!
//! The engine leaves a question here and goes on; a thread of `_plugins.py` picks it up, asks the plug-in, and answers.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use linkspan_core::{AuthContext, Code, MetadataPlugin, MetadataReply, PerProcess};
use pyo3::prelude::*;

use crate::metadata;

/// A question that waits so long means that every thread is in a plug-in that takes its time.
const PATIENCE: Duration = Duration::from_secs(1);

struct Line {
    /// At most one question per attempt of a call, and plug-in of it.
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    questions: VecDeque<Question>,
    /// How many were taken out.
    taken: u64,
}

struct Question {
    plugin: Arc<Py<PyAny>>,
    context: AuthContext,
    reply: MetadataReply,
}

/// A forked child begins with none: the calls they were for are the parent's.
static LINE: PerProcess<Line> = PerProcess::of_first(Line::new());

impl Line {
    const fn new() -> Self {
        Self { state: Mutex::new(State { questions: VecDeque::new(), taken: 0 }), changed: Condvar::new() }
    }

    fn of_this_process() -> &'static Self {
        LINE.get(|_| Self::new())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock can panic halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a question and takes it.
    fn next(&self) -> Question {
        let mut state = self.state();
        loop {
            match state.questions.pop_front() {
                Some(question) => {
                    state.taken += 1;
                    // Those who watch count from here.
                    self.changed.notify_all();
                    return question;
                }
                None => state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Waits until a question has waited for longer than it should.
    fn wait_until_late(&self) {
        let mut state = self.state();
        loop {
            if state.questions.is_empty() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let taken_before = state.taken;
            let nobody_takes = |state: &mut State| state.taken == taken_before;
            let (now, timeout) =
                self.changed.wait_timeout_while(state, PATIENCE, nobody_takes).unwrap_or_else(PoisonError::into_inner);
            if timeout.timed_out() {
                return;
            }
            state = now;
        }
    }
}

/// A Python plug-in; what it is stays with the Python files. The last one to let go of it may be the engine's thread, which leaves
/// the reference for the interpreter to take back.
pub(crate) struct PythonPlugin(Arc<Py<PyAny>>);

impl PythonPlugin {
    pub(crate) fn new(plugin: Py<PyAny>) -> Self {
        Self(Arc::new(plugin))
    }
}

impl MetadataPlugin for PythonPlugin {
    fn metadata(&self, context: &AuthContext, reply: MetadataReply) {
        let question = Question { plugin: Arc::clone(&self.0), context: context.clone(), reply };
        let line = Line::of_this_process();
        line.state().questions.push_back(question);
        line.changed.notify_all();
    }
}

/// One question to a plug-in.
#[pyclass(frozen, module = "linkspan._linkspan")]
pub(crate) struct AuthRequest {
    plugin: Arc<Py<PyAny>>,
    context: AuthContext,
    /// Taken by the answer.
    reply: Mutex<Option<MetadataReply>>,
}

#[pymethods]
impl AuthRequest {
    /// What the credentials were made with.
    #[getter]
    fn plugin(&self, py: Python<'_>) -> Py<PyAny> {
        self.plugin.clone_ref(py)
    }

    #[getter]
    fn service_url(&self) -> &str {
        self.context.service_url()
    }

    #[getter]
    fn method_name(&self) -> &str {
        self.context.method_name()
    }

    /// Answers with metadata; what is wrong with them fails the call. False when there was an answer before.
    fn give(&self, given: Option<&Bound<'_, PyAny>>) -> bool {
        let Some(reply) = self.take() else { return false };
        match given.map(metadata::from_python) {
            None => reply.give(linkspan_core::Metadata::new()),
            Some(Ok(Ok((metadata, _)))) => reply.give(metadata),
            Some(Ok(Err(refusal))) => reply.fail(Code::Internal, format!("Invalid metadata: {refusal}")),
            Some(Err(raised)) => reply.fail(Code::Internal, format!("Invalid metadata: {raised}")),
        };
        true
    }

    /// Answers that there is none, in grpcio's way. False when there was an answer before.
    fn fail(&self, text: String) -> bool {
        self.take().is_some_and(|reply| {
            reply.fail(Code::Unavailable, text);
            true
        })
    }
}

impl AuthRequest {
    fn take(&self) -> Option<MetadataReply> {
        self.reply.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for AuthRequest {
    /// A plug-in that forgot its callback has the call wait for its deadline, as in grpcio: the reply is kept until then.
    fn drop(&mut self) {
        if let Some(reply) = self.take().map(Arc::new) {
            let kept = Arc::clone(&reply);
            reply.on_unwanted(move || drop(kept));
        }
    }
}

/// Waits for the next question.
#[pyfunction]
pub(crate) fn next_auth_request(py: Python<'_>) -> AuthRequest {
    let Question { plugin, context, reply } = py.detach(|| {
        loop {
            let question = Line::of_this_process().next();
            if question.reply.is_wanted() {
                break question;
            }
        }
    });
    AuthRequest { plugin, context, reply: Mutex::new(Some(reply)) }
}

/// Waits until a question waits for so long that a further thread is needed.
#[pyfunction]
pub(crate) fn wait_for_late_auth_request(py: Python<'_>) {
    py.detach(|| Line::of_this_process().wait_until_late());
}
