//! TLS settings, and what becomes of them.
//!
//! ```text
//! options ──▶ recipe ──▶ source ──▶ material: one rustls configuration
//!    files ──────┘          └── newer material, when the files say something else
//! ```

pub(super) mod failures;
mod material;
mod parts;
mod recipe;
pub(crate) mod source;
mod unverified;
mod validity;

use std::fmt;
use std::path::PathBuf;

/// The certificate authorities a server's certificate is checked against.
#[derive(Clone, Debug, Default)]
pub enum Roots {
    /// The operating system's; `GRPC_DEFAULT_SSL_ROOTS_FILE_PATH`, else `SSL_CERT_FILE` and `SSL_CERT_DIR`, replace them. Read once.
    #[default]
    System,
    /// Mozilla's, built into this library.
    Bundled,
    /// These, as PEM.
    Pem(Vec<u8>),
    /// Those in this file, as PEM. It is read again as `linkspan.tls_reload_interval_ms` says.
    File(PathBuf),
    /// All of these together.
    All(Vec<Self>),
}

/// The versions of TLS a connection may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2 or newer ([WIRE-3]).
    #[default]
    Tls12,
    /// 1.3 or newer.
    Tls13,
}

/// TLS settings.
///
/// What comes from files is read when the credentials are made, before each new connection, and as often as
/// `linkspan.tls_reload_interval_ms` says while a channel uses them. Connections made from then on use what was read; those there are
/// get successors first and then take no more calls. What cannot be used changes nothing, and is told as an event of each
/// channel and in the log. Files may be written in place or be replaced, links to them too: what is taken was read twice alike.
#[derive(Clone)]
pub struct TlsOptions {
    /// Whom to trust. Default: the system's roots.
    pub roots: Roots,
    /// The client's certificate chain as PEM, leaf first; needs a key.
    pub certificate_pem: Option<Vec<u8>>,
    /// A file with the same, instead.
    pub certificate_file: Option<PathBuf>,
    /// The client's private key as PEM (PKCS#8, PKCS#1 or SEC1); needs a certificate chain.
    pub key_pem: Option<Vec<u8>>,
    /// A file with the same, instead.
    pub key_file: Option<PathBuf>,
    /// The name to ask for and to check, instead of the authority's host.
    pub server_name: Option<String>,
    /// Whether the server's certificate is checked at all. Anything but `true` makes the connection worthless against an attacker.
    pub verify: bool,
    /// The oldest version of TLS to speak. Default: 1.2.
    pub min_version: TlsVersion,
    /// Whether the secrets of connections are appended to the file that the environment variable `SSLKEYLOGFILE` names, for tools that look into
    /// captured traffic. Whoever reads that file can read the connections. Default: `false`.
    pub key_log: bool,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self {
            roots: Roots::System,
            certificate_pem: None,
            certificate_file: None,
            key_pem: None,
            key_file: None,
            server_name: None,
            verify: true,
            min_version: TlsVersion::Tls12,
            key_log: false,
        }
    }
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Key material stays out of logs.
        f.debug_struct("TlsOptions")
            .field("server_name", &self.server_name)
            .field("verify", &self.verify)
            .field("min_version", &self.min_version)
            .finish_non_exhaustive()
    }
}
