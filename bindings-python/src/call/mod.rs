//! One RPC, as each of Python's ways to make one needs it.
//!
//! ```text
//! request   what was asked for: method, message, timeout, metadata      → core's CallRequest
//! unary     blocking unary: one call in, one wait, one result out; makes no object
//! active    blocking streams and futures: an object several threads may use; its state is in `shared`
//! receiving how many response messages may be on their way
//! sending   which request message goes to the engine next
//! looped    a call whose completions go to an asyncio loop's queue
//! outcome   how a call ended
//! message   bytes in, bytes out
//! patience  waits that let signal handlers run
//! ```

pub(crate) mod active;
pub(crate) mod looped;
pub(crate) mod message;
pub(crate) mod outcome;
pub(crate) mod patience;
pub(crate) mod receiving;
pub(crate) mod request;
pub(crate) mod sending;
pub(crate) mod shared;
pub(crate) mod unary;
