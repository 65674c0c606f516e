//! What all handles of one channel share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::handle::Engine;
use super::submit::{Submission, SubmitQueue};
use crate::call::methods::Methods;
use crate::channel::Shown;
use crate::channel::config::ChannelConfig;
use crate::generation::PerProcess;
use crate::state::State;

/// The shared part of a channel's handles, and of what is on its way to the loop.
pub(super) struct ChannelCore {
    id: u64,
    engine: Engine,
    config: Arc<ChannelConfig>,
    /// What threads change: a forked child begins anew.
    shared: PerProcess<Shared>,
    is_closed: AtomicBool,
}

struct Shared {
    queue: Arc<SubmitQueue>,
    shown: Arc<Shown>,
    methods: Methods,
}

impl ChannelCore {
    pub(super) fn new(id: u64, engine: &Engine, mut config: ChannelConfig) -> Arc<Self> {
        if let Some(name) = Arc::get_mut(&mut config.name) {
            name.id = id;
        }
        let shared = Shared::on(engine, &config, Shown::new(config.events_capacity));
        Arc::new(Self {
            id,
            engine: engine.clone(),
            config: Arc::new(config),
            shared: PerProcess::new(shared),
            is_closed: AtomicBool::new(false),
        })
    }

    fn shared(&self) -> &Shared {
        self.shared.get(|parents| Shared::on(&self.engine, &self.config, parents.shown.in_forked_child()))
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn queue(&self) -> &Arc<SubmitQueue> {
        &self.shared().queue
    }

    pub(super) fn config(&self) -> &Arc<ChannelConfig> {
        &self.config
    }

    pub(super) fn shown(&self) -> &Arc<Shown> {
        &self.shared().shown
    }

    pub(super) fn methods(&self) -> &Methods {
        &self.shared().methods
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(SeqCst)
    }

    /// Marks it closed; whether it was open.
    pub(super) fn mark_closed(&self) -> bool {
        !self.is_closed.swap(true, SeqCst)
    }

    pub(super) fn state(&self) -> State {
        let shared = self.shared();
        if self.is_closed() || shared.queue.is_shut_down() { State::Shutdown } else { shared.shown.state() }
    }
}

impl Shared {
    fn on(engine: &Engine, config: &ChannelConfig, shown: Shown) -> Self {
        engine.enlist(&shown.counters);
        // Where the resolver may bring another one, calls are told theirs when they start.
        let fixed = config.service_config.clone().filter(|_| !config.takes_resolvers_config);
        let methods = Methods::new(fixed);
        Self { queue: Arc::clone(engine.queue()), shown: Arc::new(shown), methods }
    }
}

impl Drop for ChannelCore {
    fn drop(&mut self) {
        // A forked child that never used it has nothing to forget.
        if let Some(shared) = self.shared.current() {
            shared.queue.tell(Submission::Forget { channel: self.id });
        }
    }
}
