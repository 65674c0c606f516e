//! What follows an attempt that came to nothing: the call's end, or another attempt. Decided here for all kinds of calls.

use std::ops::ControlFlow::{self, Break, Continue};

use super::progress::Progress;
use crate::channel::LocalChannel;
use crate::observe::trail::Sent;
use crate::runtime::Driver;
use crate::transport::Outcome;

/// The running attempt of the call has ended without an answer, and its stream was let go. Breaks with the call's end; else the next attempt
/// begins.
pub(super) fn after<D: Driver>(
    channel: &LocalChannel<D>,
    progress: &Progress,
    outcome: Outcome,
) -> ControlFlow<Outcome> {
    // [RETRY-3]: the server says that it did not process it.
    if outcome.sent == Sent::Refused && channel.may_retry(progress.attempts.get()) {
        progress.on_next_attempt(channel, &outcome);
        return Continue(());
    }
    Break(outcome)
}
