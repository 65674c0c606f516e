//! Channel credentials: plaintext, TLS with roots and perhaps a client certificate, or what stays on this machine; and what all calls show.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::pki_types::{InvalidDnsNameError, ServerName};

use super::call_credentials::CallCredentials;
use super::tls::TlsOptions;
use super::tls::source::Source;
use crate::address::Address;
use crate::error::{Error, ErrorKind};

/// How a channel's connections are secured. Cheap to clone; may be used by many channels.
#[derive(Clone)]
pub struct Credentials {
    tls: Option<Tls>,
    local: Option<LocalConnection>,
    of_calls: Option<CallCredentials>,
}

/// Connections that stay on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalConnection {
    /// TCP over the loopback interface.
    Tcp,
    /// Unix sockets, those in Linux's abstract namespace too.
    Uds,
}

impl LocalConnection {
    /// Whether the socket to this address, which starts at `from`, is one. What starts at the loopback interface ends there.
    ///
    /// # Errors
    /// It is not, in words.
    pub(super) fn check(self, to: &Address, from: Option<SocketAddr>) -> Result<(), String> {
        let is_local = match (self, to) {
            (Self::Tcp, Address::Inet(_) | Address::Unresolved { .. }) => {
                from.is_some_and(|from| from.ip().to_canonical().is_loopback())
            }
            (Self::Uds, Address::Unix(_) | Address::UnixAbstract(_)) => true,
            _ => false,
        };
        if is_local {
            return Ok(());
        }
        let wanted = match self {
            Self::Tcp => "to a loopback address",
            Self::Uds => "to a unix socket",
        };
        Err(format!("local credentials are for connections {wanted}, and this is none"))
    }
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
        Self { tls: None, local: None, of_calls: None }
    }

    /// Plaintext over connections of this kind alone, which nobody outside this machine can read: call credentials are sent. Connections to
    /// anywhere else fail.
    #[must_use]
    pub fn local(kind: LocalConnection) -> Self {
        Self { local: Some(kind), ..Self::insecure() }
    }

    /// TLS 1.2 or newer, ALPN `h2` ([WIRE-2], [WIRE-3]). Reads from disk what is in files, and the system's roots when they are asked for.
    ///
    /// # Errors
    /// [`ErrorKind::Credentials`](crate::ErrorKind::Credentials) naming the field that cannot be used, never its content.
    pub fn tls(options: TlsOptions) -> Result<Self, Error> {
        let source = Arc::new(Source::new(&options)?);
        let tls = Tls { source, server_name: options.server_name, is_verified: options.verify };
        Ok(Self { tls: Some(tls), ..Self::insecure() })
    }

    /// The same, and every call on the channel shows these, behind those it shows already.
    ///
    /// # Errors
    /// [`ErrorKind::Credentials`]: these are insecure, and would show them to everybody.
    pub fn with_call_credentials(self, of_calls: CallCredentials) -> Result<Self, Error> {
        if !self.carries_call_credentials() {
            let text = "call credentials are sent over secure connections alone; combine them with TLS credentials";
            return Err(Error::new(ErrorKind::Credentials, text));
        }
        let all = CallCredentials::combined(self.of_calls.into_iter().chain([of_calls]));
        Ok(Self { of_calls: Some(all), ..self })
    }

    /// Whether connections are secure enough for call credentials: encrypted, or local.
    #[must_use]
    pub fn carries_call_credentials(&self) -> bool {
        self.is_secure() || self.local.is_some()
    }

    /// Whether connections are encrypted.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.tls.is_some()
    }

    pub(crate) fn as_local(&self) -> Option<LocalConnection> {
        self.local
    }

    pub(crate) fn of_calls(&self) -> Option<&CallCredentials> {
        self.of_calls.as_ref()
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
        f.write_str(match (&self.tls, self.local) {
            (Some(_), _) => "Credentials(TLS)",
            (None, Some(LocalConnection::Tcp)) => "Credentials(local TCP)",
            (None, Some(LocalConnection::Uds)) => "Credentials(local UDS)",
            (None, None) => "Credentials(insecure)",
        })
    }
}
