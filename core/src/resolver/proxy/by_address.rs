//! A proxy for some addresses, whatever name they were found for ([CONN-179]).

use std::net::SocketAddr;

use super::has_zone;
use super::network::Network;
use crate::address::{Address, Tunnel};

/// The proxy, and the addresses behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AddressProxy {
    pub(crate) proxy: SocketAddr,
    pub(crate) behind: Networks,
}

/// Addresses and ranges of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Networks(Vec<Network>);

impl Networks {
    /// # Errors
    /// The entry that is neither an address nor a range.
    pub(crate) fn parse(list: &str) -> Result<Self, &str> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let networks: Result<Vec<_>, _> = entries.map(|entry| Network::parse(entry).ok_or(entry)).collect();
        networks.map(Self)
    }
}

impl AddressProxy {
    /// The same address, or the way to it through the proxy. What goes through a proxy already goes on doing so.
    pub(crate) fn lead(&self, address: Address) -> Address {
        match address {
            Address::Inet(inet)
                if !has_zone(&inet) && self.behind.0.iter().any(|network| network.contains(inet.ip())) =>
            {
                let destination = inet.to_string().into();
                Address::Tunnel(Box::new(Tunnel { proxy: self.proxy, destination, authorization: None }))
            }
            address => address,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(behind: &str) -> AddressProxy {
        let behind = Networks::parse(behind).expect(behind);
        AddressProxy { proxy: ([10, 0, 0, 9], 3128).into(), behind }
    }

    fn inet(text: &str) -> Address {
        Address::Inet(text.parse().expect(text))
    }

    /// [CONN-179]
    #[test]
    fn the_listed_addresses_are_reached_through_the_proxy_and_no_others() {
        for (behind, address, wanted) in [
            ("10.1.0.0/16", "10.1.2.3:5", "10.1.2.3:5 via proxy 10.0.0.9:3128"),
            ("10.2.0.1, 10.1.2.3,", "10.1.2.3:5", "10.1.2.3:5 via proxy 10.0.0.9:3128"),
            ("2001:db8::/32", "[2001:db8::1]:5", "[2001:db8::1]:5 via proxy 10.0.0.9:3128"),
            ("10.1.0.0/16", "10.2.2.3:5", "10.2.2.3:5"),
            ("0.0.0.0/0", "[2001:db8::1]:5", "[2001:db8::1]:5"),
            ("", "10.1.2.3:5", "10.1.2.3:5"),
        ] {
            assert_eq!(proxy(behind).lead(inet(address)).to_string(), wanted, "{behind}");
        }
    }

    /// [CONN-174]: the number of a network interface is this machine's, and the proxy has others.
    #[test]
    fn an_address_of_one_network_interface_stays_as_it_is() {
        let everything = proxy("::/0");
        let address = inet("[fe80::1%2]:5");
        assert_eq!(everything.lead(address.clone()), address);
        assert_ne!(everything.lead(inet("[fe80::1]:5")), inet("[fe80::1]:5"));
    }

    /// [CONN-174], [CONN-179]
    #[test]
    fn a_socket_of_this_machine_and_what_is_behind_a_proxy_already_stay_as_they_are() {
        let everything = proxy("0.0.0.0/0,::/0");
        let tunnel = proxy("10.1.2.3").lead(inet("10.1.2.3:5"));
        for address in [Address::Unix("/tmp/s".into()), Address::Vsock { cid: 2, port: 1 }, tunnel] {
            assert_eq!(everything.lead(address.clone()), address);
        }
    }

    #[test]
    fn an_entry_that_is_neither_address_nor_range_is_told() {
        assert_eq!(Networks::parse("10.0.0.1,svc.example"), Err("svc.example"));
        assert_eq!(Networks::parse("10.0.0.0/40"), Err("10.0.0.0/40"));
    }
}
