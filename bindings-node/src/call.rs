//! Calls under way: what their slots hold, and the requests that start them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use linkspan_core::{CallHandle, CallRequest, Compression, SendError, Timeout, WatchHandle};

use crate::errors::{self, Result};
use crate::queue::Environment;

/// What a slot holds from the start of a call or watch until its last event was handed to JavaScript.
pub(crate) enum Open {
    Call { handle: CallHandle, parked: Option<Parked> },
    Watch(WatchHandle),
}

/// A message the engine had no room for. It is copied once, waits here, and is sent when the engine says Writable.
pub(crate) struct Parked {
    message: Bytes,
    flags: u32,
}

/// What became of a message given to `Queue::send`; `lib/stream.cjs` knows the numbers.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sending {
    Taken = 0,
    /// There is no room now. The message is kept, and one Writable event says when it was taken.
    Parked = 1,
    HalfClosed = 2,
    Ended = 3,
}

impl Open {
    pub(crate) fn call(handle: CallHandle) -> Self {
        Self::Call { handle, parked: None }
    }

    /// `flags`: LAST and UNCOMPRESSED.
    pub(crate) fn send(&mut self, message: Bytes, flags: u32) -> Sending {
        let Self::Call { handle, parked } = self else {
            return Sending::Ended;
        };
        let last = flags & LAST != 0;
        let sent = if flags & UNCOMPRESSED != 0 {
            handle.send_uncompressed(message, last)
        } else {
            handle.send(message, last)
        };
        match sent {
            Ok(()) => Sending::Taken,
            Err(SendError::Full(message)) => {
                *parked = Some(Parked { message, flags });
                Sending::Parked
            }
            Err(SendError::HalfClosed) => Sending::HalfClosed,
            Err(SendError::Ended) => Sending::Ended,
        }
    }

    /// The engine has room again. Answers whether JavaScript should hear of it: not while the parked message still
    /// found no room.
    pub(crate) fn writable(&mut self) -> bool {
        let Self::Call { parked, .. } = self else { return false };
        match parked.take() {
            Some(Parked { message, flags }) => self.send(message, flags) != Sending::Parked,
            None => true,
        }
    }

    /// Ends it as a dying environment does: nobody is left to hear of the end.
    pub(crate) fn abandon(self) {
        match self {
            Self::Call { handle, .. } => {
                handle.cancel(linkspan_core::Code::Cancelled, "the JavaScript environment ended");
            }
            Self::Watch(watch) => watch.cancel(),
        }
    }
}

/// What is called, given once per environment and then known by a number.
#[derive(Clone)]
pub(crate) struct Method {
    pub(crate) path: Arc<str>,
    /// None for the channel's own.
    pub(crate) authority: Option<Arc<str>>,
}

/// How a call is to be made, except for its messages; `lib/call-terms.cjs` fills it.
pub(crate) struct CallTerms {
    /// A number given out by `Queue::method`.
    pub(crate) method: u32,
    /// Milliseconds; infinite for the channel's default, zero or less for a deadline that has passed.
    pub(crate) timeout: f64,
    pub(crate) flags: u32,
    /// A metadata block.
    pub(crate) metadata: Option<String>,
}

/// Bits of the flags. Without the first, the channel decides whether to wait.
const WAIT_IS_SAID: u32 = 1;
const WAIT_FOR_READY: u32 = 2;
/// Of a stream: an OK without exactly one message is none.
const SINGLE_RESPONSE: u32 = 4;
/// Half-closes after the message, or at once without one.
const LAST: u32 = 8;
/// The message goes as it is, whatever the call compresses.
const UNCOMPRESSED: u32 = 16;
/// From here on: gRPC's number of how the call is compressed, and one more; zero is what the channel does.
const COMPRESSION_SHIFT: u32 = 8;

impl CallTerms {
    pub(crate) fn request(self, environment: &Environment) -> Result<CallRequest> {
        let is_set = |bit| self.flags & bit != 0;
        let Method { path, authority } = environment.method(self.method)?;
        let mut request = CallRequest::new(path);
        if let Some(block) = self.metadata {
            request.metadata = environment.header_set(block).map_err(|error| errors::to_js(&error))?;
        }
        request.timeout = timeout(self.timeout);
        request.wait_for_ready = is_set(WAIT_IS_SAID).then(|| is_set(WAIT_FOR_READY));
        request.authority = authority;
        request.single_response = is_set(SINGLE_RESPONSE);
        request.last = is_set(LAST);
        request.message_uncompressed = is_set(UNCOMPRESSED);
        request.compression = Compression::from_number(i64::from(self.flags >> COMPRESSION_SHIFT) - 1);
        Ok(request)
    }
}

/// A length of time from JavaScript: not a number and negative ones are already over, endless ones are none.
fn timeout(milliseconds: f64) -> Timeout {
    if milliseconds.is_nan() || milliseconds <= 0.0 {
        return Timeout::AlreadyPast;
    }
    match duration(milliseconds) {
        Some(length) => Timeout::After(length),
        None => Timeout::ChannelDefault,
    }
}

/// None for what is too long to be measured, the infinite included.
pub(crate) fn duration(milliseconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(milliseconds.max(0.0) / 1000.0).ok()
}
