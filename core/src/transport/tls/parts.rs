//! The parts TLS is made of: where each comes from, and its PEM into what rustls takes, with errors that name the part.

use std::fs;
use std::path::PathBuf;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::error::{Error, ErrorKind};

/// Where a part comes from.
pub(super) enum Place {
    Given(Vec<u8>),
    File(PathBuf),
}

/// One part: what it is, and where it comes from.
pub(super) struct Part {
    what: &'static str,
    place: Place,
}

impl Part {
    pub(super) fn new(what: &'static str, place: Place) -> Self {
        Self { what, place }
    }

    /// The part that was given in one way or the other.
    ///
    /// # Errors
    /// It was given in both.
    pub(super) fn of_either(
        what: &'static str,
        pem: Option<&Vec<u8>>,
        file: Option<&PathBuf>,
    ) -> Result<Option<Self>, Error> {
        match (pem, file) {
            (None, None) => Ok(None),
            (Some(pem), None) => Ok(Some(Self::new(what, Place::Given(pem.clone())))),
            (None, Some(file)) => Ok(Some(Self::new(what, Place::File(file.clone())))),
            (Some(_), Some(_)) => Err(bad(format!("{what}: given as PEM and as a file; give one of them"))),
        }
    }

    pub(super) fn is_file(&self) -> bool {
        matches!(self.place, Place::File(_))
    }

    /// Its PEM. Blocks where it is in a file.
    pub(super) fn read(&self) -> Result<Vec<u8>, Error> {
        match &self.place {
            Place::Given(pem) => Ok(pem.clone()),
            Place::File(file) => {
                fs::read(file).map_err(|cause| bad(format!("{}: cannot be read: {cause}", self.name())))
            }
        }
    }

    /// What to call it in an error.
    pub(super) fn name(&self) -> String {
        match &self.place {
            Place::Given(_) => self.what.to_owned(),
            Place::File(file) => format!("{} in {}", self.what, file.display()),
        }
    }
}

pub(super) fn bad(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Credentials, text)
}

/// The certificates in a PEM text, at least one.
pub(super) fn certificates(name: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match parsed {
        Ok(certificates) if certificates.is_empty() => {
            Err(bad(format!("{name}: no certificate found; PEM with \"-----BEGIN CERTIFICATE-----\" is expected")))
        }
        Ok(certificates) => Ok(certificates),
        Err(_) => Err(bad(format!("{name}: not valid PEM"))),
    }
}

pub(super) fn private_key(name: &str, pem: &[u8]) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| bad(format!("{name}: no usable key found; unencrypted PKCS#8, PKCS#1 or SEC1 PEM is expected")))
}
