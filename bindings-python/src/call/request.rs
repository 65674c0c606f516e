//! What a caller asks for, as core wants it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use linkspan_core::{CallRequest, Compression, Error, Timeout, check_method};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use crate::credentials::CallCredentials;
use crate::errors::{exception, type_name};
use crate::metadata;

/// A timeout longer than this is no deadline at all: programs write "forever" as a very large number.
const LONGEST_TIMEOUT_SECONDS: f64 = 10.0 * 365.0 * 86_400.0;

/// A method's full path, checked once for all calls of it.
#[pyclass(frozen, module = "linkspan._linkspan")]
pub(crate) struct Method {
    path: Arc<str>,
}

#[pymethods]
impl Method {
    #[new]
    fn new(method: &Bound<'_, PyAny>) -> PyResult<Self> {
        let path = if let Ok(text) = method.cast::<PyString>() {
            text.to_cow()?.into_owned()
        } else if let Ok(bytes) = method.cast::<PyBytes>() {
            String::from_utf8(bytes.as_bytes().to_vec())
                .map_err(|_| PyValueError::new_err(format!("method {:?} is not UTF-8 text", bytes.as_bytes())))?
        } else {
            return Err(PyTypeError::new_err(format!("method must be str or bytes, not {}", type_name(method))));
        };
        // Here, where the method is named, and not at its first call.
        check_method(&path).map_err(|refusal| exception(method.py(), &refusal))?;
        Ok(Self { path: path.into() })
    }

    #[getter]
    fn path(&self) -> &str {
        &self.path
    }
}

/// What the four kinds of call have in common.
pub(crate) struct Asked<'a, 'py> {
    pub(crate) method: &'a Method,
    pub(crate) timeout: Option<&'a Bound<'py, PyAny>>,
    pub(crate) metadata: Option<&'a Bound<'py, PyAny>>,
    pub(crate) wait_for_ready: Option<&'a Bound<'py, PyAny>>,
    pub(crate) compression: Option<&'a Bound<'py, PyAny>>,
    pub(crate) credentials: Option<&'a CallCredentials>,
}

impl Asked<'_, '_> {
    /// The request, an `Err` inside when the metadata breaks a rule of gRPC.
    pub(crate) fn request(&self, message: Option<Bytes>) -> PyResult<Result<CallRequest, Error>> {
        let mut request = CallRequest::new(self.method.path.clone());
        request.message = message;
        request.timeout = timeout_of(self.timeout)?;
        request.wait_for_ready = self.wait_for_ready.map(|wanted| wanted.is_truthy()).transpose()?;
        request.credentials = self.credentials.map(|credentials| credentials.inner.clone());
        if let Some(given) = self.metadata {
            match metadata::from_python(given)? {
                Ok((converted, compression)) => (request.metadata, request.compression) = (converted, compression),
                Err(refusal) => return Ok(Err(refusal)),
            }
        }
        // As in grpcio, what the call says itself wins over its metadata.
        if let Some(given) = self.compression {
            request.compression = Some(compression_of(given)?);
        }
        Ok(Ok(request))
    }
}

/// A member of `Compression`, linkspan's or grpcio's, or its number.
pub(crate) fn compression_of(compression: &Bound<'_, PyAny>) -> PyResult<Compression> {
    let number = compression.extract().ok();
    number.and_then(Compression::from_number).ok_or_else(|| {
        let given = compression.repr().map_or_else(|_| type_name(compression), |given| given.to_string());
        PyValueError::new_err(format!("compression must be a member of linkspan.Compression, not {given}"))
    })
}

fn timeout_of(timeout: Option<&Bound<'_, PyAny>>) -> PyResult<Timeout> {
    let Some(timeout) = timeout else {
        return Ok(Timeout::ChannelDefault);
    };
    let seconds: f64 = timeout.extract().map_err(|_| {
        PyTypeError::new_err(format!("timeout must be a number of seconds or None, not {}", type_name(timeout)))
    })?;
    if seconds.is_nan() {
        return Err(PyValueError::new_err("timeout must be a number of seconds or None, not NaN"));
    }
    Ok(if seconds <= 0.0 {
        Timeout::AlreadyPast
    } else if seconds > LONGEST_TIMEOUT_SECONDS {
        Timeout::None
    } else {
        Timeout::After(Duration::from_secs_f64(seconds))
    })
}
