//! Call credentials whose plug-in is a Python function: from the engine's thread to the Python threads that run plug-ins.
//!
//! The engine leaves a question here and goes on; a thread of `_plugins.py` picks it up, asks the plug-in, and answers.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use linkspan_core::{AuthContext, Code, MetadataPlugin, MetadataReply, PerProcess};
use pyo3::prelude::*;

use crate::metadata;

struct Line {
    /// At most one question per attempt of a call that waits, and plug-in of it.
    questions: Mutex<VecDeque<Question>>,
    arrived: Condvar,
}

struct Question {
    /// Unique in the process.
    number: u64,
    plugin: Arc<Py<PyAny>>,
    context: AuthContext,
    reply: MetadataReply,
}

/// A forked child begins with none: the calls they were for are the parent's.
static LINE: PerProcess<Line> = PerProcess::of_first(Line::new());

impl Line {
    const fn new() -> Self {
        Self { questions: Mutex::new(VecDeque::new()), arrived: Condvar::new() }
    }

    fn of_this_process() -> &'static Self {
        LINE.get(|_| Self::new())
    }

    fn questions(&self) -> MutexGuard<'_, VecDeque<Question>> {
        // Nothing under this lock can panic halfway through a change.
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, question: Question) {
        self.questions().push_back(question);
        self.arrived.notify_one();
    }

    /// Waits for a question and takes it.
    fn next(&self) -> Question {
        let mut questions = self.questions();
        loop {
            match questions.pop_front() {
                Some(question) => return question,
                None => questions = self.arrived.wait(questions).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    /// Takes a question out whose call has ended, if nobody took it before: every thread may be in a plug-in that hangs.
    fn withdraw(&self, number: u64) {
        let mut questions = self.questions();
        // Old ones end first as a rule, so it is near the front.
        let place = questions.iter().position(|question| question.number == number);
        let withdrawn = place.and_then(|place| questions.remove(place));
        drop(questions);
        drop(withdrawn);
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
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        // The call ends on the thread this runs on, so not before its question is in.
        reply.on_unwanted(move || Line::of_this_process().withdraw(number));
        Line::of_this_process().push(Question { number, plugin: Arc::clone(&self.0), context: context.clone(), reply });
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
    let Question { plugin, context, reply, .. } = py.detach(|| Line::of_this_process().next());
    AuthRequest { plugin, context, reply: Mutex::new(Some(reply)) }
}
