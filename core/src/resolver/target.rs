//! Target strings, as `dns:///host:port` or `unix:path` ([NAME-1] to [NAME-10], [NAME-20] to [NAME-24]). Pure.
//!
//! A text is taken apart as a URI (`uri.rs`), and what its scheme is followed by is read by the scheme's own rules: names (`names.rs`), lists of
//! addresses (`literals.rs`), sockets of this machine (`local.rs`). A text that is refused is shown with what is wrong with it and with what would be
//! right.

pub(super) mod host;
mod literals;
mod local;
mod names;
pub(super) mod uri;

use std::net::SocketAddr;
use std::sync::Arc;

use super::host::{ResolverFactory, ResolverTarget};
use super::hosted::Hosted;
use crate::address::Address;
use crate::error::{Error, ErrorKind};
use crate::resolver::proxy::Proxied;
use uri::Uri;
pub(super) use uri::is_scheme;

/// A target taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// `scheme:rest`, the form peers print. It is a target itself, and means the same.
    pub(crate) canonical: String,
    /// What `:authority` is unless an option says otherwise ([NAME-31], [NAME-33]).
    pub(crate) authority: String,
    pub(crate) endpoint: Endpoint,
}

/// What is to be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// Addresses that stay as they are; nothing to resolve ([NAME-21]).
    Fixed(Vec<Address>),
    /// What lies behind a proxy whose name is to be resolved. No text says so: the channel's settings do.
    Proxied(Proxied),
    /// A name to look up.
    Name {
        /// Without brackets.
        host: String,
        port: u16,
        /// The DNS server to ask, if the target names one.
        server: Option<SocketAddr>,
    },
    /// For a resolver of the host's own.
    OfHost(Arc<Hosted>),
}

/// The schemes there are ([NAME-24]).
const SCHEMES: &str = "dns:, ipv4:, ipv6:, unix:, unix-abstract:, vsock: and passthrough:";

/// Whether the scheme, which is in lower case, is one of them.
pub(super) fn is_built_in(scheme: &str) -> bool {
    matches!(scheme, "dns" | "ipv4" | "ipv6" | "unix" | "unix-abstract" | "vsock" | "passthrough")
}

/// A resolver of the host's own for the scheme, which is in lower case.
pub(crate) type Find<'a> = &'a dyn Fn(&str) -> Option<Arc<dyn ResolverFactory>>;

impl Target {
    /// Parses a target. Schemes that are not ours are looked for with `find`.
    ///
    /// # Errors
    /// [`ErrorKind::BadTarget`] with the target, what is wrong with it, and what would be right; [`ErrorKind::Unsupported`] for a socket this
    /// system does not have.
    pub(crate) fn parse(text: &str, find: Find<'_>) -> Result<Self, Error> {
        read(text, find).map_err(|refusal| refusal.of("target", text))
    }

    /// Parses what stands for one address in a target, or a name that the system looks up when it is dialed.
    ///
    /// # Errors
    /// As [`Target::parse`].
    pub(crate) fn parse_address(text: &str) -> Result<Address, Error> {
        let one = |target: Self| match target.endpoint {
            Endpoint::Name { server: Some(_), .. } => {
                Err(Refusal::from("names a DNS server, which is for a target; leave it out"))
            }
            Endpoint::Name { host, port, server: None } => Ok(Address::Unresolved { host: host.into(), port }),
            Endpoint::Fixed(addresses) => match <[Address; 1]>::try_from(addresses) {
                Ok([address]) => Ok(address),
                Err(_) => Err(Refusal::from("lists several; write each by itself")),
            },
            Endpoint::Proxied(_) | Endpoint::OfHost(_) => {
                Err(Refusal::from("has to be resolved itself; write what it stands for"))
            }
        };
        read(text, &|_| None).and_then(one).map_err(|refusal| refusal.of("address", text))
    }

    /// Whether its scheme is one of those whose servers a proxy may be asked for ([CONN-174]).
    pub(super) fn may_be_proxied(&self) -> bool {
        ["dns:", "ipv4:", "ipv6:"].iter().any(|scheme| self.canonical.starts_with(scheme))
    }
}

fn read(text: &str, find: Find<'_>) -> Result<Target, Refusal> {
    if text.is_empty() {
        return Err("is empty; give for example \"localhost:50051\"".into());
    }
    let whole = uri::without_query(text)?;
    let Some(uri) = Uri::split(whole) else {
        return names::dns(None, whole);
    };
    match uri.scheme.to_ascii_lowercase().as_str() {
        "dns" => names::of_uri(&uri),
        "passthrough" => names::passthrough(uri.endpoint("passthrough")?),
        "ipv4" => literals::ipv4(uri.endpoint("ipv4")?),
        "ipv6" => literals::ipv6(uri.endpoint("ipv6")?),
        "unix" => local::unix(uri.path("unix")?),
        "unix-abstract" => local::unix_abstract(uri.path("unix-abstract")?),
        "vsock" => local::vsock(uri.endpoint("vsock")?),
        other => match find(other) {
            Some(factory) => of_host(text, &uri, factory),
            None if uri.authority.is_some() => Err(Refusal::from(format!(
                "has the unknown scheme {other:?}; this build knows {SCHEMES}; a name needs none, write \"host:port\""
            ))),
            // [NAME-2]: `localhost:50051` is a name and a port, not a scheme.
            None => names::dns(None, whole),
        },
    }
}

fn of_host(text: &str, uri: &Uri<'_>, factory: Arc<dyn ResolverFactory>) -> Result<Target, Refusal> {
    let target = ResolverTarget::new(text, uri)?;
    let authority = factory.default_authority(&target);
    let endpoint = Endpoint::OfHost(Arc::new(Hosted { target, factory }));
    Ok(Target { canonical: text.to_owned(), authority, endpoint })
}

/// What is wrong with a target, and what would be right; the target itself is said before it.
#[derive(Debug)]
pub(super) struct Refusal {
    kind: ErrorKind,
    what: String,
}

impl Refusal {
    fn of(self, what: &str, text: &str) -> Error {
        Error::new(self.kind, format!("{what} {text:?} {}", self.what))
    }

    fn unsupported(what: String) -> Self {
        Self { kind: ErrorKind::Unsupported, what }
    }
}

impl From<String> for Refusal {
    fn from(what: String) -> Self {
        Self { kind: ErrorKind::BadTarget, what }
    }
}

impl From<&str> for Refusal {
    fn from(what: &str) -> Self {
        Self::from(what.to_owned())
    }
}

#[cfg(test)]
mod tests;
