//! The status of an RPC: gRPC's seventeen codes and the text beside them.

use std::fmt;

macro_rules! codes {
    ($($variant:ident = $number:literal, $name:literal, $doc:literal;)+) => {
        /// A gRPC status code, with gRPC's own numbers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i32)]
        pub enum Code {
            $(#[doc = $doc] $variant = $number,)+
        }

        impl Code {
            /// Every code, in the order of its number.
            pub const ALL: [Self; 17] = [$(Self::$variant,)+];

            /// The canonical name, for example `UNAVAILABLE`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

codes! {
    Ok = 0, "OK", "The call succeeded.";
    Cancelled = 1, "CANCELLED", "The call was cancelled, usually by the caller.";
    Unknown = 2, "UNKNOWN", "A failure nobody classified.";
    InvalidArgument = 3, "INVALID_ARGUMENT", "The server refused an argument.";
    DeadlineExceeded = 4, "DEADLINE_EXCEEDED", "The deadline passed before the call ended.";
    NotFound = 5, "NOT_FOUND", "The server did not find what was asked for.";
    AlreadyExists = 6, "ALREADY_EXISTS", "What was to be created exists.";
    PermissionDenied = 7, "PERMISSION_DENIED", "The caller may not do this.";
    ResourceExhausted = 8, "RESOURCE_EXHAUSTED", "A limit was reached, here or at the server.";
    FailedPrecondition = 9, "FAILED_PRECONDITION", "The server is not in the state the call needs.";
    Aborted = 10, "ABORTED", "The server gave up, usually over a conflict.";
    OutOfRange = 11, "OUT_OF_RANGE", "The call reached past a valid range.";
    Unimplemented = 12, "UNIMPLEMENTED", "The server does not offer this method.";
    Internal = 13, "INTERNAL", "A rule of the protocol was broken, or there is a bug.";
    Unavailable = 14, "UNAVAILABLE", "The service cannot be reached now.";
    DataLoss = 15, "DATA_LOSS", "Data was lost for good.";
    Unauthenticated = 16, "UNAUTHENTICATED", "The call carried no valid credentials.";
}

impl Code {
    /// The code with this number; [`Code::Unknown`] for a number outside 0 to 16 ([WIRE-136]).
    #[must_use]
    pub fn from_number(number: i64) -> Self {
        usize::try_from(number).ok().and_then(|index| Self::ALL.get(index).copied()).unwrap_or(Self::Unknown)
    }

    /// Whether it is for servers alone to end a call with, OK among them: no plug-in may, nor this library ([A54-2], [WIRE-240]).
    pub(crate) fn is_for_applications(self) -> bool {
        matches!(
            self,
            Self::Ok
                | Self::InvalidArgument
                | Self::NotFound
                | Self::AlreadyExists
                | Self::FailedPrecondition
                | Self::Aborted
                | Self::OutOfRange
                | Self::DataLoss
        )
    }

    /// gRPC's number for this code.
    #[must_use]
    pub fn number(self) -> i32 {
        self as i32
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How an RPC ended: a code and a text for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    raw_code: i64,
    message: String,
}

impl Status {
    /// A status with one of gRPC's codes.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { raw_code: i64::from(code.number()), message: message.into() }
    }

    /// A status as the peer sent it: the number may lie outside gRPC's range and is kept.
    #[must_use]
    pub fn from_peer(raw_code: i64, message: impl Into<String>) -> Self {
        Self { raw_code, message: message.into() }
    }

    /// `OK` with no text.
    #[must_use]
    pub fn ok() -> Self {
        Self::new(Code::Ok, "")
    }

    /// The code; a number outside gRPC's range shows as [`Code::Unknown`].
    #[must_use]
    pub fn code(&self) -> Code {
        Code::from_number(self.raw_code)
    }

    /// The number the peer sent, also outside 0 to 16.
    #[must_use]
    pub fn raw_code(&self) -> i64 {
        self.raw_code
    }

    /// The text for people; empty when there is none.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the call succeeded.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.raw_code == 0
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_from_0_to_16_is_its_own_code() {
        for (number, code) in Code::ALL.iter().enumerate() {
            assert_eq!(code.number(), i32::try_from(number).expect("small"));
            assert_eq!(Code::from_number(i64::from(code.number())), *code);
        }
    }

    /// [WIRE-136]
    #[test]
    fn a_number_outside_the_range_is_unknown_and_kept() {
        for raw in [-1, 17, 4_000_000_000] {
            let status = Status::from_peer(raw, "odd");
            assert_eq!(status.code(), Code::Unknown);
            assert_eq!(status.raw_code(), raw);
            assert!(!status.is_ok());
        }
    }
}
