//! Where a connection can be opened to. A leaf: resolvers make addresses, policies order them, transports dial them.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

/// One place a connection can be opened to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Address {
    /// An IPv4 or IPv6 address and port.
    Inet(SocketAddr),
    /// A unix socket's path.
    Unix(PathBuf),
}

/// The families Happy Eyeballs takes turns between ([CONN-61]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// Everything that is not an internet address.
    Local,
}

impl Address {
    /// Which family this address belongs to.
    #[must_use]
    pub(crate) fn family(&self) -> Family {
        match self {
            Self::Inet(SocketAddr::V4(_)) => Family::V4,
            Self::Inet(SocketAddr::V6(_)) => Family::V6,
            Self::Unix(_) => Family::Local,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
