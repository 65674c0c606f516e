//! What the benchmark programs in Rust share: the echo server's rooms, and what a client needs to obey the runner.
//!
//! The protocol is in `tests/bench/README.md`.

pub mod client;
pub mod server;
