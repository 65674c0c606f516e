//! The public handles. They hold no logic; they check, submit and read what is shown.

mod call;
mod channel;
mod engine;

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

pub use call::{CallHandle, SendError, WatchHandle};
pub use channel::{Channel, ChannelMetrics};
pub use engine::{Engine, EngineOptions, ThreadHook};

/// Positive, unique in the process, never reused.
pub(super) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Relaxed)
}
