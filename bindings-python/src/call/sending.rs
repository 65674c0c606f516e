//! Which request message of a stream goes to the engine next. Pure: events in, the next step out.

use std::collections::VecDeque;

use bytes::Bytes;
use linkspan_core::SendError;

/// The way out of one stream.
#[derive(Default)]
pub(crate) struct Sending {
    /// Not yet taken by the engine, in order.
    waiting: VecDeque<Bytes>,
    /// No more will be added.
    complete: bool,
    half_closed: bool,
    /// A step is being carried out; one thread at a time hands messages to the engine.
    busy: bool,
    /// The engine had no room and has not said since that it has.
    full: bool,
    /// The engine said "room" during the present step.
    room_came: bool,
}

/// What to hand to the engine.
pub(crate) enum Step {
    /// A message, and whether the request stream ends with it.
    Message(Bytes, bool),
    /// The end of the request stream alone.
    HalfClose,
}

impl Sending {
    /// The way out of a call whose only request message went with its start.
    pub(crate) fn finished() -> Self {
        Self { complete: true, half_closed: true, ..Self::default() }
    }

    pub(crate) fn add(&mut self, messages: impl IntoIterator<Item = Bytes>, complete: bool) {
        self.waiting.extend(messages);
        self.complete |= complete;
    }

    /// Whether a message added now would not wait behind others.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.is_empty() && !self.full
    }

    /// The next step; each is answered by [`Sending::on_answer`] before there is another.
    pub(crate) fn next_step(&mut self) -> Option<Step> {
        if self.busy || self.full || self.half_closed {
            return None;
        }
        let step = match self.waiting.pop_front() {
            Some(message) => Step::Message(message, self.complete && self.waiting.is_empty()),
            None if self.complete => Step::HalfClose,
            None => return None,
        };
        self.half_closed = matches!(step, Step::HalfClose | Step::Message(_, true));
        self.busy = true;
        self.room_came = false;
        Some(step)
    }

    /// What the engine said to the step.
    pub(crate) fn on_answer(&mut self, answer: Result<(), SendError>) {
        self.busy = false;
        match answer {
            Ok(()) => {}
            Err(SendError::Full(message)) => {
                self.waiting.push_front(message);
                self.half_closed = false;
                // A "room" between the refusal and now must not be waited for again.
                self.full = !self.room_came;
            }
            Err(SendError::HalfClosed | SendError::Ended) => self.stop(),
        }
    }

    /// The engine has room again.
    pub(crate) fn on_room(&mut self) {
        self.full = false;
        self.room_came = true;
    }

    /// The call ended; what waits will not be sent.
    pub(crate) fn stop(&mut self) {
        self.waiting.clear();
        self.complete = true;
        self.half_closed = true;
    }
}
