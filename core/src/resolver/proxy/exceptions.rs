//! `no_proxy`: the servers that are reached without the proxy ([CONN-173]).

use std::net::SocketAddr;

use super::network::Network;

/// What a list of exceptions says.
#[derive(Debug, Default)]
pub(crate) struct Exceptions(Vec<Exception>);

#[derive(Debug, PartialEq, Eq)]
struct Exception {
    servers: Servers,
    /// `None` is every port.
    port: Option<u16>,
}

#[derive(Debug, PartialEq, Eq)]
enum Servers {
    All,
    Network(Network),
    /// A name and every name under it. Without dots at its ends.
    Domain(String),
}

impl Exceptions {
    /// Reads a list, parted by commas or spaces: `*`, names, addresses, networks, each with a port or without. What is none of these excepts
    /// nothing.
    pub(crate) fn parse(list: &str) -> Self {
        let entries = list.split(|character: char| character == ',' || character.is_whitespace());
        Self(entries.filter_map(Exception::parse).collect())
    }

    /// Whether a server of this name is excepted.
    pub(super) fn have_name(&self, name: &str, port: u16) -> bool {
        self.0.iter().any(|exception| exception.has_port(port) && exception.servers.have_name(name))
    }

    /// Whether the server at this address is.
    pub(super) fn have_address(&self, address: SocketAddr) -> bool {
        self.0.iter().any(|exception| exception.has_port(address.port()) && exception.servers.have_address(address))
    }
}

impl Exception {
    fn parse(entry: &str) -> Option<Self> {
        if let Some(servers) = Servers::parse(entry) {
            return Some(Self { servers, port: None });
        }
        let (servers, port) = entry.rsplit_once(':')?;
        // The end of an address with colons is no port.
        let is_parted = !servers.contains(':') || servers.ends_with(']');
        let port = port.parse().ok().filter(|_| is_parted)?;
        Some(Self { servers: Servers::parse(servers)?, port: Some(port) })
    }

    fn has_port(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }
}

impl Servers {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::All);
        }
        if let Some(network) = Network::parse(text) {
            return Some(Self::Network(network));
        }
        let name = text.trim_matches('.');
        let is_name = !name.is_empty() && !name.contains([':', '/', '*', '[']);
        is_name.then(|| Self::Domain(name.to_owned()))
    }

    fn have_name(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Network(_) => false,
            Self::Domain(domain) => {
                let name = name.trim_end_matches('.').as_bytes();
                let Some(start) = name.len().checked_sub(domain.len()) else { return false };
                let (before, end) = name.split_at(start);
                end.eq_ignore_ascii_case(domain.as_bytes()) && before.last().is_none_or(|last| *last == b'.')
            }
        }
    }

    fn have_address(&self, address: SocketAddr) -> bool {
        match self {
            Self::All => true,
            Self::Network(network) => network.contains(address.ip()),
            Self::Domain(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether `server`, `host:port`, is excepted by this list.
    fn excepts(list: &str, server: &str) -> bool {
        let exceptions = Exceptions::parse(list);
        if let Ok(address) = server.parse() {
            return exceptions.have_address(address);
        }
        let (name, port) = server.split_once(':').expect("a port");
        exceptions.have_name(name, port.parse().expect("a port"))
    }

    /// [CONN-173]
    #[test]
    fn names_are_excepted_with_all_that_is_under_them_at_the_border_of_a_label() {
        for (list, server, is_excepted) in [
            ("", "svc.example:443", false),
            ("svc.example", "svc.example:443", true),
            ("SVC.Example", "svc.eXAMPLE:443", true),
            ("example", "svc.example:443", true),
            (".example", "svc.example:443", true),
            (".svc.example", "svc.example:443", true),
            ("svc.example.", "svc.example:443", true),
            ("svc.example", "svc.example.:443", true),
            ("a.svc.example", "svc.example:443", false),
            ("vc.example", "svc.example:443", false),
            ("svc", "svc.example:443", false),
            ("other,svc.example", "svc.example:443", true),
            (" other , svc.example ", "svc.example:443", true),
            ("other svc.example", "svc.example:443", true),
            ("*", "svc.example:443", true),
            ("*.example", "svc.example:443", false),
            (",.,,:,", "svc.example:443", false),
            ("10.0.0.0/8,0.0.0.0/0,::/0", "svc.example:443", false),
        ] {
            assert_eq!(excepts(list, server), is_excepted, "{server} with {list:?}");
        }
    }

    /// [CONN-173]
    #[test]
    fn addresses_are_excepted_by_themselves_and_by_their_networks() {
        for (list, server, is_excepted) in [
            ("10.1.2.3", "10.1.2.3:443", true),
            ("10.0.0.0/8", "10.1.2.3:443", true),
            ("10.0.0.0/16", "10.1.2.3:443", false),
            ("2.3", "10.1.2.3:443", false),
            ("*", "10.1.2.3:443", true),
            ("2001:db8::1", "[2001:db8:0::1]:443", true),
            ("[2001:db8::1]", "[2001:db8::1]:443", true),
            ("2001:db8::/32", "[2001:db8::1]:443", true),
            ("2001:db9::/32", "[2001:db8::1]:443", false),
        ] {
            assert_eq!(excepts(list, server), is_excepted, "{server} with {list:?}");
        }
    }

    /// [CONN-173]
    #[test]
    fn an_exception_with_a_port_is_for_that_port() {
        for (list, excepted, other) in [
            ("svc.example:443", "svc.example:443", "svc.example:444"),
            ("example:443", "svc.example:443", "svc.example:80"),
            ("10.1.2.3:5", "10.1.2.3:5", "10.1.2.3:6"),
            ("10.0.0.0/8:5", "10.1.2.3:5", "10.1.2.3:6"),
            ("[2001:db8::1]:5", "[2001:db8::1]:5", "[2001:db8::1]:6"),
            ("2001:db8::1:5", "[2001:db8::1:5]:1", "[2001:db8::1]:5"),
            ("*:5", "svc.example:5", "svc.example:6"),
        ] {
            assert!(excepts(list, excepted), "{excepted} with {list:?}");
            assert!(!excepts(list, other), "{other} with {list:?}");
        }
    }
}
