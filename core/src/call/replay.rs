//! The messages of a call with streams, kept as long as another attempt may have to send them, and when to let them go.
//!
//! All attempts of the call read one log, each with a cursor of its own. The attempt that has sent everything takes in what comes next.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::inbox::Outgoing;
use crate::policy::retry::buffer::{CallBuffer, Overflow};

/// One call's messages so far.
pub(super) struct Replay {
    kept: RefCell<VecDeque<Outgoing>>,
    /// Where their bytes are counted.
    buffer: RefCell<CallBuffer>,
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

impl Replay {
    pub(super) fn new(buffer: CallBuffer) -> Self {
        Self {
            kept: RefCell::default(),
            buffer: RefCell::new(buffer),
            taken: Cell::new(0),
            handed_on: Cell::new(0),
            is_over: Cell::new(false),
        }
    }

    /// The next message that was taken in and the attempt has not sent; `None` when it has sent them all.
    pub(super) fn next(&self, cursor: &Cursor) -> Option<Outgoing> {
        let mut kept = self.kept.borrow_mut();
        let not_sent = self.taken.get() - cursor.number();
        if not_sent == 0 {
            return None;
        }
        cursor.0.set(cursor.number() + 1);
        let place = kept.len() - not_sent;
        if !self.is_over.get() {
            return kept.get(place).cloned();
        }
        // Nobody needs it a second time.
        let outgoing = kept.pop_front()?;
        self.buffer.borrow_mut().let_go(length(&outgoing));
        Some(outgoing)
    }

    /// The attempt, which has sent all before, is to send this one.
    ///
    /// # Errors
    /// It is the first that is not kept, so no other attempt goes on ([COMMIT-02], [BUF-04]).
    pub(super) fn take_in(&self, cursor: &Cursor, outgoing: &Outgoing) -> Result<(), Overflow> {
        let kept = if self.is_over.get() { None } else { Some(self.keep(outgoing)) };
        if let Some(Err(_)) = kept {
            self.let_go(cursor);
        }
        if !matches!(kept, Some(Ok(()))) {
            self.taken.set(self.taken.get() + 1);
        }
        cursor.0.set(self.taken.get());
        kept.unwrap_or(Ok(()))
    }

    /// The message is sent by attempts to come.
    ///
    /// # Errors
    /// It does not fit.
    pub(super) fn keep(&self, outgoing: &Outgoing) -> Result<(), Overflow> {
        self.buffer.borrow_mut().keep(length(outgoing))?;
        self.taken.set(self.taken.get() + 1);
        self.kept.borrow_mut().push_back(outgoing.clone());
        Ok(())
    }

    /// An attempt has handed on all messages before its cursor. Whether the last of them is handed on for the first time.
    pub(super) fn hand_on(&self, cursor: &Cursor) -> bool {
        cursor.number() > self.handed_on.replace(cursor.number().max(self.handed_on.get()))
    }

    /// Those that no attempt has handed on count as handed on, because they are kept.
    pub(super) fn hand_on_kept(&self, each: impl FnMut(&Outgoing)) {
        let waiting = self.taken.get() - self.handed_on.replace(self.taken.get());
        let kept = self.kept.borrow();
        kept.range(kept.len().saturating_sub(waiting)..).for_each(each);
    }

    /// How many were taken in.
    pub(super) fn taken(&self) -> usize {
        self.taken.get()
    }

    /// No attempt but this one goes on ([COMMIT-01]): what it has sent is needed no more ([BUF-06]).
    pub(super) fn let_go(&self, cursor: &Cursor) {
        if !self.is_over.replace(true) {
            let mut kept = self.kept.borrow_mut();
            let not_sent = self.taken.get() - cursor.number();
            let sent = kept.len() - not_sent;
            let mut buffer = self.buffer.borrow_mut();
            kept.drain(..sent).for_each(|outgoing| buffer.let_go(length(&outgoing)));
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

fn length(outgoing: &Outgoing) -> usize {
    outgoing.message.as_ref().map_or(0, |message| message.bytes.len())
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use bytes::Bytes;

    use super::*;
    use crate::policy::retry::buffer::ChannelBuffer;

    const LIMIT: usize = 64 << 10;

    fn replay() -> (Replay, Rc<ChannelBuffer>) {
        let channel = Rc::new(ChannelBuffer::new(1 << 30));
        (Replay::new(CallBuffer::new(Rc::clone(&channel), LIMIT as u64)), channel)
    }

    fn outgoing(size: usize) -> Outgoing {
        Outgoing::message(Bytes::from(vec![0; size]), false, false)
    }

    fn sizes(replay: &Replay, cursor: &Cursor) -> Vec<usize> {
        std::iter::from_fn(|| replay.next(cursor)).map(|outgoing| length(&outgoing)).collect()
    }

    fn take_in(replay: &Replay, cursor: &Cursor, new: &[usize]) {
        for size in new {
            assert_eq!(replay.take_in(cursor, &outgoing(*size)), Ok(()));
        }
    }

    /// [BUF-08]
    #[test]
    fn what_was_taken_is_there_again_in_its_order_as_often_as_it_is_wanted() {
        let ((replay, _), cursor) = (replay(), Cursor::default());
        take_in(&replay, &cursor, &[1, 2]);
        assert!(replay.next(&cursor).is_none(), "the attempt that took them has sent them");
        for _ in 0..2 {
            cursor.start_over();
            assert_eq!(sizes(&replay, &cursor), [1, 2]);
        }
        take_in(&replay, &cursor, &[3]);
        cursor.start_over();
        assert_eq!(sizes(&replay, &cursor), [1, 2, 3]);
    }

    /// [HEDGE-21]
    #[test]
    fn attempts_side_by_side_send_the_same_each_at_its_own_pace() {
        let ((replay, _), [fast, slow]) = (replay(), [(); 2].map(|()| Cursor::default()));
        take_in(&replay, &fast, &[1, 2, 3]);
        assert_eq!(replay.next(&slow).map(|first| length(&first)), Some(1));
        assert!(replay.next(&fast).is_none());
        assert_eq!(sizes(&replay, &slow), [2, 3]);
        take_in(&replay, &slow, &[4]);
        assert_eq!(sizes(&replay, &fast), [4]);
    }

    /// [BUF-06]
    #[test]
    fn an_answer_in_the_middle_of_a_later_attempt_lets_it_send_the_rest() {
        let ((replay, channel), cursor) = (replay(), Cursor::default());
        take_in(&replay, &cursor, &[1, 2, 3]);
        let all = channel.used();
        cursor.start_over();
        replay.next(&cursor);
        replay.let_go(&cursor);
        assert!(channel.used() < all);
        assert_eq!(sizes(&replay, &cursor), [2, 3]);
        assert_eq!(channel.used(), 0);
        take_in(&replay, &cursor, &[4]);
        assert_eq!(sizes(&replay, &cursor), [0; 0]);
        assert_eq!(channel.used(), 0);
    }

    /// [COMMIT-02], [BUF-04]
    #[test]
    fn the_first_message_beyond_the_bound_lets_go_of_all() {
        let ((replay, channel), cursor) = (replay(), Cursor::default());
        take_in(&replay, &cursor, &[1]);
        assert_eq!(replay.take_in(&cursor, &outgoing(LIMIT)), Err(Overflow::OfCall));
        take_in(&replay, &cursor, &[1]);
        assert_eq!(channel.used(), 0);
        assert!(replay.next(&cursor).is_none());
    }

    /// [BUF-06]
    #[test]
    fn what_a_call_kept_is_freed_when_it_ends() {
        let ((replay, channel), cursor) = (replay(), Cursor::default());
        take_in(&replay, &cursor, &[1_000]);
        assert!(channel.used() >= 1_000);
        drop(replay);
        assert_eq!(channel.used(), 0);
    }

    /// [BUF-09]
    #[test]
    fn a_message_is_handed_on_once_however_often_it_is_sent() {
        let ((replay, _), [one, other]) = (replay(), [(); 2].map(|()| Cursor::default()));
        take_in(&replay, &one, &[1]);
        assert!(replay.hand_on(&one));
        replay.next(&other);
        assert!(!replay.hand_on(&other));
        take_in(&replay, &other, &[2]);
        replay.keep(&outgoing(3)).expect("room");
        let mut handed_on = Vec::new();
        replay.hand_on_kept(|outgoing| handed_on.push(length(outgoing)));
        assert_eq!(handed_on, [2, 3]);
        assert_eq!(sizes(&replay, &one), [2, 3]);
        assert!(!replay.hand_on(&one));
    }
}
