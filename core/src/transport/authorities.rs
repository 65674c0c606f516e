//! Whether a server has shown to be whom a call names as its `:authority` ([NAME-34]).
//!
//! Only calls that name another one than their channel ask, and only under TLS. The certificate stays where the TLS library keeps it;
//! what a connection keeps are the verdicts on the hosts named last, so that calls to the same one read it once.

use std::cell::RefCell;
use std::rc::Weak;

use http::uri::Authority;
use rustls::client::verify_server_name;
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, Error};

use super::credentials::server_name;
use super::headers::host_of;
use crate::failure::Failure;

/// What may have been shown a certificate.
pub(super) trait Certified {
    /// The server's own, which its signers were asked for in the handshake.
    fn certificate(&self) -> Option<CertificateDer<'static>>;
}

/// The authorities that calls of one connection may name.
pub(super) struct Authorities {
    /// Not to be kept open for this.
    stream: Weak<dyn Certified>,
    /// Hosts, the one asked for first in front, and why the certificate is not for them.
    verdicts: RefCell<Vec<(Box<str>, Option<String>)>>,
}

/// As many verdicts are kept, so that what calls name cannot fill the memory. Most programs name one or two hosts.
const MOST_VERDICTS: usize = 4;

/// As many names of a certificate are told. Those of large services have hundreds.
const MOST_NAMES: usize = 8;

impl Authorities {
    pub(super) fn new(stream: Weak<dyn Certified>) -> Self {
        Self { stream, verdicts: RefCell::default() }
    }

    /// Whether a call may name this one, whatever its port, to the server at `address`.
    pub(super) fn check(&self, authority: &Authority, address: &str) -> Result<(), Failure> {
        let refused = |cause| Failure::AuthorityNotValid { authority: authority.to_string(), cause };
        let host = host(authority);
        let mut verdicts = self.verdicts.borrow_mut();
        let known = verdicts.iter().find(|(known, _)| known.eq_ignore_ascii_case(host));
        if let Some((_, verdict)) = known {
            return verdict.clone().map_or(Ok(()), |cause| Err(refused(cause)));
        }
        // Once the stream is gone, nothing can be sent on the connection.
        let Some(stream) = self.stream.upgrade() else { return Ok(()) };
        let verdict = verdict(stream.certificate(), host, address);
        if verdicts.len() == MOST_VERDICTS {
            verdicts.remove(0);
        }
        verdicts.push((host.into(), verdict.clone().err()));
        verdict.map_err(refused)
    }
}

/// What the certificate is to be for. Whoever puts a user before the host names no host.
fn host(authority: &Authority) -> &str {
    if authority.as_str().contains('@') { authority.as_str() } else { host_of(authority) }
}

fn verdict(certificate: Option<CertificateDer<'_>>, host: &str, address: &str) -> Result<(), String> {
    let name = server_name(host).map_err(|_| "no certificate is for what is no host name".to_owned())?;
    let certificate = certificate.ok_or_else(|| format!("{address} has shown no certificate"))?;
    let outcome = ParsedCertificate::try_from(&certificate).and_then(|parsed| verify_server_name(&parsed, &name));
    outcome.map_err(|cause| match cause {
        Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) => {
            format!("the certificate of {address} is for {}", listed(&presented))
        }
        cause => format!("the certificate of {address} cannot be checked: {cause}"),
    })
}

fn listed(presented: &[String]) -> String {
    let names: Vec<_> = presented.iter().filter_map(|name| plain(name)).collect();
    if names.is_empty() {
        return "no host name and no IP address".to_owned();
    }
    let told: Vec<_> = names.iter().take(MOST_NAMES).map(|name| format!("{name:?}")).collect();
    let told = told.join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

/// The TLS library tells names as it debugs them. Those of other kinds are never asked for.
fn plain(presented: &str) -> Option<&str> {
    let of_host = || presented.strip_prefix("DnsName(\"")?.strip_suffix("\")");
    let of_address = || presented.strip_prefix("IpAddress(")?.strip_suffix(')');
    of_host().or_else(of_address)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use rcgen::string::Ia5String;
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;
    use crate::failure::Dialect;
    use crate::status::Code;
    use crate::transport::headers::parse_authority;

    /// A stream that counts how often it was asked.
    struct Shown {
        certificate: Option<CertificateDer<'static>>,
        asked: Cell<u32>,
    }

    impl Certified for Shown {
        fn certificate(&self) -> Option<CertificateDer<'static>> {
            self.asked.set(self.asked.get() + 1);
            self.certificate.clone()
        }
    }

    fn signed(parameters: CertificateParams) -> Rc<Shown> {
        let certificate = parameters.self_signed(&KeyPair::generate().expect("a key")).expect("a certificate");
        Rc::new(Shown { certificate: Some(certificate.der().clone()), asked: Cell::new(0) })
    }

    fn certified(names: &[&str]) -> Rc<Shown> {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        signed(CertificateParams::new(names).expect("parameters"))
    }

    fn authorities(stream: &Rc<Shown>) -> Authorities {
        let stream: Weak<Shown> = Rc::downgrade(stream);
        Authorities::new(stream)
    }

    fn check(authorities: &Authorities, authority: &str) -> Result<(), String> {
        let checked = authorities.check(&parse_authority(authority).expect(authority), "1.2.3.4:5");
        checked.map_err(|failure| {
            assert_eq!(failure.code(), Code::Unavailable, "{failure:?}");
            failure.words(Dialect::Native)
        })
    }

    /// [NAME-34]
    #[test]
    fn an_authority_is_one_of_the_certificates_names_whatever_its_port() {
        let stream = certified(&["a.example", "*.b.example", "10.0.0.1", "::1"]);
        for authority in ["a.example", "A.Example:443", "x.b.example:1", "10.0.0.1", "10.0.0.1:1", "[::1]", "[::1]:5"] {
            assert_eq!(check(&authorities(&stream), authority), Ok(()), "{authority}");
        }
        for authority in
            ["example", "x.a.example", "b.example", "x.x.b.example", "10.0.0.2", "[::2]:5", "10.0.0.1.example"]
        {
            let text = check(&authorities(&stream), authority).expect_err(authority);
            let said = format!("failed to validate authority {authority:?}: the certificate of 1.2.3.4:5 is for ");
            assert!(text.starts_with(&said), "{text}");
        }
    }

    /// [NAME-34]
    #[test]
    fn the_refusal_tells_what_the_certificate_is_for_and_what_to_do() {
        let text = check(&authorities(&certified(&["a.example", "10.0.0.1"])), "other:1").expect_err("another");
        assert_eq!(
            text,
            "failed to validate authority \"other:1\": the certificate of 1.2.3.4:5 is for \"a.example\", \"10.0.0.1\"; give the \
             call an authority that the server's certificate is for, or none"
        );
        let names: Vec<_> = (1..=11).map(|number| format!("n{number}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let text = check(&authorities(&certified(&names)), "other").expect_err("another");
        assert!(text.contains("is for \"n1\", ") && text.contains("\"n8\" and 3 more; "), "{text}");

        let mut parameters = CertificateParams::default();
        parameters.subject_alt_names = vec![SanType::URI(Ia5String::try_from("spiffe://a/b").expect("ASCII"))];
        let text = check(&authorities(&signed(parameters)), "a").expect_err("no host");
        assert!(text.contains("is for no host name and no IP address; "), "{text}");
    }

    /// [NAME-34]
    #[test]
    fn what_is_no_name_or_cannot_be_checked_is_refused() {
        let stream = certified(&["a.example"]);
        for authority in ["user@a.example", "a..example", "a.example@b"] {
            let text = check(&authorities(&stream), authority).expect_err(authority);
            assert!(text.contains(": no certificate is for what is no host name; "), "{text}");
        }
        for (certificate, said) in [(None, "has shown no certificate; "), (Some(b"broken"), "cannot be checked: ")] {
            let certificate = certificate.map(|der| CertificateDer::from(der.to_vec()));
            let stream = Rc::new(Shown { certificate, asked: Cell::new(0) });
            let text = check(&authorities(&stream), "a.example").expect_err("cannot be checked");
            assert!(text.contains(said), "{text}");
        }
    }

    #[test]
    fn the_certificate_is_read_once_for_each_of_the_hosts_named_last() {
        let stream = certified(&["a", "b", "c", "d", "e"]);
        let authorities = authorities(&stream);
        let reads = |authority: &str| {
            let before = stream.asked.get();
            (check(&authorities, authority).is_ok(), stream.asked.get() - before)
        };
        assert_eq!([reads("a"), reads("a:1"), reads("A:2")], [(true, 1), (true, 0), (true, 0)]);
        assert_eq!([reads("wrong"), reads("wrong:1")], [(false, 1), (false, 0)]);
        assert_eq!([reads("b"), reads("c"), reads("a")], [(true, 1), (true, 1), (true, 0)]);
        assert_eq!([reads("d"), reads("wrong"), reads("a")], [(true, 1), (false, 0), (true, 1)]);
        assert_eq!(authorities.verdicts.borrow().len(), MOST_VERDICTS);
    }

    #[test]
    fn a_stream_that_is_gone_is_not_kept_for_its_certificate() {
        let stream = certified(&["a"]);
        let authorities = authorities(&stream);
        drop(stream);
        assert_eq!(check(&authorities, "other"), Ok(()), "the connection says that it is over");
    }
}
