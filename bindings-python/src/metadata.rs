//! Metadata across the border: any iterable of pairs in, a list of pairs out.

use bytes::Bytes;
use linkspan_core::{Compression, Error, Metadata};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use crate::errors::type_name;

/// The key with which grpcio's users choose one call's compression; it never reaches the wire.
const COMPRESSION_REQUEST: &str = "grpc-internal-encoding-request";

/// What a caller passed as metadata, and the compression asked for among it: wrong types raise, a broken rule of gRPC is an `Err` inside,
/// because it ends the call with a status instead.
pub(crate) fn from_python(metadata: &Bound<'_, PyAny>) -> PyResult<Result<(Metadata, Option<Compression>), Error>> {
    let (mut converted, mut compression) = (Metadata::new(), None);
    let pairs = metadata.try_iter().map_err(|_| {
        PyTypeError::new_err(format!("metadata must be an iterable of (key, value) pairs, not {}", type_name(metadata)))
    })?;
    for pair in pairs {
        let (key, value) = pair_of(&pair?)?;
        let key = text_of(&key)?;
        let value = value_of(&key, &value)?;
        if key == COMPRESSION_REQUEST {
            compression = Some(compression_named(&value)?);
        } else if let Err(refusal) = converted.append(&key, value) {
            return Ok(Err(refusal));
        }
    }
    Ok(Ok((converted, compression)))
}

/// Received metadata as a list of `(str, str | bytes)`.
pub(crate) fn to_python<'py>(py: Python<'py>, metadata: &Metadata) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for (key, value) in metadata.iter() {
        let value = if key.ends_with("-bin") {
            PyBytes::new(py, value).into_any()
        } else {
            received_text(py, value).into_any()
        };
        list.append((key, value))?;
    }
    Ok(list)
}

fn pair_of<'py>(pair: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    let wrong = || PyTypeError::new_err(format!("metadata must hold (key, value) pairs; it holds {}", type_name(pair)));
    if let Ok(pair) = pair.cast::<PyTuple>() {
        return pair.extract().map_err(|_| wrong());
    }
    match pair.cast::<PyList>() {
        Ok(list) if list.len() == 2 => Ok((list.get_item(0)?, list.get_item(1)?)),
        _ => Err(wrong()),
    }
}

fn text_of(key: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(key) = key.cast::<PyString>() {
        return Ok(key.to_cow()?.into_owned());
    }
    match key.cast::<PyBytes>() {
        // A byte outside ASCII is refused by core's own rule, so the loss here is never sent.
        Ok(key) => Ok(String::from_utf8_lossy(key.as_bytes()).into_owned()),
        Err(_) => Err(PyTypeError::new_err(format!("a metadata key must be str or bytes, not {}", type_name(key)))),
    }
}

fn value_of(key: &str, value: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if let Ok(value) = value.cast::<PyBytes>() {
        return Ok(Bytes::copy_from_slice(value.as_bytes()));
    }
    if key.ends_with("-bin") {
        return Err(PyTypeError::new_err(format!(
            "the metadata value of {key:?} must be bytes, not {}; keys ending in \"-bin\" carry raw bytes",
            type_name(value)
        )));
    }
    match value.cast::<PyString>() {
        Ok(value) => Ok(Bytes::copy_from_slice(value.to_cow()?.as_bytes())),
        Err(_) => Err(PyTypeError::new_err(format!(
            "the metadata value of {key:?} must be str or bytes, not {}",
            type_name(value)
        ))),
    }
}

fn compression_named(value: &[u8]) -> PyResult<Compression> {
    let name = String::from_utf8_lossy(value);
    Compression::from_name(&name).ok_or_else(|| {
        PyValueError::new_err(format!(
            "compression {name:?} asked for by the metadata key {COMPRESSION_REQUEST:?} is not known; use \"identity\", \"deflate\" or \"gzip\""
        ))
    })
}

/// Peers may send bytes outside ASCII in a text value; the reading matches grpcio's: UTF-8, else Latin-1.
fn received_text<'py>(py: Python<'py>, value: &[u8]) -> Bound<'py, PyString> {
    match std::str::from_utf8(value) {
        Ok(text) => PyString::new(py, text),
        Err(_) => PyString::new(py, &value.iter().copied().map(char::from).collect::<String>()),
    }
}
