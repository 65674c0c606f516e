//! The status codes of RPCs, as C reads them.

use std::ffi::{CStr, c_char};

use crate::event::linkspan_code;

/// The call succeeded.
pub const LINKSPAN_CODE_OK: linkspan_code = 0;
/// The call was cancelled, usually by the caller.
pub const LINKSPAN_CODE_CANCELLED: linkspan_code = 1;
/// A failure nobody classified.
pub const LINKSPAN_CODE_UNKNOWN: linkspan_code = 2;
/// The server refused an argument.
pub const LINKSPAN_CODE_INVALID_ARGUMENT: linkspan_code = 3;
/// The deadline passed before the call ended.
pub const LINKSPAN_CODE_DEADLINE_EXCEEDED: linkspan_code = 4;
/// The server did not find what was asked for.
pub const LINKSPAN_CODE_NOT_FOUND: linkspan_code = 5;
/// What was to be created exists.
pub const LINKSPAN_CODE_ALREADY_EXISTS: linkspan_code = 6;
/// The caller may not do this.
pub const LINKSPAN_CODE_PERMISSION_DENIED: linkspan_code = 7;
/// A limit was reached, here or at the server.
pub const LINKSPAN_CODE_RESOURCE_EXHAUSTED: linkspan_code = 8;
/// The server is not in the state the call needs.
pub const LINKSPAN_CODE_FAILED_PRECONDITION: linkspan_code = 9;
/// The server gave up, usually over a conflict.
pub const LINKSPAN_CODE_ABORTED: linkspan_code = 10;
/// The call reached past a valid range.
pub const LINKSPAN_CODE_OUT_OF_RANGE: linkspan_code = 11;
/// The server does not offer this method.
pub const LINKSPAN_CODE_UNIMPLEMENTED: linkspan_code = 12;
/// A rule of the protocol was broken, or there is a bug.
pub const LINKSPAN_CODE_INTERNAL: linkspan_code = 13;
/// The service cannot be reached now.
pub const LINKSPAN_CODE_UNAVAILABLE: linkspan_code = 14;
/// Data was lost for good.
pub const LINKSPAN_CODE_DATA_LOSS: linkspan_code = 15;
/// The call carried no valid credentials.
pub const LINKSPAN_CODE_UNAUTHENTICATED: linkspan_code = 16;

/// The name of a status code, for example "UNAVAILABLE"; "UNKNOWN" for a number outside 0 to 16. Static, NUL-terminated.
#[unsafe(no_mangle)]
pub extern "C" fn linkspan_code_text(code: linkspan_code) -> *const c_char {
    name(code).as_ptr()
}

fn name(code: linkspan_code) -> &'static CStr {
    match code {
        LINKSPAN_CODE_OK => c"OK",
        LINKSPAN_CODE_CANCELLED => c"CANCELLED",
        LINKSPAN_CODE_UNKNOWN => c"UNKNOWN",
        LINKSPAN_CODE_INVALID_ARGUMENT => c"INVALID_ARGUMENT",
        LINKSPAN_CODE_DEADLINE_EXCEEDED => c"DEADLINE_EXCEEDED",
        LINKSPAN_CODE_NOT_FOUND => c"NOT_FOUND",
        LINKSPAN_CODE_ALREADY_EXISTS => c"ALREADY_EXISTS",
        LINKSPAN_CODE_PERMISSION_DENIED => c"PERMISSION_DENIED",
        LINKSPAN_CODE_RESOURCE_EXHAUSTED => c"RESOURCE_EXHAUSTED",
        LINKSPAN_CODE_FAILED_PRECONDITION => c"FAILED_PRECONDITION",
        LINKSPAN_CODE_ABORTED => c"ABORTED",
        LINKSPAN_CODE_OUT_OF_RANGE => c"OUT_OF_RANGE",
        LINKSPAN_CODE_UNIMPLEMENTED => c"UNIMPLEMENTED",
        LINKSPAN_CODE_INTERNAL => c"INTERNAL",
        LINKSPAN_CODE_UNAVAILABLE => c"UNAVAILABLE",
        LINKSPAN_CODE_DATA_LOSS => c"DATA_LOSS",
        LINKSPAN_CODE_UNAUTHENTICATED => c"UNAUTHENTICATED",
        _ => c"UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    use linkspan_core::Code;

    use super::*;

    #[test]
    fn codes_have_the_names_of_core() {
        for code in Code::ALL {
            assert_eq!(name(code.number()).to_str(), Ok(code.name()));
        }
        assert_eq!(name(17), c"UNKNOWN");
        assert_eq!(name(-1), c"UNKNOWN");
    }
}
