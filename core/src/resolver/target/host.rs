//! Host and port, with the grammar all schemes share: names, IP addresses with their zones, ports.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use super::Refusal;
use crate::address::Address;
use crate::percent;

/// What `host` without a port means ([NAME-8]).
const DEFAULT_PORT: u16 = 443;

/// The longest name of a network interface, without its NUL.
const LONGEST_ZONE: usize = 15;

/// A host, and a port if one was given.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::resolver) struct HostPort {
    /// As it was written, without brackets.
    written: String,
    pub(super) host: Host,
    port: Option<u16>,
}

#[derive(Debug, PartialEq, Eq)]
pub(in crate::resolver) enum Host {
    Name,
    Ip(IpAddr),
    /// An IPv6 address that is good on one network only.
    Scoped(Ipv6Addr, Zone),
}

/// Which network ([NAME-10]).
#[derive(Debug, PartialEq, Eq)]
pub(in crate::resolver) enum Zone {
    Number(u32),
    Interface(String),
}

impl HostPort {
    /// Naming digest §1.1: brackets hold a host with colons; exactly one colon parts host and port; otherwise all is host.
    pub(in crate::resolver) fn parse(encoded: &str) -> Result<Self, Refusal> {
        let text = decode(encoded);
        let (host, port) = split(&text)?;
        if host.is_empty() {
            return Err("has no host; write \"host:port\"".into());
        }
        let port = port.map(parse_port).transpose()?;
        Ok(Self { written: host.to_owned(), host: Host::parse(host)?, port })
    }

    pub(in crate::resolver) fn port(&self) -> u16 {
        self.port_or(DEFAULT_PORT)
    }

    pub(super) fn port_or(&self, default: u16) -> u16 {
        self.port.unwrap_or(default)
    }

    /// The same host, with this port if none was given.
    pub(in crate::resolver) fn or_port(mut self, port: u16) -> Self {
        self.port.get_or_insert(port);
        self
    }

    /// `:authority`: the port only if one was given ([NAME-31]), IPv6 in brackets, without a zone, which means nothing elsewhere.
    pub(in crate::resolver) fn authority(&self) -> String {
        let without_zone = self.written.split('%').next().unwrap_or_default();
        let host = if without_zone.contains(':') { format!("[{without_zone}]") } else { without_zone.to_owned() };
        match self.port {
            Some(port) => format!("{host}:{port}"),
            None => host,
        }
    }

    /// The address it is, or else its name.
    pub(in crate::resolver) fn address(&self) -> Result<Address, &str> {
        let port = self.port();
        match &self.host {
            Host::Name => Err(&self.written),
            Host::Ip(ip) => Ok(Address::Inet(SocketAddr::new(*ip, port))),
            Host::Scoped(ip, Zone::Number(scope)) => {
                Ok(Address::Inet(SocketAddr::V6(SocketAddrV6::new(*ip, port, 0, *scope))))
            }
            // Its number is the system's to know, and may change while the channel lives.
            Host::Scoped(ip, Zone::Interface(name)) => {
                Ok(Address::Unresolved { host: format!("{ip}%{name}").into(), port })
            }
        }
    }
}

impl Host {
    fn parse(text: &str) -> Result<Self, Refusal> {
        if text.contains(':') {
            return ipv6(text);
        }
        if let Ok(ip) = text.parse() {
            return Ok(Self::Ip(ip));
        }
        match text.chars().find(|&character| !is_of_name(character)) {
            None => Ok(Self::Name),
            Some(wrong) if wrong.is_ascii() => Err(Refusal::from(format!(
                "has {wrong:?} in the host name {text:?}; names have letters, digits, '-', '_' and '.'"
            ))),
            // [NAME-32]: as an escape it would be legal in a URI; the HTTP library sends no such authority.
            Some(wrong) => Err(Refusal::from(format!(
                "has {wrong:?} in the host name {text:?}; write such a name in its ASCII form, which begins with \"xn--\""
            ))),
        }
    }
}

fn is_of_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.')
}

fn ipv6(text: &str) -> Result<Host, Refusal> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    let ip = address.parse::<Ipv6Addr>().map_err(|_| {
        Refusal::from(format!(
            "has {address:?}, which is not an IPv6 address; write \"host:port\" or \"[address]:port\""
        ))
    })?;
    Ok(match zone {
        None => Host::Ip(IpAddr::V6(ip)),
        Some(zone) => Host::Scoped(ip, parse_zone(zone)?),
    })
}

/// [NAME-10]
fn parse_zone(zone: &str) -> Result<Zone, Refusal> {
    let is_number = zone.bytes().all(|byte| byte.is_ascii_digit());
    let of_interface = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'/' | b':' | b'%' | b'[' | b']' | b',');
    match zone.parse() {
        Ok(number) if is_number => Ok(Zone::Number(number)),
        _ if !is_number && zone.len() <= LONGEST_ZONE && zone.bytes().all(of_interface) => {
            Ok(Zone::Interface(zone.to_owned()))
        }
        _ => Err(Refusal::from(format!(
            "has the zone {zone:?}; a zone is the name or the number of a network interface, as in \"[fe80::1%eth0]:443\""
        ))),
    }
}

fn split(text: &str) -> Result<(&str, Option<&str>), Refusal> {
    let Some(bracketed) = text.strip_prefix('[') else {
        return Ok(match text.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (text, None),
        });
    };
    let (host, rest) = bracketed.split_once(']').ok_or("has a '[' without a ']'; write \"[address]:port\"")?;
    if !host.contains(':') {
        return Err("has brackets around something that is not an IPv6 address; write \"host:port\"".into());
    }
    match rest.strip_prefix(':') {
        Some(port) => Ok((host, Some(port))),
        None if rest.is_empty() => Ok((host, None)),
        None => Err(Refusal::from(format!("has {rest:?} after the ']', where only \":port\" may follow"))),
    }
}

/// [NAME-9]
fn parse_port(port: &str) -> Result<u16, Refusal> {
    match port {
        "http" => Ok(80),
        "https" => Ok(443),
        _ => match port.parse::<u16>() {
            Ok(number) if number > 0 && port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
            _ => Err(Refusal::from(format!("has the port {port:?}; a port is 1 to 65535"))),
        },
    }
}

/// [NAME-5]: an escape that would not be UTF-8 stays as it is too. The `%` before the zone of an IPv6 address is written as it is or as `%25`
/// ([NAME-10]), so `%10` after an address is a zone and no escape.
fn decode(text: &str) -> String {
    let is_ipv6 = |address: &str| address.matches(':').count() >= 2;
    let is_escaped =
        |zone: &str| zone.strip_prefix("25").is_some_and(|zone| !zone.is_empty() && !zone.starts_with(']'));
    match text.split_once('%') {
        Some((address, zone)) if is_ipv6(address) && !is_escaped(zone) => format!("{address}%{}", decode_all(zone)),
        _ => decode_all(text),
    }
}

fn decode_all(text: &str) -> String {
    String::from_utf8(percent::decode(text.as_bytes())).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> HostPort {
        HostPort::parse(text).unwrap_or_else(|refusal| panic!("{text} {}", refusal.what))
    }

    /// What it is the address of, its authority, and its port.
    fn told(text: &str) -> (String, String, u16) {
        let parsed = parsed(text);
        let host = parsed.address().map_or_else(str::to_owned, |address| address.to_string());
        (host, parsed.authority(), parsed.port())
    }

    /// [NAME-8], [NAME-9], [NAME-31]
    #[test]
    fn a_host_without_a_port_has_the_default_port_and_an_authority_without() {
        for (text, host, authority, port) in [
            ("example.com", "example.com", "example.com", 443),
            ("example.com:1", "example.com", "example.com:1", 1),
            ("example.com:65535", "example.com", "example.com:65535", 65_535),
            ("example.com:http", "example.com", "example.com:80", 80),
            ("example.com:https", "example.com", "example.com:443", 443),
            ("my_host-1.", "my_host-1.", "my_host-1.", 443),
            ("1.2.3.4", "1.2.3.4:443", "1.2.3.4", 443),
            ("1.2.3.4:5", "1.2.3.4:5", "1.2.3.4:5", 5),
        ] {
            assert_eq!(told(text), (host.to_owned(), authority.to_owned(), port), "{text}");
        }
    }

    /// [NAME-10]
    #[test]
    fn ipv6_addresses_have_brackets_with_a_port_and_may_have_zones() {
        for (text, address, authority) in [
            ("::1", "[::1]:443", "[::1]"),
            ("[::1]", "[::1]:443", "[::1]"),
            ("[::1]:5", "[::1]:5", "[::1]:5"),
            ("2607:F8B0:0::ef", "[2607:f8b0::ef]:443", "[2607:F8B0:0::ef]"),
            ("[fe80::1%2]:6", "[fe80::1%2]:6", "[fe80::1]:6"),
            ("[fe80::1%252]:6", "[fe80::1%2]:6", "[fe80::1]:6"),
            ("fe80::1%10", "[fe80::1%10]:443", "[fe80::1]"),
            ("fe80::1%25", "[fe80::1%25]:443", "[fe80::1]"),
            ("[fe80::1%25]:6", "[fe80::1%25]:6", "[fe80::1]:6"),
            ("fe80::1%eth0", "[fe80::1%eth0]:443", "[fe80::1]"),
            ("[fe80::1%25eth0]:6", "[fe80::1%eth0]:6", "[fe80::1]:6"),
            ("[fe80::1%eb0.7-x_y~z]:6", "[fe80::1%eb0.7-x_y~z]:6", "[fe80::1]:6"),
        ] {
            assert_eq!((told(text).0, told(text).1), (address.to_owned(), authority.to_owned()), "{text}");
        }
        assert!(matches!(parsed("fe80::1%0").address(), Ok(Address::Inet(_))));
        assert!(matches!(parsed("fe80::1%eth0").address(), Ok(Address::Unresolved { port: 443, .. })));
    }

    /// [NAME-5]
    #[test]
    fn escapes_are_decoded_before_anything_else_and_invalid_ones_stay() {
        assert_eq!(told("foo%2ebar%3a80").1, "foo.bar:80");
        assert_eq!(told("%5b::1%5d:80").1, "[::1]:80");
        for text in ["a%zz", "a%2", "a%ff"] {
            assert!(HostPort::parse(text).expect_err(text).what.contains("has '%' in the host name"), "{text}");
        }
    }

    /// [NAME-9], [NAME-10], [NAME-32]
    #[test]
    fn what_is_wrong_is_said_of_the_part_that_is_wrong() {
        for (text, said) in [
            ("", "has no host"),
            (":80", "has no host"),
            ("[]:80", "not an IPv6 address"),
            ("[::1", "'[' without a ']'"),
            ("[localhost]:80", "not an IPv6 address; write \"host:port\""),
            ("[::1]80", "has \"80\" after the ']'"),
            ("host:", "has the port \"\"; a port is 1 to 65535"),
            ("host:0", "has the port \"0\"; a port is 1 to 65535"),
            ("host:65536", "has the port \"65536\""),
            ("host:+80", "has the port \"+80\""),
            ("host:grpc", "has the port \"grpc\""),
            ("[::1]:x", "has the port \"x\""),
            ("a:b:c", "has \"a:b:c\", which is not an IPv6 address; write \"host:port\""),
            ("1.2.3.4%eth0", "has '%' in the host name"),
            ("fe80::1%", "has the zone \"\""),
            ("fe80::1%a/b", "has the zone \"a/b\""),
            ("fe80::1%99999999999", "has the zone \"99999999999\""),
            ("fe80::1%sixteen-letters-", "has the zone"),
            ("local host", "has ' ' in the host name \"local host\""),
            ("a/b", "has '/' in the host name"),
            ("user@host", "has '@' in the host name"),
            ("b\u{fc}cher.example:80", "write such a name in its ASCII form, which begins with \"xn--\""),
        ] {
            let refusal = HostPort::parse(text).expect_err(text);
            assert!(refusal.what.contains(said), "{text} {}", refusal.what);
        }
    }
}
