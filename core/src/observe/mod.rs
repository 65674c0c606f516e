//! What the engine lets others see: state events with causes, counters, error trails, log lines.
//!
//! A leaf room: everyone may record, nobody here decides anything. What is written here is read from other threads, so it
//! holds atomics and two small locks, none of which is ever held across an await or a call into foreign code.

pub(crate) mod attempts;
pub(crate) mod channel_metrics;
pub(crate) mod counters;
pub(crate) mod events;
pub(crate) mod ids;
pub(crate) mod json;
pub(crate) mod log;
pub(crate) mod snapshot;
pub(crate) mod sums;
pub(crate) mod trail;
