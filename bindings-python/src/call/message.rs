//! Messages across the border: copied once in, once out.

use bytes::Bytes;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::type_name;

/// Above this size other threads may run while bytes are copied.
const LARGE: usize = 64 * 1024;

/// A message the engine may keep.
pub(crate) fn from_python(message: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let message = message.cast::<PyBytes>().map_err(|_| {
        PyTypeError::new_err(format!(
            "a message must be bytes, not {}; give the method a serializer that returns bytes",
            type_name(message)
        ))
    })?;
    let borrowed = message.as_bytes();
    if borrowed.len() < LARGE {
        return Ok(Bytes::copy_from_slice(borrowed));
    }
    Ok(message.py().detach(|| Bytes::copy_from_slice(borrowed)))
}

/// A message the interpreter owns.
pub(crate) fn to_python<'py>(py: Python<'py>, message: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
    if message.len() < LARGE {
        return Ok(PyBytes::new(py, message));
    }
    PyBytes::new_with(py, message.len(), |target| {
        py.detach(|| target.copy_from_slice(message));
        Ok(())
    })
}
