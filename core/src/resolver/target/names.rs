//! Names: `dns:`, whose names the resolver asks for, of the server that is named if one is, and `passthrough:`, whose names the system
//! looks up when they are dialed.

use std::net::SocketAddr;

use super::host::{Host, HostPort};
use super::uri::Uri;
use super::{Endpoint, Refusal, Target};
use crate::address::Address;
use crate::runtime::ASKS_SERVERS;

/// DNS's port (RFC 1035 §4.2).
const DNS_PORT: u16 = 53;

/// `dns:[//server/]host[:port]`.
pub(super) fn of_uri(uri: &Uri<'_>) -> Result<Target, Refusal> {
    match uri.authority {
        None | Some("") => dns(None, uri.endpoint("dns")?),
        Some(server) if uri.has_path() => dns(Some(parse_server(server)?), uri.name()),
        Some(server) => Err(Refusal::from(format!("has no name after \"//{server}\"; write \"dns:///{server}\""))),
    }
}

/// The system's resolver cannot be told a server.
fn parse_server(text: &str) -> Result<SocketAddr, Refusal> {
    let wrong = || {
        Refusal::from(format!(
            "names the DNS server {text:?}; a server is an IP address, with a port if it is not 53: \"dns://10.0.0.53/host:port\""
        ))
    };
    let parsed = HostPort::parse(text).map_err(|_| wrong())?;
    let Host::Ip(ip) = parsed.host else { return Err(wrong()) };
    if !ASKS_SERVERS {
        return Err(Refusal::unsupported(format!(
            "names the DNS server {text:?}, which this build cannot ask; build linkspan-core with the feature \"hickory\", or leave \
             the server to the system: \"dns:///host:port\""
        )));
    }
    Ok(SocketAddr::new(ip, parsed.port_or(DNS_PORT)))
}

pub(super) fn dns(server: Option<SocketAddr>, name: &str) -> Result<Target, Refusal> {
    let parsed = HostPort::parse(name)?;
    let endpoint = match parsed.address() {
        // [NAME-48]
        Ok(address) => Endpoint::Fixed(vec![address]),
        Err(name) => Endpoint::Name { host: name.to_owned(), port: parsed.port(), server },
    };
    let canonical = match server {
        Some(server) => format!("dns://{server}/{name}"),
        None => format!("dns:{name}"),
    };
    Ok(Target { canonical, authority: parsed.authority(), endpoint })
}

pub(super) fn passthrough(name: &str) -> Result<Target, Refusal> {
    let parsed = HostPort::parse(name)?;
    let of_name = |name: &str| Address::Unresolved { host: name.into(), port: parsed.port() };
    let address = parsed.address().unwrap_or_else(of_name);
    Ok(Target {
        canonical: format!("passthrough:{name}"),
        authority: parsed.authority(),
        endpoint: Endpoint::Fixed(vec![address]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [NAME-31], [NAME-48]
    #[test]
    fn a_name_is_for_the_resolver_and_an_ip_address_is_not() {
        let target = dns(None, "example.com:1").expect("a name");
        assert_eq!((target.canonical.as_str(), target.authority.as_str()), ("dns:example.com:1", "example.com:1"));
        assert_eq!(target.endpoint, Endpoint::Name { host: "example.com".into(), port: 1, server: None });
        let target = dns(None, "[::1]:1").expect("an address");
        assert_eq!(target.endpoint, Endpoint::Fixed(vec![Address::Inet(([0, 0, 0, 0, 0, 0, 0, 1], 1).into())]));
    }

    /// [NAME-21], [NAME-24]
    #[test]
    fn a_name_that_is_passed_through_is_an_address_for_the_system_to_look_up() {
        let target = passthrough("example.com").expect("a name");
        assert_eq!((target.canonical.as_str(), target.authority.as_str()), ("passthrough:example.com", "example.com"));
        let wanted = Address::Unresolved { host: "example.com".into(), port: 443 };
        assert_eq!(target.endpoint, Endpoint::Fixed(vec![wanted]));
        let target = passthrough("127.0.0.1:1").expect("an address");
        assert_eq!(target.endpoint, Endpoint::Fixed(vec![Address::Inet(([127, 0, 0, 1], 1).into())]));
    }

    fn of(text: &str) -> Result<Target, Refusal> {
        of_uri(&Uri::split(text).expect("a scheme"))
    }

    #[test]
    fn a_dns_server_is_an_ip_address_before_a_name() {
        let refusal = |text| of(text).expect_err(text).what;
        assert!(
            refusal("dns://localhost:80").contains("no name after \"//localhost:80\"; write \"dns:///localhost:80\"")
        );
        for wrong in ["dns://server/localhost:80", "dns://fe80::1%1/localhost:80", "dns://1.1.1.1:0/localhost:80"] {
            assert!(refusal(wrong).contains("a server is an IP address, with a port if it is not 53"), "{wrong}");
        }
    }

    #[cfg(feature = "hickory")]
    #[test]
    fn a_dns_server_is_kept_with_its_port() {
        for (text, server) in [
            ("dns://8.8.8.8/localhost:80", "8.8.8.8:53"),
            ("dns://8.8.8.8:54/localhost:80", "8.8.8.8:54"),
            ("dns://[::1]/localhost:80", "[::1]:53"),
        ] {
            let target = of(text).expect(text);
            assert_eq!(target.canonical, format!("dns://{server}/localhost:80"));
            assert_eq!(target.authority, "localhost:80");
            let server = server.parse().ok();
            assert_eq!(target.endpoint, Endpoint::Name { host: "localhost".into(), port: 80, server });
        }
    }

    #[cfg(not(feature = "hickory"))]
    #[test]
    fn a_dns_server_is_refused_by_a_build_that_cannot_ask_it() {
        let refusal = of("dns://8.8.8.8:53/localhost:80").expect_err("no resolver for it");
        assert_eq!(refusal.kind, crate::error::ErrorKind::Unsupported);
        assert!(refusal.what.contains("the feature \"hickory\""), "{}", refusal.what);
    }
}
