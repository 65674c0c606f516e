//! Where a connection can be opened to. A leaf: resolvers make addresses, policies order them, transports dial them.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// One place a connection can be opened to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Address {
    /// An IPv4 or IPv6 address and port.
    Inet(SocketAddr),
    /// A unix socket's path.
    Unix(PathBuf),
    /// A unix socket's name in Linux's abstract namespace, without the NUL before it. Any bytes.
    UnixAbstract(Vec<u8>),
    /// A port of a virtual machine or of its host.
    Vsock {
        /// Which machine.
        cid: u32,
        port: u32,
    },
    /// A host the system looks up each time it is dialed: a name that is passed through, or an IPv6 address with a network interface's name.
    Unresolved {
        /// Without brackets.
        host: Box<str>,
        port: u16,
    },
    /// What a proxy is asked to connect to. Its socket is opened to the proxy.
    Tunnel(Box<Tunnel>),
}

/// A way through an HTTP proxy: after its answer to CONNECT, all bytes are the destination's ([CONN-175]).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Tunnel {
    pub(crate) proxy: SocketAddr,
    /// `host:port`, as the proxy is told.
    pub(crate) destination: Box<str>,
    pub(crate) authorization: Option<ProxyAuthorization>,
}

/// The value of Proxy-Authorization. It is for the proxy alone, and nothing shows it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ProxyAuthorization(pub(crate) Arc<str>);

impl fmt::Debug for ProxyAuthorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProxyAuthorization(..)")
    }
}

/// The families Happy Eyeballs takes turns between ([CONN-61]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// Everything that is not an internet address, or is not known to be one before it is dialed.
    Other,
}

impl Address {
    /// Which family this address belongs to.
    #[must_use]
    pub(crate) fn family(&self) -> Family {
        match self {
            Self::Tunnel(tunnel) => Self::Inet(tunnel.proxy).family(),
            Self::Inet(SocketAddr::V4(_)) => Family::V4,
            Self::Inet(SocketAddr::V6(_)) => Family::V6,
            Self::Unresolved { host, .. } if host.contains(':') => Family::V6,
            Self::Unix(_) | Self::UnixAbstract(_) | Self::Vsock { .. } | Self::Unresolved { .. } => Family::Other,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::UnixAbstract(name) => {
                // As a target it means the same: two slashes at its beginning would be taken for those before an authority.
                f.write_str(if name.starts_with(b"//") { "unix-abstract://" } else { "unix-abstract:" })?;
                name.iter().try_for_each(|byte| match byte {
                    byte if byte.is_ascii_graphic() && !matches!(byte, b'%' | b'?' | b'#') => {
                        write!(f, "{}", char::from(*byte))
                    }
                    byte => write!(f, "%{byte:02X}"),
                })
            }
            Self::Vsock { cid, port } => write!(f, "vsock:{cid}:{port}"),
            Self::Unresolved { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Unresolved { host, port } => write!(f, "{host}:{port}"),
            Self::Tunnel(tunnel) => write!(f, "{} via proxy {}", tunnel.destination, tunnel.proxy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abstract_name_is_written_as_a_target_that_means_it() {
        for (name, written) in [
            (&b"name"[..], "unix-abstract:name"),
            (b"\0\xff %", "unix-abstract:%00%FF%20%25"),
            (b"/a?b#c", "unix-abstract:/a%3Fb%23c"),
            (b"//a", "unix-abstract:////a"),
        ] {
            assert_eq!(Address::UnixAbstract(name.to_vec()).to_string(), written);
        }
    }

    #[test]
    fn a_tunnel_is_called_by_both_its_ends_and_never_tells_what_opens_it() {
        let tunnel = Tunnel {
            proxy: ([10, 0, 0, 9], 3128).into(),
            destination: "svc.example:443".into(),
            authorization: Some(ProxyAuthorization("Basic c2VjcmV0".into())),
        };
        let address = Address::Tunnel(Box::new(tunnel));
        assert_eq!(address.to_string(), "svc.example:443 via proxy 10.0.0.9:3128");
        assert_eq!(address.family(), Family::V4);
        assert!(!format!("{address:?}").contains("c2VjcmV0"));
    }
}
