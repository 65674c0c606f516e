//! How completions reach an asyncio loop: one queue and one file descriptor per loop.
//!
//! The engine's thread makes the descriptor readable once per batch; the loop's reader then drains the queue, and the
//! responses become Python objects there. The engine touches neither Python objects nor the loop.

use std::iter::Peekable;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use bytes::Bytes;
use linkspan_core::{Completion, CompletionQueue, Event, Reply};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::call::message::{self, release_returned};
use crate::call::outcome::Outcome;
use crate::metadata;

/// Completions one loop may have waiting; beyond, starting a call is refused.
const QUEUE_LIMIT: usize = 65_536;

/// What a drained completion is about; the second element of its tuple. `aio/_loop.py` holds the same numbers.
const UNARY: u8 = 0;
const HEADERS: u8 = 1;
const MESSAGES: u8 = 2;
const WRITABLE: u8 = 3;
const STATUS: u8 = 4;
const CONNECTIVITY: u8 = 5;

/// One loop's completions and the descriptor that announces them.
#[pyclass(frozen, module = "linkspan._linkspan")]
pub(crate) struct LoopQueue {
    queue: Arc<CompletionQueue>,
    bell: Arc<Bell>,
}

impl LoopQueue {
    pub(crate) fn reply(&self, tag: u64) -> Reply {
        Reply::queue(&self.queue, tag)
    }
}

#[pymethods]
impl LoopQueue {
    #[new]
    fn new() -> PyResult<Self> {
        let bell = Arc::new(Bell::new()?);
        let queue = CompletionQueue::new(QUEUE_LIMIT);
        let rung = Arc::clone(&bell);
        queue.set_bell(Some(Box::new(move || rung.ring())));
        Ok(Self { queue, bell })
    }

    fn fileno(&self) -> RawFd {
        self.bell.readable().as_raw_fd()
    }

    /// Makes the descriptor unreadable again. Before draining, or a completion that comes meanwhile is not announced.
    fn quiet(&self) {
        // In a forked child the descriptor still rings for the parent.
        if !self.queue.is_parents() {
            self.bell.quiet();
        }
    }

    /// How many completions were taken, at most `most`, and what they say: each `(tag, what, first, second)`.
    /// Messages of one call that follow each other are one of these.
    fn drain<'py>(&self, py: Python<'py>, most: usize) -> PyResult<(usize, Bound<'py, PyList>)> {
        release_returned(py);
        let mut batch: Vec<Completion> = Vec::new();
        let count = self.queue.drain(&mut batch, most);
        let drained = PyList::empty(py);
        let mut batch = batch.into_iter().peekable();
        while let Some(completion) = batch.next() {
            drained.append(to_python(py, completion, &mut batch)?)?;
        }
        Ok((count, drained))
    }
}

impl Drop for LoopQueue {
    fn drop(&mut self) {
        self.queue.set_bell(None);
        self.queue.close();
    }
}

/// What still has to be converted of a batch.
type Rest = Peekable<std::vec::IntoIter<Completion>>;

fn to_python<'py>(py: Python<'py>, completion: Completion, rest: &mut Rest) -> PyResult<Bound<'py, PyTuple>> {
    let tag = completion.tag;
    match completion.event {
        Event::Unary(unary) => {
            let unary = *unary;
            let outcome = Outcome::new(unary.end, unary.initial);
            let response = unary.message.filter(|_| outcome.is_ok());
            let response = response.map(|response| message::to_python(py, &response)).transpose()?;
            (tag, UNARY, response, outcome).into_pyobject(py)
        }
        Event::Headers { initial, peer } => {
            (tag, HEADERS, metadata::to_python(py, &initial)?, &*peer).into_pyobject(py)
        }
        Event::Message(first) => (tag, MESSAGES, messages(py, tag, &first, rest)?, py.None()).into_pyobject(py),
        Event::Writable => (tag, WRITABLE, py.None(), py.None()).into_pyobject(py),
        Event::Status(end) => (tag, STATUS, py.None(), Outcome::new(*end, None)).into_pyobject(py),
        Event::Connectivity { state, timed_out } => (tag, CONNECTIVITY, state.number(), timed_out).into_pyobject(py),
    }
}

/// A call's message and those of the same call that follow it.
fn messages<'py>(py: Python<'py>, tag: u64, first: &Bytes, rest: &mut Rest) -> PyResult<Bound<'py, PyList>> {
    let messages = PyList::new(py, [message::to_python(py, first)?])?;
    while let Some(next) = rest.next_if(|next| next.tag == tag && matches!(next.event, Event::Message(_))) {
        if let Event::Message(next) = next.event {
            messages.append(message::to_python(py, &next)?)?;
        }
    }
    Ok(messages)
}

/// An eventfd, or a pipe where there is none.
struct Bell {
    read: OwnedFd,
    /// None: an eventfd is written where it is read.
    write: Option<OwnedFd>,
}

impl Bell {
    #[cfg(target_os = "linux")]
    fn new() -> std::io::Result<Self> {
        use rustix::event::{EventfdFlags, eventfd};
        Ok(Self { read: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?, write: None })
    }

    #[cfg(not(target_os = "linux"))]
    fn new() -> std::io::Result<Self> {
        let (read, write) = rustix::pipe::pipe()?;
        for end in [&read, &write] {
            rustix::io::ioctl_fionbio(end, true)?;
            rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC)?;
        }
        Ok(Self { read, write: Some(write) })
    }

    fn readable(&self) -> &OwnedFd {
        &self.read
    }

    /// On the engine's thread. A full pipe or counter is readable already, so a refused write says nothing new.
    fn ring(&self) {
        let _ = rustix::io::write(self.write.as_ref().unwrap_or(&self.read).as_fd(), &1u64.to_ne_bytes());
    }

    fn quiet(&self) {
        // One read empties an eventfd; of a pipe it takes what a few rings left, and the reader is called for the rest.
        let mut rings = [0u8; 512];
        let _ = rustix::io::read(&self.read, &mut rings);
    }
}
