//! The handle of an engine.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use super::next_id;
use crate::engine::channel::ChannelCore;
use crate::engine::submit::SubmitQueue;
use crate::error::Error;
use crate::observe::counters::ChannelCounters;

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
    queue: Arc<SubmitQueue>,
    /// Channels made on it; guards the list alone.
    channels: Mutex<Vec<Weak<ChannelCore>>>,
}

impl Engine {
    /// A new engine. Starts nothing.
    ///
    /// # Errors
    /// None today; an engine on another driver may refuse.
    pub fn new(options: EngineOptions) -> Result<Self, Error> {
        Ok(Self(Arc::new(EngineInner { id: next_id(), queue: SubmitQueue::new(options), channels: Mutex::default() })))
    }

    /// The process's own engine, for channels that ask for no other.
    #[must_use]
    pub fn shared() -> Self {
        static SHARED: OnceLock<Engine> = OnceLock::new();
        let make = || {
            Self(Arc::new(EngineInner {
                id: next_id(),
                queue: SubmitQueue::new(EngineOptions::default()),
                channels: Mutex::default(),
            }))
        };
        SHARED.get_or_init(make).clone()
    }

    /// Unique in the process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.id
    }

    pub(super) fn queue(&self) -> &Arc<SubmitQueue> {
        &self.0.queue
    }

    /// Closes every channel with this grace, see [`Channel::close`], and refuses new ones.
    pub fn shutdown(&self, grace: Option<Duration>) {
        self.0.queue.shut_down(grace);
    }

    /// Whether [`Engine::shutdown`] was called.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.0.queue.is_shut_down()
    }

    /// Waits until the engine's thread is gone; `false` when it is not in time. Blocks the thread.
    #[must_use]
    pub fn join(&self, timeout: Option<Duration>) -> bool {
        self.0.queue.join(timeout)
    }

    /// The sums over the channels that exist now.
    #[must_use]
    pub fn metrics(&self) -> EngineMetrics {
        let mut metrics = EngineMetrics::default();
        for core in self.0.channels.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade) {
            metrics.add(&core.shown().counters);
        }
        metrics
    }

    /// Remembers a channel made on it.
    pub(super) fn enlist(&self, core: &Arc<ChannelCore>) {
        let mut channels = self.0.channels.lock().unwrap_or_else(PoisonError::into_inner);
        // Swept as it grows, so a program that makes channels without end keeps a short list.
        if channels.len() == channels.capacity() {
            channels.retain(|core| core.strong_count() > 0);
        }
        channels.push(Arc::downgrade(core));
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("id", &self.0.id).finish_non_exhaustive()
    }
}

/// What an engine's channels counted together.
#[derive(Clone, Debug, Default)]
pub struct EngineMetrics {
    /// Channels somebody holds.
    pub channels: u64,
    /// Calls started.
    pub calls_started: u64,
    /// Calls that ended OK.
    pub calls_ok: u64,
    /// Calls that ended otherwise.
    pub calls_failed: u64,
    /// Calls running now.
    pub calls_active: u64,
    /// Attempts after the first of a call.
    pub retries: u64,
    /// Bytes written to connections, above TLS.
    pub bytes_sent: u64,
    /// Bytes read from connections, above TLS.
    pub bytes_received: u64,
    /// Connect attempts.
    pub connects: u64,
    /// Connect attempts that failed.
    pub connects_failed: u64,
    /// GOAWAYs received.
    pub goaways: u64,
}

impl EngineMetrics {
    fn add(&mut self, counters: &ChannelCounters) {
        self.channels += 1;
        self.calls_started += counters.calls_started.read();
        self.calls_ok += counters.calls_succeeded();
        self.calls_failed += counters.calls_failed();
        self.calls_active += counters.calls_in_flight.read();
        self.retries += counters.retries.read();
        self.bytes_sent += counters.bytes_sent.read();
        self.bytes_received += counters.bytes_received.read();
        self.connects += counters.connect_attempts.read();
        self.connects_failed += counters.connect_failures.read();
        self.goaways += counters.goaways.read();
    }
}
