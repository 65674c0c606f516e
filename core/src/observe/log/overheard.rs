//! What is logged on a test's own thread, where a simulated engine runs.

use std::cell::RefCell;

use super::{LogLevel, Room};

thread_local! {
    static HEARD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

pub(super) fn is_listening() -> bool {
    HEARD.with_borrow(Option::is_some)
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
    what();
    HEARD.take().unwrap_or_default()
}
