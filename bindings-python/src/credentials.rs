//! Credentials of channels and of calls.

use std::path::PathBuf;

use linkspan_core::{LocalConnection, Roots, TlsOptions};
use pyo3::prelude::*;

use crate::errors::exception;
use crate::plugins::PythonPlugin;

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

    /// Plaintext that stays on this machine: over unix sockets, or over loopback.
    #[staticmethod]
    fn local(over_unix_sockets: bool) -> Self {
        let kind = if over_unix_sockets { LocalConnection::Uds } else { LocalConnection::Tcp };
        Self { inner: linkspan_core::Credentials::local(kind) }
    }

    /// The same, and every call shows these.
    fn with_call_credentials(&self, py: Python<'_>, of_calls: &CallCredentials) -> PyResult<Self> {
        let made = self.inner.clone().with_call_credentials(of_calls.inner.clone());
        made.map(|inner| Self { inner }).map_err(|refusal| exception(py, &refusal))
    }

    #[getter]
    fn carries_call_credentials(&self) -> bool {
        self.inner.carries_call_credentials()
    }
}

/// What calls show to be allowed.
#[pyclass(frozen, module = "linkspan._linkspan")]
pub(crate) struct CallCredentials {
    pub(crate) inner: linkspan_core::CallCredentials,
}

#[pymethods]
impl CallCredentials {
    /// What `plugin` is, `_plugins.py` knows.
    #[staticmethod]
    fn plugin(plugin: Py<PyAny>) -> Self {
        Self { inner: linkspan_core::CallCredentials::plugin(PythonPlugin::new(plugin)) }
    }

    #[staticmethod]
    fn access_token(py: Python<'_>, token: &str) -> PyResult<Self> {
        let made = linkspan_core::CallCredentials::access_token(token);
        made.map(|inner| Self { inner }).map_err(|refusal| exception(py, &refusal))
    }

    #[staticmethod]
    fn combined(all: Vec<PyRef<'_, Self>>) -> Self {
        Self { inner: linkspan_core::CallCredentials::combined(all.iter().map(|one| one.inner.clone())) }
    }
}
