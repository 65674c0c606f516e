//! What a whole channel does, over loopback, with the other end scripted. A test is named after a situation and its outcome.

#![allow(clippy::disallowed_methods, reason = "a test is a host with a runtime of its own")]

#[path = "../peer/mod.rs"]
mod peer;

mod back_pressure;
mod breakers;
mod call_credentials;
mod closing;
mod completions;
mod compression;
mod connecting;
mod deadlines_and_cancellation;
#[cfg(feature = "hickory")]
mod dns;
mod endings;
mod engines;
mod failing_to_connect;
mod goaway;
mod health;
mod hedging;
mod http2;
mod keepalive;
mod limits;
mod liveness;
mod metadata;
mod on_loop;
mod proxies;
mod replacing;
mod resolvers;
mod retries;
mod service_config;
mod snapshots;
mod spreading;
mod streams;
mod targets;
mod tls;
mod windows;
