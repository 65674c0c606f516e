//! The public handles. They hold no logic; they check, submit and read what is shown.

mod call;
mod channel;
mod engine;

pub use call::{CallHandle, SendError, WatchHandle};
pub use channel::Channel;
pub use engine::{Engine, EngineOptions, ThreadHook};

pub(super) use crate::observe::ids::next_id;
