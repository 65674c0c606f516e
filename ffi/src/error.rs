//! Result codes, and the text a set-up function may give with one.
//!
//! A [`linkspan_result`] says that a request was refused or a wait ended; the status of an RPC is another thing and travels in
//! events. Inside this crate a refusal carries its text from where it is noticed to where it is told.

use std::borrow::Cow;
use std::ffi::{CStr, c_char};

use linkspan_core::{Error, ErrorKind};

use crate::foreign::{Out, host};

/// Zero or negative: misuse, set-up and wait errors only, never the status of an RPC.
pub type linkspan_result = i32;

/// Done.
pub const LINKSPAN_OK: linkspan_result = 0;
/// A NULL or out-of-range argument, an unknown flag, a nonzero reserved field, text that is not UTF-8.
pub const LINKSPAN_EINVAL: linkspan_result = -1;
/// Never was a handle of this kind.
pub const LINKSPAN_EHANDLE: linkspan_result = -2;
/// Was valid; closed or finished since.
pub const LINKSPAN_ECLOSED: linkspan_result = -3;
/// Not allowed now: send after the last message, read on a unary call.
pub const LINKSPAN_ESTATE: linkspan_result = -4;
/// A blocking or driving function was called from inside a callback.
pub const LINKSPAN_EREENTRANT: linkspan_result = -5;
/// A HOST engine is being driven by another thread right now.
pub const LINKSPAN_ETHREAD: linkspan_result = -6;
/// Back-pressure: nothing was taken, an event will say when to retry.
pub const LINKSPAN_EAGAIN: linkspan_result = -7;
/// The wait timed out. (A call's deadline is status code 4 in its event.)
pub const LINKSPAN_ETIMEDOUT: linkspan_result = -8;
/// `linkspan_queue_wake` was called.
pub const LINKSPAN_EINTERRUPTED: linkspan_result = -9;
/// An unknown `linkspan.*` option or struct field, a feature that is not built, or not on this platform.
pub const LINKSPAN_EUNSUPPORTED: linkspan_result = -10;
/// Out of memory.
pub const LINKSPAN_ENOMEM: linkspan_result = -11;
/// A handle, queue or size limit was reached; the end of an enumeration.
pub const LINKSPAN_ELIMIT: linkspan_result = -12;
/// Belongs to the parent of a fork.
pub const LINKSPAN_EFORKED: linkspan_result = -13;
/// Header and library disagree, or a struct_size or stride is too small.
pub const LINKSPAN_EABI: linkspan_result = -14;
/// A bad target, certificate, key, service config or option value.
pub const LINKSPAN_ECONFIG: linkspan_result = -15;
/// The operating system refused; see `os_error`.
pub const LINKSPAN_ESYSTEM: linkspan_result = -16;
/// A bug in the library; the process lives.
pub const LINKSPAN_EPANIC: linkspan_result = -17;

/// Where a set-up function writes why it refused. The caller provides it, sets `struct_size`, and may pass NULL instead.
/// Written only when the function fails; `message` is NUL-terminated, cut at a character if it is too long, and holds no secrets.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct linkspan_error {
    /// sizeof(linkspan_error) as the caller compiled it.
    pub struct_size: u32,
    /// What the function returned.
    pub code: linkspan_result,
    /// The operating system's error number; 0 when it was not the cause.
    pub os_error: i32,
    /// Zero.
    pub reserved: u32,
    /// What was wrong, where, and what to do.
    pub message: [c_char; 240],
}

const _: () = assert!(size_of::<linkspan_error>() == 256);

/// Why a function refuses. An empty text is for outcomes that need no words, such as a wait that timed out.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) result: linkspan_result,
    pub(crate) os_error: i32,
    pub(crate) text: Cow<'static, str>,
}

impl Refusal {
    pub(crate) const fn new(result: linkspan_result, text: &'static str) -> Self {
        Self { result, os_error: 0, text: Cow::Borrowed(text) }
    }

    pub(crate) fn told(result: linkspan_result, text: String) -> Self {
        Self { result, os_error: 0, text: Cow::Owned(text) }
    }

    /// An outcome rather than a mistake; nobody logs it.
    pub(crate) const fn quiet(result: linkspan_result) -> Self {
        Self::new(result, "")
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self {
            result: result_of(error.kind()),
            os_error: error.os_error().unwrap_or(0),
            text: Cow::Owned(error.message().to_owned()),
        }
    }
}

fn result_of(kind: ErrorKind) -> linkspan_result {
    match kind {
        ErrorKind::BadTarget | ErrorKind::BadOption | ErrorKind::Credentials => LINKSPAN_ECONFIG,
        ErrorKind::Metadata => LINKSPAN_EINVAL,
        ErrorKind::Limit => LINKSPAN_ELIMIT,
        ErrorKind::Closed => LINKSPAN_ECLOSED,
        ErrorKind::State => LINKSPAN_ESTATE,
        ErrorKind::Forked => LINKSPAN_EFORKED,
        ErrorKind::Unsupported => LINKSPAN_EUNSUPPORTED,
        ErrorKind::System => LINKSPAN_ESYSTEM,
        ErrorKind::Internal => LINKSPAN_EPANIC,
    }
}

/// The caller's `linkspan_error`, checked before anything else happens.
pub(crate) struct ErrorSlot(Option<Out<linkspan_error>>);

impl ErrorSlot {
    /// # Safety
    /// `error` is NULL or points at a `linkspan_error` whose `struct_size` is set and which nobody else uses during the call.
    pub(crate) unsafe fn new(error: *mut linkspan_error) -> Result<Self, Refusal> {
        if error.is_null() {
            return Ok(Self(None));
        }
        host!(versioned_out(error)).map(|out| Self(Some(out)))
    }

    pub(crate) fn tell(&self, refusal: &Refusal) {
        let Some(out) = &self.0 else { return };
        let mut message = [0; 240];
        for (to, from) in message.iter_mut().zip(fitting(&refusal.text, 239).bytes()) {
            *to = from.cast_signed() as c_char;
        }
        out.write_versioned(linkspan_error {
            struct_size: 0,
            code: refusal.result,
            os_error: refusal.os_error,
            reserved: 0,
            message,
        });
    }
}

/// The longest prefix of at most `limit` bytes that ends between characters.
fn fitting(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// The name of a result and what it means; static, NUL-terminated, never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_result_text(result: linkspan_result) -> *const c_char {
    result_text(result).as_ptr()
}

fn result_text(result: linkspan_result) -> &'static CStr {
    match result {
        LINKSPAN_OK => c"OK",
        LINKSPAN_EINVAL => c"EINVAL: an argument is NULL, out of range or malformed",
        LINKSPAN_EHANDLE => c"EHANDLE: never was a handle of this kind",
        LINKSPAN_ECLOSED => c"ECLOSED: closed or finished",
        LINKSPAN_ESTATE => c"ESTATE: not allowed in this state",
        LINKSPAN_EREENTRANT => c"EREENTRANT: blocking function called from inside a callback",
        LINKSPAN_ETHREAD => c"ETHREAD: the engine is being driven by another thread",
        LINKSPAN_EAGAIN => c"EAGAIN: back-pressure, nothing was taken, an event says when to retry",
        LINKSPAN_ETIMEDOUT => c"ETIMEDOUT: the wait timed out",
        LINKSPAN_EINTERRUPTED => c"EINTERRUPTED: the wait was woken",
        LINKSPAN_EUNSUPPORTED => c"EUNSUPPORTED: unknown option or field, or a feature this build does not have",
        LINKSPAN_ENOMEM => c"ENOMEM: out of memory",
        LINKSPAN_ELIMIT => c"ELIMIT: a limit was reached",
        LINKSPAN_EFORKED => c"EFORKED: belongs to the parent of a fork",
        LINKSPAN_EABI => c"EABI: header and library disagree",
        LINKSPAN_ECONFIG => c"ECONFIG: bad target, certificate or option value",
        LINKSPAN_ESYSTEM => c"ESYSTEM: the operating system refused",
        LINKSPAN_EPANIC => c"EPANIC: a bug in linkspan",
        _ => c"not a result of this library",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_has_its_own_text() {
        let mut seen: Vec<_> = (LINKSPAN_EPANIC..=LINKSPAN_OK).map(result_text).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 18);
        assert!(!seen.contains(&c"not a result of this library"));
        assert_eq!(result_text(7), c"not a result of this library");
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(fitting("aß", 2), "a");
        assert_eq!(fitting("aß", 3), "aß");
    }
}
