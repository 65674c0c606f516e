//! The hook that tells core of a fork. It runs in the child alone, before anything else there; nothing waits in the parent.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Registers the hook, before the process's first handle is handed out.
pub(crate) fn watch() {
    static IS_WATCHED: AtomicBool = AtomicBool::new(false);
    if IS_WATCHED.load(Relaxed) {
        return;
    }
    // It can fail for want of memory only; a child then finds out no earlier than without the hook.
    // SAFETY: the function may run in the child of a fork, see there, and stays as long as this library: glibc and the others
    // forget the hooks of a library that is unloaded.
    unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    // After the registration: a child that was forked in between registers its own. Registered twice it says the same twice.
    IS_WATCHED.store(true, Relaxed);
}

/// Only what a signal handler may do.
extern "C" fn in_child() {
    linkspan_core::process_has_forked();
}
