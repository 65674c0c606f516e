//! Credentials of a channel: none, or TLS.

use linkspan_core::{Credentials, Roots, TlsOptions};

use crate::error::{LINKSPAN_EINVAL, LINKSPAN_EUNSUPPORTED, Refusal, linkspan_error, linkspan_result};
use crate::foreign::host;
use crate::guard;
use crate::handle::{Kind, Table, linkspan_handle};
use crate::message::linkspan_slice;

/// How a channel proves who it talks to. May be closed as soon as the channel is made.
pub type linkspan_credentials = linkspan_handle;

/// Trust the system's roots; what happens when neither flags nor `roots_pem` say otherwise.
pub const LINKSPAN_TLS_SYSTEM_ROOTS: u32 = 1;
/// Trust the roots built into the library.
pub const LINKSPAN_TLS_BUNDLED_ROOTS: u32 = 2;
/// Write session keys to the file SSLKEYLOGFILE names. Not in this version.
pub const LINKSPAN_TLS_KEY_LOG: u32 = 4;
/// Trust anybody. Not in this version.
pub const LINKSPAN_TLS_SKIP_VERIFICATION: u32 = 8;

const KNOWN_FLAGS: u32 =
    LINKSPAN_TLS_SYSTEM_ROOTS | LINKSPAN_TLS_BUNDLED_ROOTS | LINKSPAN_TLS_KEY_LOG | LINKSPAN_TLS_SKIP_VERIFICATION;

/// What TLS needs to know. Everything is copied; zero bytes mean: verify against the system's roots, show no certificate.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct linkspan_tls_options {
    /// sizeof(linkspan_tls_options).
    pub struct_size: u32,
    /// LINKSPAN_TLS_*.
    pub flags: u32,
    /// Roots to trust instead of the system's, in PEM.
    pub roots_pem: linkspan_slice,
    /// The client's certificate chain, in PEM; goes with `key_pem`.
    pub certificate_pem: linkspan_slice,
    /// The client's private key, in PEM.
    pub key_pem: linkspan_slice,
    /// The name to expect in the server's certificate instead of the target's.
    pub server_name: linkspan_slice,
}

pub(crate) static CREDENTIALS: Table<Credentials> = Table::new(Kind::Credentials);

/// # Safety
/// The slices tell the truth.
unsafe fn read(tls: &linkspan_tls_options) -> Result<TlsOptions, Refusal> {
    if tls.flags & !KNOWN_FLAGS != 0 {
        return Err(Refusal::told(LINKSPAN_EINVAL, format!("TLS flags {:#x} are not known", tls.flags & !KNOWN_FLAGS)));
    }
    if tls.flags & (LINKSPAN_TLS_KEY_LOG | LINKSPAN_TLS_SKIP_VERIFICATION) != 0 {
        return Err(Refusal::new(
            LINKSPAN_EUNSUPPORTED,
            "a key log file and skipping verification are not in this version",
        ));
    }
    let linkspan_tls_options { roots_pem, certificate_pem, key_pem, server_name, .. } = *tls;
    let server_name = host!(optional_slice(server_name))?;
    Ok(TlsOptions {
        roots: roots(tls.flags, host!(optional_slice(roots_pem))?)?,
        certificate_pem: host!(optional_slice(certificate_pem))?.map(<[u8]>::to_vec),
        key_pem: host!(optional_slice(key_pem))?.map(<[u8]>::to_vec),
        server_name: match server_name.map(str::from_utf8) {
            None => None,
            Some(Ok(name)) => Some(name.to_owned()),
            Some(Err(_)) => return Err(Refusal::new(LINKSPAN_EINVAL, "server_name is not UTF-8")),
        },
        verify: true,
    })
}

fn roots(flags: u32, pem: Option<&[u8]>) -> Result<Roots, Refusal> {
    match (pem, flags & (LINKSPAN_TLS_SYSTEM_ROOTS | LINKSPAN_TLS_BUNDLED_ROOTS)) {
        (None, 0 | LINKSPAN_TLS_SYSTEM_ROOTS) => Ok(Roots::System),
        (None, LINKSPAN_TLS_BUNDLED_ROOTS) => Ok(Roots::Bundled),
        (Some(pem), 0) => Ok(Roots::Pem(pem.to_vec())),
        _ => Err(Refusal::new(
            LINKSPAN_EUNSUPPORTED,
            "this version trusts one set of roots: the system's, the bundled or roots_pem",
        )),
    }
}

/// Plaintext.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_credentials_insecure(out: *mut linkspan_credentials) -> linkspan_result {
    guard::run("linkspan_credentials_insecure", || {
        let out = host!(out(out))?;
        out.write(CREDENTIALS.insert(Credentials::insecure())?);
        Ok(())
    })
}

/// TLS. ECONFIG names the field that cannot be used, never its content.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_credentials_tls(
    tls: *const linkspan_tls_options,
    out: *mut linkspan_credentials,
    error: *mut linkspan_error,
) -> linkspan_result {
    let body = || {
        let out = host!(out(out))?;
        let tls = host!(versioned(tls))?;
        tls.extra?;
        // SAFETY: the host vouches for the slices.
        let options = unsafe { read(&tls.value) }?;
        out.write(CREDENTIALS.insert(Credentials::tls(options)?)?);
        Ok(())
    };
    // SAFETY: the host vouches for its error struct.
    unsafe { guard::run_telling("linkspan_credentials_tls", error, body) }
}
