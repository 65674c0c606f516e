//! The handle of a channel: the one place where calls and watches are started.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::call::{CallHandle, WatchHandle};
use super::engine::Engine;
use super::next_id;
use crate::call::inbox::Outgoing;
use crate::call::quota::SendQuota;
use crate::call::{CallRequest, CallSpec};
use crate::channel::config::ChannelConfig;
use crate::channel::options::ChannelOptions;
use crate::engine::channel::ChannelCore;
use crate::engine::completion::Reply;
use crate::engine::slot::{CallKind, CallSlot, WatchSlot};
use crate::engine::submit::{Batch, StreamCall, Submission, UnaryCall, Watch};
use crate::error::{Error, ErrorKind};
use crate::observe::channel_metrics::ChannelMetrics;
use crate::observe::events::ChannelEvent;
use crate::runtime::time_of_day;
use crate::state::State;
use crate::transport::credentials::Credentials;

/// A channel: what calls are made on. Clones are the same channel. When the last clone is gone, running calls finish and the
/// connections close.
#[derive(Clone)]
pub struct Channel(Arc<ChannelCore>);

impl Channel {
    /// A channel on the process's own engine. Does no I/O and starts no thread.
    ///
    /// # Errors
    /// [`ErrorKind::BadTarget`] or [`ErrorKind::BadOption`], saying what to change.
    pub fn new(target: &str, credentials: &Credentials, options: &ChannelOptions) -> Result<Self, Error> {
        Self::on(&Engine::shared(), target, credentials, options)
    }

    /// A channel on this engine.
    ///
    /// # Errors
    /// As [`Channel::new`]; [`ErrorKind::Closed`] when the engine is shut down.
    pub fn on(
        engine: &Engine,
        target: &str,
        credentials: &Credentials,
        options: &ChannelOptions,
    ) -> Result<Self, Error> {
        if engine.is_shut_down() {
            return Err(Error::new(ErrorKind::Closed, "the engine is shut down; make a new one"));
        }
        let config = ChannelConfig::new(target, credentials, options, engine.schemes())?;
        Ok(Self(ChannelCore::new(next_id(), engine, config)))
    }

    /// Unique in the process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.0.id()
    }

    /// The target as it was given.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.0.config().name.target
    }

    /// The target as `scheme:rest`.
    #[must_use]
    pub fn canonical_target(&self) -> &str {
        &self.0.config().target.canonical
    }

    /// The `:authority` of calls that set none.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.0.config().request.authority()
    }

    /// The state now. With `try_to_connect` an IDLE channel starts connecting; the answer is the state before ([CONN-5]).
    pub fn state(&self, try_to_connect: bool) -> State {
        let state = self.0.state();
        if try_to_connect && state == State::Idle {
            // A refusal leaves the channel IDLE, which is what is returned.
            let _ = self.0.queue().start(|| Submission::Connect(Arc::clone(&self.0)));
        }
        state
    }

    /// Completes once with [`Event::Connectivity`](crate::engine::completion::Event::Connectivity): as soon as the state differs from
    /// `last`, or after `timeout`. States in between may be skipped ([CONN-4]); [`Channel::events`] has them all.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] when the channel is closed and `last` is SHUTDOWN: nothing will change any more.
    pub fn watch(&self, last: State, timeout: Option<Duration>, reply: Reply) -> Result<WatchHandle, Error> {
        let id = next_id();
        let handle = WatchHandle { id, queue: Arc::clone(self.0.queue()) };
        let is_closed = self.0.state() == State::Shutdown;
        if is_closed && last == State::Shutdown {
            return Err(Self::closed());
        }
        reply.reserve()?;
        let slot = || WatchSlot::new(reply.clone(), Arc::clone(self.0.shown()));
        if is_closed {
            slot().finish(State::Shutdown, false);
            return Ok(handle);
        }
        self.start(&reply, || {
            Submission::Watch(Box::new(Watch { id, channel: Arc::clone(&self.0), last, timeout, slot: slot() }))
        })?;
        Ok(handle)
    }

    /// Lets every address that waits after a failed connect be dialed at once ([CONN-56]).
    pub fn reset_connect_backoff(&self) {
        self.0.queue().tell(Submission::ResetBackoff(Arc::clone(&self.0)));
    }

    /// Closes the channel: its state is SHUTDOWN at once, new calls and those that wait for a connection end UNAVAILABLE. Running
    /// calls may finish; after `grace` those left end CANCELLED. `None` sets no limit. Idempotent; a shorter grace may follow.
    pub fn close(&self, grace: Option<Duration>) {
        self.0.mark_closed();
        self.0.queue().tell(Submission::Close { channel: Arc::clone(&self.0), grace });
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// The state changes with a number above `after`, oldest first, as far as the ring still has them.
    #[must_use]
    pub fn events(&self, after: u64) -> Vec<ChannelEvent> {
        self.0.shown().events.after(after)
    }

    fn certificate_days_left(&self) -> Option<f64> {
        let ends = self.0.config().connection.tls.as_ref()?.source.material().certificate_ends()?;
        Some((ends.as_secs_f64() - time_of_day().as_secs_f64()) / 86_400.0)
    }

    /// What the channel counted so far; at any time, after [`Channel::close`] too.
    #[must_use]
    pub fn metrics(&self) -> ChannelMetrics {
        let counters = &self.0.shown().counters;
        ChannelMetrics {
            target: self.target().to_owned(),
            state: self.0.state(),
            connect_attempts: counters.connect_attempts.read(),
            connect_failures: counters.connect_failures.read(),
            last_error: counters.last_error(),
            calls_started: counters.calls_started.read(),
            calls_succeeded: counters.calls_succeeded(),
            calls_failed: counters.calls_failed(),
            calls_in_flight: counters.calls_in_flight.read(),
            calls_queued: counters.calls_queued.read(),
            max_queued_calls: self.0.config().max_queued_calls,
            max_concurrent_requests: self.0.config().max_concurrent,
            max_concurrent_requests_per_address: self.0.config().max_concurrent_per_address,
            subchannels: counters.subchannels.read(),
            retries: counters.retries.read(),
            transparent_retries: counters.transparent_retries.read(),
            hedges: counters.hedges.read(),
            breaker_trips: counters.breaker_trips.read(),
            breakers_open: counters.breakers_open.read(),
            certificate_days_left: self.certificate_days_left(),
            keepalive_pings: counters.keepalive_pings.read(),
            keepalives_failed: counters.keepalives_failed.read(),
            liveness_checks: counters.liveness_checks.read(),
            by_code: std::array::from_fn(|code| counters.calls_by_code[code].read()),
            bytes_sent: counters.bytes_sent.read(),
            bytes_received: counters.bytes_received.read(),
            messages_sent: counters.messages_sent.read(),
            messages_received: counters.messages_received.read(),
            connections: counters.connections(),
        }
    }

    /// Starts a unary call; exactly one [`Event::Unary`](crate::engine::completion::Event::Unary) follows.
    ///
    /// # Errors
    /// The call was refused and nothing follows: [`ErrorKind::State`] for a malformed method, [`ErrorKind::BadOption`] for a
    /// malformed authority, [`ErrorKind::Closed`], or [`ErrorKind::Limit`] when a queue is full.
    pub fn start_unary(&self, mut request: CallRequest, reply: Reply) -> Result<CallHandle, Error> {
        let message = request.message.take().unwrap_or_default();
        let spec = CallSpec::new(request, self.0.methods())?;
        let handle = self.accept(&reply)?;
        // The one message is all there is to send.
        let _ = handle.quota.half_close();
        self.start(&reply, || {
            let slot =
                CallSlot::new(CallKind::Unary, reply.clone(), Arc::clone(self.0.shown()), Arc::clone(&handle.quota));
            Submission::Unary(Box::new(UnaryCall { id: handle.id, channel: Arc::clone(&self.0), spec, message, slot }))
        })?;
        Ok(handle)
    }

    /// Starts a call with streams: perhaps [`Event::Headers`](crate::engine::completion::Event::Headers), then messages as credit allows,
    /// then exactly one [`Event::Status`](crate::engine::completion::Event::Status).
    ///
    /// # Errors
    /// As [`Channel::start_unary`].
    pub fn start_stream(&self, mut request: CallRequest, reply: Reply) -> Result<CallHandle, Error> {
        let (message, is_last, credit) = (request.message.take(), request.last, request.read_credit);
        let is_uncompressed = request.message_uncompressed;
        let spec = CallSpec::new(request, self.0.methods())?;
        let handle = self.accept(&reply)?;
        let is_empty = is_last && message.is_none();
        if let Some(message) = &message {
            // The first message is let in whatever its size.
            let _ = handle.quota.take(message.len(), is_last);
        } else if is_last {
            let _ = handle.quota.half_close();
        }
        let first = message.map(|message| Outgoing::message(message, is_uncompressed, is_last));
        self.start(&reply, || {
            let quota = Arc::clone(&handle.quota);
            let slot = CallSlot::new(CallKind::Stream, reply.clone(), Arc::clone(self.0.shown()), Arc::clone(&quota));
            let channel = Arc::clone(&self.0);
            Submission::Stream(Box::new(StreamCall {
                id: handle.id,
                channel,
                spec,
                first,
                is_empty,
                credit,
                quota,
                slot,
            }))
        })?;
        Ok(handle)
    }

    pub(in crate::engine) fn of(core: Arc<ChannelCore>) -> Self {
        Self(core)
    }

    pub(in crate::engine) fn core(&self) -> &Arc<ChannelCore> {
        &self.0
    }

    pub(in crate::engine) fn closed() -> Error {
        Error::new(ErrorKind::Closed, "the channel is closed; make a new one")
    }

    /// Opens a batch: calls started, messages sent and credit given on this channel's engine until it is dropped wake the engine once.
    /// Worth it for two or more.
    pub fn batch(&self) -> Batch {
        Batch::open(self.0.queue())
    }

    fn accept(&self, reply: &Reply) -> Result<CallHandle, Error> {
        if self.0.state() == State::Shutdown {
            return Err(Self::closed());
        }
        reply.reserve()?;
        let quota = Arc::new(SendQuota::new(self.0.config().send_high_water));
        Ok(CallHandle { id: next_id(), queue: Arc::clone(self.0.queue()), quota })
    }

    /// Submits an operation whose place in the reply's queue is reserved.
    fn start(&self, reply: &Reply, submission: impl FnOnce() -> Submission) -> Result<(), Error> {
        self.0.queue().start(submission).inspect_err(|_| reply.release())
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("id", &self.id())
            .field("target", &self.target())
            .field("state", &self.0.state())
            .finish()
    }
}
