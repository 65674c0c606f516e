//! What a channel counted, as users read it.

use super::counters::ConnectionMetrics;
use crate::state::State;

/// What a channel counted.
#[derive(Clone, Debug)]
pub struct ChannelMetrics {
    /// The target as it was given.
    pub target: String,
    /// The state now.
    pub state: State,
    /// Connect attempts.
    pub connect_attempts: u64,
    /// Connect attempts that failed, and connections that ended before they were of use.
    pub connect_failures: u64,
    /// The newest connect or resolve failure.
    pub last_error: Option<String>,
    /// Calls started.
    pub calls_started: u64,
    /// Calls that ended OK.
    pub calls_succeeded: u64,
    /// Calls that ended otherwise.
    pub calls_failed: u64,
    /// Calls running now.
    pub calls_in_flight: u64,
    /// Calls among them that wait: for a connection, for a stream on one, or at a limit.
    pub calls_queued: u64,
    /// How many may wait; `None` is any number.
    pub max_queued_calls: Option<u64>,
    /// How many calls may be in flight, those that wait for room not counted; `None` is any number.
    pub max_concurrent_requests: Option<u32>,
    /// How many at one address; `None` is any number.
    pub max_concurrent_requests_per_address: Option<u32>,
    /// Addresses the channel uses now: each has a subchannel, connected or not.
    pub subchannels: u64,
    /// Attempts after the first of a call, for whatever reason.
    pub retries: u64,
    /// Those among them that were made unseen, because the server did not process the one before.
    pub transparent_retries: u64,
    /// Those among them that were made beside others, by a hedgingPolicy.
    pub hedges: u64,
    /// How often the circuit breaker of an address opened, after a failed probe too.
    pub breaker_trips: u64,
    /// Addresses whose circuit breaker is open or half-open now.
    pub breakers_open: u64,
    /// Days until the client's certificate expires, or one above it in its chain; negative once it has. `None` where it shows none.
    pub certificate_days_left: Option<f64>,
    /// PINGs sent because nothing was read for the keepalive time.
    pub keepalive_pings: u64,
    /// PINGs sent because a connection was suspected to be dead.
    pub liveness_checks: u64,
    /// Connections given up because nothing was read after a PING.
    pub keepalives_failed: u64,
    /// Ended calls by the number of their status code.
    pub by_code: [u64; 17],
    /// Bytes written to connections, above TLS.
    pub bytes_sent: u64,
    /// Bytes read from connections, above TLS.
    pub bytes_received: u64,
    /// Messages sent.
    pub messages_sent: u64,
    /// Messages received.
    pub messages_received: u64,
    /// The connections that are open now.
    pub connections: Vec<ConnectionMetrics>,
}
