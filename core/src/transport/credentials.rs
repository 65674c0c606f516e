//! Channel credentials: plaintext, or TLS with roots and perhaps a client certificate.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::pki_types::{InvalidDnsNameError, ServerName};

use super::tls::TlsOptions;
use super::tls::source::Source;
use crate::error::{Error, ErrorKind};

/// How a channel's connections are secured. Cheap to clone; may be used by many channels.
#[derive(Clone)]
pub struct Credentials {
    tls: Option<Tls>,
}

/// What a TLS handshake needs.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) source: Arc<Source>,
    pub(crate) server_name: Option<String>,
    /// Whether a server must show to be whom it is called.
    pub(super) is_verified: bool,
}

impl PartialEq for Tls {
    /// Whether they come from the same credentials.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.source, &other.source) && self.server_name == other.server_name
    }
}

impl Credentials {
    /// Plaintext HTTP/2 with prior knowledge ([WIRE-2]).
    #[must_use]
    pub fn insecure() -> Self {
        Self { tls: None }
    }

    /// TLS 1.2 or newer, ALPN `h2` ([WIRE-2], [WIRE-3]). Reads from disk what is in files, and the system's roots when they are asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Credentials`](crate::ErrorKind::Credentials) naming the field that cannot be used, never its content.
    pub fn tls(options: TlsOptions) -> Result<Self, Error> {
        let source = Arc::new(Source::new(&options)?);
        Ok(Self { tls: Some(Tls { source, server_name: options.server_name, is_verified: options.verify }) })
    }

    /// Whether connections are encrypted.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    pub(crate) fn as_tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }
}

/// Whether TLS can ask for this name.
///
/// # Errors
/// [`ErrorKind::BadOption`] naming it.
pub(crate) fn check_server_name(name: &str) -> Result<(), Error> {
    server_name(name).map(drop).map_err(|_| {
        let text =
            format!("TLS cannot ask for {name:?}, which is no host name; set \"grpc.ssl_target_name_override\" to one");
        Error::new(ErrorKind::BadOption, text)
    })
}

/// [NAME-35]: a name is asked for, an IP address only checked.
pub(super) fn server_name(name: &str) -> Result<ServerName<'static>, InvalidDnsNameError> {
    match name.parse::<IpAddr>() {
        Ok(ip) => Ok(ServerName::IpAddress(ip.into())),
        Err(_) => ServerName::try_from(name.to_owned()),
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_secure() { "Credentials(TLS)" } else { "Credentials(insecure)" })
    }
}
