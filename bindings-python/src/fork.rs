//! The hook that tells core of a fork. It runs in the child alone, before the interpreter does anything there, and for forks
//! the interpreter knows nothing of as well; nothing waits in the parent. What Python's side must renew is in `_fork.py`.

use pyo3::PyResult;
use pyo3::exceptions::PyMemoryError;

/// Registers the hook, when the module is loaded.
pub(crate) fn watch() -> PyResult<()> {
    // SAFETY: the function may run in the child of a fork, see there, and stays: a loaded module is never unloaded.
    let refused = unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    // The one reason there is.
    if refused == 0 { Ok(()) } else { Err(PyMemoryError::new_err("there is no room for the hook that forks need")) }
}

/// Only what a signal handler may do.
extern "C" fn in_child() {
    linkspan_core::process_has_forked();
}
