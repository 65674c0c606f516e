//! TLS settings, and how PEM becomes a rustls configuration, with errors that name the field.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::error::{Error, ErrorKind};
use crate::runtime::environment;

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

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Key material stays out of logs.
        f.debug_struct("TlsOptions")
            .field("server_name", &self.server_name)
            .field("verify", &self.verify)
            .finish_non_exhaustive()
    }
}

pub(super) fn config(options: &TlsOptions) -> Result<ClientConfig, Error> {
    // Named explicitly: a process-wide default belongs to the host.
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|cause| bad(format!("TLS cannot be set up: {cause}")))?;
    let builder = if options.verify {
        let roots = Arc::new(roots(&options.roots)?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
            .build()
            .map_err(|cause| bad(format!("root certificates cannot be used: {cause}")))?;
        builder.dangerous().with_custom_certificate_verifier(verifier)
    } else {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
    };
    let mut config = match (&options.certificate_pem, &options.key_pem) {
        (None, None) => builder.with_no_client_auth(),
        (Some(certificate), Some(key)) => builder
            .with_client_auth_cert(certificates("certificate chain", certificate)?, private_key(key)?)
            .map_err(|cause| bad(format!("certificate chain and private key cannot be used together: {cause}")))?,
        (Some(_), None) => {
            return Err(bad("a certificate chain was given without a private key; give both or neither"));
        }
        (None, Some(_)) => {
            return Err(bad("a private key was given without a certificate chain; give both or neither"));
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

fn bad(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Credentials, text)
}

fn roots(roots: &Roots) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::Bundled => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Roots::Pem(pem) => {
            for certificate in certificates("root certificates", pem)? {
                store
                    .add(certificate)
                    .map_err(|cause| bad(format!("root certificates: one cannot be used: {cause}")))?;
            }
        }
        Roots::System => system_roots(&mut store)?,
    }
    Ok(store)
}

fn system_roots(store: &mut RootCertStore) -> Result<(), Error> {
    if let Some(path) = environment::roots_file() {
        let pem = std::fs::read(&path)
            .map_err(|cause| bad(format!("root certificates: {} cannot be read: {cause}", path.display())))?;
        // As for the system's own store, a certificate this library cannot use is passed over.
        store.add_parsable_certificates(certificates("root certificates", &pem)?);
        return Ok(());
    }
    let found = rustls_native_certs::load_native_certs();
    store.add_parsable_certificates(found.certs);
    if !store.is_empty() {
        return Ok(());
    }
    let causes: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
    let causes = if causes.is_empty() { "none found".to_owned() } else { causes.join("; ") };
    Err(bad(format!("the system has no root certificates ({causes}); install them, or give roots as PEM")))
}

fn certificates(field: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match parsed {
        Ok(certificates) if certificates.is_empty() => {
            Err(bad(format!("{field}: no certificate found; PEM with \"-----BEGIN CERTIFICATE-----\" is expected")))
        }
        Ok(certificates) => Ok(certificates),
        Err(_) => Err(bad(format!("{field}: not valid PEM"))),
    }
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| bad("private key: no usable key found; unencrypted PKCS#8, PKCS#1 or SEC1 PEM is expected"))
}

/// Accepts any certificate; signatures are still checked, so the peer at least holds the key it shows.
#[derive(Debug)]
struct Unverified(Arc<CryptoProvider>);

impl ServerCertVerifier for Unverified {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(options: &TlsOptions) -> String {
        let error = config(options).expect_err("must be refused");
        assert_eq!(error.kind(), ErrorKind::Credentials);
        error.message().to_owned()
    }

    fn bundled() -> TlsOptions {
        TlsOptions { roots: Roots::Bundled, ..TlsOptions::default() }
    }

    #[test]
    fn broken_pem_is_refused_by_field_and_never_shown() {
        let secret = b"-----BEGIN CERTIFICATE-----\nSECRET!\n-----END CERTIFICATE-----\n".to_vec();
        let text = refusal(&TlsOptions { roots: Roots::Pem(secret), ..TlsOptions::default() });
        assert!(text.starts_with("root certificates:"), "{text}");
        assert!(!text.contains("SECRET"), "{text}");
        let text = refusal(&TlsOptions { roots: Roots::Pem(b"nothing".to_vec()), ..TlsOptions::default() });
        assert!(text.contains("no certificate found"), "{text}");
    }

    #[test]
    fn certificate_and_key_come_together() {
        let (certificate, key) = (Some(b"x".to_vec()), Some(b"x".to_vec()));
        assert!(
            refusal(&TlsOptions { certificate_pem: certificate.clone(), ..bundled() })
                .contains("without a private key")
        );
        assert!(refusal(&TlsOptions { key_pem: key.clone(), ..bundled() }).contains("without a certificate chain"));
        assert!(
            refusal(&TlsOptions { certificate_pem: certificate, key_pem: key, ..bundled() })
                .starts_with("certificate chain:")
        );
    }

    #[test]
    fn a_key_that_is_not_the_certificates_is_refused() {
        let one = rcgen::generate_simple_self_signed(["one".to_owned()]).expect("certificate");
        let other = rcgen::KeyPair::generate().expect("key");
        let options = TlsOptions {
            certificate_pem: Some(one.cert.pem().into_bytes()),
            key_pem: Some(other.serialize_pem().into_bytes()),
            ..bundled()
        };
        assert!(refusal(&options).contains("cannot be used together"));
        let fitting = TlsOptions { key_pem: Some(one.signing_key.serialize_pem().into_bytes()), ..options };
        assert_eq!(config(&fitting).expect("fits").alpn_protocols, [b"h2".to_vec()]);
    }
}
