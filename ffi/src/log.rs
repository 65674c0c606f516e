//! Hooks: what a host wants to be told while an engine lives.
//!
//! Core has one logger per process; an engine's hooks are one of any number of listeners to it. A line reaches every engine that
//! asked for its level, whichever engine caused it.

use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};

use linkspan_core::{EngineOptions, LogLevel, PerProcess, ThreadHook};

use crate::error::{LINKSPAN_EINVAL, Refusal};
use crate::guard;
use crate::message::{HostData, linkspan_release_fn};

/// Called without news of its own: events wait, or a thread begins or ends.
pub type linkspan_notify_fn = Option<unsafe extern "C" fn(user_data: *mut c_void)>;

/// Receives one log line. `target` names the room it comes from; neither text is NUL-terminated. Called on any thread.
pub type linkspan_log_fn = Option<
    unsafe extern "C" fn(
        user_data: *mut c_void,
        level: i32,
        target: *const c_char,
        target_len: usize,
        text: *const c_char,
        text_len: usize,
    ),
>;

/// What an engine tells its host. Copied; `release` runs once, after the last use of `user_data`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct linkspan_hooks {
    /// sizeof(linkspan_hooks).
    pub struct_size: u32,
    /// 0 off, 1 error, 2 warn, 3 info, 4 debug, 5 trace.
    pub log_level: i32,
    /// Receives log lines; may be NULL.
    pub log: linkspan_log_fn,
    /// Runs first on the engine's thread; may be NULL.
    pub thread_start: linkspan_notify_fn,
    /// Runs last on the engine's thread; may be NULL. A thread may end and another begin while an engine lives.
    pub thread_stop: linkspan_notify_fn,
    /// Passed to all of these.
    pub user_data: *mut c_void,
    /// Runs once when the hooks are no longer needed; may be NULL.
    pub release: linkspan_release_fn,
}

/// Hooks the library owns.
pub(crate) struct Hooks {
    level: i32,
    log: linkspan_log_fn,
    thread_start: linkspan_notify_fn,
    thread_stop: linkspan_notify_fn,
    data: HostData,
}

impl Hooks {
    /// Takes the hooks over, `release` included; refused hooks stay with the host.
    pub(crate) fn take(hooks: &linkspan_hooks) -> Result<Self, Refusal> {
        if !(0..=5).contains(&hooks.log_level) {
            return Err(Refusal::new(LINKSPAN_EINVAL, "log_level must be 0 (off) to 5 (trace)"));
        }
        Ok(Self {
            level: hooks.log_level,
            log: hooks.log,
            thread_start: hooks.thread_start,
            thread_stop: hooks.thread_stop,
            data: HostData::new(hooks.user_data, hooks.release),
        })
    }

    /// The engine options that carry the thread hooks.
    pub(crate) fn engine_options(self: &Arc<Self>) -> EngineOptions {
        EngineOptions {
            thread_start: self.thread_hook(self.thread_start),
            thread_stop: self.thread_hook(self.thread_stop),
            ..EngineOptions::default()
        }
    }

    fn thread_hook(self: &Arc<Self>, hook: linkspan_notify_fn) -> Option<ThreadHook> {
        let (hook, hooks) = (hook?, Arc::clone(self));
        // SAFETY: the host gave this function for this pointer.
        Some(Arc::new(move || guard::call_host(|| unsafe { hook(hooks.data.pointer()) })))
    }

    fn line(&self, level: LogLevel, target: &str, text: &str) {
        let Some(log) = self.log.filter(|_| level as i32 <= self.level) else {
            return;
        };
        // SAFETY: the host gave this function for these arguments; both texts outlive the call.
        guard::call_host(|| unsafe {
            log(
                self.data.pointer(),
                level as i32,
                target.as_ptr().cast(),
                target.len(),
                text.as_ptr().cast(),
                text.len(),
            );
        });
    }
}

/// Who listens. A forked child begins with nobody: the engines of the parent, and their hooks, are not its own.
static LISTENERS: PerProcess<Listeners> = PerProcess::of_first(Listeners::new());

struct Listeners {
    /// Guards the list alone; lines are delivered from a copy.
    list: RwLock<Vec<Arc<Hooks>>>,
    /// The loudest level anybody wants, so that a line nobody reads costs one load.
    loudest: AtomicI32,
    /// Core's logger is ours.
    is_installed: AtomicBool,
}

impl Listeners {
    const fn new() -> Self {
        Self { list: RwLock::new(Vec::new()), loudest: AtomicI32::new(0), is_installed: AtomicBool::new(false) }
    }

    fn of_this_process() -> &'static Self {
        LISTENERS.get(|_| Self::new())
    }
}

/// A place among the listeners; dropping it leaves, and the hooks go once no line is being delivered to them.
pub(crate) struct Listening(Arc<Hooks>);

impl Listening {
    pub(crate) fn start(hooks: Arc<Hooks>) -> Self {
        // Never taken away again: core must not be told to drop a logger from inside that logger, where a host may close its engine.
        if !Listeners::of_this_process().is_installed.swap(true, Relaxed) {
            linkspan_core::set_logger(Some(Box::new(line)));
        }
        change_listeners(|listeners| listeners.push(Arc::clone(&hooks)));
        Self(hooks)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        change_listeners(|listeners| listeners.retain(|hooks| !Arc::ptr_eq(hooks, &self.0)));
    }
}

fn change_listeners(change: impl FnOnce(&mut Vec<Arc<Hooks>>)) {
    let Listeners { list, loudest, .. } = Listeners::of_this_process();
    let mut list = list.write().unwrap_or_else(PoisonError::into_inner);
    change(&mut list);
    let level = list.iter().map(|hooks| hooks.level).max().unwrap_or(0);
    loudest.store(level, Relaxed);
    linkspan_core::set_log_level(of_number(level));
}

fn of_number(level: i32) -> Option<LogLevel> {
    [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace]
        .into_iter()
        .find(|known| *known as i32 == level)
}

/// Tells a line to every engine that wants it.
pub(crate) fn line(level: LogLevel, target: &str, text: &str) {
    let listeners = Listeners::of_this_process();
    if level as i32 > listeners.loudest.load(Relaxed) {
        return;
    }
    let listeners = listeners.list.read().unwrap_or_else(PoisonError::into_inner).clone();
    for hooks in listeners {
        hooks.line(level, target, text);
    }
}
