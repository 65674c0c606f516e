//! Failures that are not the status of an RPC: a request that was refused before any call existed.

use std::fmt;

/// What kind of refusal an [`Error`] is. Every face maps each kind to one result of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The target string cannot be used.
    BadTarget,
    /// An option has a wrong type or a value outside its range.
    BadOption,
    /// Certificates, keys or roots cannot be used.
    Credentials,
    /// A metadata key or value breaks gRPC's rules.
    Metadata,
    /// A queue, handle or size limit was reached.
    Limit,
    /// The channel or engine was closed.
    Closed,
    /// Not allowed now, or a malformed request such as a method without a leading slash.
    State,
    /// The object belongs to the parent of a fork.
    Forked,
    /// An option or feature this build does not have.
    Unsupported,
    /// The operating system refused; [`Error::os_error`] has its number.
    System,
    /// A bug in linkspan.
    Internal,
}

/// A refusal: what was wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    os_error: Option<i32>,
}

impl Error {
    /// An error of this kind with a text for people.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), os_error: None }
    }

    /// An error the operating system caused; `doing` says what was tried.
    #[must_use]
    pub fn system(doing: &str, cause: &std::io::Error) -> Self {
        Self { kind: ErrorKind::System, message: format!("{doing}: {cause}"), os_error: cause.raw_os_error() }
    }

    /// What kind of refusal this is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The text for people. It holds no secrets.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The operating system's error number, when it was the cause.
    #[must_use]
    pub fn os_error(&self) -> Option<i32> {
        self.os_error
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
