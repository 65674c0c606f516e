//! Channel credentials.

use std::path::PathBuf;

use linkspan_core::{Roots, TlsOptions};
use pyo3::prelude::*;

use crate::errors::exception;

/// What a channel trusts and shows.
#[pyclass(frozen, module = "linkspan._linkspan")]
pub(crate) struct Credentials {
    pub(crate) inner: linkspan_core::Credentials,
}

#[pymethods]
impl Credentials {
    #[staticmethod]
    fn insecure() -> Self {
        Self { inner: linkspan_core::Credentials::insecure() }
    }

    #[staticmethod]
    #[pyo3(signature = (root_certificates, private_key, certificate_chain))]
    fn tls(
        py: Python<'_>,
        root_certificates: Option<Vec<u8>>,
        private_key: Option<Vec<u8>>,
        certificate_chain: Option<Vec<u8>>,
    ) -> PyResult<Self> {
        let options = TlsOptions {
            roots: root_certificates.map_or(Roots::System, Roots::Pem),
            certificate_pem: certificate_chain,
            key_pem: private_key,
            ..TlsOptions::default()
        };
        // Reading the system's roots touches files.
        let made = py.detach(|| linkspan_core::Credentials::tls(options));
        made.map(|inner| Self { inner }).map_err(|refusal| exception(py, &refusal))
    }

    /// The same, from files.
    #[staticmethod]
    #[pyo3(signature = (roots, key, chain))]
    fn tls_files(
        py: Python<'_>,
        roots: Option<PathBuf>,
        key: Option<PathBuf>,
        chain: Option<PathBuf>,
    ) -> PyResult<Self> {
        let options = TlsOptions {
            roots: roots.map_or(Roots::System, Roots::File),
            certificate_file: chain,
            key_file: key,
            ..TlsOptions::default()
        };
        let made = py.detach(|| linkspan_core::Credentials::tls(options));
        made.map(|inner| Self { inner }).map_err(|refusal| exception(py, &refusal))
    }

    #[getter]
    fn is_secure(&self) -> bool {
        self.inner.is_secure()
    }
}
