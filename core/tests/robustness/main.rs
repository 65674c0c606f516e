//! What must not hang, bring down, flood or fill a client: servers and hosts that do what no server or host should.

#![allow(clippy::disallowed_methods, reason = "a test is a host with a runtime of its own")]

#[path = "../peer/mod.rs"]
#[allow(dead_code, reason = "the peers serve other tests too")]
mod peer;

mod endings;
mod forks;
mod hangs;
mod logging;
mod memory;
mod own_process;
mod panics;
mod proxies;
mod storms;
mod warnings;
