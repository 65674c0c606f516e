//! Credentials: of a channel, none or TLS, and of calls.

use std::path::PathBuf;

use linkspan_core::{CallCredentials, Credentials, Roots, TlsOptions, TlsVersion};

use crate::error::{LINKSPAN_EINVAL, LINKSPAN_EUNSUPPORTED, Refusal, linkspan_error, linkspan_result};
use crate::foreign::host;
use crate::guard;
use crate::handle::{Kind, Table, linkspan_handle};
use crate::message::linkspan_slice;

/// How a channel proves who it talks to. May be closed as soon as the channel is made.
pub type linkspan_credentials = linkspan_handle;

/// Trust the system's roots; what happens when neither flags nor `roots_pem` say otherwise. Roots that are asked for in several ways are
/// all trusted.
pub const LINKSPAN_TLS_SYSTEM_ROOTS: u32 = 1;
/// Trust the roots built into the library.
pub const LINKSPAN_TLS_BUNDLED_ROOTS: u32 = 2;
/// Append the secrets of connections to the file that the environment variable SSLKEYLOGFILE names, for tools that look into captured traffic.
pub const LINKSPAN_TLS_KEY_LOG: u32 = 4;
/// Trust anybody. Only in a library built with the feature `skip-verification`; EUNSUPPORTED in others.
pub const LINKSPAN_TLS_SKIP_VERIFICATION: u32 = 8;
/// `roots_pem`, `certificate_pem` and `key_pem` are paths, in UTF-8, of files with PEM. They are read again before each new connection, and as often as
/// the option linkspan.tls_reload_interval_ms says: new connections use what is there, those there are get successors, and what cannot be used changes
/// nothing and is an event of the channel.
pub const LINKSPAN_TLS_FILES: u32 = 16;
/// Speak TLS 1.3 or newer; without it 1.2 will do.
pub const LINKSPAN_TLS_1_3: u32 = 32;

const KNOWN_FLAGS: u32 = LINKSPAN_TLS_SYSTEM_ROOTS
    | LINKSPAN_TLS_BUNDLED_ROOTS
    | LINKSPAN_TLS_KEY_LOG
    | LINKSPAN_TLS_SKIP_VERIFICATION
    | LINKSPAN_TLS_FILES
    | LINKSPAN_TLS_1_3;

/// What TLS needs to know. Everything is copied; zero bytes mean: verify against the system's roots, show no certificate.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct linkspan_tls_options {
    /// sizeof(linkspan_tls_options).
    pub struct_size: u32,
    /// LINKSPAN_TLS_*.
    pub flags: u32,
    /// Roots to trust, in PEM; instead of the system's, unless a flag asks for those too.
    pub roots_pem: linkspan_slice,
    /// The client's certificate chain, in PEM; goes with `key_pem`.
    pub certificate_pem: linkspan_slice,
    /// The client's private key, in PEM.
    pub key_pem: linkspan_slice,
    /// The name to expect in the server's certificate instead of the target's.
    pub server_name: linkspan_slice,
}

pub(crate) static CREDENTIALS: Table<Held> = Table::new(Kind::Credentials);

/// What a handle of credentials leads to.
#[derive(Clone)]
pub(crate) enum Held {
    OfChannel(Credentials),
    OfCalls(CallCredentials),
}

impl Held {
    pub(crate) fn of_channel(self) -> Result<Credentials, Refusal> {
        match self {
            Self::OfChannel(credentials) => Ok(credentials),
            Self::OfCalls(_) => Err(Refusal::new(
                LINKSPAN_EINVAL,
                "these are credentials of calls; a channel wants its own, see linkspan_credentials_combine",
            )),
        }
    }

    pub(crate) fn of_calls(self) -> Result<CallCredentials, Refusal> {
        match self {
            Self::OfCalls(credentials) => Ok(credentials),
            Self::OfChannel(_) => Err(Refusal::new(
                LINKSPAN_EINVAL,
                "these are credentials of a channel; those of a call come from linkspan_credentials_call",
            )),
        }
    }
}

/// # Safety
/// The slices tell the truth.
unsafe fn read(tls: &linkspan_tls_options) -> Result<TlsOptions, Refusal> {
    if tls.flags & !KNOWN_FLAGS != 0 {
        return Err(Refusal::told(LINKSPAN_EINVAL, format!("TLS flags {:#x} are not known", tls.flags & !KNOWN_FLAGS)));
    }
    let has = |flag| tls.flags & flag != 0;
    if has(LINKSPAN_TLS_SKIP_VERIFICATION) && !cfg!(feature = "skip-verification") {
        return Err(Refusal::new(
            LINKSPAN_EUNSUPPORTED,
            "this library cannot skip verification; build it with the feature skip-verification, or give roots to trust",
        ));
    }
    let linkspan_tls_options { roots_pem, certificate_pem, key_pem, server_name, .. } = *tls;
    let server_name = host!(optional_slice(server_name))?;
    let roots = part("roots_pem", has(LINKSPAN_TLS_FILES), host!(optional_slice(roots_pem))?)?;
    let certificate = part("certificate_pem", has(LINKSPAN_TLS_FILES), host!(optional_slice(certificate_pem))?)?;
    let key = part("key_pem", has(LINKSPAN_TLS_FILES), host!(optional_slice(key_pem))?)?;
    let ((certificate_pem, certificate_file), (key_pem, key_file)) = (in_one_way(certificate), in_one_way(key));
    Ok(TlsOptions {
        roots: all_roots(tls.flags, roots),
        certificate_pem,
        certificate_file,
        key_pem,
        key_file,
        server_name: match server_name.map(str::from_utf8) {
            None => None,
            Some(Ok(name)) => Some(name.to_owned()),
            Some(Err(_)) => return Err(Refusal::new(LINKSPAN_EINVAL, "server_name is not UTF-8")),
        },
        verify: !has(LINKSPAN_TLS_SKIP_VERIFICATION),
        min_version: if has(LINKSPAN_TLS_1_3) { TlsVersion::Tls13 } else { TlsVersion::Tls12 },
        key_log: has(LINKSPAN_TLS_KEY_LOG),
    })
}

/// Bytes of the host's: PEM, or where it is.
enum Part {
    Pem(Vec<u8>),
    File(PathBuf),
}

fn part(field: &str, is_file: bool, bytes: Option<&[u8]>) -> Result<Option<Part>, Refusal> {
    let Some(bytes) = bytes else { return Ok(None) };
    if !is_file {
        return Ok(Some(Part::Pem(bytes.to_vec())));
    }
    match str::from_utf8(bytes) {
        Ok(path) => Ok(Some(Part::File(path.into()))),
        Err(_) => Err(Refusal::told(LINKSPAN_EINVAL, format!("{field} is to be the path of a file, and is not UTF-8"))),
    }
}

fn in_one_way(part: Option<Part>) -> (Option<Vec<u8>>, Option<PathBuf>) {
    match part {
        None => (None, None),
        Some(Part::Pem(pem)) => (Some(pem), None),
        Some(Part::File(path)) => (None, Some(path)),
    }
}

fn all_roots(flags: u32, own: Option<Part>) -> Roots {
    let system = (flags & LINKSPAN_TLS_SYSTEM_ROOTS != 0).then_some(Roots::System);
    let bundled = (flags & LINKSPAN_TLS_BUNDLED_ROOTS != 0).then_some(Roots::Bundled);
    let own = own.map(|own| match own {
        Part::Pem(pem) => Roots::Pem(pem),
        Part::File(path) => Roots::File(path),
    });
    let all: Vec<_> = [system, bundled, own].into_iter().flatten().collect();
    if all.is_empty() { Roots::System } else { Roots::All(all) }
}

/// Plaintext.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_credentials_insecure(out: *mut linkspan_credentials) -> linkspan_result {
    guard::run("linkspan_credentials_insecure", || {
        let out = host!(out(out))?;
        out.write(CREDENTIALS.insert(Held::OfChannel(Credentials::insecure()))?);
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
        out.write(CREDENTIALS.insert(Held::OfChannel(Credentials::tls(options)?))?);
        Ok(())
    };
    // SAFETY: the host vouches for its error struct.
    unsafe { guard::run_telling("linkspan_credentials_tls", error, body) }
}
