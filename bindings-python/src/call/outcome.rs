//! How a call ended.

use linkspan_core::{CallEnd, Code, Error, ErrorKind, Metadata, Sent, Status};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::errors::exception;
use crate::metadata;

/// The end of a call: status, both metadata and what is known about the way there.
#[pyclass(frozen, module = "linkspan._linkspan")]
pub(crate) struct Outcome {
    end: CallEnd,
    initial: Option<Metadata>,
}

/// Code, details, initial and trailing metadata, trail, peer, sent, local.
type Unpacked<'a, 'py> =
    (i32, &'a str, Option<Bound<'py, PyList>>, Bound<'py, PyList>, &'a str, Option<&'a str>, bool, bool);

impl Outcome {
    pub(crate) fn new(end: CallEnd, initial: Option<Metadata>) -> Self {
        Self { end, initial }
    }

    /// An end this side decided on before the engine reported one.
    pub(crate) fn decided_here(code: Code, details: &str, initial: Option<Metadata>, sent: Sent) -> Self {
        let end = CallEnd::local(Status::new(code, details), sent);
        Self { end, initial }
    }

    /// What a refusal to start means to the caller: the status the call ends with, or an exception for a misuse.
    pub(crate) fn of_refusal(py: Python<'_>, refusal: &Error) -> PyResult<Self> {
        let status = match refusal.kind() {
            ErrorKind::Metadata => (Code::Internal, format!("Invalid metadata: {}", refusal.message())),
            ErrorKind::Limit => (Code::ResourceExhausted, refusal.message().to_owned()),
            ErrorKind::BadTarget
            | ErrorKind::BadOption
            | ErrorKind::Credentials
            | ErrorKind::Closed
            | ErrorKind::State
            | ErrorKind::Forked
            | ErrorKind::Unsupported
            | ErrorKind::System
            | ErrorKind::Internal => return Err(exception(py, refusal)),
        };
        Ok(Self::decided_here(status.0, &status.1, None, Sent::NotSent))
    }

    pub(crate) fn is_ok(&self) -> bool {
        self.end.status.is_ok()
    }

    pub(crate) fn unpacked<'a, 'py>(&'a self, py: Python<'py>) -> PyResult<Unpacked<'a, 'py>> {
        Ok((
            self.code(),
            self.end.status.message(),
            self.initial.as_ref().map(|initial| metadata::to_python(py, initial)).transpose()?,
            metadata::to_python(py, &self.end.trailing)?,
            &self.end.trail,
            self.end.peer.as_deref(),
            self.end.sent == Sent::Processed,
            self.end.local,
        ))
    }
}

#[pymethods]
impl Outcome {
    /// gRPC's number for the status; a number outside gRPC's seventeen reads as UNKNOWN.
    #[getter]
    fn code(&self) -> i32 {
        self.end.status.code().number()
    }

    /// Everything at once: `(code, details, initial, trailing, trail, peer, sent, local)`.
    fn unpack<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        self.unpacked(py)?.into_pyobject(py)
    }
}
