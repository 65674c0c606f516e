//! A blocking stream or future as a Python object.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use linkspan_core::{Code, Error, PerProcess, Reply};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use super::message;
use super::outcome::Outcome;
use super::patience::wait_until;
use super::sending::Sending;
use super::shared::{Shared, Taken, Until};
use crate::metadata;

/// A call that several threads may read, feed, cancel and wait for.
#[pyclass(frozen, module = "linkspan._linkspan")]
pub(crate) struct ActiveCall {
    shared: Arc<PerProcess<Shared>>,
}

impl ActiveCall {
    /// Starts a call through `start`, which gets where to report; a refusal ends the call or raises.
    pub(crate) fn start(
        py: Python<'_>,
        sending: Sending,
        credit: u32,
        start: impl FnOnce(Reply) -> Result<linkspan_core::CallHandle, Error>,
    ) -> PyResult<Self> {
        let call = Self { shared: Arc::new(PerProcess::new(Shared::new(sending, credit))) };
        let reported = Arc::clone(&call.shared);
        match start(Reply::callback(move |event| reported.get(Shared::in_forked_child).on_event(event))) {
            Ok(handle) => call.shared().on_started(handle),
            Err(refusal) => call.shared().on_refused(Outcome::of_refusal(py, &refusal)?),
        }
        Ok(call)
    }

    fn shared(&self) -> &Shared {
        self.shared.get(Shared::in_forked_child)
    }

    fn wait(&self, py: Python<'_>, until: Until, timeout: Option<Duration>) -> PyResult<bool> {
        if self.shared().holds(until) {
            return Ok(true);
        }
        wait_until(py, timeout, |longest| self.shared().wait(until, longest))
    }

    /// Waits like a call of its own: a signal handler's exception ends the RPC.
    fn wait_or_cancel(&self, py: Python<'_>, until: Until) -> PyResult<()> {
        self.wait(py, until, None).map(drop).inspect_err(|_| {
            self.shared().cancel(Code::Cancelled, "Locally cancelled by application!");
        })
    }
}

#[pymethods]
impl ActiveCall {
    /// The next response message; None at the end.
    fn next_message<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        message::release_returned(py);
        loop {
            match self.shared().take_message() {
                Taken::Message(message) => return message::to_python(py, &message).map(Some),
                Taken::End => return Ok(None),
                // Also when another thread took the message this one was woken for.
                Taken::Nothing => self.wait_or_cancel(py, Until::Message)?,
            }
        }
    }

    /// Waits for the end as a call of its own.
    fn finish(&self, py: Python<'_>) -> PyResult<()> {
        self.wait_or_cancel(py, Until::End)
    }

    /// Waits for the end at most `timeout` seconds; whether it came. Leaves the call alone when interrupted.
    #[pyo3(signature = (timeout=None))]
    fn wait_end(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<bool> {
        self.wait(py, Until::End, duration_of(timeout)?)
    }

    /// Waits for the initial metadata; None when the call ended without any.
    fn initial<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        self.wait(py, Until::Headers, None)?;
        self.shared().initial().map(|initial| metadata::to_python(py, &initial)).transpose()
    }

    /// The end, once it came: as [`Outcome`]'s `unpack`.
    fn outcome<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.shared().outcome().map(|outcome| outcome.unpacked(py)?.into_pyobject(py)).transpose()
    }

    #[getter]
    fn ended(&self) -> bool {
        self.shared().holds(Until::End)
    }

    #[getter]
    fn peer(&self) -> Option<String> {
        self.shared().peer().map(|peer| peer.to_string())
    }

    /// Sends one message, waiting while those before it have no room; false when the call has ended.
    fn send(&self, py: Python<'_>, message: &Bound<'_, PyAny>) -> PyResult<bool> {
        let message = message::from_python(message)?;
        self.wait(py, Until::Room, None)?;
        self.shared().send([message], false);
        Ok(!self.shared().holds(Until::End))
    }

    /// Sends these messages as the engine has room and then ends the request stream; waits for nothing.
    fn send_all(&self, messages: &Bound<'_, PyList>) -> PyResult<()> {
        let messages = messages.iter().map(|item| message::from_python(&item)).collect::<PyResult<Vec<Bytes>>>()?;
        self.shared().send(messages, true);
        Ok(())
    }

    /// Ends the request stream.
    fn half_close(&self) {
        self.shared().send([], true);
    }

    /// Ends the call with this status; false when it had ended.
    fn cancel(&self, code: i64, details: &str) -> bool {
        self.shared().cancel(Code::from_number(code), details)
    }

    /// Has the callback thread find `token` due at the end; false when the call has ended.
    fn observe(&self, token: u64) -> bool {
        self.shared().observe(token)
    }
}

fn duration_of(seconds: Option<f64>) -> PyResult<Option<Duration>> {
    let Some(seconds) = seconds else { return Ok(None) };
    if seconds.is_nan() {
        return Err(PyValueError::new_err("timeout must be a number of seconds or None, not NaN"));
    }
    // What a Duration cannot hold is longer than any process lives.
    Ok(Duration::try_from_secs_f64(seconds.max(0.0)).ok())
}
