//! Counters of a channel and of its connections.
//!
//! The loop writes them, anybody may read them. `Relaxed` is enough everywhere: each number stands for itself, and no reader
//! concludes anything about one from another.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::snapshot::{ConnectionSnapshot, TlsSnapshot};
use crate::small_map::SmallMap;
use crate::status::Code;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// One of which every connection has some, and few are large; it wraps.
#[derive(Debug, Default)]
pub(crate) struct SmallCounter(AtomicU32);

impl SmallCounter {
    pub(crate) fn one(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Relaxed).into()
    }
}

/// A number that goes up and down: how many of something exist now.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicU64);

impl Gauge {
    pub(crate) fn enter(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    pub(crate) fn leave(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    /// For what is counted elsewhere.
    pub(crate) fn set(&self, number: u64) {
        self.0.store(number, Relaxed);
    }

    pub(crate) fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What a channel counts.
#[derive(Debug, Default)]
pub(crate) struct ChannelCounters {
    pub(crate) calls_started: Counter,
    pub(crate) calls_by_code: [Counter; 17],
    pub(crate) calls_in_flight: Gauge,
    pub(crate) calls_queued: Gauge,
    pub(crate) subchannels: Gauge,
    /// Attempts beyond the first of each call, the next two among them.
    pub(crate) retries: Counter,
    pub(crate) transparent_retries: Counter,
    pub(crate) hedges: Counter,
    pub(crate) breaker_trips: Counter,
    pub(crate) breakers_open: Gauge,
    pub(crate) messages_sent: Counter,
    pub(crate) messages_received: Counter,
    pub(crate) connect_attempts: Counter,
    pub(crate) connect_failures: Counter,
    pub(crate) goaways: Counter,
    pub(crate) keepalive_pings: Counter,
    pub(crate) keepalives_failed: Counter,
    pub(crate) liveness_checks: Counter,
    pub(crate) bytes_sent: Counter,
    pub(crate) bytes_received: Counter,
    /// The newest connect or resolve failure; guards the text alone.
    last_error: Mutex<Option<String>>,
    /// Live connections by id; guards the list alone.
    connections: Mutex<SmallMap<u64, Arc<ConnectionCounters>>>,
}

impl ChannelCounters {
    pub(crate) fn call_ended(&self, code: Code) {
        self.calls_in_flight.leave();
        if let Some(counter) = usize::try_from(code.number()).ok().and_then(|index| self.calls_by_code.get(index)) {
            counter.one();
        }
    }

    pub(crate) fn calls_succeeded(&self) -> u64 {
        self.calls_by_code[0].read()
    }

    pub(crate) fn calls_failed(&self) -> u64 {
        self.calls_by_code[1..].iter().map(Counter::read).sum()
    }

    pub(crate) fn note_error(&self, text: String) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    pub(crate) fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn connection_opened(&self, id: u64, counters: Arc<ConnectionCounters>) {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).insert(id, counters);
    }

    pub(crate) fn connection_closed(&self, id: u64) {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    pub(crate) fn connections(&self) -> Vec<ConnectionMetrics> {
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.iter().map(|(id, counters)| counters.read(id)).collect()
    }

    pub(crate) fn connection_snapshots(&self) -> Vec<ConnectionSnapshot> {
        let connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        connections.iter().map(|(id, counters)| counters.snapshot(id)).collect()
    }
}

/// What a connection counts, with the facts fixed when it was opened.
#[derive(Debug, Default)]
pub(crate) struct ConnectionCounters {
    remote_address: Arc<str>,
    local_address: Option<SocketAddr>,
    /// In nanoseconds.
    connect: u64,
    /// Boxed, because all of it is there or nothing.
    tls: Option<Box<TlsSnapshot>>,
    pub(crate) streams_active: Gauge,
    pub(crate) streams_total: Counter,
    /// Those that ended without the server's END_STREAM ([CZ-05]).
    pub(crate) streams_failed: SmallCounter,
    pub(crate) pings: SmallCounter,
    pub(crate) keepalive_pings: SmallCounter,
    /// In microseconds; 0 while no PING was answered.
    round_trip: AtomicU32,
    pub(crate) bytes_sent: Counter,
    pub(crate) bytes_received: Counter,
    /// The peer's MAX_CONCURRENT_STREAMS plus one; 0 while it announced none.
    stream_limit_plus_one: AtomicU64,
    /// The code of a GOAWAY plus one; 0 while none came.
    goaway_code_plus_one: AtomicU64,
    is_draining: AtomicBool,
}

impl ConnectionCounters {
    pub(crate) fn new(
        remote_address: Arc<str>,
        local_address: Option<SocketAddr>,
        connect: Duration,
        tls: Option<TlsSnapshot>,
    ) -> Self {
        let connect = u64::try_from(connect.as_nanos()).unwrap_or(u64::MAX);
        Self { remote_address, local_address, connect, tls: tls.map(Box::new), ..Self::default() }
    }

    pub(crate) fn remote_address(&self) -> &Arc<str> {
        &self.remote_address
    }

    pub(crate) fn set_stream_limit(&self, limit: u32) {
        self.stream_limit_plus_one.store(u64::from(limit) + 1, Relaxed);
    }

    pub(crate) fn set_goaway(&self, code: u32) {
        self.goaway_code_plus_one.store(u64::from(code) + 1, Relaxed);
    }

    /// A PING was answered after so long.
    pub(crate) fn set_round_trip(&self, length: Duration) {
        self.round_trip.store(u32::try_from(length.as_micros()).unwrap_or(u32::MAX).max(1), Relaxed);
    }

    /// It takes no new streams from now on.
    pub(crate) fn set_draining(&self) {
        self.is_draining.store(true, Relaxed);
    }

    fn read(&self, id: u64) -> ConnectionMetrics {
        let goaway_code =
            self.goaway_code_plus_one.load(Relaxed).checked_sub(1).and_then(|code| u32::try_from(code).ok());
        ConnectionMetrics {
            id,
            remote_address: self.remote_address.as_ref().to_owned(),
            local_address: self.local_address.map(|address| address.to_string()),
            state: if self.is_draining.load(Relaxed) { "draining" } else { "ready" },
            connect: Some(Duration::from_nanos(self.connect)),
            tls: self.tls.as_ref().map(|tls| tls.took),
            streams_active: self.streams_active.read(),
            streams_total: self.streams_total.read(),
            stream_limit: self.stream_limit_plus_one.load(Relaxed).checked_sub(1),
            bytes_sent: self.bytes_sent.read(),
            bytes_received: self.bytes_received.read(),
            goaway_code,
        }
    }

    fn snapshot(&self, id: u64) -> ConnectionSnapshot {
        let (metrics, streams_failed) = (self.read(id), self.streams_failed.read());
        let round_trip = self.round_trip.load(Relaxed);
        ConnectionSnapshot {
            age: None,
            tls: self.tls.as_deref().cloned(),
            round_trip: (round_trip > 0).then(|| Duration::from_micros(round_trip.into())),
            streams_succeeded: metrics.streams_total.saturating_sub(metrics.streams_active + streams_failed),
            streams_failed,
            pings: self.pings.read(),
            keepalive_pings: self.keepalive_pings.read(),
            metrics,
        }
    }
}

/// One connection as [`ChannelMetrics`](crate::ChannelMetrics) shows it. What is not measured is `None`, never 0.
#[derive(Clone, Debug)]
pub struct ConnectionMetrics {
    /// Unique in the process, never reused.
    pub id: u64,
    /// Where it leads.
    pub remote_address: String,
    /// Where it starts, for internet sockets.
    pub local_address: Option<String>,
    /// `ready`, or `draining`: it takes no new streams, and closes when its last one ends.
    pub state: &'static str,
    /// How long opening the socket took.
    pub connect: Option<Duration>,
    /// How long the TLS handshake took.
    pub tls: Option<Duration>,
    /// Streams open now.
    pub streams_active: u64,
    /// Streams opened so far.
    pub streams_total: u64,
    /// The peer's MAX_CONCURRENT_STREAMS, if it announced one.
    pub stream_limit: Option<u64>,
    /// Bytes written to the connection, above TLS.
    pub bytes_sent: u64,
    /// Bytes read from the connection, above TLS.
    pub bytes_received: u64,
    /// The error code of the peer's GOAWAY, if it sent one.
    pub goaway_code: Option<u32>,
}
