//! Target strings: `host:port`, `dns:`, `ipv4:`, `ipv6:`, `unix:` ([NAME-1] to [NAME-24]). Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::PathBuf;

use crate::address::Address;
use crate::error::{Error, ErrorKind};
use crate::percent;

/// A target taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// `scheme:rest`, the form peers print.
    pub(crate) canonical: String,
    /// What `:authority` is unless an option says otherwise ([NAME-31], [NAME-33]).
    pub(crate) authority: String,
    pub(crate) endpoint: Endpoint,
}

/// What is to be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Literal addresses; nothing to resolve ([NAME-21]).
    Fixed(Vec<Address>),
    /// A name for the system's resolver.
    Name {
        /// Without brackets.
        host: String,
        port: u16,
    },
}

/// What `host` without a port means ([NAME-8]).
const DEFAULT_PORT: u16 = 443;

/// A unix socket's path must fit `sun_path` with its final NUL.
const MAX_UNIX_PATH: usize = 107;

const SCHEMES: &str = "dns:, ipv4:, ipv6: and unix:";

impl Target {
    /// Parses a target.
    ///
    /// # Errors
    /// [`ErrorKind::BadTarget`] with the target, what is wrong with it, and what would be right.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(bad(text, "is empty; give for example \"localhost:50051\""));
        }
        let Some((scheme, rest)) = split_scheme(text) else {
            return dns(text, text);
        };
        match scheme.to_ascii_lowercase().as_str() {
            "dns" => dns(text, without_authority(text, rest)?),
            "ipv4" => literals(text, "ipv4", rest, parse_ipv4),
            "ipv6" => literals(text, "ipv6", rest, parse_ipv6),
            "unix" => unix(text, rest),
            unknown if rest.starts_with("//") => {
                Err(bad(text, &format!("has the unknown scheme {unknown:?}; this build knows {SCHEMES}")))
            }
            // [NAME-2]: `localhost:50051` is a name and a port, not a scheme.
            _ => dns(text, text),
        }
    }
}

fn bad(text: &str, what: &str) -> Error {
    Error::new(ErrorKind::BadTarget, format!("target {text:?} {what}"))
}

/// [NAME-1]
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    let mut bytes = scheme.bytes();
    let valid = bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    valid.then_some((scheme, rest))
}

/// `//authority/path` or `path`; an authority names a DNS server, which the system's resolver cannot be told.
fn without_authority<'a>(text: &str, rest: &'a str) -> Result<&'a str, Error> {
    let Some(after_slashes) = rest.strip_prefix("//") else {
        return Ok(rest.strip_prefix('/').unwrap_or(rest));
    };
    match after_slashes.split_once('/') {
        Some(("", path)) => Ok(path),
        Some((server, _)) => Err(bad(
            text,
            &format!(
                "names the DNS server {server:?}; the system's resolver cannot be told one, leave it out: \"dns:///host:port\""
            ),
        )),
        None => Err(bad(text, "has no name after \"//\"; write \"dns:///host:port\"")),
    }
}

fn dns(text: &str, name: &str) -> Result<Target, Error> {
    let parts = split_host_port(text, name)?;
    let host = percent_decode(parts.host);
    let authority = authority(&host, parts.port);
    let port = parts.port.unwrap_or(DEFAULT_PORT);
    let endpoint = match host.parse::<IpAddr>() {
        // [NAME-48]
        Ok(ip) => Endpoint::Fixed(vec![Address::Inet(SocketAddr::new(ip, port))]),
        Err(_) if !is_host_name(&host) => return Err(bad(text, "has a character that no host name has")),
        Err(_) => Endpoint::Name { host, port },
    };
    Ok(Target { canonical: format!("dns:{name}"), authority, endpoint })
}

/// `:authority`: the port only if one was given ([NAME-31]), IPv6 in brackets, without a zone, which means nothing elsewhere.
fn authority(host: &str, port: Option<u16>) -> String {
    let is_ipv6 = host.contains(':');
    let host = if is_ipv6 { format!("[{}]", host.split('%').next().unwrap_or(host)) } else { host.to_owned() };
    match port {
        Some(port) => format!("{host}:{port}"),
        None => host,
    }
}

fn is_host_name(host: &str) -> bool {
    host.chars().all(|character| {
        !character.is_ascii() || character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.' | '%' | ':')
    })
}

fn literals(text: &str, scheme: &str, rest: &str, parse: fn(&str) -> Option<IpAndZone>) -> Result<Target, Error> {
    let list = match rest.strip_prefix("//") {
        Some(path) => path
            .strip_prefix('/')
            .ok_or_else(|| bad(text, &format!("has an authority; write \"{scheme}:\" and the addresses")))?,
        None => rest.strip_prefix('/').unwrap_or(rest),
    };
    let mut addresses = Vec::new();
    let mut first_authority = None;
    for item in list.split(',').filter(|item| !item.is_empty()) {
        let HostPort { host, port } = split_host_port(text, item)?;
        let address =
            parse(host).ok_or_else(|| bad(text, &format!("has {host:?}, which is not an {scheme} address")))?;
        // [NAME-33]
        first_authority.get_or_insert_with(|| authority(&percent_decode(host), port));
        addresses.push(Address::Inet(address.with_port(port.unwrap_or(DEFAULT_PORT))));
    }
    let authority = first_authority.ok_or_else(|| bad(text, "lists no address"))?;
    addresses.shrink_to_fit();
    Ok(Target { canonical: format!("{scheme}:{list}"), authority, endpoint: Endpoint::Fixed(addresses) })
}

struct IpAndZone {
    ip: IpAddr,
    zone: u32,
}

impl IpAndZone {
    fn with_port(&self, port: u16) -> SocketAddr {
        match self.ip {
            IpAddr::V4(ip) => SocketAddr::from((ip, port)),
            IpAddr::V6(ip) => SocketAddr::V6(SocketAddrV6::new(ip, port, 0, self.zone)),
        }
    }
}

fn parse_ipv4(host: &str) -> Option<IpAndZone> {
    host.parse::<Ipv4Addr>().ok().map(|ip| IpAndZone { ip: IpAddr::V4(ip), zone: 0 })
}

/// [NAME-10]: a zone is kept, as a number; interface names need the system and are resolved with `dns:`.
fn parse_ipv6(host: &str) -> Option<IpAndZone> {
    let decoded = percent_decode(host);
    let (ip, zone) = match decoded.split_once('%') {
        Some((ip, zone)) => (ip, zone.parse().ok()?),
        None => (decoded.as_str(), 0),
    };
    ip.parse::<Ipv6Addr>().ok().map(|ip| IpAndZone { ip: IpAddr::V6(ip), zone })
}

fn unix(text: &str, rest: &str) -> Result<Target, Error> {
    // [NAME-22]: three slashes are an absolute path, two would be a host.
    let path = match rest.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => {
            return Err(bad(text, "has an authority; write \"unix:path\" or \"unix:///absolute/path\""));
        }
        None => rest,
    };
    let decoded = percent_decode(path);
    if decoded.is_empty() {
        return Err(bad(text, "has no path after \"unix:\""));
    }
    if decoded.len() > MAX_UNIX_PATH {
        return Err(bad(
            text,
            &format!("has a path of {} bytes; a unix socket's path has at most {MAX_UNIX_PATH}", decoded.len()),
        ));
    }
    Ok(Target {
        canonical: format!("unix:{path}"),
        // [NAME-33]
        authority: "localhost".to_owned(),
        endpoint: Endpoint::Fixed(vec![Address::Unix(PathBuf::from(decoded))]),
    })
}

struct HostPort<'a> {
    /// Without brackets.
    host: &'a str,
    /// If one was given.
    port: Option<u16>,
}

/// Naming digest §1.1: brackets hold a host with colons; exactly one colon parts host and port; otherwise all is host.
fn split_host_port<'a>(text: &str, name: &'a str) -> Result<HostPort<'a>, Error> {
    let (host, port) = if let Some(bracketed) = name.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']').ok_or_else(|| bad(text, "has a '[' without a ']'"))?;
        if !host.contains(':') {
            return Err(bad(text, "has brackets around something that is not an IPv6 address"));
        }
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err(bad(text, "has something other than ':port' after the ']'")),
        }
    } else {
        match name.split_once(':') {
            Some((host, port)) if !port.contains(':') => (host, Some(port)),
            _ => (name, None),
        }
    };
    if host.is_empty() {
        return Err(bad(text, "has no host"));
    }
    let port = port.map(|port| parse_port(text, port)).transpose()?;
    Ok(HostPort { host, port })
}

/// [NAME-9]
fn parse_port(text: &str, port: &str) -> Result<u16, Error> {
    match port {
        "http" => Ok(80),
        "https" => Ok(443),
        _ => match port.parse::<u16>() {
            Ok(number) if number > 0 && port.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
            _ => Err(bad(text, &format!("has the port {port:?}; a port is 1 to 65535"))),
        },
    }
}

/// [NAME-5]: an escape that would not be UTF-8 stays as it is too.
fn percent_decode(text: &str) -> String {
    String::from_utf8(percent::decode(text.as_bytes())).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests;
