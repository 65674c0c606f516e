//! Target strings, as `dns:///host:port` or `unix:path` ([NAME-1] to [NAME-10], [NAME-20] to [NAME-24]). Pure.
//!
//! A text is taken apart as a URI (`uri.rs`), and what its scheme is followed by is read by the scheme's own rules: names (`names.rs`), lists of
//! addresses (`literals.rs`), sockets of this machine (`local.rs`). A text that is refused is shown with what is wrong with it and with what would be
//! right.

mod host;
mod literals;
mod local;
mod names;
mod uri;

use crate::address::Address;
use crate::error::{Error, ErrorKind};
use uri::Uri;

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
    /// A name for the system's resolver.
    Name {
        /// Without brackets.
        host: String,
        port: u16,
    },
}

/// The schemes there are ([NAME-24]).
const SCHEMES: &str = "dns:, ipv4:, ipv6:, unix:, unix-abstract:, vsock: and passthrough:";

impl Target {
    /// Parses a target.
    ///
    /// # Errors
    /// [`ErrorKind::BadTarget`] with the target, what is wrong with it, and what would be right; [`ErrorKind::Unsupported`] for a socket this
    /// system does not have.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        read(text).map_err(|refusal| Error::new(refusal.kind, format!("target {text:?} {}", refusal.what)))
    }
}

fn read(text: &str) -> Result<Target, Refusal> {
    if text.is_empty() {
        return Err("is empty; give for example \"localhost:50051\"".into());
    }
    let whole = uri::without_query(text)?;
    let Some(uri) = Uri::split(whole) else {
        return names::dns(whole);
    };
    match uri.scheme.to_ascii_lowercase().as_str() {
        "dns" => names::dns(names::without_server(&uri)?),
        "passthrough" => names::passthrough(uri.endpoint("passthrough")?),
        "ipv4" => literals::ipv4(uri.endpoint("ipv4")?),
        "ipv6" => literals::ipv6(uri.endpoint("ipv6")?),
        "unix" => local::unix(uri.path("unix")?),
        "unix-abstract" => local::unix_abstract(uri.path("unix-abstract")?),
        "vsock" => local::vsock(uri.endpoint("vsock")?),
        unknown if uri.authority.is_some() => Err(Refusal::from(format!(
            "has the unknown scheme {unknown:?}; this build knows {SCHEMES}; a name needs none, write \"host:port\""
        ))),
        // [NAME-2]: `localhost:50051` is a name and a port, not a scheme.
        _ => names::dns(whole),
    }
}

/// What is wrong with a target, and what would be right; the target itself is said before it.
#[derive(Debug)]
struct Refusal {
    kind: ErrorKind,
    what: String,
}

impl Refusal {
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
