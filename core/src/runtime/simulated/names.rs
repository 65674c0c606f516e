//! The name service of a simulated world: answers that change, fail, come late, and lie.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// What is answered to whoever asks for a name.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The addresses, or why there are none.
    pub(crate) found: Result<Vec<IpAddr>, io::ErrorKind>,
    /// How long the answer takes.
    pub(crate) delay: Duration,
    /// How long it says it is good.
    pub(crate) valid_for: Option<Duration>,
}

impl Answer {
    pub(crate) fn of(addresses: impl IntoIterator<Item = IpAddr>, delay: Duration) -> Self {
        Self { found: Ok(addresses.into_iter().collect()), delay, valid_for: None }
    }

    /// The same answer, good for so long.
    pub(crate) fn valid_for(self, length: Duration) -> Self {
        Self { valid_for: Some(length), ..self }
    }

    pub(crate) fn failure(kind: io::ErrorKind, delay: Duration) -> Self {
        Self { found: Err(kind), delay, valid_for: None }
    }
}
