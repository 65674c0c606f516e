//! What the tests of linkspan connect to when something must go wrong: a gRPC server whose every answer can be spoilt, and a
//! proxy that delays, swallows and cuts byte streams.
//!
//! Both are programs that a test starts, and both do what they are told on standard input, one JSON object a line, each
//! answered by one line on standard output ([`control`]). They write frames by hand, because an HTTP/2 library does not let
//! its user misbehave; only header blocks are read by a library.

#![allow(
    clippy::disallowed_methods,
    reason = "a program of its own, not a room of the engine: it has its own clock and sockets"
)]

pub mod certificates;
pub mod control;
pub mod proxy;
pub mod server;

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix time in milliseconds: what a test compares with its own clock.
#[must_use]
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
