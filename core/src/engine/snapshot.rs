//! How a snapshot is taken: the loop is asked, and whoever asks waits for it, a second at most ([decision 17](../../docs/decisions/0017-snapshots.md)).
//!
//! The loop tells what only it knows. All else is read by the one who asks, so that a snapshot costs the loop little, and there is something to
//! show when it cannot be asked.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use super::channel::ChannelCore;
use super::handle::{Channel, Engine};
use super::submit::{Submission, SubmitQueue};
use crate::channel::LocalChannel;
use crate::observe::snapshot::{ChannelSnapshot, ChannelTree, EngineSnapshot};
use crate::runtime::Driver;

/// A loop that has not answered after so long is busy with something that should not be there.
const PATIENCE: Duration = Duration::from_secs(1);

/// A wish for a snapshot, on its way to the loop. Dropped, it tells whoever waits that there is no answer.
pub(super) struct Asked {
    /// `None` is all channels.
    pub(super) channel: Option<u64>,
    /// Has room for the one answer.
    pub(super) reply: SyncSender<Shown>,
}

/// What the loop answers.
pub(super) struct Shown {
    /// Since the engine started.
    at: Duration,
    channels: Vec<(Arc<ChannelCore>, Option<ChannelTree>)>,
}

/// Collects what the channels show; sends it when the last has answered, or cannot any more.
pub(super) struct Collecting {
    shown: RefCell<Shown>,
    reply: SyncSender<Shown>,
}

impl Collecting {
    pub(super) fn new(at: Duration, reply: SyncSender<Shown>) -> Rc<Self> {
        Rc::new(Self { shown: RefCell::new(Shown { at, channels: Vec::new() }), reply })
    }

    pub(super) fn ask<D: Driver>(self: &Rc<Self>, core: Arc<ChannelCore>, local: &LocalChannel<D>) {
        let mut shown = self.shown.borrow_mut();
        let place = shown.channels.len();
        shown.channels.push((core, None));
        let collecting = Rc::clone(self);
        local.show(move |tree| collecting.shown.borrow_mut().channels[place].1 = Some(tree));
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        let nothing = Shown { at: Duration::ZERO, channels: Vec::new() };
        // Whoever asked may have lost patience.
        let _ = self.reply.try_send(self.shown.replace(nothing));
    }
}

thread_local! {
    /// How many loops this thread moves.
    static LOOPS: Cell<u32> = const { Cell::new(0) };
}

/// Kept while this thread moves a loop: nobody may wait for one there, since what it waits for might wait for this one.
pub(super) struct MovesLoop(());

impl MovesLoop {
    pub(super) fn begin() -> Self {
        LOOPS.set(LOOPS.get() + 1);
        Self(())
    }
}

impl Drop for MovesLoop {
    fn drop(&mut self) {
        // The thread may be at its end.
        let _ = LOOPS.try_with(|loops| loops.set(loops.get() - 1));
    }
}

/// What the loop shows, if there is one that can be waited for.
fn ask(queue: &SubmitQueue, channel: Option<u64>) -> Option<Shown> {
    if LOOPS.try_with(Cell::get).is_ok_and(|loops| loops > 0) {
        return None;
    }
    let (reply, shown) = sync_channel(1);
    // A queue that nobody serves drops it, and then there is nothing to wait for.
    queue.tell(Submission::Show(Asked { channel, reply }));
    shown.recv_timeout(PATIENCE).ok()
}

impl Channel {
    /// What the channel looks like now: its addresses with their states, dials, waits and connections. May be called from any thread at any
    /// time, after [`Channel::close`] too, and changes nothing: no thread is started for it, and an IDLE channel stays so.
    ///
    /// It waits for the engine's thread, some microseconds and a second at most. What only that thread knows is missing where it cannot be asked;
    /// [`ChannelSnapshot::is_partial`] says so.
    #[must_use]
    pub fn snapshot(&self) -> ChannelSnapshot {
        let shown = ask(self.core().queue(), Some(self.id()));
        self.snapshot_with(shown.and_then(|mut shown| shown.channels.pop()?.1))
    }

    fn snapshot_with(&self, tree: Option<ChannelTree>) -> ChannelSnapshot {
        let names = (self.id(), self.canonical_target(), self.authority());
        ChannelSnapshot::new(names, self.metrics(), self.events(0), tree)
    }
}

impl Engine {
    /// What the engine looks like now, with all its channels that are in use; otherwise as [`Channel::snapshot`].
    #[must_use]
    pub fn snapshot(&self) -> EngineSnapshot {
        let shown = ask(self.queue(), None);
        let (at, is_partial) = (shown.as_ref().map(|shown| shown.at), shown.is_none());
        let channels = shown.into_iter().flat_map(|shown| shown.channels);
        let channels = channels.map(|(core, tree)| Channel::of(core).snapshot_with(tree)).collect();
        let (id, process_id) = (self.id(), std::process::id());
        EngineSnapshot { id, process_id, at, is_partial, metrics: self.metrics(), channels }
    }
}
