//! What the server saw and did: the facts a test asserts.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use crate::unix_ms;

#[derive(Debug, Default)]
pub(super) struct Counts {
    connections: Vec<ConnectionCounts>,
    /// Calls that were taken on, by method.
    calls: BTreeMap<String, u64>,
    /// Calls that were reset with REFUSED_STREAM, or came above the last stream of a GOAWAY.
    refused: u64,
    /// How often the call with this `x-call-id` was taken on.
    by_id: BTreeMap<String, u64>,
    open_calls: u64,
}

/// One connection; times are Unix time in milliseconds.
#[derive(Debug, Default, Serialize)]
pub(super) struct ConnectionCounts {
    pub(super) id: usize,
    pub(super) opened_ms: u64,
    pub(super) ended_ms: Option<u64>,
    /// Who ended it, and how.
    pub(super) ended_by: Option<&'static str>,
    pub(super) streams: u64,
    /// The most at once.
    pub(super) most_streams: usize,
    pub(super) pings: u64,
    /// PINGs of ours, and how many were answered.
    pub(super) pings_sent: u64,
    pub(super) pings_answered: u64,
    pub(super) strikes: u32,
    pub(super) bytes_read: u64,
    pub(super) bytes_written: u64,
    /// GOAWAYs that were sent: code and debug text.
    pub(super) goaways: Vec<(u32, String)>,
    /// The client's own GOAWAY: code and debug text.
    pub(super) client_goaway: Option<(u32, String)>,
    /// RST_STREAMs that came.
    pub(super) client_resets: u64,
}

impl Counts {
    /// A connection was accepted; its id, which is never used twice.
    pub(super) fn opened(&mut self) -> usize {
        let id = self.connections.len();
        self.connections.push(ConnectionCounts { id, opened_ms: unix_ms(), ..ConnectionCounts::default() });
        id
    }

    /// # Panics
    /// There was never a connection with this id.
    pub(super) fn of(&mut self, connection: usize) -> &mut ConnectionCounts {
        &mut self.connections[connection]
    }

    pub(super) fn ended(&mut self, connection: usize, by: &'static str) {
        let ended = self.of(connection);
        (ended.ended_ms, ended.ended_by) = (Some(unix_ms()), Some(by));
    }

    pub(super) fn taken_on(&mut self, method: &str, call_id: Option<&str>) {
        *self.calls.entry(method.to_owned()).or_default() += 1;
        self.open_calls += 1;
        if let Some(id) = call_id {
            *self.by_id.entry(id.to_owned()).or_default() += 1;
        }
    }

    pub(super) fn call_ended(&mut self) {
        self.open_calls -= 1;
    }

    pub(super) fn refused(&mut self) {
        self.refused += 1;
    }

    pub(super) fn answer(&self) -> Value {
        let repeated: BTreeMap<_, _> = self.by_id.iter().filter(|(_, times)| **times > 1).collect();
        json!({
            "now_ms": unix_ms(),
            "connections": self.connections,
            "calls": self.calls,
            "open_calls": self.open_calls,
            "refused": self.refused,
            "call_ids": self.by_id.len(),
            "repeated": repeated,
        })
    }
}
