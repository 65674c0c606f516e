//! Services a host supplies: call credentials, see `auth.rs`, and name resolution, which is declared, so that one header fits every build. This
//! version answers EUNSUPPORTED, and EHANDLE where a handle of a RESOLVE request is asked for, since it never makes one.

#![expect(
    unused_variables,
    reason = "the parameters are declared for the header and for the version that will use them"
)]

use std::ffi::{c_char, c_void};

use crate::engine::{ENGINES, linkspan_engine};
use crate::error::{LINKSPAN_EHANDLE, LINKSPAN_EUNSUPPORTED, Refusal, linkspan_error, linkspan_result};
use crate::event::linkspan_code;
use crate::guard;
use crate::handle::linkspan_handle;
use crate::message::{linkspan_release_fn, linkspan_slice};
use crate::queue::linkspan_queue;
use crate::request::linkspan_callback;

/// Something the engine asks its host. Closing it without an answer fails what it was asked for.
pub type linkspan_request = linkspan_handle;

/// A service the host supplies: requests arrive on `queue`, or through `callback` when it is set.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct linkspan_provider {
    /// sizeof(linkspan_provider).
    pub struct_size: u32,
    /// Zero.
    pub flags: u32,
    /// Where requests arrive.
    pub queue: linkspan_queue,
    /// Returned in every request.
    pub tag: u64,
    /// Receives requests instead of the queue; may be NULL.
    pub callback: linkspan_callback,
    /// Passed to `callback`.
    pub user_data: *mut c_void,
    /// Runs once, after the last use of `user_data`.
    pub release: linkspan_release_fn,
}

/// One address a name stands for.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct linkspan_address {
    /// "127.0.0.1:443", "[::1]:443" or "unix:/path".
    pub text: linkspan_slice,
    /// Its share of the load; 0 is 1.
    pub weight: u32,
    /// Zero.
    pub flags: u32,
    /// The name to expect in the server's certificate; may be empty.
    pub server_name: linkspan_slice,
}

fn not_in_this_version(what: &str) -> Refusal {
    Refusal::told(LINKSPAN_EUNSUPPORTED, format!("{what} supplied by the host is not in this version"))
}

fn never_made() -> Result<(), Refusal> {
    Err(Refusal::new(LINKSPAN_EHANDLE, "not a handle of a RESOLVE request; this version makes none"))
}

/// Registers a name resolver of the host's. Not in this version: EUNSUPPORTED, the provider stays the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_resolver_register(
    engine: linkspan_engine,
    scheme: *const c_char,
    len: usize,
    provider: *const linkspan_provider,
    error: *mut linkspan_error,
) -> linkspan_result {
    let body = || {
        ENGINES.get(engine)?;
        Err(not_in_this_version("a name resolver"))
    };
    // SAFETY: the host vouches for its error struct.
    unsafe { guard::run_telling("linkspan_resolver_register", error, body) }
}

/// Answers a RESOLVE request. This version makes none: EHANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_resolver_update(
    request: linkspan_request,
    addresses: *const linkspan_address,
    stride: usize,
    count: usize,
    service_config: *const c_char,
    service_config_len: usize,
    error: *mut linkspan_error,
) -> linkspan_result {
    // SAFETY: the host vouches for its error struct.
    unsafe { guard::run_telling("linkspan_resolver_update", error, never_made) }
}

/// Answers a RESOLVE request with a failure. This version makes none: EHANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_resolver_fail(
    request: linkspan_request,
    code: linkspan_code,
    text: *const c_char,
    len: usize,
) -> linkspan_result {
    guard::run("linkspan_resolver_fail", never_made)
}
