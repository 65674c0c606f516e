//! What options say, checked: the parts to read, and what holds whatever they contain.

use std::sync::Arc;

use rustls::{KeyLog, KeyLogFile, RootCertStore, SupportedProtocolVersion, version};

use super::parts::{Part, Place, bad, certificates};
use super::{Roots, TlsOptions, TlsVersion};
use crate::error::Error;
use crate::runtime::environment;

/// How material is made.
pub(super) struct Recipe {
    /// Roots that are read once.
    pub(super) fixed_roots: RootCertStore,
    /// Further ones.
    pub(super) roots: Vec<Part>,
    pub(super) certificate: Option<Part>,
    pub(super) key: Option<Part>,
    pub(super) verify: bool,
    pub(super) versions: Vec<&'static SupportedProtocolVersion>,
    pub(super) key_log: Option<Arc<dyn KeyLog>>,
}

impl Recipe {
    pub(super) fn new(options: &TlsOptions) -> Result<Self, Error> {
        let certificate =
            Part::of_either("certificate chain", options.certificate_pem.as_ref(), options.certificate_file.as_ref())?;
        let key = Part::of_either("private key", options.key_pem.as_ref(), options.key_file.as_ref())?;
        match (&certificate, &key) {
            (Some(_), None) => {
                return Err(bad("a certificate chain was given without a private key; give both or neither"));
            }
            (None, Some(_)) => {
                return Err(bad("a private key was given without a certificate chain; give both or neither"));
            }
            _ => {}
        }
        let mut recipe = Self {
            fixed_roots: RootCertStore::empty(),
            roots: Vec::new(),
            certificate,
            key,
            verify: options.verify,
            versions: match options.min_version {
                TlsVersion::Tls12 => vec![&version::TLS13, &version::TLS12],
                TlsVersion::Tls13 => vec![&version::TLS13],
            },
            key_log: options.key_log.then(|| Arc::new(KeyLogFile::new()) as Arc<dyn KeyLog>),
        };
        if options.verify {
            recipe.add_roots(&options.roots)?;
        }
        Ok(recipe)
    }

    fn add_roots(&mut self, roots: &Roots) -> Result<(), Error> {
        const WHAT: &str = "root certificates";
        match roots {
            Roots::System => system_roots(&mut self.fixed_roots)?,
            Roots::Bundled => self.fixed_roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Roots::Pem(pem) => self.roots.push(Part::new(WHAT, Place::Given(pem.clone()))),
            Roots::File(file) => self.roots.push(Part::new(WHAT, Place::File(file.clone()))),
            Roots::All(all) => all.iter().try_for_each(|roots| self.add_roots(roots))?,
        }
        Ok(())
    }

    /// All parts, in one order.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Part> {
        self.roots.iter().chain(&self.certificate).chain(&self.key)
    }
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
    let (added, _) = store.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(());
    }
    let causes: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
    let causes = if causes.is_empty() { "none found".to_owned() } else { causes.join("; ") };
    Err(bad(format!("the system has no root certificates ({causes}); install them, or give roots as PEM")))
}
