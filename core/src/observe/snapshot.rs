//! What engines, channels and connections look like at one moment: plain data for people and tools, and the same as JSON.
//!
//! What is not known is `None`, never zero. Lengths of time end at the moment of the snapshot, or begin there.

mod writing;

use std::time::Duration;

use super::channel_metrics::ChannelMetrics;
use super::counters::ConnectionMetrics;
use super::events::ChannelEvent;
use super::sums::EngineMetrics;
use crate::state::State;

/// An engine and its channels; made by [`Engine::snapshot`](crate::Engine::snapshot).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EngineSnapshot {
    /// [`Engine::id`](crate::Engine::id); ids are unique in the process over engines, channels, subchannels and connections ([CZ-01]).
    pub id: u64,
    /// Of the operating system.
    pub process_id: u32,
    /// When, since the engine started. `None` where it is partial.
    pub at: Option<Duration>,
    /// Whether the engine's thread could not be asked: it does not run, it was busy for a second, or it is the one that asks. There are no
    /// channels then.
    pub is_partial: bool,
    /// The sums over all channels it ever had.
    pub metrics: EngineMetrics,
    /// Its channels, without those that were never used and those that are closed.
    pub channels: Vec<ChannelSnapshot>,
}

/// A channel with what it knows of its addresses; made by [`Channel::snapshot`](crate::Channel::snapshot).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChannelSnapshot {
    /// [`Channel::id`](crate::Channel::id).
    pub id: u64,
    /// The target as `scheme:rest`; as it was given it is in `metrics`.
    pub target: String,
    /// The `:authority` of calls that set none.
    pub authority: String,
    /// When, since the engine started. `None` where it is partial.
    pub at: Option<Duration>,
    /// Whether the engine's thread could not be asked: the channel was never used or is closed, the thread was busy for a second, or it is the
    /// one that asks. Policy, resolver and subchannels are missing then; counters, events and open connections are there.
    pub is_partial: bool,
    /// How long the channel has been in its state, as far as its events still tell.
    pub since: Option<Duration>,
    /// The balancing policy that runs, by its name in a service config; one around another names that in parentheses.
    pub policy: Option<String>,
    /// What is known of the name.
    pub resolver: Option<ResolverSnapshot>,
    /// Counters and limits, and all connections that are open.
    pub metrics: ChannelMetrics,
    /// The newest state changes, oldest first, as [`Channel::events`](crate::Channel::events) has them.
    pub events: Vec<ChannelEvent>,
    /// The addresses the policy uses, in the order in which it took them up.
    pub subchannels: Vec<SubchannelSnapshot>,
}

/// What is known of a channel's name.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResolverSnapshot {
    /// How many addresses were found last.
    pub addresses: u64,
    /// How old that is; `None` before anything was found.
    pub age: Option<Duration>,
    /// For how long the look-up under way has run, if there is one.
    pub looking_up_since: Option<Duration>,
    /// In how long the next look-up is due, if one is.
    pub next_look_up: Option<Duration>,
    /// Why the last look-up failed, if it did.
    pub last_error: Option<String>,
    /// Where the service config is from that holds: `resolver`, `default` (the channel's own) or `none`.
    pub service_config: &'static str,
}

/// One address of a channel.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SubchannelSnapshot {
    /// Unique in the process, never reused.
    pub id: u64,
    /// Where it leads.
    pub address: String,
    /// Its state now ([CONN-30]).
    pub state: State,
    /// How long it has been in that state.
    pub since: Duration,
    /// Why the last dial failed or the last connection was lost; `None` once another one has become usable.
    pub last_error: Option<String>,
    /// How many dials have failed in a row, as the backoff counts them.
    pub failures: u32,
    /// In how long it may be dialed again, while it waits for that.
    pub next_attempt: Option<Duration>,
    /// The dial under way.
    pub dialing: Option<DialSnapshot>,
    /// The circuit breaker of its endpoint, where the channel has breakers.
    pub breaker: Option<BreakerSnapshot>,
    /// Whether outlier detection keeps calls away from its endpoint.
    pub is_ejected: bool,
    /// What its server says of its health, where that counts: `healthy`, `unknown` or `unhealthy`.
    pub health: Option<&'static str>,
    /// Calls that wait for a stream on one of its connections.
    pub calls_waiting: u64,
    /// Its connections that are open, those that take no new streams among them.
    pub connections: Vec<ConnectionSnapshot>,
}

/// A dial under way.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DialSnapshot {
    /// The id the connection will have.
    pub connection: u64,
    /// What it waits for: `dns` (a host that was passed through is looked up), `tcp`, `proxy`, `tls` or `settings`, the server's first frame.
    pub step: &'static str,
    /// For how long it has run.
    pub since: Duration,
}

/// A circuit breaker.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BreakerSnapshot {
    /// `closed`, `open` or `half-open`.
    pub state: &'static str,
    /// Why it has opened.
    pub why: Option<String>,
    /// In how long it lets a call through to probe, while it is open.
    pub next_probe: Option<Duration>,
}

/// One connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionSnapshot {
    /// What it counts, with the facts fixed when it was opened.
    pub metrics: ConnectionMetrics,
    /// For how long calls could use it; `None` once it takes no new streams.
    pub age: Option<Duration>,
    /// How the handshake ended; `None` without TLS.
    pub tls: Option<TlsSnapshot>,
    /// How long the last PING took, to the microsecond; `None` while none was answered. There are PINGs where keepalive, liveness or a line
    /// that is measured for its window want them, and none for this.
    pub round_trip: Option<Duration>,
    /// Streams the server ended, with whatever status ([CZ-05]).
    pub streams_succeeded: u64,
    /// Streams that ended otherwise.
    pub streams_failed: u64,
    /// PINGs sent, for whatever reason.
    pub pings: u64,
    /// Those among them that were sent because nothing was read for the keepalive time ([CZ-06]).
    pub keepalive_pings: u64,
}

/// What TLS has come to. The protocol under it is always HTTP/2 (`h2`).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TlsSnapshot {
    /// How long the handshake took.
    pub took: Duration,
    /// `TLSv1.3` or `TLSv1.2`.
    pub version: &'static str,
    /// The cipher suite by its name in the registry of IANA; of TLS 1.3 with `TLS13` for `TLS`.
    pub cipher: &'static str,
    /// Whether an earlier session was taken up again.
    pub resumed: bool,
}

/// What only the loop knows of a channel.
#[derive(Debug)]
pub(crate) struct ChannelTree {
    pub(crate) at: Duration,
    pub(crate) policy: String,
    pub(crate) resolver: ResolverSnapshot,
    pub(crate) subchannels: Vec<SubchannelSnapshot>,
}

impl ChannelSnapshot {
    /// Of what everybody may read, and what the loop told.
    pub(crate) fn new(
        (id, target, authority): (u64, &str, &str),
        metrics: ChannelMetrics,
        events: Vec<ChannelEvent>,
        tree: Option<ChannelTree>,
    ) -> Self {
        let changed = events.iter().rev().find(|event| event.from != event.to);
        let since = tree.as_ref().zip(changed).map(|(tree, changed)| tree.at.saturating_sub(changed.at));
        let (at, is_partial) = (tree.as_ref().map(|tree| tree.at), tree.is_none());
        let (policy, resolver, subchannels) = match tree {
            Some(tree) => (Some(tree.policy), Some(tree.resolver), tree.subchannels),
            None => (None, None, Vec::new()),
        };
        let (target, authority) = (target.to_owned(), authority.to_owned());
        Self { id, target, authority, at, is_partial, since, policy, resolver, metrics, events, subchannels }
    }
}
