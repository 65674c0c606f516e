//! The messages of a call with streams, kept as long as the call may have to be made again, and when to let them go.

use std::cell::{Cell, RefCell};

use bytes::Bytes;

use super::inbox::Outgoing;

/// One call's messages so far.
#[derive(Default)]
pub(super) struct Replay {
    kept: RefCell<Vec<Outgoing>>,
    bytes: Cell<usize>,
    /// How many of them the running attempt has sent.
    sent: Cell<usize>,
    /// Set when the call is not made again: nothing more is kept, and what is goes as soon as it is sent.
    is_over: Cell<bool>,
}

/// More is not kept: a call that has sent so much before the server said anything is told its end instead.
const MOST_KEPT: usize = 64 << 10;

/// What a message costs beside its bytes, so that endless empty messages are bounded too.
const OVERHEAD: usize = 64;

impl Replay {
    /// A new message was taken to be sent, after all that are kept.
    pub(super) fn keep(&self, outgoing: &Outgoing) {
        if self.is_over.get() {
            return;
        }
        let size = outgoing.message.as_ref().map_or(0, Bytes::len) + OVERHEAD;
        self.bytes.set(self.bytes.get() + size);
        if self.bytes.get() > MOST_KEPT {
            return self.let_go();
        }
        self.kept.borrow_mut().push(outgoing.clone());
        self.sent.set(self.sent.get() + 1);
    }

    /// The next message an earlier attempt has sent already; `None` when this one has sent them all.
    pub(super) fn next(&self) -> Option<Outgoing> {
        let next = self.kept.borrow().get(self.sent.get()).cloned();
        if next.is_some() {
            self.sent.set(self.sent.get() + 1);
        } else if self.is_over.get() {
            self.kept.take();
        }
        next
    }

    /// The call is made again.
    pub(super) fn start_over(&self) {
        self.sent.set(0);
    }

    /// The server has answered: the call is not made again.
    pub(super) fn let_go(&self) {
        self.is_over.set(true);
        if self.sent.get() == self.kept.borrow().len() {
            self.kept.take();
        }
    }

    /// Whether the call can be made again from what is kept.
    pub(super) fn is_whole(&self) -> bool {
        !self.is_over.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(size: usize) -> Outgoing {
        Outgoing { message: Some(Bytes::from(vec![0; size])), is_last: false }
    }

    fn sizes(replay: &Replay) -> Vec<usize> {
        std::iter::from_fn(|| replay.next()?.message).map(|message| message.len()).collect()
    }

    #[test]
    fn what_was_taken_is_there_again_in_its_order_as_often_as_it_is_wanted() {
        let replay = Replay::default();
        for size in [1, 2] {
            replay.keep(&outgoing(size));
        }
        assert!(replay.next().is_none(), "the attempt that took them has sent them");
        for _ in 0..2 {
            replay.start_over();
            assert_eq!(sizes(&replay), [1, 2]);
        }
        replay.keep(&outgoing(3));
        replay.start_over();
        assert_eq!(sizes(&replay), [1, 2, 3]);
        assert!(replay.is_whole());
    }

    #[test]
    fn an_answer_in_the_middle_of_a_later_attempt_lets_it_send_the_rest() {
        let replay = Replay::default();
        for size in [1, 2, 3] {
            replay.keep(&outgoing(size));
        }
        replay.start_over();
        replay.next();
        replay.let_go();
        assert!(!replay.is_whole());
        assert_eq!(sizes(&replay), [2, 3]);
        assert!(replay.kept.borrow().is_empty());
    }

    #[test]
    fn nothing_is_kept_beyond_the_bound_nor_after_an_answer() {
        let large = Replay::default();
        for size in [1, MOST_KEPT, 1] {
            large.keep(&outgoing(size));
        }
        assert!(!large.is_whole() && large.kept.borrow().is_empty());

        let answered = Replay::default();
        answered.keep(&outgoing(1));
        answered.let_go();
        answered.keep(&outgoing(1));
        assert!(!answered.is_whole() && answered.kept.borrow().is_empty());
    }

    #[test]
    fn endless_empty_messages_are_bounded() {
        let replay = Replay::default();
        let kept = (0..10_000).take_while(|_| {
            replay.keep(&outgoing(0));
            replay.is_whole()
        });
        assert_eq!(kept.count(), MOST_KEPT / OVERHEAD);
    }
}
