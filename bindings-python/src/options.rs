//! Channel options: grpcio's list of pairs into core's one registry.

use linkspan_core::{ChannelOptions, OptionKind, OptionValue, option_docs};
use pyo3::exceptions::{PyOverflowError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::errors::{exception, type_name};

/// grpcio's switch between its own two ways to read a stream; ours has one, so it says nothing here.
const GRPCIO_ONLY: &str = "SingleThreadedUnaryStream";

/// Reads `options` into `converted`.
pub(crate) fn read(options: &Bound<'_, PyAny>, converted: &mut ChannelOptions) -> PyResult<()> {
    if options.is_instance_of::<PyDict>() {
        return Err(PyValueError::new_err(
            "options must be (key, value) pairs, not a dict; pass list(options.items())",
        ));
    }
    let pairs = options.try_iter().map_err(|_| not_pairs(options))?;
    for pair in pairs {
        let (key, value) = pair_of(&pair?)?;
        let key = key_of(&key)?;
        if key == GRPCIO_ONLY {
            continue;
        }
        if let Some(value) = value_of(&key, &value)? {
            converted.set(&key, value).map_err(|refusal| exception(options.py(), &refusal))?;
        }
    }
    Ok(())
}

fn not_pairs(given: &Bound<'_, PyAny>) -> PyErr {
    PyValueError::new_err(format!("options must be (key, value) pairs; they hold {}", type_name(given)))
}

fn pair_of<'py>(pair: &Bound<'py, PyAny>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    if let Ok(pair) = pair.cast::<PyTuple>() {
        return pair.extract().map_err(|_| not_pairs(pair));
    }
    match pair.cast::<PyList>() {
        Ok(list) if list.len() == 2 => Ok((list.get_item(0)?, list.get_item(1)?)),
        _ => Err(not_pairs(pair)),
    }
}

fn key_of(key: &Bound<'_, PyAny>) -> PyResult<String> {
    if let Ok(key) = key.cast::<PyString>() {
        return Ok(key.to_cow()?.into_owned());
    }
    match key.cast::<PyBytes>() {
        Ok(key) => utf8(key.as_bytes(), "an option key"),
        Err(_) => Err(PyTypeError::new_err(format!("an option key must be str or bytes, not {}", type_name(key)))),
    }
}

/// `None` for a value that only grpcio's native core could use.
fn value_of(key: &str, value: &Bound<'_, PyAny>) -> PyResult<Option<OptionValue>> {
    let wanted = option_docs().iter().find(|doc| doc.key == key).map(|doc| doc.kind);
    let refuse = || PyTypeError::new_err(format!("the value of option {key:?} must not be {}", type_name(value)));
    if let Ok(value) = value.cast::<PyString>() {
        return Ok(Some(OptionValue::Text(value.to_cow()?.into_owned())));
    }
    if let Ok(value) = value.cast::<PyBytes>() {
        return utf8(value.as_bytes(), key).map(|text| Some(OptionValue::Text(text)));
    }
    if let Ok(value) = value.cast::<PyBool>() {
        // In Python a bool is an int; grpc's bool options are written either way.
        let value = value.is_true();
        return Ok(Some(if wanted == Some(OptionKind::Bool) { value.into() } else { i64::from(value).into() }));
    }
    if let Ok(value) = value.cast::<PyFloat>() {
        return if wanted == Some(OptionKind::Float) {
            Ok(Some(value.extract::<f64>()?.into()))
        } else {
            Err(refuse())
        };
    }
    if value.is_none() {
        return Err(refuse());
    }
    if value.is_instance_of::<PyInt>() || value.hasattr("__index__")? {
        return integer(key, value, wanted).map(Some);
    }
    // Objects that wrap a native pointer answer `__int__` only.
    if value.hasattr("__int__")? { Ok(None) } else { Err(refuse()) }
}

fn integer(key: &str, value: &Bound<'_, PyAny>, wanted: Option<OptionKind>) -> PyResult<OptionValue> {
    let number = value
        .call_method0("__index__")?
        .extract::<i32>()
        .map_err(|_| PyOverflowError::new_err(format!("the value of option {key:?} does not fit 32 bits")))?;
    match wanted {
        Some(OptionKind::Bool) if matches!(number, 0 | 1) => Ok((number == 1).into()),
        Some(OptionKind::Float) => Ok(f64::from(number).into()),
        _ => Ok(i64::from(number).into()),
    }
}

fn utf8(bytes: &[u8], what: &str) -> PyResult<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| PyValueError::new_err(format!("{what} is not UTF-8 text")))
}
