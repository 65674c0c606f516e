//! Ids of what can be looked at.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Positive, unique in the process over engines, channels, subchannels, connections and calls, growing, never reused ([CONN-160], [CZ-01]).
pub(crate) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Relaxed)
}
