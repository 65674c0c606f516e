//! Whole worlds in virtual time: the engine with its public handles, scripted servers, a network with faults, callers.
//!
//! A seed decides everything, so a world that breaks an invariant does so again. The worlds of [`worlds`] are made by chance from a
//! seed; those of [`directed`] are told, to show one promise each. `core/docs/simulation.md` says how to run and replay them.
//!
//! This room is built for tests alone. It stands above every other and speaks HTTP/2 from the servers' side.

mod calls;
mod channels;
mod directed;
mod hosted;
mod invariants;
mod options;
mod server;
mod world;
mod worlds;

use bytes::{BufMut, Bytes, BytesMut};

/// A call that is answered with its own message.
pub(crate) const UNARY: &str = "/simulation.Echo/Unary";
/// A call each message of which comes back.
pub(crate) const STREAM: &str = "/simulation.Echo/Stream";

/// A question about a server's health, which may be answered again and again.
pub(crate) const WATCH: &str = "/grpc.health.v1.Health/Watch";

/// A call's message: its id, then as many bytes as it takes.
fn message(id: u64, size: usize) -> Bytes {
    let mut bytes = BytesMut::with_capacity(size.max(8));
    bytes.put_u64(id);
    bytes.resize(size.max(8), b'x');
    bytes.freeze()
}

/// The id in a message.
fn message_id(message: &[u8]) -> u64 {
    message.first_chunk().map_or(0, |id| u64::from_be_bytes(*id))
}
