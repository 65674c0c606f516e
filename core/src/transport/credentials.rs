//! Channel credentials: plaintext, or TLS with roots and perhaps a client certificate.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::{InvalidDnsNameError, ServerName};

use super::tls::{self, TlsOptions};
use crate::error::{Error, ErrorKind};
use crate::generation::PerProcess;

/// How a channel's connections are secured. Cheap to clone; may be used by many channels.
#[derive(Clone)]
pub struct Credentials {
    tls: Option<Tls>,
}

/// What a TLS handshake needs.
#[derive(Clone)]
pub(crate) struct Tls {
    /// Its sessions are for one process: they are behind a lock, and no ticket is to be used twice.
    config: Arc<PerProcess<Arc<ClientConfig>>>,
    pub(crate) server_name: Option<String>,
    /// Whether a server must show to be whom it is called.
    pub(super) is_verified: bool,
}

impl PartialEq for Tls {
    /// Whether they come from the same credentials.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.config, &other.config) && self.server_name == other.server_name
    }
}

impl Tls {
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        let renew = |parents: &Arc<ClientConfig>| {
            let mut config = ClientConfig::clone(parents);
            config.resumption = Resumption::default();
            Arc::new(config)
        };
        Arc::clone(self.config.get(renew))
    }
}

impl Credentials {
    /// Plaintext HTTP/2 with prior knowledge ([WIRE-2]).
    #[must_use]
    pub fn insecure() -> Self {
        Self { tls: None }
    }

    /// TLS 1.2 or newer, ALPN `h2` ([WIRE-2], [WIRE-3]). Reads the system's roots from disk when they are asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Credentials`](crate::ErrorKind::Credentials) naming the field that cannot be used, never its content.
    pub fn tls(options: TlsOptions) -> Result<Self, Error> {
        let config = Arc::new(PerProcess::new(Arc::new(tls::config(&options)?)));
        Ok(Self { tls: Some(Tls { config, server_name: options.server_name, is_verified: options.verify }) })
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
