//! Servers that mean harm: each breaks a rule, lies, floods or falls silent. A call to one ends with the status the rules ask for,
//! what is beside it goes on, and no server makes a client hang, panic or fill its memory.
//!
//! What the HTTP/2 library decides otherwise than a rule is listed in docs/h2-limits.md.

#![allow(clippy::disallowed_methods, reason = "a test is a host with a runtime of its own")]

#[path = "../peer/mod.rs"]
#[allow(dead_code, reason = "the peers serve other tests too")]
mod peer;

mod attacker;
mod siege;

mod endings;
mod floods;
mod frames;
mod goaway;
mod greetings;
mod headers;
mod messages;
mod queues;
mod settings;
mod streams;
mod windows;

/// Counts what the whole process holds, so that a test can tell what a server made the client keep.
#[global_allocator]
static MEMORY: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;
