//! The five connectivity states.

use std::fmt;

/// A channel's or subchannel's connectivity state, with gRPC's own numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum State {
    /// No resolution, no connection work. The first call or a request to connect leaves it.
    #[default]
    Idle = 0,
    /// Resolving or connecting; calls queue.
    Connecting = 1,
    /// At least one usable connection.
    Ready = 2,
    /// The last efforts failed; calls that do not wait for ready fail at once.
    TransientFailure = 3,
    /// Closed for good.
    Shutdown = 4,
}

impl State {
    /// Every state, in the order of its number.
    pub const ALL: [Self; 5] = [Self::Idle, Self::Connecting, Self::Ready, Self::TransientFailure, Self::Shutdown];

    /// The canonical name, for example `TRANSIENT_FAILURE`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Idle => "IDLE",
            Self::Connecting => "CONNECTING",
            Self::Ready => "READY",
            Self::TransientFailure => "TRANSIENT_FAILURE",
            Self::Shutdown => "SHUTDOWN",
        }
    }

    /// gRPC's number for this state.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The state with this number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        usize::try_from(number).ok().and_then(|index| Self::ALL.get(index).copied())
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
