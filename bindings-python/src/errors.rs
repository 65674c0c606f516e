//! One map from core's refusals to Python exceptions.

use linkspan_core::{Error, ErrorKind};
use pyo3::exceptions::{PyOSError, PyRuntimeError, PySystemError, PyValueError};
use pyo3::prelude::*;

/// The exception for a refusal; its `kind` attribute is core's word for it.
pub(crate) fn exception(py: Python<'_>, error: &Error) -> PyErr {
    let text = error.message().to_owned();
    let (raised, kind) = match error.kind() {
        ErrorKind::BadTarget => (PyValueError::new_err(text), "BadTarget"),
        ErrorKind::BadOption => (PyValueError::new_err(text), "BadOption"),
        ErrorKind::Credentials => (PyValueError::new_err(text), "Credentials"),
        ErrorKind::Metadata => (PyValueError::new_err(text), "Metadata"),
        ErrorKind::Limit => (PyRuntimeError::new_err(text), "Limit"),
        ErrorKind::Closed => (PyValueError::new_err(text), "Closed"),
        ErrorKind::State => (PyValueError::new_err(text), "State"),
        ErrorKind::Forked => (PyRuntimeError::new_err(text), "Forked"),
        ErrorKind::Unsupported => (PyValueError::new_err(text), "Unsupported"),
        ErrorKind::System => match error.os_error() {
            Some(number) => (PyOSError::new_err((number, text)), "System"),
            None => (PyOSError::new_err(text), "System"),
        },
        ErrorKind::Internal => (PySystemError::new_err(text), "Internal"),
    };
    // A failure to add the attribute must not hide the refusal itself.
    let _ = raised.value(py).setattr("kind", kind);
    raised
}

/// What a value is, for "must be …, not …" texts.
pub(crate) fn type_name(value: &Bound<'_, PyAny>) -> String {
    value.get_type().name().map_or_else(|_| "an object".to_owned(), |name| name.to_string())
}
