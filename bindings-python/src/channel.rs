//! A channel: where calls start and states are read.

use std::time::Duration;

use linkspan_core::{CallRequest, ChannelOptions, Dialect, Error, ErrorKind, Preset, Reply, State, WatchHandle};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::call::active::ActiveCall;
use crate::call::looped::LoopCall;
use crate::call::outcome::Outcome;
use crate::call::receiving::FEWEST_MESSAGES;
use crate::call::request::{Asked, Method, compression_of};
use crate::call::sending::Sending;
use crate::call::{message, unary};
use crate::credentials::{CallCredentials, Credentials};
use crate::errors::{exception, type_name};
use crate::wake::LoopQueue;
use crate::{callbacks, observe, options};

/// An argument of a call that may be left out.
type Optional<'a, 'py> = Option<&'a Bound<'py, PyAny>>;

/// One engine channel; both faces of a Python channel share it.
#[pyclass(frozen, module = "linkspan._linkspan")]
pub(crate) struct Channel {
    inner: linkspan_core::Channel,
    /// grpcio's words for what is refused here and not in core's table of statuses.
    drop_in: bool,
}

impl Channel {
    fn start_active(
        &self,
        py: Python<'_>,
        asked: &Asked<'_, '_>,
        request: Option<&Bound<'_, PyAny>>,
        kind: Kind,
    ) -> PyResult<ActiveCall> {
        let built = asked.request(request.map(message::from_python).transpose()?)?;
        let sending = if request.is_some() { Sending::finished() } else { Sending::default() };
        ActiveCall::start(py, sending, FEWEST_MESSAGES, |reply| {
            let request = built?;
            let started = match kind {
                Kind::Unary => self.inner.start_unary(request, reply),
                Kind::Stream { single_response } => self.inner.start_stream(streaming(request, single_response), reply),
            };
            started.map_err(|refusal| self.in_its_words(refusal))
        })
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Unary,
    Stream { single_response: bool },
}

/// A stream's request: with a message it is the only one.
fn streaming(mut request: CallRequest, single_response: bool) -> CallRequest {
    request.single_response = single_response;
    request.last = request.message.is_some();
    request.read_credit = FEWEST_MESSAGES;
    request
}

#[pymethods]
impl Channel {
    /// `drop_in`: grpcio's defaults and words; else linkspan's own. `compression` is the default of its calls, unless an option says it.
    #[new]
    #[pyo3(signature = (target, credentials, options, drop_in, compression=None))]
    fn new(
        py: Python<'_>,
        target: &Bound<'_, PyAny>,
        credentials: &Credentials,
        options: Option<&Bound<'_, PyAny>>,
        drop_in: bool,
        compression: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let target = target_of(target)?;
        let mut converted = ChannelOptions::new();
        converted.set_language("python");
        let (preset, dialect) =
            if drop_in { (Preset::Grpc, Dialect::Grpcio) } else { (Preset::Resilient, Dialect::Native) };
        converted.set_preset(preset);
        converted.set_dialect(dialect);
        if let Some(options) = options {
            options::read(options, &mut converted)?;
        }
        if let Some(compression) = compression {
            let number = i64::from(compression_of(compression)? as u8);
            let set = converted.set("grpc.default_compression_algorithm", number);
            set.map_err(|refusal| exception(py, &refusal))?;
        }
        linkspan_core::Channel::new(&target, &credentials.inner, &converted)
            .map(|inner| Self { inner, drop_in })
            .map_err(|refusal| exception(py, &refusal))
    }

    /// A whole unary call: the response as bytes, or the [`Outcome`] of a failed call.
    #[pyo3(signature = (method, request, timeout, metadata, wait_for_ready, compression=None, credentials=None))]
    #[expect(clippy::too_many_arguments, reason = "one crossing carries everything a call needs")]
    fn unary<'py>(
        &self,
        py: Python<'py>,
        method: &Method,
        request: &Bound<'py, PyAny>,
        timeout: Optional<'_, 'py>,
        metadata: Optional<'_, 'py>,
        wait_for_ready: Optional<'_, 'py>,
        compression: Optional<'_, 'py>,
        credentials: Option<&CallCredentials>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let (response, outcome) =
            self.unary_with_outcome(py, method, request, timeout, metadata, wait_for_ready, compression, credentials)?;
        match response {
            Some(response) => Ok(response.into_any()),
            None => Ok(Bound::new(py, outcome)?.into_any()),
        }
    }

    /// The same with both: the response, None unless the call is OK, and the outcome.
    #[pyo3(signature = (method, request, timeout, metadata, wait_for_ready, compression=None, credentials=None))]
    #[expect(clippy::too_many_arguments, reason = "one crossing carries everything a call needs")]
    fn unary_with_outcome<'py>(
        &self,
        py: Python<'py>,
        method: &Method,
        request: &Bound<'py, PyAny>,
        timeout: Optional<'_, 'py>,
        metadata: Optional<'_, 'py>,
        wait_for_ready: Optional<'_, 'py>,
        compression: Optional<'_, 'py>,
        credentials: Option<&CallCredentials>,
    ) -> PyResult<(Option<Bound<'py, PyBytes>>, Outcome)> {
        let asked = Asked { method, timeout, metadata, wait_for_ready, compression, credentials };
        let ended = match asked.request(Some(message::from_python(request)?))? {
            Ok(request) => unary::call(py, &self.inner, request)?,
            Err(refusal) => Err(refusal),
        };
        match ended {
            Ok(unary) => {
                let outcome = Outcome::new(unary.end, unary.initial);
                let response = unary.message.filter(|_| outcome.is_ok());
                Ok((response.map(|response| message::to_python(py, &response)).transpose()?, outcome))
            }
            Err(refusal) => Ok((None, Outcome::of_refusal(py, &self.in_its_words(refusal))?)),
        }
    }

    /// Starts a unary call whose end is awaited elsewhere.
    #[pyo3(signature = (method, request, timeout, metadata, wait_for_ready, compression=None, credentials=None))]
    #[expect(clippy::too_many_arguments, reason = "one crossing carries everything a call needs")]
    fn start_unary<'py>(
        &self,
        py: Python<'py>,
        method: &Method,
        request: &Bound<'py, PyAny>,
        timeout: Optional<'_, 'py>,
        metadata: Optional<'_, 'py>,
        wait_for_ready: Optional<'_, 'py>,
        compression: Optional<'_, 'py>,
        credentials: Option<&CallCredentials>,
    ) -> PyResult<ActiveCall> {
        let asked = Asked { method, timeout, metadata, wait_for_ready, compression, credentials };
        self.start_active(py, &asked, Some(request), Kind::Unary)
    }

    /// Starts a stream; `request` is the only request message, None when messages follow.
    #[pyo3(signature = (method, request, timeout, metadata, wait_for_ready, single_response, compression=None, credentials=None))]
    #[expect(clippy::too_many_arguments, reason = "one crossing carries everything a call needs")]
    fn start_stream<'py>(
        &self,
        py: Python<'py>,
        method: &Method,
        request: Optional<'_, 'py>,
        timeout: Optional<'_, 'py>,
        metadata: Optional<'_, 'py>,
        wait_for_ready: Optional<'_, 'py>,
        single_response: bool,
        compression: Optional<'_, 'py>,
        credentials: Option<&CallCredentials>,
    ) -> PyResult<ActiveCall> {
        let asked = Asked { method, timeout, metadata, wait_for_ready, compression, credentials };
        self.start_active(py, &asked, request, Kind::Stream { single_response })
    }

    /// Starts a unary call that reports to a loop: its handle, or the [`Outcome`] of one that was refused.
    #[pyo3(signature = (queue, tag, method, request, timeout, metadata, wait_for_ready, compression=None, credentials=None))]
    #[expect(clippy::too_many_arguments, reason = "one crossing carries everything a call needs")]
    fn start_unary_on<'py>(
        &self,
        py: Python<'py>,
        queue: &LoopQueue,
        tag: u64,
        method: &Method,
        request: &Bound<'py, PyAny>,
        timeout: Optional<'_, 'py>,
        metadata: Optional<'_, 'py>,
        wait_for_ready: Optional<'_, 'py>,
        compression: Optional<'_, 'py>,
        credentials: Option<&CallCredentials>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let asked = Asked { method, timeout, metadata, wait_for_ready, compression, credentials };
        let built = asked.request(Some(message::from_python(request)?))?;
        looped(py, built.and_then(|request| self.inner.start_unary(request, queue.reply(tag))))
    }

    /// Starts a stream that reports to a loop.
    #[pyo3(signature = (queue, tag, method, request, timeout, metadata, wait_for_ready, single_response, compression=None, credentials=None))]
    #[expect(clippy::too_many_arguments, reason = "one crossing carries everything a call needs")]
    fn start_stream_on<'py>(
        &self,
        py: Python<'py>,
        queue: &LoopQueue,
        tag: u64,
        method: &Method,
        request: Optional<'_, 'py>,
        timeout: Optional<'_, 'py>,
        metadata: Optional<'_, 'py>,
        wait_for_ready: Optional<'_, 'py>,
        single_response: bool,
        compression: Optional<'_, 'py>,
        credentials: Option<&CallCredentials>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let asked = Asked { method, timeout, metadata, wait_for_ready, compression, credentials };
        let built = asked.request(request.map(message::from_python).transpose()?)?;
        looped(
            py,
            built.and_then(|request| self.inner.start_stream(streaming(request, single_response), queue.reply(tag))),
        )
    }

    /// The state's number; with `try_to_connect` an idle channel starts to connect.
    fn state(&self, try_to_connect: bool) -> u8 {
        self.inner.state(try_to_connect).number()
    }

    /// Has the callback thread find `token` due once the state is no longer `last`.
    fn watch(&self, py: Python<'_>, last: u8, token: u64) -> PyResult<Watch> {
        let reply = Reply::callback(move |_| callbacks::push(token));
        self.watch_with(py, last, reply)
    }

    /// The same for a loop: a CONNECTIVITY completion with this tag.
    fn watch_on(&self, py: Python<'_>, queue: &LoopQueue, tag: u64, last: u8) -> PyResult<Watch> {
        self.watch_with(py, last, queue.reply(tag))
    }

    /// State changes later than `after`, oldest first.
    fn events<'py>(&self, py: Python<'py>, after: u64) -> PyResult<Vec<observe::Event<'py>>> {
        self.inner.events(after).iter().map(|event| observe::event(py, event)).collect()
    }

    /// Counters as a dict of plain values.
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        observe::metrics(py, &self.inner.metrics())
    }

    /// The tree of this moment as JSON text. The engine's thread is waited for.
    fn snapshot(&self, py: Python<'_>) -> String {
        py.detach(|| self.inner.snapshot().to_json())
    }

    fn reset_connect_backoff(&self) {
        self.inner.reset_connect_backoff();
    }

    /// Closes: with `grace` in seconds running calls are cancelled after it, with None they may finish.
    fn close(&self, py: Python<'_>, grace: Option<f64>) {
        let grace = grace.map(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX));
        py.detach(|| self.inner.close(grace));
    }

    #[getter]
    fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    #[getter]
    fn target(&self) -> &str {
        self.inner.target()
    }

    #[getter]
    fn authority(&self) -> &str {
        self.inner.authority()
    }
}

impl Channel {
    fn in_its_words(&self, refusal: Error) -> Error {
        if self.drop_in && refusal.kind() == ErrorKind::Closed {
            return Error::new(ErrorKind::Closed, "Cannot invoke RPC on closed channel!");
        }
        refusal
    }

    fn watch_with(&self, py: Python<'_>, last: u8, reply: Reply) -> PyResult<Watch> {
        let last = State::from_number(i64::from(last))
            .ok_or_else(|| PyValueError::new_err(format!("{last} is not the number of a connectivity state")))?;
        match self.inner.watch(last, None, reply) {
            Ok(handle) => Ok(Watch { handle }),
            Err(refusal) => Err(exception(py, &refusal)),
        }
    }
}

/// A pending wait for a state change.
#[pyclass(frozen, module = "linkspan._linkspan")]
pub(crate) struct Watch {
    handle: WatchHandle,
}

#[pymethods]
impl Watch {
    /// Ends the wait; what was to be told of it is told now. Harmless when it has ended.
    fn cancel(&self) {
        self.handle.cancel();
    }
}

fn looped<'py>(py: Python<'py>, started: Result<linkspan_core::CallHandle, Error>) -> PyResult<Bound<'py, PyAny>> {
    match started {
        Ok(handle) => Ok(Bound::new(py, LoopCall::new(handle))?.into_any()),
        Err(refusal) => Ok(Bound::new(py, Outcome::of_refusal(py, &refusal)?)?.into_any()),
    }
}

fn target_of(target: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(text) = target.cast::<PyString>() {
        return Ok(text.to_cow()?.into_owned());
    }
    match target.cast::<PyBytes>() {
        Ok(bytes) => String::from_utf8(bytes.as_bytes().to_vec())
            .map_err(|_| PyValueError::new_err(format!("target {:?} is not UTF-8 text", bytes.as_bytes()))),
        Err(_) => Err(PyTypeError::new_err(format!("target must be str or bytes, not {}", type_name(target)))),
    }
}
