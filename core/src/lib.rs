//! linkspan's core: one gRPC connection engine for every language.

#![forbid(unsafe_code)]
#![allow(dead_code, reason = "rooms arrive one by one; the last one takes this away")]

mod address;
mod error;
mod failure;
mod metadata;
mod observe;
mod percent;
mod state;
mod status;
mod time;
mod policy;
mod resolver;
mod runtime;
mod transport;
mod channel;
