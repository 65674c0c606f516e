//! What all handles of one channel share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::submit::{Submission, SubmitQueue};
use crate::call::methods::Methods;
use crate::channel::Shown;
use crate::channel::config::ChannelConfig;
use crate::state::State;

/// The shared part of a channel's handles, and of what is on its way to the loop.
pub(super) struct ChannelCore {
    id: u64,
    queue: Arc<SubmitQueue>,
    config: Arc<ChannelConfig>,
    shown: Arc<Shown>,
    methods: Methods,
    is_closed: AtomicBool,
}

impl ChannelCore {
    pub(super) fn new(id: u64, queue: Arc<SubmitQueue>, config: ChannelConfig) -> Arc<Self> {
        let shown = Arc::new(Shown::new(config.events_capacity));
        Arc::new(Self {
            id,
            queue,
            config: Arc::new(config),
            shown,
            methods: Methods::default(),
            is_closed: AtomicBool::new(false),
        })
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn queue(&self) -> &Arc<SubmitQueue> {
        &self.queue
    }

    pub(super) fn config(&self) -> &Arc<ChannelConfig> {
        &self.config
    }

    pub(super) fn shown(&self) -> &Arc<Shown> {
        &self.shown
    }

    pub(super) fn methods(&self) -> &Methods {
        &self.methods
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(SeqCst)
    }

    /// Marks it closed; whether it was open.
    pub(super) fn mark_closed(&self) -> bool {
        !self.is_closed.swap(true, SeqCst)
    }

    pub(super) fn state(&self) -> State {
        if self.is_closed() || self.queue.is_shut_down() { State::Shutdown } else { self.shown.state() }
    }
}

impl Drop for ChannelCore {
    fn drop(&mut self) {
        self.queue.tell(Submission::Forget { channel: self.id });
    }
}
