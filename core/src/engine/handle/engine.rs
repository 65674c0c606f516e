//! The handle of an engine.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use once_cell::race::OnceBox;

use super::next_id;
use crate::channel::logging;
use crate::engine::submit::SubmitQueue;
use crate::error::Error;
use crate::generation::PerProcess;
use crate::observe::counters::ChannelCounters;
use crate::observe::sums::{EngineMetrics, EngineSums};
use crate::resolver::host::ResolverFactory;
use crate::resolver::schemes::{Registered, Schemes};

/// A function an engine's thread runs.
pub type ThreadHook = Arc<dyn Fn() + Send + Sync>;

/// How an engine is made.
#[derive(Clone)]
pub struct EngineOptions {
    /// The name of its thread. Default: `linkspan`.
    pub thread_name: String,
    /// Run first on the engine's thread. It must not block.
    pub thread_start: Option<ThreadHook>,
    /// Run last on the engine's thread. It must not block.
    pub thread_stop: Option<ThreadHook>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { thread_name: "linkspan".to_owned(), thread_start: None, thread_stop: None }
    }
}

impl fmt::Debug for EngineOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineOptions").field("thread_name", &self.thread_name).finish_non_exhaustive()
    }
}

/// An engine: one loop, on one background thread that runs only while there are channels in use. Clones are the same engine.
#[derive(Clone)]
pub struct Engine(Arc<EngineInner>);

struct EngineInner {
    id: u64,
    /// Resolvers of the host's own.
    schemes: Schemes,
    /// What threads change: a forked child begins anew.
    shared: PerProcess<Shared>,
}

struct Shared {
    queue: Arc<SubmitQueue>,
    sums: EngineSums,
}

impl Engine {
    /// A new engine. Starts nothing.
    ///
    /// # Errors
    /// None today; an engine on another driver may refuse.
    pub fn new(options: EngineOptions) -> Result<Self, Error> {
        Ok(Self::with(options))
    }

    fn with(options: EngineOptions) -> Self {
        logging::start();
        let shared = Shared { queue: SubmitQueue::new(options), sums: EngineSums::default() };
        Self(Arc::new(EngineInner { id: next_id(), schemes: Schemes::default(), shared: PerProcess::new(shared) }))
    }

    /// The process's own engine, for channels that ask for no other.
    #[must_use]
    pub fn shared() -> Self {
        // Of two threads that come first one makes it in vain; a wait for the other could be for ever in a forked child.
        static SHARED: OnceBox<Engine> = OnceBox::new();
        let make = || Box::new(Self::with(EngineOptions::default()));
        SHARED.get_or_init(make).clone()
    }

    /// Unique in the process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.id
    }

    fn parts(&self) -> &Shared {
        let renew = |parents: &Shared| Shared { queue: parents.queue.in_forked_child(), sums: EngineSums::default() };
        self.0.shared.get(renew)
    }

    pub(in crate::engine) fn queue(&self) -> &Arc<SubmitQueue> {
        &self.parts().queue
    }

    /// Has targets of this scheme resolved by a resolver of the host's own, on all channels that are made on this engine from now on. It stays for
    /// as long as the engine.
    ///
    /// # Errors
    /// [`ErrorKind::BadOption`](crate::ErrorKind::BadOption) for what is no scheme and for schemes that are built in,
    /// [`ErrorKind::State`](crate::ErrorKind::State) when the scheme has one.
    pub fn register_resolver(&self, scheme: &str, factory: Arc<dyn ResolverFactory>) -> Result<(), Error> {
        self.0.schemes.add(Registered::new(scheme, factory)?)
    }

    pub(in crate::engine) fn schemes(&self) -> &Schemes {
        &self.0.schemes
    }

    /// Closes every channel with this grace, see [`Channel::close`](super::Channel::close), and refuses new ones.
    pub fn shutdown(&self, grace: Option<Duration>) {
        self.queue().shut_down(grace);
    }

    /// Whether [`Engine::shutdown`] was called.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.queue().is_shut_down()
    }

    /// Whether there is a loop that serves its channels. Without one no call runs, and after [`Engine::shutdown`] there will be none: its end is
    /// told by [`EngineOptions::thread_stop`].
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.queue().is_served()
    }

    /// Waits until the engine's thread is gone; `false` when it is not in time. Blocks the thread.
    #[must_use]
    pub fn join(&self, timeout: Option<Duration>) -> bool {
        self.queue().join(timeout)
    }

    /// The sums over all channels it ever had.
    #[must_use]
    pub fn metrics(&self) -> EngineMetrics {
        self.parts().sums.read()
    }

    /// Counts a channel made on it.
    pub(in crate::engine) fn enlist(&self, counters: &Arc<ChannelCounters>) {
        self.parts().sums.enlist(counters);
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("id", &self.0.id).finish_non_exhaustive()
    }
}
