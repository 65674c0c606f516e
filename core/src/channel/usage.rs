//! What the control task must know of its channel's calls. Calls write it, on the same loop; the first for a while that
//! waits is told by mail, the others are not.

use std::cell::Cell;
use std::time::Duration;

use crate::time::Time;

#[derive(Debug, Default)]
pub(super) struct Usage {
    last_ended: Cell<Option<Time>>,
    last_waited: Cell<Option<Time>>,
}

/// Calls count as arriving this long after the last of them: a probe is for them, not for a channel nobody uses any more.
const ARRIVING: Duration = Duration::from_secs(10);

impl Usage {
    pub(super) fn on_call_ended(&self, now: Time) {
        self.last_ended.set(Some(now));
    }

    /// A call found no connection. Whether it is the first for a while, so that the control task should hear of it.
    pub(super) fn on_call_waits(&self, now: Time) -> bool {
        let is_news = !self.calls_arrive(now);
        self.last_waited.set(Some(now));
        is_news
    }

    /// Whether calls that need a connection came lately.
    pub(super) fn calls_arrive(&self, now: Time) -> bool {
        self.last_waited.get().is_some_and(|at| now.since(at) <= ARRIVING)
    }

    pub(super) fn last_ended(&self) -> Option<Time> {
        self.last_ended.get()
    }
}
