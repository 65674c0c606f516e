//! Channel credentials: plaintext, or TLS with roots and perhaps a client certificate.

use std::fmt;
use std::sync::Arc;

use rustls::ClientConfig;

use super::tls;
use crate::error::Error;

/// How a channel's connections are secured. Cheap to clone; may be used by many channels.
#[derive(Clone)]
pub struct Credentials {
    tls: Option<Tls>,
}

/// What a TLS handshake needs.
#[derive(Clone)]
pub(crate) struct Tls {
    pub(crate) config: Arc<ClientConfig>,
    pub(crate) server_name: Option<String>,
}

/// The certificate authorities a server's certificate is checked against.
#[derive(Clone, Debug, Default)]
pub enum Roots {
    /// The operating system's; `GRPC_DEFAULT_SSL_ROOTS_FILE_PATH`, else `SSL_CERT_FILE` and `SSL_CERT_DIR`, replace them.
    #[default]
    System,
    /// Mozilla's, built into this library.
    Bundled,
    /// These, as PEM.
    Pem(Vec<u8>),
}

/// TLS settings.
#[derive(Clone)]
pub struct TlsOptions {
    /// Whom to trust. Default: the system's roots.
    pub roots: Roots,
    /// The client's certificate chain as PEM, leaf first; needs `key_pem`.
    pub certificate_pem: Option<Vec<u8>>,
    /// The client's private key as PEM (PKCS#8, PKCS#1 or SEC1); needs `certificate_pem`.
    pub key_pem: Option<Vec<u8>>,
    /// The name to ask for and to check, instead of the authority's host.
    pub server_name: Option<String>,
    /// Whether the server's certificate is checked at all. Anything but `true` makes the connection worthless against an attacker.
    pub verify: bool,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self { roots: Roots::System, certificate_pem: None, key_pem: None, server_name: None, verify: true }
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
        let config = Arc::new(tls::config(&options)?);
        Ok(Self { tls: Some(Tls { config, server_name: options.server_name }) })
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

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_secure() { "Credentials(TLS)" } else { "Credentials(insecure)" })
    }
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Key material stays out of logs.
        f.debug_struct("TlsOptions")
            .field("server_name", &self.server_name)
            .field("verify", &self.verify)
            .finish_non_exhaustive()
    }
}
