//! What a server's `grpc.health.v1.Health/Watch` means (A17): an answer, the end of the stream, and when to ask again.
//!
//! The two messages have one field each, so they are written and read here and by no library.

use std::fmt;
use std::time::Duration;

use super::backoff::{Backoff, BackoffOptions};
use crate::status::Code;
use crate::time::Time;

/// The questions that are put on one connection, one after the other.
#[derive(Debug)]
pub(crate) struct HealthWatch {
    backoff: Backoff,
    asked_at: Time,
    /// Whether the stream that is open has answered.
    has_answered: bool,
    /// Whether the one before answered and was over soon.
    was_short: bool,
}

/// What follows from the end of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WatchEnd {
    /// The server does not tell, so nothing speaks against it, and it is not asked again ([LB-122]).
    NotTold,
    /// It is not healthy until it answers; to be asked again at this time.
    AskAgain(Time),
}

/// A stream that lasts as long as this was worth opening.
const SHORT: Duration = Duration::from_secs(1);

impl HealthWatch {
    /// The first question is put now.
    pub(crate) fn new(now: Time) -> Self {
        Self { backoff: Backoff::default(), asked_at: now, has_answered: false, was_short: false }
    }

    /// The server is asked again.
    pub(crate) fn on_asked_again(&mut self, now: Time) {
        (self.asked_at, self.has_answered) = (now, false);
    }

    pub(crate) fn on_answer(&mut self) {
        self.has_answered = true;
        self.backoff.on_reset();
    }

    /// The stream ended with this status; `unit` is a random fraction.
    ///
    /// After an answer the next question is due at once ([LB-123]). But a server that answers and ends the stream every time would be
    /// asked without a pause, so from the second in a row that was over within a second the first wait follows.
    pub(crate) fn on_ended(&mut self, now: Time, code: Code, unit: f64) -> WatchEnd {
        if code == Code::Unimplemented {
            return WatchEnd::NotTold;
        }
        let is_short = self.has_answered && now.since(self.asked_at) < SHORT;
        let was_short = std::mem::replace(&mut self.was_short, is_short);
        if self.has_answered && !(is_short && was_short) {
            return WatchEnd::AskAgain(now);
        }
        WatchEnd::AskAgain(now + self.backoff.on_failure(&BackoffOptions::default(), unit))
    }
}

/// What a server says of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServingStatus(u64);

const SERVING: u64 = 1;

impl ServingStatus {
    /// Reads a HealthCheckResponse. `None` when it is none: the only field is a number, and what is not known is passed over.
    pub(crate) fn read(mut message: &[u8]) -> Option<Self> {
        let mut status = 0;
        while !message.is_empty() {
            let key = u32::try_from(take_varint(&mut message)?).ok()?;
            match (key >> 3, key & 7) {
                (0, _) => return None,
                (1, VARINT) => status = take_varint(&mut message)?,
                // A number is due.
                (1, _) => return None,
                (_, VARINT) => {
                    take_varint(&mut message)?;
                }
                (_, FIXED_64) => message = message.get(8..)?,
                (_, LENGTH) => {
                    let length = usize::try_from(take_varint(&mut message)?).ok()?;
                    message = message.get(length..)?;
                }
                (_, FIXED_32) => message = message.get(4..)?,
                _ => return None,
            }
        }
        Some(Self(status))
    }

    pub(crate) fn is_serving(self) -> bool {
        self.0 == SERVING
    }
}

impl fmt::Display for ServingStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("UNKNOWN"),
            SERVING => f.write_str("SERVING"),
            2 => f.write_str("NOT_SERVING"),
            3 => f.write_str("SERVICE_UNKNOWN"),
            other => write!(f, "status {other}"),
        }
    }
}

/// A HealthCheckRequest.
pub(crate) fn request(service: &str) -> Vec<u8> {
    // "" is what a field that is not there means.
    if service.is_empty() {
        return Vec::new();
    }
    let mut message = vec![SERVICE_KEY];
    let mut length = service.len();
    loop {
        let [low, ..] = length.to_le_bytes();
        length >>= 7;
        if length == 0 {
            message.push(low & 0x7f);
            break;
        }
        message.push(low | 0x80);
    }
    message.extend_from_slice(service.as_bytes());
    message
}

const VARINT: u32 = 0;
const FIXED_64: u32 = 1;
const LENGTH: u32 = 2;
const FIXED_32: u32 = 5;

/// Field 1, of a length.
const SERVICE_KEY: u8 = 1 << 3 | 2;

/// Takes a number off the front; it has ten bytes at most, and fits 64 bits.
fn take_varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for place in 0..10 {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        let bits = u64::from(byte & 0x7f);
        // The tenth byte has room for one bit.
        if place == 9 && bits > 1 {
            return None;
        }
        value |= bits << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests;
