//! Pure rooms: the decisions of a channel, with nothing else in them.
//!
//! Here is no async, no lock, no clock, no randomness, no environment, no I/O. What happened comes in as a method call, with
//! the time and a random fraction as arguments where they matter; what to do goes out as a value, and so does the time at
//! which the room wants to be asked again. So every rule can be tested with exact values and no runtime.

pub(crate) mod backoff;
pub(crate) mod balancer;
pub(crate) mod bdp;
pub(crate) mod connectivity;
pub(crate) mod dial_gate;
mod excuse;
pub(crate) mod expiry;
pub(crate) mod health_watch;
pub(crate) mod idle;
pub(crate) mod jitter;
pub(crate) mod keepalive;
pub(crate) mod liveness;
pub(crate) mod pool;
pub(crate) mod retry;
pub(crate) mod subchannel;
pub(crate) mod transparent_retry;
