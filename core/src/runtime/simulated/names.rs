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
}

impl Answer {
    pub(crate) fn of(addresses: impl IntoIterator<Item = IpAddr>, delay: Duration) -> Self {
        Self { found: Ok(addresses.into_iter().collect()), delay }
    }

    pub(crate) fn failure(kind: io::ErrorKind, delay: Duration) -> Self {
        Self { found: Err(kind), delay }
    }
}
