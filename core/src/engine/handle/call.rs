//! The handles of a running call and of a watch.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::call::inbox::{Cancel, Outgoing};
use crate::call::quota::{Refusal, SendQuota};
use crate::engine::submit::{Submission, SubmitQueue};
use crate::status::Code;

/// A running call. Clones are the same call; dropping does not cancel it.
#[derive(Clone)]
pub struct CallHandle {
    pub(super) id: u64,
    pub(super) queue: Arc<SubmitQueue>,
    pub(super) quota: Arc<SendQuota>,
}

/// Why a message was not taken.
#[derive(Debug)]
pub enum SendError {
    /// Too much waits to be sent. One [`Event::Writable`](crate::engine::completion::Event::Writable) follows; here is the message back.
    Full(Bytes),
    /// The caller said that nothing follows.
    HalfClosed,
    /// The call has ended.
    Ended,
}

impl CallHandle {
    /// Unique in the process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Sends a message; `last` half-closes with it.
    ///
    /// # Errors
    /// Nothing was taken, see [`SendError`].
    pub fn send(&self, message: Bytes, last: bool) -> Result<(), SendError> {
        self.send_as(message, false, last)
    }

    /// The same for a message that is sent as it is, whatever the call compresses: what mixes secrets with what others choose must not
    /// be compressed ([WIRE-113]).
    ///
    /// # Errors
    /// As [`CallHandle::send`].
    pub fn send_uncompressed(&self, message: Bytes, last: bool) -> Result<(), SendError> {
        self.send_as(message, true, last)
    }

    fn send_as(&self, message: Bytes, is_uncompressed: bool, last: bool) -> Result<(), SendError> {
        if self.is_parents() {
            return Err(SendError::Ended);
        }
        match self.quota.take(message.len(), last) {
            Ok(()) => {
                let outgoing = Outgoing::message(message, is_uncompressed, last);
                self.queue.tell(Submission::Send { call: self.id, outgoing });
                Ok(())
            }
            Err(Refusal::Full) => Err(SendError::Full(message)),
            Err(Refusal::HalfClosed) => Err(SendError::HalfClosed),
            Err(Refusal::Ended) => Err(SendError::Ended),
        }
    }

    /// Says that no message follows.
    ///
    /// # Errors
    /// It was said before, or the call has ended.
    pub fn half_close(&self) -> Result<(), SendError> {
        if self.is_parents() {
            return Err(SendError::Ended);
        }
        match self.quota.half_close() {
            Ok(()) => {
                self.queue.tell(Submission::Send { call: self.id, outgoing: Outgoing::half_close() });
                Ok(())
            }
            Err(Refusal::Ended) => Err(SendError::Ended),
            Err(Refusal::Full | Refusal::HalfClosed) => Err(SendError::HalfClosed),
        }
    }

    /// Allows that many more messages to be reported.
    pub fn read(&self, credit: u32) {
        if !self.is_ended() && credit > 0 {
            self.queue.tell(Submission::Read { call: self.id, credit });
        }
    }

    /// Ends the call with this status; OK counts as CANCELLED. `true` when it may take effect; harmless after the end.
    pub fn cancel(&self, code: Code, details: &str) -> bool {
        if self.is_ended() {
            return false;
        }
        // A cancelled call has not succeeded, whatever its caller says.
        let code = if code == Code::Ok { Code::Cancelled } else { code };
        let cancel = Cancel::ByCaller { code, text: details.to_owned() };
        self.queue.tell(Submission::Cancel { call: self.id, cancel });
        true
    }

    /// Whether the final completion was delivered, or will not be: in a forked child the parent's calls are over.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.quota.is_ended() || self.is_parents()
    }

    /// Whether the call is the parent's and this is a forked child. Nothing more is reported of it there: it ended as
    /// [`CallEnd::in_forked_child`](crate::CallEnd::in_forked_child) says, unless its end was delivered before.
    #[must_use]
    pub fn is_parents(&self) -> bool {
        self.queue.is_parents()
    }
}

impl fmt::Debug for CallHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallHandle").field("id", &self.id).field("is_ended", &self.is_ended()).finish_non_exhaustive()
    }
}

/// A watch that has not completed. Dropping it lets the watch go on.
pub struct WatchHandle {
    pub(super) id: u64,
    pub(super) queue: Arc<SubmitQueue>,
}

impl WatchHandle {
    /// Completes the watch at once, as if its timeout had passed.
    pub fn cancel(&self) {
        self.queue.tell(Submission::CancelWatch { watch: self.id });
    }
}

impl fmt::Debug for WatchHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchHandle").field("id", &self.id).finish_non_exhaustive()
    }
}
