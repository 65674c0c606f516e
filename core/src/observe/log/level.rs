//! How loud a line is.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind};

/// How loud a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(i32)]
pub enum LogLevel {
    /// Something is broken.
    Error = 1,
    /// Something is probably not meant.
    Warn = 2,
    /// Worth knowing: a channel's changes of state, connections that come and go. Nothing of single calls.
    Info = 3,
    /// For finding faults.
    Debug = 4,
    /// Everything, down to each call's stream and each PING.
    Trace = 5,
}

impl LogLevel {
    pub(super) const ALL: [Self; 5] = [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace];

    /// `error`, `warn`, `info`, `debug` or `trace`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    /// The letter that stands for it in written lines.
    pub(super) fn letter(self) -> char {
        match self {
            Self::Error => 'E',
            Self::Warn => 'W',
            Self::Info => 'I',
            Self::Debug => 'D',
            Self::Trace => 'T',
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// By its name, in letters of either case.
impl FromStr for LogLevel {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|level| level.name().eq_ignore_ascii_case(name));
        found.ok_or_else(|| {
            let text = format!("a log level is one of error, warn, info, debug, trace, not {name:?}");
            Error::new(ErrorKind::BadOption, text)
        })
    }
}
