//! One rustls configuration, made of what the parts contain at one moment, and what is known about its age.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

use super::parts::{bad, certificates, private_key};
use super::recipe::Recipe;
use super::unverified::Unverified;
use super::validity::validity;
use crate::error::Error;
use crate::policy::expiry::Validity;

/// What the parts of a recipe contain, in its order.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Contents(Vec<Vec<u8>>);

impl Contents {
    /// Reads all parts. Blocks where they are in files.
    pub(super) fn read(recipe: &Recipe) -> Result<Self, Error> {
        recipe.parts().map(|part| part.read()).collect::<Result<_, _>>().map(Self)
    }
}

/// What a TLS handshake is made with.
pub(crate) struct Material {
    /// Has its own sessions: none is resumed that another certificate was shown in.
    pub(crate) config: Arc<ClientConfig>,
    pub(super) contents: Contents,
    /// Counts from 1 in each credentials object.
    pub(crate) version: u64,
    /// Of the client's certificate, or the one above it in its chain that expires first.
    pub(crate) certificate: Option<Validity>,
    /// Of the root that expires last, of those that were given.
    pub(crate) roots: Option<Validity>,
}

impl Material {
    pub(super) fn new(recipe: &Recipe, contents: Contents, version: u64) -> Result<Self, Error> {
        // Named explicitly: a process-wide default belongs to the host.
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&recipe.versions)
            .map_err(|cause| bad(format!("TLS cannot be set up: {cause}")))?;
        let mut texts = contents.0.iter();
        let (mut store, mut last_root) = (recipe.fixed_roots.clone(), None);
        for (part, pem) in recipe.roots.iter().zip(&mut texts) {
            last_root = later(last_root, add_roots(&mut store, &part.name(), pem)?);
        }
        let builder = if recipe.verify {
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider)
                .build()
                .map_err(|cause| bad(format!("root certificates cannot be used: {cause}")))?;
            builder.dangerous().with_custom_certificate_verifier(verifier)
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified(provider)))
        };
        let mut first_to_end = None;
        let mut config = match (&recipe.certificate, &recipe.key, texts.next(), texts.next()) {
            (Some(certificate), Some(key), Some(chain), Some(key_pem)) => {
                let chain = certificates(&certificate.name(), chain)?;
                first_to_end = chain.iter().filter_map(|one| validity(one)).min_by_key(|validity| validity.ends);
                let key_der = private_key(&key.name(), key_pem)?;
                builder.with_client_auth_cert(chain, key_der).map_err(|cause| {
                    let cause = match cause {
                        rustls::Error::InconsistentKeys(_) => "the key is not the certificate's".to_owned(),
                        other => other.to_string(),
                    };
                    bad(format!("{} and {} cannot be used together: {cause}", certificate.name(), key.name()))
                })?
            }
            _ => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        if let Some(key_log) = &recipe.key_log {
            config.key_log = Arc::clone(key_log);
        }
        Ok(Self { config: Arc::new(config), contents, version, certificate: first_to_end, roots: last_root })
    }

    /// When the client's certificate expires; since 1970.
    pub(crate) fn certificate_ends(&self) -> Option<Duration> {
        self.certificate.map(|validity| validity.ends)
    }

    /// The same, with sessions of its own.
    pub(super) fn with_fresh_sessions(&self) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.resumption = Resumption::default();
        Self { config: Arc::new(config), contents: self.contents.clone(), ..*self }
    }
}

/// How long the one is valid that expires last.
fn add_roots(store: &mut RootCertStore, name: &str, pem: &[u8]) -> Result<Option<Validity>, Error> {
    let mut last = None;
    for certificate in certificates(name, pem)? {
        last = later(last, validity(&certificate));
        store.add(certificate).map_err(|cause| bad(format!("{name}: one cannot be used: {cause}")))?;
    }
    Ok(last)
}

fn later(one: Option<Validity>, other: Option<Validity>) -> Option<Validity> {
    one.into_iter().chain(other).max_by_key(|validity| validity.ends)
}
