//! Messages across the border: small ones are copied on their way in, large ones lent; all are copied on their way out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::type_name;

/// From this size on, messages are lent to the engine, and other threads may run while bytes are copied.
const LARGE: usize = 64 * 1024;

/// A message the engine may keep.
pub(crate) fn from_python(message: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let message = message.cast::<PyBytes>().map_err(|_| {
        PyTypeError::new_err(format!(
            "a message must be bytes, not {}; give the method a serializer that returns bytes",
            type_name(message)
        ))
    })?;
    release_returned(message.py());
    if message.as_bytes().len() < LARGE {
        return Ok(Bytes::copy_from_slice(message.as_bytes()));
    }
    Ok(Bytes::from_owner(Lent::new(message)))
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

/// A message of the interpreter's that the engine reads where it is.
struct Lent {
    /// What `object` holds, so that the engine's thread need not ask the interpreter.
    contents: &'static [u8],
    /// None once it is on its way back.
    object: Option<Py<PyBytes>>,
}

impl Lent {
    fn new(message: &Bound<'_, PyBytes>) -> Self {
        let borrowed = message.as_bytes();
        // SAFETY: `object` below keeps these bytes where they are until this value is dropped, bytes objects never change,
        // and nobody but this value is given the longer lifetime.
        let contents = unsafe { std::slice::from_raw_parts(borrowed.as_ptr(), borrowed.len()) };
        Self { contents, object: Some(message.clone().unbind()) }
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.contents
    }
}

impl Drop for Lent {
    /// Usually on the engine's thread, which must not wait for the interpreter: a thread of Python's gives it back.
    fn drop(&mut self) {
        let mut returned = RETURNED.lock().unwrap_or_else(PoisonError::into_inner);
        returned.extend(self.object.take());
        ANY_RETURNED.store(true, Ordering::Release);
    }
}

/// Lent messages the engine has done with, until a thread of Python's comes by. Held for a push or a take only.
static RETURNED: Mutex<Vec<Py<PyBytes>>> = Mutex::new(Vec::new());
/// So that coming by costs a look at a variable when there is none.
static ANY_RETURNED: AtomicBool = AtomicBool::new(false);

/// Gives the interpreter back what the engine no longer reads. Called where calls start and where they end.
pub(crate) fn release_returned(py: Python<'_>) {
    if !ANY_RETURNED.load(Ordering::Acquire) {
        return;
    }
    // A thread that has the interpreter waits for no other: who finds the lock taken leaves it to the next.
    let Ok(mut returned) = RETURNED.try_lock() else { return };
    ANY_RETURNED.store(false, Ordering::Relaxed);
    let objects = std::mem::take(&mut *returned);
    drop(returned);
    for object in objects {
        object.drop_ref(py);
    }
}
