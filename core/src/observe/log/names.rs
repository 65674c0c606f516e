//! How lines name what they are about.

use std::fmt;
use std::sync::Arc;

/// A channel: `channel 3 dns:///x`.
#[derive(Debug)]
pub(crate) struct ChannelName {
    /// Unique in the process.
    pub(crate) id: u64,
    /// As its user gave it.
    pub(crate) target: Box<str>,
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "channel {} {}", self.id, self.target)
    }
}

/// A connection: `channel 3 dns:///x: connection 8 10.0.0.8:443`.
#[derive(Debug)]
pub(crate) struct ConnectionName {
    pub(crate) channel: Arc<ChannelName>,
    /// Positive, unique in the process ([CONN-160]).
    pub(crate) id: u64,
    pub(crate) address: Arc<str>,
}

impl fmt::Display for ConnectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: connection {} {}", self.channel, self.id, self.address)
    }
}
