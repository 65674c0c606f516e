//! The C ABI of linkspan.
//!
//! One function here is: check what the host passed, call core, convert back. What a host may rely on is told in the header's
//! first chapters (`cbindgen.toml`); this page is the list of rooms.

#![expect(non_camel_case_types, reason = "these are C's names, and the header is made from them")]
#![warn(clippy::wildcard_enum_match_arm)]
#![expect(clippy::missing_safety_doc, reason = "the header's chapters state once what every pointer must be")]

use std::ffi::{CStr, c_char};

use crate::error::{LINKSPAN_EABI, LINKSPAN_EHANDLE, Refusal, linkspan_result};
use crate::foreign::host;
use crate::handle::{Kind, linkspan_handle};

// The header follows this order.
pub mod error;
pub mod status;

pub mod handle;

pub mod option_docs;
pub mod options;

pub mod log;

pub mod engine;
pub mod host_driver;

pub mod queue;

pub mod event;

pub mod buffer;
pub mod message;

pub mod auth;
pub mod credentials;
pub mod provider;

pub mod channel;
pub mod watch;

pub mod request;
pub mod start;

pub mod call;

pub mod dump;

mod bell;
mod foreign;
mod fork;
mod guard;

/// Changes with every incompatible release; before 1.0 the minor number counts too.
pub const LINKSPAN_ABI_MAJOR: u32 = 0;
/// Counts additions.
pub const LINKSPAN_ABI_MINOR: u32 = 1;
/// What a program passes to say which header it was compiled with.
pub const LINKSPAN_ABI: u32 = (LINKSPAN_ABI_MAJOR << 16) | LINKSPAN_ABI_MINOR;
/// As a time: no limit.
pub const LINKSPAN_FOREVER: i64 = i64::MAX;

/// What was built in. A name that is not here is not present.
const FEATURES: [&str; 2] = ["tls-ring", "dns"];

/// Before 1.0 a program fits a library of the same minor version only.
pub(crate) fn abi_fits(header: u32) -> bool {
    header == LINKSPAN_ABI
}

/// LINKSPAN_ABI of the library.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_abi_version() -> u32 {
    LINKSPAN_ABI
}

/// OK: a program compiled with that header may use this library. EABI: it may not.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_abi_check(header_abi: u32) -> linkspan_result {
    guard::run("linkspan_abi_check", || {
        if abi_fits(header_abi) {
            Ok(())
        } else {
            Err(Refusal::new(LINKSPAN_EABI, "the header is of another version than the library"))
        }
    })
}

/// Version and features for people; static, NUL-terminated.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_version_text() -> *const c_char {
    const TEXT: &CStr = match CStr::from_bytes_with_nul(
        concat!("linkspan ", env!("CARGO_PKG_VERSION"), " (tls-ring, dns)\0").as_bytes(),
    ) {
        Ok(text) => text,
        Err(_) => c"linkspan",
    };
    TEXT.as_ptr()
}

/// 1 if the library was built with a feature of this name ("tls-ring", "dns", "host-driver", "gzip"), else 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_feature_present(name: *const c_char, len: usize) -> i32 {
    let mut is_present = false;
    guard::run("linkspan_feature_present", || {
        let name = host!(required_text(name, len))?;
        is_present = FEATURES.contains(&name);
        Ok(())
    });
    i32::from(is_present)
}

/// Closes a handle of any kind. Never blocks. 0 does nothing; a second close is ECLOSED. Closing a channel or an engine shuts it
/// down with no grace; closing a queue cancels its calls and drops what was not delivered; closing a call cancels it. In a forked
/// child closing a handle of the parent's does nothing and is OK.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_handle_close(handle: linkspan_handle) -> linkspan_result {
    guard::run("linkspan_handle_close", || close(handle))
}

/// What a table hands out is dropped or worked on after its lock is gone.
fn close(handle: linkspan_handle) -> Result<(), Refusal> {
    match Kind::of(handle) {
        None if handle == 0 => {}
        Some(_) if handle::is_parents(handle) => {}
        Some(Kind::Options) => drop(options::OPTIONS.release(handle)?),
        Some(Kind::Credentials) => drop(credentials::CREDENTIALS.release(handle)?),
        Some(Kind::Buffer) => drop(buffer::BUFFERS.release(handle)?),
        Some(Kind::Engine) => engine::ENGINES.release(handle)?.iter().for_each(engine::close),
        Some(Kind::Channel) => channel::CHANNELS.release(handle)?.iter().for_each(|channel| channel.close()),
        Some(Kind::Queue) => queue::QUEUES.release(handle)?.iter().for_each(queue::close),
        Some(Kind::Call) => call::close(handle)?,
        Some(Kind::Request) => auth::close(handle)?,
        Some(Kind::Watch) | None => return Err(Refusal::new(LINKSPAN_EHANDLE, "not a handle")),
    }
    Ok(())
}

// What the test programs share serves the tests in here too, and knows the crate by its name.
#[cfg(test)]
extern crate self as linkspan;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_text_names_version_and_features() {
        // SAFETY: static and NUL-terminated.
        let text = unsafe { CStr::from_ptr(linkspan_version_text()) }.to_str().expect("ASCII");
        assert!(text.starts_with(concat!("linkspan ", env!("CARGO_PKG_VERSION"))), "{text}");
        assert_eq!(linkspan_core::VERSION, env!("CARGO_PKG_VERSION"));
        for feature in FEATURES {
            assert!(text.contains(feature), "{text}");
            // SAFETY: a live text.
            assert_eq!(unsafe { linkspan_feature_present(feature.as_ptr().cast(), feature.len()) }, 1);
        }
        // SAFETY: a live text.
        assert_eq!(unsafe { linkspan_feature_present(c"host-driver".as_ptr(), foreign::NUL) }, 0);
    }
}
