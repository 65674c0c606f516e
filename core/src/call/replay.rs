//! The messages of a call with streams, kept as long as another attempt may have to send them, and when to let them go.
//!
//! All attempts of the call read one log, each with a cursor of its own. The attempt that has sent everything takes in what comes next.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use bytes::Bytes;

use super::inbox::Outgoing;

/// One call's messages so far.
#[derive(Default)]
pub(super) struct Replay {
    kept: RefCell<VecDeque<Outgoing>>,
    bytes: Cell<usize>,
    /// How many were taken in so far.
    taken: Cell<usize>,
    /// How many of them an attempt has handed on; their caller has room for others.
    handed_on: Cell<usize>,
    /// Set when no other attempt follows: nothing more is kept, and what is goes as soon as it is sent.
    is_over: Cell<bool>,
}

/// How many messages one attempt has sent.
#[derive(Default)]
pub(super) struct Cursor(Cell<usize>);

/// More is not kept: a call that has sent so much before the server said anything is told its end instead.
const MOST_KEPT: usize = 64 << 10;

/// What a message costs beside its bytes, so that endless empty messages are bounded too.
const OVERHEAD: usize = 64;

impl Replay {
    /// The next message that was taken in and the attempt has not sent; `None` when it has sent them all.
    pub(super) fn next(&self, cursor: &Cursor) -> Option<Outgoing> {
        let mut kept = self.kept.borrow_mut();
        let not_sent = self.taken.get() - cursor.number();
        if not_sent == 0 {
            return None;
        }
        let place = kept.len() - not_sent;
        cursor.0.set(cursor.number() + 1);
        // Once no other attempt goes on, nobody needs it a second time.
        if self.is_over.get() { kept.pop_front() } else { kept.get(place).cloned() }
    }

    /// The attempt, which has sent all before, is to send this one. Whether it is kept; if not, no other attempt goes on ([COMMIT-02]).
    pub(super) fn take_in(&self, cursor: &Cursor, outgoing: &Outgoing) -> bool {
        if !self.is_over.get() && !self.fits(outgoing) {
            self.let_go(cursor);
        }
        let is_kept = !self.is_over.get();
        if is_kept {
            self.keep(outgoing.clone());
        } else {
            self.taken.set(self.taken.get() + 1);
        }
        cursor.0.set(self.taken.get());
        is_kept
    }

    /// Whether this one could be kept besides.
    fn fits(&self, outgoing: &Outgoing) -> bool {
        self.bytes.get() + size(outgoing) <= MOST_KEPT
    }

    /// The message is sent by attempts to come. It fits.
    fn keep(&self, outgoing: Outgoing) {
        self.bytes.set(self.bytes.get() + size(&outgoing));
        self.taken.set(self.taken.get() + 1);
        self.kept.borrow_mut().push_back(outgoing);
    }

    /// An attempt has handed on all messages before its cursor. Whether the last of them is handed on for the first time.
    pub(super) fn hand_on(&self, cursor: &Cursor) -> bool {
        cursor.number() > self.handed_on.replace(cursor.number().max(self.handed_on.get()))
    }

    /// No attempt but this one goes on ([COMMIT-01]): what it has sent is needed no more ([BUF-06]).
    pub(super) fn let_go(&self, cursor: &Cursor) {
        if !self.is_over.replace(true) {
            let mut kept = self.kept.borrow_mut();
            let not_sent = self.taken.get() - cursor.number();
            let sent = kept.len() - not_sent;
            kept.drain(..sent);
        }
    }
}

impl Cursor {
    fn number(&self) -> usize {
        self.0.get()
    }

    /// Another attempt follows, and sends everything anew.
    pub(super) fn start_over(&self) {
        self.0.set(0);
    }
}

fn size(outgoing: &Outgoing) -> usize {
    outgoing.message.as_ref().map_or(0, Bytes::len) + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(size: usize) -> Outgoing {
        Outgoing { message: Some(Bytes::from(vec![0; size])), is_last: false }
    }

    fn sizes(replay: &Replay, cursor: &Cursor) -> Vec<usize> {
        std::iter::from_fn(|| replay.next(cursor)?.message).map(|message| message.len()).collect()
    }

    #[test]
    fn what_was_taken_is_there_again_in_its_order_as_often_as_it_is_wanted() {
        let (replay, cursor) = (Replay::default(), Cursor::default());
        for size in [1, 2] {
            assert!(replay.take_in(&cursor, &outgoing(size)));
        }
        assert!(replay.next(&cursor).is_none(), "the attempt that took them has sent them");
        for _ in 0..2 {
            cursor.start_over();
            assert_eq!(sizes(&replay, &cursor), [1, 2]);
        }
        assert!(replay.take_in(&cursor, &outgoing(3)));
        cursor.start_over();
        assert_eq!(sizes(&replay, &cursor), [1, 2, 3]);
    }

    #[test]
    fn attempts_side_by_side_send_the_same_each_at_its_own_pace() {
        let (replay, [fast, slow]) = (Replay::default(), [(); 2].map(|()| Cursor::default()));
        for size in [1, 2, 3] {
            assert!(replay.take_in(&fast, &outgoing(size)));
        }
        assert_eq!(replay.next(&slow).and_then(|first| first.message).expect("the first").len(), 1);
        assert!(replay.next(&fast).is_none());
        assert_eq!(sizes(&replay, &slow), [2, 3]);
        assert!(replay.take_in(&slow, &outgoing(4)));
        assert_eq!(sizes(&replay, &fast), [4]);
    }

    /// [BUF-06]
    #[test]
    fn an_answer_in_the_middle_of_a_later_attempt_lets_it_send_the_rest() {
        let (replay, cursor) = (Replay::default(), Cursor::default());
        for size in [1, 2, 3] {
            replay.take_in(&cursor, &outgoing(size));
        }
        cursor.start_over();
        replay.next(&cursor);
        replay.let_go(&cursor);
        assert_eq!(replay.kept.borrow().len(), 2);
        assert_eq!(sizes(&replay, &cursor), [2, 3]);
        assert!(replay.kept.borrow().is_empty());
        assert!(!replay.take_in(&cursor, &outgoing(4)));
        assert_eq!(sizes(&replay, &cursor), [0; 0]);
    }

    /// [COMMIT-02], [BUF-04]
    #[test]
    fn nothing_is_kept_beyond_the_bound_nor_after_an_answer() {
        let (replay, cursor) = (Replay::default(), Cursor::default());
        assert!(replay.take_in(&cursor, &outgoing(1)));
        assert!(!replay.take_in(&cursor, &outgoing(MOST_KEPT)));
        assert!(!replay.take_in(&cursor, &outgoing(1)));
        assert!(replay.kept.borrow().is_empty());

        let (answered, cursor) = (Replay::default(), Cursor::default());
        answered.take_in(&cursor, &outgoing(1));
        answered.let_go(&cursor);
        assert!(!answered.take_in(&cursor, &outgoing(1)));
        assert!(answered.kept.borrow().is_empty());
    }

    #[test]
    fn endless_empty_messages_are_bounded() {
        let (replay, cursor) = (Replay::default(), Cursor::default());
        let kept = (0..10_000).take_while(|_| replay.take_in(&cursor, &outgoing(0)));
        assert_eq!(kept.count(), MOST_KEPT / OVERHEAD);
    }

    /// [BUF-09]
    #[test]
    fn a_message_is_handed_on_once_however_often_it_is_sent() {
        let (replay, [one, other]) = (Replay::default(), [(); 2].map(|()| Cursor::default()));
        replay.take_in(&one, &outgoing(1));
        assert!(replay.hand_on(&one));
        replay.next(&other);
        assert!(!replay.hand_on(&other));
        replay.take_in(&other, &outgoing(2));
        assert!(replay.hand_on(&other));
        assert_eq!(sizes(&replay, &one), [2]);
        assert!(!replay.hand_on(&one));
    }
}
