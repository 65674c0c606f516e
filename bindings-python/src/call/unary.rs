//! A blocking unary call: one native call in, a wait without the interpreter's lock, one result out.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use linkspan_core::{
    CallEnd, CallHandle, CallRequest, Channel, Code, Completion, CompletionQueue, Error, Event, Reply, UnaryEnd, Waited,
};
use pyo3::exceptions::PySystemError;
use pyo3::prelude::*;

use super::message::release_returned;
use super::patience::longest_wait;

/// One call is in flight per queue; the rest is room for what core may report besides.
const QUEUE_LIMIT: usize = 16;

thread_local! {
    /// This thread's queue between calls. It is taken while a call waits, so a signal handler that makes a call of its
    /// own meanwhile gets another one.
    static SPARE: Cell<Option<Arc<CompletionQueue>>> = const { Cell::new(None) };
}

/// Makes the call and waits for its end; an `Err` inside is core's refusal to start.
pub(crate) fn call(py: Python<'_>, channel: &Channel, request: CallRequest) -> PyResult<Result<UnaryEnd, Error>> {
    let slice = longest_wait(py)?;
    // A forked child does not go on with its parent's.
    let queue = SPARE.take().filter(|queue| !queue.is_parents()).unwrap_or_else(|| CompletionQueue::new(QUEUE_LIMIT));
    let handle = match channel.start_unary(request, Reply::queue(&queue, 0)) {
        Ok(handle) => handle,
        Err(refusal) => {
            SPARE.set(Some(queue));
            return Ok(Err(refusal));
        }
    };
    match wait(py, &queue, slice) {
        Ok(end) => {
            release_returned(py);
            SPARE.set(Some(queue));
            Ok(Ok(end))
        }
        Err(raised) => {
            abandon(&queue, &handle);
            Err(raised)
        }
    }
}

fn wait(py: Python<'_>, queue: &CompletionQueue, slice: Option<Duration>) -> PyResult<UnaryEnd> {
    let mut batch: Vec<Completion> = Vec::with_capacity(1);
    loop {
        match py.detach(|| queue.wait(&mut batch, 1, slice)) {
            Waited::Ready(_) => {
                if let Some(Completion { event: Event::Unary(end), .. }) = batch.pop() {
                    return Ok(*end);
                }
            }
            // A signal handler has forked, and this is the child.
            Waited::Forked => return Ok(UnaryEnd { end: CallEnd::in_forked_child(), initial: None, message: None }),
            Waited::TimedOut | Waited::Woken => py.check_signals()?,
            Waited::Closed => return Err(PySystemError::new_err("the queue of a waiting call was closed")),
        }
    }
}

/// The wait was broken off by a signal handler's exception: nobody will ask for this call's end.
fn abandon(queue: &CompletionQueue, handle: &CallHandle) {
    handle.cancel(Code::Cancelled, "Locally cancelled by application!");
    // Not kept for the next call: this one's completion is still to come, and is dropped with the queue.
    queue.close();
}
