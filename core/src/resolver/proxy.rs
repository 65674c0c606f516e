//! Which targets and addresses are reached through a proxy, and how ([CONN-170] to [CONN-179]). Pure: what was set comes in as text.
//!
//! A target goes through the channel's proxy (`url.rs`) unless it is excepted (`exceptions.rs`); its name is then the proxy's to look up, and ours
//! to look up is the proxy's. What does not go that way may go through another proxy address by address (`by_address.rs`).

pub(crate) mod by_address;
pub(crate) mod exceptions;
mod network;
pub(crate) mod url;

use std::net::SocketAddr;

use super::target::{Endpoint, Target};
use crate::address::{Address, ProxyAuthorization, Tunnel};
use by_address::AddressProxy;
use exceptions::Exceptions;
use url::{Proxy, ProxyHost};

/// The proxies of a channel.
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    pub(crate) for_targets: Option<Proxy>,
    pub(crate) exceptions: Exceptions,
    pub(crate) for_addresses: Option<AddressProxy>,
}

impl Proxies {
    /// The target; if it goes through the proxy, with the proxy in place of what would be resolved for it.
    pub(crate) fn lead(&self, target: Target) -> Target {
        match &self.for_targets {
            Some(proxy) if target.may_be_proxied() => {
                Target { endpoint: self.behind(proxy, target.endpoint), ..target }
            }
            _ => target,
        }
    }

    fn behind(&self, proxy: &Proxy, endpoint: Endpoint) -> Endpoint {
        let servers: Vec<Server> = match &endpoint {
            Endpoint::Name { host, port, .. } if !self.exceptions.have_name(host, *port) => {
                vec![Server::Behind(format!("{host}:{port}").into())]
            }
            Endpoint::Fixed(addresses) => addresses.iter().map(|address| self.server(address)).collect(),
            Endpoint::Name { .. } | Endpoint::Proxied(_) | Endpoint::OfHost(_) => return endpoint,
        };
        if servers.iter().all(|server| matches!(server, Server::Direct(_))) {
            return endpoint;
        }
        match proxy.host.clone() {
            // Nothing is left to resolve.
            ProxyHost::Address(address) => Endpoint::Fixed(ways(&servers, &[address], proxy.authorization.as_ref())),
            ProxyHost::Name { name, port } => {
                Endpoint::Proxied(Proxied { name, port, authorization: proxy.authorization.clone(), servers })
            }
        }
    }

    fn server(&self, address: &Address) -> Server {
        match address {
            Address::Inet(inet) if !has_zone(inet) && !self.exceptions.have_address(*inet) => {
                Server::Behind(inet.to_string().into())
            }
            _ => Server::Direct(address.clone()),
        }
    }
}

/// A zone is a network of this machine; a proxy has others.
fn has_zone(address: &SocketAddr) -> bool {
    matches!(address, SocketAddr::V6(v6) if v6.scope_id() != 0)
}

/// Servers behind a proxy that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proxied {
    name: String,
    port: u16,
    authorization: Option<ProxyAuthorization>,
    servers: Vec<Server>,
}

/// One server of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Server {
    /// It is reached without the proxy.
    Direct(Address),
    /// `host:port`, for the proxy to connect to.
    Behind(Box<str>),
}

impl Proxied {
    /// The proxy's name and port, to be resolved.
    pub(super) fn proxy(&self) -> (&str, u16) {
        (&self.name, self.port)
    }

    /// The ways to the servers, when the proxy has these addresses.
    pub(super) fn addresses(&self, proxies: &[SocketAddr]) -> Vec<Address> {
        ways(&self.servers, proxies, self.authorization.as_ref())
    }
}

/// To each server in turn, through each of the proxy's addresses.
fn ways(servers: &[Server], proxies: &[SocketAddr], authorization: Option<&ProxyAuthorization>) -> Vec<Address> {
    let mut ways = Vec::new();
    for server in servers {
        match server {
            Server::Direct(address) => ways.push(address.clone()),
            Server::Behind(destination) => ways.extend(proxies.iter().map(|proxy| {
                let (destination, authorization) = (destination.clone(), authorization.cloned());
                Address::Tunnel(Box::new(Tunnel { proxy: *proxy, destination, authorization }))
            })),
        }
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(url: &str, exceptions: &str) -> Proxies {
        let for_targets = Some(Proxy::parse(url).expect("a proxy"));
        Proxies { for_targets, exceptions: Exceptions::parse(exceptions), for_addresses: None }
    }

    fn lead(proxies: &Proxies, target: &str) -> Endpoint {
        proxies.lead(Target::parse(target, &|_| None).expect(target)).endpoint
    }

    /// The addresses of a target when the proxy is 10.0.0.9:3128.
    fn through(exceptions: &str, target: &str) -> Vec<String> {
        match lead(&proxies("http://10.0.0.9:3128", exceptions), target) {
            Endpoint::Fixed(addresses) => addresses.iter().map(Address::to_string).collect(),
            other => panic!("{target} is {other:?}"),
        }
    }

    /// [CONN-175]
    #[test]
    fn the_proxys_name_is_what_is_left_to_resolve_and_the_servers_name_is_told_to_it() {
        for (target, destination) in [
            ("svc.example", "svc.example:443"),
            ("dns:///svc.example:50051", "svc.example:50051"),
            ("dns:10.1.2.3", "10.1.2.3:443"),
            ("[2001:db8::1]:5", "[2001:db8::1]:5"),
        ] {
            let Endpoint::Proxied(proxied) = lead(&proxies("http://proxy.example:3128", ""), target) else {
                panic!("{target} is not proxied")
            };
            assert_eq!(proxied.proxy(), ("proxy.example", 3128));
            let found = ["10.0.0.8:3128", "[2001:db8::8]:3128"].map(|text| text.parse().expect("an address"));
            let told: Vec<_> = proxied.addresses(&found).iter().map(Address::to_string).collect();
            let wanted = found.map(|proxy| format!("{destination} via proxy {proxy}"));
            assert_eq!(told, wanted, "{target}");
        }
    }

    /// [CONN-175]
    #[test]
    fn behind_a_proxy_that_is_an_address_nothing_is_left_to_resolve() {
        assert_eq!(through("", "svc.example"), ["svc.example:443 via proxy 10.0.0.9:3128"]);
        assert_eq!(
            through("", "ipv4:10.1.2.3:5,10.1.2.4"),
            ["10.1.2.3:5 via proxy 10.0.0.9:3128", "10.1.2.4:443 via proxy 10.0.0.9:3128"]
        );
        assert_eq!(through("", "ipv6:[2001:db8::1]:5"), ["[2001:db8::1]:5 via proxy 10.0.0.9:3128"]);
    }

    /// [CONN-173]
    #[test]
    fn an_excepted_target_stays_as_it_is_and_so_does_an_excepted_address_of_a_list() {
        let name = Endpoint::Name { host: "svc.example".into(), port: 443, server: None };
        assert_eq!(lead(&proxies("http://proxy.example", "example"), "svc.example"), name);
        assert_eq!(through("10.1.2.3", "ipv4:10.1.2.3:5"), ["10.1.2.3:5"]);
        let mixed = through("10.1.2.3", "ipv4:10.1.2.4:5,10.1.2.3:5");
        assert_eq!(mixed, ["10.1.2.4:5 via proxy 10.0.0.9:3128", "10.1.2.3:5"]);
        // With nothing behind it the proxy's name is not looked up either.
        let fixed = lead(&proxies("http://proxy.example", "*"), "ipv4:10.1.2.3:5");
        assert_eq!(fixed, Target::parse("ipv4:10.1.2.3:5", &|_| None).expect("a target").endpoint);
    }

    /// [CONN-174]
    #[test]
    fn what_only_this_machine_can_reach_and_what_the_system_looks_up_is_never_proxied() {
        for target in
            ["unix:/tmp/s", "unix-abstract:s", "vsock:2:1", "passthrough:///svc.example:1", "passthrough:10.1.2.3:1"]
        {
            let direct = Target::parse(target, &|_| None).expect(target).endpoint;
            assert_eq!(lead(&proxies("http://proxy.example", ""), target), direct, "{target}");
        }
        assert_eq!(through("", "ipv6:[fe80::1%2]:5"), ["[fe80::1%2]:5"]);
        assert_eq!(through("", "[fe80::1%eth0]:5"), ["[fe80::1%eth0]:5"]);
    }

    #[test]
    fn without_a_proxy_a_target_stays_as_it_is() {
        let direct = Target::parse("svc.example", &|_| None).expect("a target");
        assert_eq!(Proxies::default().lead(direct.clone()), direct);
    }
}
