//! How a queue calls for attention without anybody waiting in it: a notify function, a file descriptor, or both.

use std::ffi::c_void;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use linkspan_core::CompletionQueue;
use rustix::fd::OwnedFd;

use crate::error::{LINKSPAN_ESYSTEM, Refusal};
use crate::guard;
use crate::message::HostData;

/// The host's function and its data.
pub(crate) struct Notify {
    function: unsafe extern "C" fn(*mut c_void),
    data: HostData,
}

impl Notify {
    pub(crate) fn new(function: unsafe extern "C" fn(*mut c_void), data: HostData) -> Self {
        Self { function, data }
    }

    fn call(&self) {
        // SAFETY: the host gave this function for this pointer.
        guard::call_host(|| unsafe { (self.function)(self.data.pointer()) });
    }
}

/// The bell of one queue.
pub(crate) struct Bell {
    core: Arc<CompletionQueue>,
    ringer: Arc<Ringer>,
    /// Core was told whom to ring.
    is_connected: AtomicBool,
}

/// What is rung. Shared with core's bell, which must not keep the queue alive.
#[derive(Default)]
struct Ringer {
    /// Made when first asked for, constant afterwards.
    fd: OnceLock<OwnedFd>,
    /// Guards the choice alone; the function is called from a clone.
    notify: Mutex<Option<Arc<Notify>>>,
}

impl Bell {
    pub(crate) fn new(core: Arc<CompletionQueue>) -> Self {
        Self { core, ringer: Arc::default(), is_connected: AtomicBool::new(false) }
    }

    /// Sets or removes the function. It is called once at once if events already wait, so none is missed.
    pub(crate) fn set_notify(&self, notify: Option<Notify>) {
        let notify = notify.map(Arc::new);
        let before = {
            let mut current = self.ringer.notify.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, notify.clone())
        };
        // Its release function is host code, so no lock is held here.
        drop(before);
        if let Some(notify) = notify.filter(|_| !self.connect() && !self.core.is_empty()) {
            notify.call();
        }
    }

    /// The descriptor, as a number.
    pub(crate) fn fd(&self) -> Result<i64, Refusal> {
        if self.ringer.fd.get().is_none() {
            let made = eventfd::new()?;
            // Two threads may ask at once; one descriptor stays.
            let _ = self.ringer.fd.set(made);
            self.connect();
            self.settle(|| false);
        }
        self.ringer
            .fd
            .get()
            .map(eventfd::number)
            .ok_or(Refusal::new(LINKSPAN_ESYSTEM, "the descriptor could not be kept"))
    }

    /// Rings as if an event had come. On the engine's thread, as everything that calls the function.
    pub(crate) fn ring(&self) {
        self.ringer.ring();
    }

    /// Makes the descriptor readable.
    pub(crate) fn ring_fd(&self) {
        self.ringer.ring_fd();
    }

    /// Makes the descriptor tell the truth after events were taken.
    pub(crate) fn settle(&self, has_more: impl Fn() -> bool) {
        let Some(fd) = self.ringer.fd.get() else { return };
        if self.core.is_empty() {
            eventfd::clear(fd);
        }
        // What came between the look and the clearing rang a bell that was just silenced.
        if !self.core.is_empty() || has_more() {
            eventfd::ring(fd);
        }
    }

    /// Nothing rings any more; the notify function is given back once it is not running.
    pub(crate) fn silence(&self) {
        self.core.set_bell(None);
        let before = self.ringer.notify.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(before);
    }

    /// Makes core ring, which it does at once if events already wait. Whether that happened now.
    fn connect(&self) -> bool {
        let is_first = !self.is_connected.swap(true, SeqCst);
        if is_first {
            let ringer = Arc::clone(&self.ringer);
            self.core.set_bell(Some(Box::new(move || ringer.ring())));
        }
        is_first
    }
}

impl Ringer {
    fn ring(&self) {
        self.ring_fd();
        let notify = self.notify.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(notify) = notify {
            notify.call();
        }
    }

    fn ring_fd(&self) {
        if let Some(fd) = self.fd.get() {
            eventfd::ring(fd);
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod eventfd {
    use std::os::fd::AsRawFd;

    use rustix::event::{EventfdFlags, eventfd};
    use rustix::fd::OwnedFd;

    use crate::error::{LINKSPAN_ESYSTEM, Refusal};

    pub(super) fn new() -> Result<OwnedFd, Refusal> {
        eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|error| Refusal {
            os_error: error.raw_os_error(),
            ..Refusal::told(LINKSPAN_ESYSTEM, format!("making an event descriptor: {error}"))
        })
    }

    pub(super) fn number(fd: &OwnedFd) -> i64 {
        i64::from(fd.as_raw_fd())
    }

    /// A counter that is full is readable already, so a refused write is as good as one that went through.
    pub(super) fn ring(fd: &OwnedFd) {
        let _ = rustix::io::write(fd, &1_u64.to_ne_bytes());
    }

    /// An empty counter refuses to be read, which is what was wanted.
    pub(super) fn clear(fd: &OwnedFd) {
        let _ = rustix::io::read(fd, &mut [0_u8; 8]);
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
mod eventfd {
    use rustix::fd::OwnedFd;

    use crate::error::{LINKSPAN_EUNSUPPORTED, Refusal};

    pub(super) fn new() -> Result<OwnedFd, Refusal> {
        Err(Refusal::new(
            LINKSPAN_EUNSUPPORTED,
            "a queue's descriptor exists on Linux only in this version; use linkspan_queue_notify",
        ))
    }

    pub(super) fn number(_: &OwnedFd) -> i64 {
        -1
    }

    pub(super) fn ring(_: &OwnedFd) {}

    pub(super) fn clear(_: &OwnedFd) {}
}
