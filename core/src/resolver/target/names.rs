//! Names: `dns:`, whose names the resolver asks for, and `passthrough:`, whose names the system looks up when they are dialed.

use super::host::HostPort;
use super::uri::Uri;
use super::{Endpoint, Refusal, Target};
use crate::address::Address;

/// `dns:[//server/]host[:port]` without the server. The system's resolver cannot be told one.
pub(super) fn without_server<'a>(uri: &Uri<'a>) -> Result<&'a str, Refusal> {
    let server = match uri.authority {
        None | Some("") => return uri.endpoint("dns"),
        Some(server) => server,
    };
    if uri.has_path() {
        return Err(Refusal::from(format!(
            "names the DNS server {server:?}; the system's resolver cannot be told one, leave it out: \"dns:///host:port\""
        )));
    }
    Err(Refusal::from(format!("has no name after \"//{server}\"; write \"dns:///{server}\"")))
}

pub(super) fn dns(name: &str) -> Result<Target, Refusal> {
    let parsed = HostPort::parse(name)?;
    let endpoint = match parsed.address() {
        // [NAME-48]
        Ok(address) => Endpoint::Fixed(vec![address]),
        Err(name) => Endpoint::Name { host: name.to_owned(), port: parsed.port() },
    };
    Ok(Target { canonical: format!("dns:{name}"), authority: parsed.authority(), endpoint })
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
        let target = dns("example.com:1").expect("a name");
        assert_eq!((target.canonical.as_str(), target.authority.as_str()), ("dns:example.com:1", "example.com:1"));
        assert_eq!(target.endpoint, Endpoint::Name { host: "example.com".into(), port: 1 });
        let target = dns("[::1]:1").expect("an address");
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

    #[test]
    fn a_dns_server_cannot_be_told() {
        let refusal = |text| without_server(&Uri::split(text).expect("a scheme")).expect_err(text).what;
        assert!(refusal("dns://8.8.8.8/localhost:80").contains("names the DNS server \"8.8.8.8\""));
        assert!(refusal("dns://8.8.8.8:53/localhost:80").contains("leave it out: \"dns:///host:port\""));
        assert!(
            refusal("dns://localhost:80").contains("no name after \"//localhost:80\"; write \"dns:///localhost:80\"")
        );
    }
}
