//! Watching a channel's state, one change at a time.

use std::sync::{Arc, OnceLock};

use linkspan_core::{Event, Reply, State, WatchHandle};

use crate::channel::{CHANNELS, linkspan_channel, linkspan_state};
use crate::engine::duration;
use crate::error::{LINKSPAN_EINVAL, Refusal, linkspan_result};
use crate::event::linkspan_event;
use crate::guard;
use crate::handle::{Kind, Table, linkspan_handle};
use crate::queue::{QUEUES, Queue, linkspan_queue};

/// Watches whose event has not been delivered. Their handles are core's tags and never leave the library.
pub(crate) static WATCHES: Table<Arc<Watch>> = Table::new(Kind::Watch);

/// One watch.
pub(crate) struct Watch {
    tag: u64,
    channel: linkspan_channel,
    queue: Arc<Queue>,
    /// Set once core has taken the watch.
    core: OnceLock<WatchHandle>,
}

impl Watch {
    pub(crate) fn is_bound_to(&self, queue: &Arc<Queue>) -> bool {
        Arc::ptr_eq(&self.queue, queue)
    }

    pub(crate) fn cancel(&self) {
        if let Some(core) = self.core.get() {
            core.cancel();
        }
    }
}

/// The event of a watch in the host's shape; none if its queue was closed.
pub(crate) fn complete(handle: linkspan_handle, event: Event) -> Option<linkspan_event> {
    let watch = WATCHES.remove(handle)?;
    watch.queue.end();
    Some(linkspan_event::from_core(event, watch.tag, watch.channel))
}

/// Ends a watch that will deliver no event.
pub(crate) fn forget(handle: linkspan_handle) {
    if let Some(watch) = WATCHES.remove(handle) {
        watch.queue.end();
    }
}

/// One CONNECTIVITY event once the state is not `last` any more, or with LINKSPAN_EVENT_F_TIMEOUT when the time is over. Arm
/// again for more; what happens between two watches is seen as one change.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_channel_watch(
    channel: linkspan_channel,
    last: linkspan_state,
    timeout_ns: i64,
    queue: linkspan_queue,
    tag: u64,
) -> linkspan_result {
    guard::run("linkspan_channel_watch", || {
        let Some(last) = State::from_number(i64::from(last)) else {
            return Err(Refusal::new(LINKSPAN_EINVAL, "last is not a connectivity state; use LINKSPAN_STATE_*"));
        };
        let (object, queue) = (CHANNELS.get(channel)?, QUEUES.get(queue)?);
        object.refuse_when_closed()?;
        queue.begin()?;
        let watch = Arc::new(Watch { tag, channel, queue: Arc::clone(&queue), core: OnceLock::new() });
        let handle = WATCHES.insert(Arc::clone(&watch)).inspect_err(|_| queue.end())?;
        let started = object.core.watch(last, duration(timeout_ns), Reply::queue(&queue.core, handle));
        let outcome = started.map(|core| drop(watch.core.set(core)));
        if outcome.is_err() || queue.is_closed() {
            watch.cancel();
            forget(handle);
        }
        Ok(outcome?)
    })
}
