//! The name service of a simulated world: answers that change, fail, come late, and lie.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

/// What is answered to whoever asks for a name's addresses, or for its texts.
#[derive(Clone, Debug)]
pub(crate) struct Answer<T = Vec<IpAddr>> {
    /// What the name has, or why there is none.
    pub(crate) found: Result<T, io::ErrorKind>,
    /// How long the answer takes.
    pub(crate) delay: Duration,
    /// How long it says it is good.
    pub(crate) valid_for: Option<Duration>,
}

/// Records of one string each.
pub(crate) type Texts = Vec<String>;

impl Answer {
    pub(crate) fn of(addresses: impl IntoIterator<Item = IpAddr>, delay: Duration) -> Self {
        Self { found: Ok(addresses.into_iter().collect()), delay, valid_for: None }
    }
}

impl Answer<Texts> {
    pub(crate) fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>, delay: Duration) -> Self {
        Self { found: Ok(texts.into_iter().map(str::to_owned).collect()), delay, valid_for: None }
    }
}

impl<T> Answer<T> {
    /// The same answer, good for so long.
    pub(crate) fn valid_for(self, length: Duration) -> Self {
        Self { valid_for: Some(length), ..self }
    }

    pub(crate) fn failure(kind: io::ErrorKind, delay: Duration) -> Self {
        Self { found: Err(kind), delay, valid_for: None }
    }
}
