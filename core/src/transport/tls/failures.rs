//! Why a handshake failed, in words that say whose certificate is meant and what can be done; the TLS library's own are for
//! programmers who use it.

use std::io;
use std::time::Duration;

use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, PeerIncompatible};

use crate::policy::expiry::length;

/// [WIRE-3]
pub(in crate::transport) const NO_HTTP_2: &str = "the server did not agree on HTTP/2 (ALPN \"h2\")";

/// The words for a connection that cannot be read or written any more.
pub(in crate::transport) fn words_of(cause: &io::Error) -> String {
    match of_tls(cause) {
        Some(cause) => words(cause),
        // The TLS library explains an end without close_notify with a link to its manual; users of gRPC need the fact alone.
        None if cause.kind() == io::ErrorKind::UnexpectedEof => "closed by the server in the middle".into(),
        None => cause.to_string(),
    }
}

/// Whether the server gave the connection up by an alert of TLS.
pub(in crate::transport) fn is_alert(cause: &io::Error) -> bool {
    matches!(of_tls(cause), Some(Error::AlertReceived(_)))
}

fn of_tls(cause: &io::Error) -> Option<&Error> {
    cause.get_ref()?.downcast_ref()
}

/// The words for a failed handshake.
pub(in crate::transport) fn words_of_handshake(cause: &io::Error) -> String {
    match of_tls(cause) {
        // As a plaintext server's first bytes look.
        Some(Error::InvalidMessage(InvalidMessage::InvalidContentType | InvalidMessage::MessageTooLarge)) => {
            "the server's answer is not TLS; if it is a plaintext server, use insecure credentials".into()
        }
        Some(cause) => words(cause),
        None if cause.kind() == io::ErrorKind::UnexpectedEof => "the server closed the connection".into(),
        None => cause.to_string(),
    }
}

fn words(cause: &Error) -> String {
    match cause {
        Error::InvalidCertificate(cause) => of_certificate(cause),
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::PeerIncompatible(cause) => of_incompatible(cause),
        Error::NoApplicationProtocol => NO_HTTP_2.into(),
        other => other.to_string(),
    }
}

fn of_certificate(cause: &CertificateError) -> String {
    use CertificateError::{
        BadSignature, Expired, ExpiredContext, InvalidPurpose, InvalidPurposeContext, NotValidForName,
        NotValidForNameContext, NotValidYet, NotValidYetContext, UnknownIssuer,
    };
    match cause {
        Expired => "the server's certificate has expired".into(),
        ExpiredContext { time, not_after } => {
            format!("the server's certificate expired {} ago", between(*not_after, *time))
        }
        NotValidYet => "the server's certificate is not valid yet; is this machine's clock right?".into(),
        NotValidYetContext { time, not_before } => {
            let wait = between(*time, *not_before);
            format!("the server's certificate is valid in {wait} only; is this machine's clock right?")
        }
        UnknownIssuer => {
            "the server's certificate is signed by nobody who is trusted (UnknownIssuer); trust its root, or have the server send its whole chain".into()
        }
        BadSignature => {
            "the server's certificate is not signed by who it says (BadSignature); a root that is trusted may have the same name and another key".into()
        }
        NotValidForName => "the server's certificate is for another name".into(),
        NotValidForNameContext { expected, presented } => {
            let names: Vec<_> = presented.iter().map(|name| bare(name)).collect();
            let names = if names.is_empty() { "no name".to_owned() } else { names.join(", ") };
            format!("the server's certificate is not for {:?}; it is for {names}", expected.to_str())
        }
        InvalidPurpose | InvalidPurposeContext { .. } => "the server's certificate is not meant for servers".into(),
        other => format!("the server's certificate cannot be used: {other}"),
    }
}

/// The name in `DnsName("a.test")`, in quotes.
fn bare(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    format!("{:?}", inner.unwrap_or(name).trim_matches('"'))
}

fn of_alert(alert: AlertDescription) -> String {
    use AlertDescription as Alert;
    let refused = |why: &str| format!("the server refused the client's certificate: {why} (alert {alert:?})");
    match alert {
        Alert::CertificateRequired | Alert::NoCertificate => {
            format!(
                "the server asks for a client certificate, and none was given; give the credentials one (alert {alert:?})"
            )
        }
        Alert::CertificateExpired => refused("it has expired"),
        Alert::CertificateRevoked => refused("it was revoked"),
        Alert::UnknownCA => refused("it does not trust whoever signed it"),
        Alert::DecryptError => refused("it is not signed by who it says, for the server"),
        Alert::BadCertificate | Alert::CertificateUnknown => refused("it does not say why"),
        Alert::UnsupportedCertificate => refused("it is of a kind the server does not take"),
        Alert::AccessDenied => format!("the server lets this client not in (alert {alert:?})"),
        Alert::ProtocolVersion => {
            format!("the server speaks none of the versions of TLS that this side does (alert {alert:?})")
        }
        Alert::HandshakeFailure | Alert::InsufficientSecurity => {
            format!(
                "the server found nothing in common with this side, or wants a client certificate (alert {alert:?})"
            )
        }
        Alert::NoApplicationProtocol => format!("{NO_HTTP_2} (alert {alert:?})"),
        Alert::UnrecognisedName => format!("the server does not know the name it was asked for (alert {alert:?})"),
        other => format!("the server broke off (alert {other:?})"),
    }
}

fn of_incompatible(cause: &PeerIncompatible) -> String {
    use PeerIncompatible::{ServerDoesNotSupportTls12Or13, ServerTlsVersionIsDisabledByOurConfig};
    match cause {
        ServerDoesNotSupportTls12Or13 => "the server speaks neither TLS 1.2 nor 1.3".into(),
        ServerTlsVersionIsDisabledByOurConfig => {
            "the server speaks an older version of TLS than the oldest that is allowed here".into()
        }
        other => format!("the server and this side have too little in common: {other:?}"),
    }
}

fn between(earlier: UnixTime, later: UnixTime) -> String {
    length(Duration::from_secs(later.as_secs().saturating_sub(earlier.as_secs())))
}
