//! The log callback: lines for people, given to whoever set a logger; to nobody otherwise.

use std::sync::{Arc, PoisonError, RwLock};

use crate::foreign::contain;
use crate::generation::PerProcess;

/// How loud a line is. A logger gets every line and keeps what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum LogLevel {
    /// Something is broken.
    Error = 1,
    /// Something is probably not meant.
    Warn = 2,
    /// Worth knowing.
    Info = 3,
    /// For finding faults.
    Debug = 4,
    /// Everything.
    Trace = 5,
}

/// Receives level, room and text of each line. Called on any thread; it must not block.
pub type Logger = Box<dyn Fn(LogLevel, &str, &str) + Send + Sync>;

/// Guards the callback itself: a line is delivered under the read side, so after `set_logger` returns the old one is not running.
static LOGGER: PerProcess<Shared> = PerProcess::of_first(RwLock::new(None));

type Shared = RwLock<Option<Arc<Logger>>>;

/// A forked child has its parent's logger, but for one that was being set at the moment of the fork.
fn shared() -> &'static Shared {
    LOGGER.get(|parents| RwLock::new(parents.try_read().ok().and_then(|logger| logger.clone())))
}

/// Sets the process's logger, or takes it away. Must not be called from inside a logger.
pub fn set_logger(logger: Option<Logger>) {
    let before =
        std::mem::replace(&mut *shared().write().unwrap_or_else(PoisonError::into_inner), logger.map(Arc::new));
    drop(before);
}

pub(crate) fn log(level: LogLevel, room: &str, text: impl FnOnce() -> String) {
    if let Some(logger) = &*shared().read().unwrap_or_else(PoisonError::into_inner) {
        let text = text();
        // A logger that panics loses its line; there is nobody else to tell.
        contain(|| logger(level, room, &text));
    }
}
