//! A channel on its loop: the control task with all its state, the snapshot calls read, the options.
//!
//! One task owns the resolver's result, the balancing policy and every subchannel; everybody else sees the snapshot. A call
//! messages the control task only to wake an IDLE channel, when its pick asks for a connection, and when it is the first for a while that
//! waits for one or whose server told its load to a policy that asked for it.

mod authority;
mod balancing;
pub(crate) mod call_limits;
pub(crate) mod certificate_watch;
mod certificates;
pub(crate) mod config;
mod configuring;
mod control;
pub(crate) mod gate;
mod health;
mod keepalive;
mod link;
pub(crate) mod logging;
mod mailbox;
mod members;
pub(crate) mod options;
mod policies;
mod pools;
mod proxies;
pub(crate) mod registry;
mod resolving;
mod retries;
mod retrying;
mod showing;
pub(crate) mod slot;
pub(crate) mod snapshot;
mod subchannels;
mod usage;
mod windows;

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::time::Duration;

use crate::failure::CallLimit;
use crate::observe::counters::ChannelCounters;
use crate::observe::events::{ChannelEvent, EventRing};
use crate::observe::snapshot::ChannelTree;
use crate::policy::balancer::SubchannelId;
use crate::policy::retry::buffer::CallBuffer;
use crate::policy::retry::throttle::Allowance;
use crate::runtime::Driver;
use crate::state::State;
use crate::time::Time;
use crate::transport::compression::Coding;
use call_limits::{AddressLimit, ChannelLimit};
use certificate_watch::Watches;
use config::ChannelConfig;
pub(crate) use control::Ended;
use gate::Gate;
use mailbox::{Mail, Mailbox};
use retrying::Retrying;
use slot::SnapshotSlot;
use snapshot::Snapshot;
use usage::Usage;

/// What a channel shows to other threads. The loop writes it.
#[derive(Debug)]
pub(crate) struct Shown {
    state: AtomicU8,
    pub(crate) counters: Arc<ChannelCounters>,
    pub(crate) events: EventRing,
}

impl Shown {
    pub(crate) fn new(events_capacity: usize) -> Self {
        Self {
            state: AtomicU8::new(State::Idle.number()),
            counters: Arc::default(),
            events: EventRing::new(events_capacity),
        }
    }

    /// What a forked child shows at first: an IDLE channel that has counted nothing. It asks no lock of the parent's.
    pub(crate) fn in_forked_child(&self) -> Self {
        let (from, events) = (self.state(), self.events.continued());
        let to = if from == State::Shutdown { from } else { State::Idle };
        if from != to {
            let cause = "the process was forked; its connections are the parent's".into();
            events.record(ChannelEvent {
                seq: 0,
                at: Duration::ZERO,
                from,
                to,
                cause,
                address: None,
                connection: None,
            });
        }
        Self { state: AtomicU8::new(to.number()), counters: Arc::default(), events }
    }

    /// The state shown last.
    pub(crate) fn state(&self) -> State {
        State::from_number(i64::from(self.state.load(Relaxed))).unwrap_or(State::Shutdown)
    }

    pub(crate) fn set_state(&self, state: State) {
        self.state.store(state.number(), Relaxed);
    }
}

/// A channel as its loop's tasks see it. Clones are the same channel; when the last is gone the control task closes up.
pub(crate) struct LocalChannel<D: Driver>(Rc<Inner<D>>);

struct Inner<D: Driver> {
    driver: D,
    config: Arc<ChannelConfig>,
    shown: Arc<Shown>,
    snapshots: Rc<SnapshotSlot>,
    mailbox: Rc<Mailbox>,
    usage: Rc<Usage>,
    retrying: Rc<Retrying>,
    coding: Rc<Coding>,
    limit: Option<Rc<ChannelLimit>>,
    address_limit: Option<Rc<AddressLimit>>,
}

/// How long a connection without streams may take to say goodbye to a server that does not read.
const GOODBYE: Duration = Duration::from_secs(1);

impl<D: Driver> Clone for LocalChannel<D> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<D: Driver> LocalChannel<D> {
    /// Starts the control task. `done` runs when it has let go of everything.
    pub(crate) fn open(
        driver: &D,
        config: Arc<ChannelConfig>,
        shown: Arc<Shown>,
        gate: Rc<Gate>,
        watches: Rc<Watches<D::Task>>,
        done: impl FnOnce(Ended) + 'static,
    ) -> Self {
        let (mailbox, usage) = (Rc::<Mailbox>::default(), Rc::<Usage>::default());
        let limit = config.max_concurrent.map(ChannelLimit::new);
        let address_limit = config.max_concurrent_per_address.map(AddressLimit::new);
        let retrying = Retrying::new(&config, driver.now());
        let (publisher, snapshots) = SnapshotSlot::new(Snapshot::idle());
        let shared = control::Shared {
            config: Arc::clone(&config),
            shown: Arc::clone(&shown),
            mailbox: Rc::clone(&mailbox),
            usage: Rc::clone(&usage),
            limit: limit.clone(),
            address_limit: address_limit.clone(),
            retrying: Rc::clone(&retrying),
        };
        control::spawn(driver, shared, publisher, (gate, watches), done);
        let (driver, coding) = (driver.clone(), Coding::new(config.compression));
        let inner = Inner { driver, config, shown, snapshots, mailbox, usage, retrying, coding, limit, address_limit };
        Self(Rc::new(inner))
    }

    pub(crate) fn driver(&self) -> &D {
        &self.0.driver
    }

    pub(crate) fn config(&self) -> &ChannelConfig {
        &self.0.config
    }

    pub(crate) fn counters(&self) -> &ChannelCounters {
        &self.0.shown.counters
    }

    /// What is known of its server's compression.
    pub(crate) fn coding(&self) -> &Rc<Coding> {
        &self.0.coding
    }

    /// How many of its calls may be in flight; `None` is any number.
    pub(crate) fn limit(&self) -> Option<&Rc<ChannelLimit>> {
        self.0.limit.as_ref()
    }

    /// How many of them at one address.
    pub(crate) fn address_limit(&self) -> Option<&Rc<AddressLimit>> {
        self.0.address_limit.as_ref()
    }

    /// How many calls wait at this limit.
    pub(crate) fn waiting_at(&self, limit: CallLimit) -> usize {
        match limit {
            CallLimit::OfChannel(_) => self.limit().map_or(0, |limit| limit.line.len()),
            CallLimit::OfAddress(_) => self.address_limit().map_or(0, |limit| limit.line.len()),
        }
    }

    /// The newest snapshot. Borrow, take what is needed, let go.
    pub(crate) fn snapshot(&self) -> Rc<Snapshot> {
        self.0.snapshots.newest()
    }

    /// Where newer snapshots can be waited for. Holding it does not keep the channel open.
    pub(crate) fn snapshots(&self) -> &Rc<SnapshotSlot> {
        &self.0.snapshots
    }

    /// A call waits, or somebody asked to connect: an IDLE channel starts connecting.
    pub(crate) fn wake(&self, cause: &'static str) {
        self.0.mailbox.post(Mail::Wake(cause));
    }

    /// Picks asked for connections.
    pub(crate) fn on_connection_wanted(&self) {
        self.0.mailbox.post(Mail::ConnectionWanted);
    }

    /// A call found no connection.
    pub(crate) fn on_call_waits(&self) {
        if self.0.usage.on_call_waits(self.0.driver.now()) {
            self.0.mailbox.post(Mail::CallWaits);
        }
    }

    /// A call waits for a stream, and a further connection may be opened for it.
    pub(crate) fn on_stream_wanted(&self, subchannel: SubchannelId) {
        self.0.mailbox.post(Mail::StreamsWanted(subchannel));
    }

    pub(crate) fn on_call_ended(&self, now: Time) {
        self.0.usage.on_call_ended(now);
    }

    /// The policy's next deadline may be an earlier one now.
    pub(crate) fn on_load_reported(&self) {
        self.0.mailbox.post(Mail::LoadReported);
    }

    /// A call's end changed something about an address's circuit breaker.
    pub(crate) fn on_breaker_changed(&self) {
        self.0.mailbox.post(Mail::BreakerChanged);
    }

    /// A call ended OK.
    pub(crate) fn on_success(&self) {
        self.0.retrying.on_success();
    }

    /// Lends what bounds the attempts of all calls beyond their first.
    pub(crate) fn with_allowance<T>(&self, now: Time, ask: impl FnOnce(&mut Allowance<'_>) -> T) -> T {
        self.0.retrying.with_allowance(now, self.counters().calls_started.read(), ask)
    }

    /// Room for what one call may have to send again.
    pub(crate) fn call_buffer(&self) -> CallBuffer {
        self.0.retrying.call_buffer()
    }

    /// Has the control task show how things stand. What is closed shows nothing: `show` is dropped then.
    pub(crate) fn show(&self, show: impl FnOnce(ChannelTree) + 'static) {
        self.0.mailbox.post(Mail::Show(Box::new(show)));
    }

    /// [CONN-56]
    pub(crate) fn reset_connect_backoff(&self) {
        self.0.mailbox.post(Mail::ResetBackoff);
    }

    /// No new picks from now on. Connections close as their streams end, and what is left `linger` later is cut.
    pub(crate) fn close(&self, linger: Option<Duration>) {
        self.0.mailbox.post(Mail::Close { linger });
    }
}

impl<D: Driver> Drop for Inner<D> {
    fn drop(&mut self) {
        // Nobody can ask for anything any more: no call, no handle. What remains is saying goodbye.
        self.mailbox.post(Mail::Close { linger: Some(GOODBYE) });
    }
}
