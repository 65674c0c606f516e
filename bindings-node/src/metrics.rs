//! Snapshots of a channel as plain objects. A value the engine does not measure is absent, never zero, and so is a limit that is not set.

use std::time::Duration;

use linkspan_core::{Channel, ChannelEvent, ChannelMetrics, Code, ConnectionMetrics};
use napi_derive::napi;

#[napi(object, object_from_js = false)]
pub struct Metrics {
    pub target: String,
    pub state: &'static str,
    pub connect_attempts: f64,
    pub connect_failures: f64,
    pub last_error: Option<String>,
    pub calls: Calls,
    pub max_queued_calls: Option<f64>,
    pub max_concurrent_requests: Option<u32>,
    pub max_concurrent_requests_per_address: Option<u32>,
    pub subchannels: f64,
    pub breakers_open: f64,
    pub breaker_trips: f64,
    pub certificate_days_left: Option<f64>,
    pub keepalive_pings: f64,
    pub keepalives_failed: f64,
    pub liveness_checks: f64,
    pub bytes_sent: f64,
    pub bytes_received: f64,
    pub messages_sent: f64,
    pub messages_received: f64,
    pub connections: Vec<Connection>,
}

#[napi(object, object_from_js = false)]
pub struct Calls {
    pub started: f64,
    pub succeeded: f64,
    pub failed: f64,
    pub in_flight: f64,
    pub queued: f64,
    pub retries: f64,
    pub transparent_retries: f64,
    pub hedges: f64,
    pub by_code: Vec<CodeCount>,
}

/// How many calls ended with a code; codes no call ended with are left out.
#[napi(object, object_from_js = false)]
pub struct CodeCount {
    pub name: &'static str,
    pub count: f64,
}

#[napi(object, object_from_js = false)]
pub struct Connection {
    pub id: f64,
    pub remote_address: String,
    pub local_address: Option<String>,
    pub state: &'static str,
    pub connect_ms: Option<f64>,
    pub tls_ms: Option<f64>,
    pub streams: Streams,
    pub bytes_sent: f64,
    pub bytes_received: f64,
    pub go_away_code: Option<u32>,
}

#[napi(object, object_from_js = false)]
pub struct Streams {
    pub active: f64,
    pub total: f64,
    pub limit: Option<f64>,
}

/// One change of a channel's state.
#[napi(object, object_from_js = false)]
pub struct Event {
    pub sequence: f64,
    pub at_ms: f64,
    pub from: &'static str,
    pub to: &'static str,
    pub cause: String,
    pub address: Option<String>,
    pub connection: Option<f64>,
    pub text: String,
}

impl Metrics {
    pub(crate) fn of(channel: &Channel) -> Self {
        let metrics = channel.metrics();
        Self {
            calls: Calls::of(&metrics),
            connections: metrics.connections.iter().map(Connection::of).collect(),
            target: metrics.target,
            state: metrics.state.name(),
            connect_attempts: number(metrics.connect_attempts),
            connect_failures: number(metrics.connect_failures),
            last_error: metrics.last_error,
            max_queued_calls: metrics.max_queued_calls.map(number),
            max_concurrent_requests: metrics.max_concurrent_requests,
            max_concurrent_requests_per_address: metrics.max_concurrent_requests_per_address,
            subchannels: number(metrics.subchannels),
            breakers_open: number(metrics.breakers_open),
            breaker_trips: number(metrics.breaker_trips),
            certificate_days_left: metrics.certificate_days_left,
            keepalive_pings: number(metrics.keepalive_pings),
            keepalives_failed: number(metrics.keepalives_failed),
            liveness_checks: number(metrics.liveness_checks),
            bytes_sent: number(metrics.bytes_sent),
            bytes_received: number(metrics.bytes_received),
            messages_sent: number(metrics.messages_sent),
            messages_received: number(metrics.messages_received),
        }
    }
}

impl Calls {
    fn of(metrics: &ChannelMetrics) -> Self {
        Self {
            started: number(metrics.calls_started),
            succeeded: number(metrics.calls_succeeded),
            failed: number(metrics.calls_failed),
            in_flight: number(metrics.calls_in_flight),
            queued: number(metrics.calls_queued),
            retries: number(metrics.retries),
            transparent_retries: number(metrics.transparent_retries),
            hedges: number(metrics.hedges),
            by_code: (0i64..)
                .zip(metrics.by_code)
                .filter(|(_, count)| *count > 0)
                .map(|(code, count)| CodeCount { name: Code::from_number(code).name(), count: number(count) })
                .collect(),
        }
    }
}

impl Connection {
    fn of(connection: &ConnectionMetrics) -> Self {
        Self {
            id: number(connection.id),
            remote_address: connection.remote_address.clone(),
            local_address: connection.local_address.clone(),
            state: connection.state,
            connect_ms: connection.connect.map(milliseconds),
            tls_ms: connection.tls.map(milliseconds),
            streams: Streams {
                active: number(connection.streams_active),
                total: number(connection.streams_total),
                limit: connection.stream_limit.map(number),
            },
            bytes_sent: number(connection.bytes_sent),
            bytes_received: number(connection.bytes_received),
            go_away_code: connection.goaway_code,
        }
    }
}

impl Event {
    pub(crate) fn of(event: &ChannelEvent) -> Self {
        Self {
            sequence: number(event.seq),
            at_ms: milliseconds(event.at),
            from: event.from.name(),
            to: event.to.name(),
            cause: event.cause.to_string(),
            address: event.address.as_deref().map(str::to_owned),
            connection: event.connection.map(number),
            text: event.to_string(),
        }
    }
}

/// JavaScript's number; exact up to 2^53, which no counter here reaches in the life of a process.
pub(crate) fn number(count: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "counters stay below 2^53")]
    let count = count as f64;
    count
}

fn milliseconds(length: Duration) -> f64 {
    length.as_secs_f64() * 1000.0
}
