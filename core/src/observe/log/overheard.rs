//! What is logged on a test's own thread, where a simulated engine runs.

use std::cell::RefCell;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use super::{LogLevel, Room, refresh};

thread_local! {
    static HEARD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// How many tests listen.
static LISTENING: AtomicUsize = AtomicUsize::new(0);

pub(super) fn is_listening() -> bool {
    LISTENING.load(SeqCst) > 0
}

pub(super) fn hear(level: LogLevel, room: Room, text: &str) {
    HEARD.with_borrow_mut(|heard| {
        if let Some(heard) = heard {
            heard.push(format!("{} {}: {text}", level.letter(), room.name()));
        }
    });
}

/// Every line that comes of this, of all levels: `I connectivity_state: …`.
pub(crate) fn overhear(what: impl FnOnce()) -> Vec<String> {
    HEARD.set(Some(Vec::new()));
    LISTENING.fetch_add(1, SeqCst);
    refresh();
    what();
    LISTENING.fetch_sub(1, SeqCst);
    refresh();
    HEARD.take().unwrap_or_default()
}
