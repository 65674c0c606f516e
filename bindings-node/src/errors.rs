//! The engine's errors as JavaScript errors: the kind travels as `code`, the text as `message`.
//! Which class an error gets (TypeError, RpcError, Error) is decided in `lib/errors.cjs`.

use linkspan_core::{Error, ErrorKind};

/// What `error.code` says in JavaScript.
pub struct ErrorCode(&'static str);

impl AsRef<str> for ErrorCode {
    fn as_ref(&self) -> &str {
        self.0
    }
}

impl From<napi::Status> for ErrorCode {
    /// Node-API itself failed: an argument of a type that `lib/*.cjs` should have refused, or a dying environment.
    fn from(_: napi::Status) -> Self {
        Self("ERR_LINKSPAN_INTERNAL")
    }
}

pub(crate) type Result<T> = std::result::Result<T, napi::Error<ErrorCode>>;

pub(crate) fn to_js(error: &Error) -> napi::Error<ErrorCode> {
    napi::Error::new(ErrorCode(code_of(error.kind())), error.message().to_owned())
}

/// A failure of Node-API, seen while answering a call from JavaScript.
pub(crate) fn from_napi(error: napi::Error) -> napi::Error<ErrorCode> {
    napi::Error::new(ErrorCode::from(error.status), error.reason)
}

fn code_of(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::BadTarget => "ERR_LINKSPAN_BAD_TARGET",
        ErrorKind::BadOption => "ERR_LINKSPAN_BAD_OPTION",
        ErrorKind::Credentials => "ERR_LINKSPAN_CREDENTIALS",
        ErrorKind::Metadata => "ERR_LINKSPAN_METADATA",
        ErrorKind::Limit => "ERR_LINKSPAN_LIMIT",
        ErrorKind::Closed => "ERR_LINKSPAN_CLOSED",
        ErrorKind::State => "ERR_LINKSPAN_STATE",
        ErrorKind::Forked => "ERR_LINKSPAN_FORKED",
        ErrorKind::Unsupported => "ERR_LINKSPAN_UNSUPPORTED",
        ErrorKind::System => "ERR_LINKSPAN_SYSTEM",
        ErrorKind::Internal => "ERR_LINKSPAN_INTERNAL",
    }
}
