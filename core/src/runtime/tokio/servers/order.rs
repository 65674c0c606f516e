//! The order addresses are tried in (RFC 6724 §6), which the system's resolver gives its answers by itself ([NAME-41]).
//!
//! The rules about addresses of this machine that are on their way out or of mobile networks are left out, as is the longest prefix, which
//! ties clients of one network to the same server.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, UdpSocket};

/// The best first; equals stay as they came.
pub(super) fn sorted(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    addresses.sort_by_cached_key(|address| rank(address.ip(), source(*address)));
    addresses
}

/// The address of this machine that would be used; none where there is no way. Nothing is sent.
fn source(to: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0u16; 8].into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect(to).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

/// What decides, the first difference at once: rules 1, 2, 5, 6 and 8; `false` is better than `true`.
fn rank(to: IpAddr, from: Option<IpAddr>) -> (bool, bool, bool, Reverse<u8>, u8) {
    let row = Row::of(to);
    let differs = |of: fn(IpAddr) -> u8| from.is_none_or(|from| of(from) != of(to));
    (from.is_none(), differs(scope), differs(|ip| Row::of(ip).label), Reverse(row.precedence), scope(to))
}

/// A row of the default policy table (§2.1).
struct Row {
    precedence: u8,
    label: u8,
}

impl Row {
    fn of(ip: IpAddr) -> Self {
        let ip = as_ipv6(ip);
        let (precedence, label) = match ip.segments() {
            _ if ip == Ipv6Addr::LOCALHOST => (50, 0),
            [0, 0, 0, 0, 0, 0xffff, ..] => (35, 4),
            [0x2002, ..] => (30, 2),
            [0x2001, 0, ..] => (5, 5),
            [first, ..] if first & 0xfe00 == 0xfc00 => (3, 13),
            [0, 0, 0, 0, 0, 0, ..] => (1, 3),
            [first, ..] if first & 0xffc0 == 0xfec0 => (1, 11),
            [0x3ffe, ..] => (1, 12),
            _ => (40, 1),
        };
        Self { precedence, label }
    }
}

/// §3.1 and §3.2: 2 for one network link, 5 for a site, 14 for the world.
fn scope(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(ip) if ip.is_loopback() || ip.is_link_local() => 2,
        IpAddr::V4(_) => 14,
        IpAddr::V6(ip) => match ip.segments()[0] {
            _ if ip.is_loopback() => 2,
            first if first & 0xffc0 == 0xfe80 => 2,
            first if first & 0xffc0 == 0xfec0 => 5,
            _ => 14,
        },
    }
}

fn as_ipv6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    /// RFC 6724 §10.2, the examples without deprecated and mobile addresses.
    #[test]
    fn the_specifications_examples_come_out_in_its_order() {
        // A pair: an address, and this machine's for it; the first is better.
        for [better, worse] in [
            [("2001:db8:1::1", "2001:db8:1::2"), ("198.51.100.121", "169.254.13.78")],
            [("198.51.100.121", "198.51.100.117"), ("2001:db8:1::1", "fe80::1")],
            [("2001:db8:1::1", "2001:db8:1::2"), ("10.1.2.3", "10.1.2.4")],
            [("fe80::1", "fe80::2"), ("2001:db8:1::1", "2001:db8:1::2")],
            [("2002:c633:6401::1", "2002:c633:6401::2"), ("2001:db8:1::1", "2002:c633:6401::2")],
            [("2001:db8:1::1", "2001:db8:1::2"), ("2002:c633:6401::1", "2002:c633:6401::2")],
        ] {
            let rank = |(to, from): (&str, &str)| rank(ip(to), Some(ip(from)));
            assert!(rank(better) < rank(worse), "{better:?} {worse:?}");
        }
    }

    /// [NAME-41]
    #[test]
    fn an_address_without_a_way_is_last_and_equals_stay_in_order() {
        assert!(rank(ip("10.0.0.1"), Some(ip("10.0.0.2"))) < rank(ip("2001:db8::1"), None));
        let here = ["127.0.0.3:1", "127.0.0.1:1", "127.0.0.2:1"].map(|text| text.parse().expect("valid"));
        assert_eq!(sorted(here.into()), here);
    }
}
