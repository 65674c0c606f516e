//! Engines: a loop, the way in, the way out, and the handles users hold.
//!
//! Handles live on any thread and share nothing with the loop but one submission queue in and completion queues out.

#[cfg(test)]
mod budget;
#[cfg(any(test, fuzzing))]
pub(crate) mod by_hand;
pub(crate) mod channel;
pub(crate) mod completion;
pub(crate) mod face;
mod handle;
pub(crate) mod on_loop;
mod outbox;
#[path = "loop.rs"]
mod run;
mod slot;
mod snapshot;
mod submit;

pub use handle::{CallHandle, Channel, Engine, EngineOptions, SendError, ThreadHook, WatchHandle};
pub use submit::Batch;
