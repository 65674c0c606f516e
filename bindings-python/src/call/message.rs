//! Messages across the border: small ones are copied on their way in, large ones lent; all are copied on their way out.

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use linkspan_core::PerProcess;
use pyo3::exceptions::PyTypeError;
use pyo3::ffi;
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
    // Not PyBytes::new_with: it writes zeros first, which costs nearly as much as the copy.
    let length = ffi::Py_ssize_t::try_from(message.len())?;
    // SAFETY: the interpreter is attached; without contents to copy, this only makes room.
    let made = unsafe { ffi::PyBytes_FromStringAndSize(ptr::null(), length) };
    // SAFETY: what came back is a reference of ours alone, or null with an exception set.
    let made = unsafe { Bound::from_owned_ptr_or_err(py, made) }?;
    // SAFETY: it is a bytes object.
    let room = unsafe { ffi::PyBytes_AsString(made.as_ptr()) }.cast::<MaybeUninit<u8>>();
    // SAFETY: there is room for `length` bytes, and nobody else has seen the object, which `made` keeps.
    let room = unsafe { std::slice::from_raw_parts_mut(room, message.len()) };
    py.detach(|| {
        // SAFETY: both are of this length, and a new object overlaps nothing.
        unsafe { ptr::copy_nonoverlapping(message.as_ptr().cast(), room.as_mut_ptr(), message.len()) };
    });
    Ok(made.cast_into()?)
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
        let mut returned = returned().lock().unwrap_or_else(PoisonError::into_inner);
        returned.extend(self.object.take());
        ANY_RETURNED.store(true, Ordering::Release);
    }
}

/// Lent messages the engine has done with, until a thread of Python's comes by. Held for a push or a take only.
/// A forked child has none: what the parent's engine had done with stays the parent's.
static RETURNED: PerProcess<Returned> = PerProcess::of_first(Mutex::new(Vec::new()));

type Returned = Mutex<Vec<Py<PyBytes>>>;

fn returned() -> &'static Returned {
    RETURNED.get(|_| Mutex::default())
}

/// So that coming by costs a look at a variable when there is none.
static ANY_RETURNED: AtomicBool = AtomicBool::new(false);

/// Gives the interpreter back what the engine no longer reads. Called where calls start and where they end.
pub(crate) fn release_returned(py: Python<'_>) {
    if !ANY_RETURNED.load(Ordering::Acquire) {
        return;
    }
    // A thread that has the interpreter waits for no other: who finds the lock taken leaves it to the next.
    let Ok(mut returned) = returned().try_lock() else { return };
    ANY_RETURNED.store(false, Ordering::Relaxed);
    let objects = std::mem::take(&mut *returned);
    drop(returned);
    for object in objects {
        object.drop_ref(py);
    }
}
