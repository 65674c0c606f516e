//! Back-pressure for a call's sender: how much may wait to be sent, shared between the caller's thread and the loop.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// One call's quota. `SeqCst` because refusing and freeing race on two of the fields; streams are few enough for it not to matter.
#[derive(Debug)]
pub(crate) struct SendQuota {
    high_water: usize,
    queued: AtomicUsize,
    /// Set by a refused sender; who clears it owes, or is owed, exactly one notice that there is room.
    wants_room: AtomicBool,
    is_half_closed: AtomicBool,
    is_ended: AtomicBool,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Full,
    HalfClosed,
    Ended,
}

/// What a queued message costs beside its bytes, so that endless empty messages are bounded too.
const OVERHEAD: usize = 64;

impl SendQuota {
    pub(crate) fn new(high_water: usize) -> Self {
        Self {
            high_water,
            queued: AtomicUsize::new(0),
            wants_room: AtomicBool::new(false),
            is_half_closed: AtomicBool::new(false),
            is_ended: AtomicBool::new(false),
        }
    }

    /// Takes room for a message of `size` bytes. One message is always let in below the mark, however large.
    pub(crate) fn take(&self, size: usize, is_last: bool) -> Result<(), Refusal> {
        if self.is_ended.load(SeqCst) {
            return Err(Refusal::Ended);
        }
        if self.is_half_closed.load(SeqCst) {
            return Err(Refusal::HalfClosed);
        }
        if self.queued.load(SeqCst) >= self.high_water {
            self.wants_room.store(true, SeqCst);
            // The loop may have made room before it could see the wish; then either it or we take the wish back.
            let has_room_now = self.queued.load(SeqCst) < self.high_water;
            if !(has_room_now && self.wants_room.swap(false, SeqCst)) {
                return Err(Refusal::Full);
            }
        }
        if is_last && self.is_half_closed.swap(true, SeqCst) {
            return Err(Refusal::HalfClosed);
        }
        self.queued.fetch_add(size + OVERHEAD, SeqCst);
        Ok(())
    }

    /// Half-closes, whatever is queued.
    pub(crate) fn half_close(&self) -> Result<(), Refusal> {
        if self.is_ended.load(SeqCst) {
            return Err(Refusal::Ended);
        }
        if self.is_half_closed.swap(true, SeqCst) {
            return Err(Refusal::HalfClosed);
        }
        Ok(())
    }

    /// A message of `size` bytes was handed on. Whether a refused sender is to be told that there is room.
    pub(crate) fn give_back(&self, size: usize) -> bool {
        let before = self.queued.fetch_sub(size + OVERHEAD, SeqCst);
        before.saturating_sub(size + OVERHEAD) < self.high_water && self.wants_room.swap(false, SeqCst)
    }

    pub(crate) fn end(&self) {
        self.is_ended.store(true, SeqCst);
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.is_ended.load(SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_above_the_mark_is_let_in_when_nothing_waits_and_the_next_is_not() {
        let quota = SendQuota::new(100);
        assert_eq!(quota.take(1_000_000, false), Ok(()));
        assert_eq!(quota.take(1, false), Err(Refusal::Full));
    }

    #[test]
    fn a_refused_sender_is_told_once_that_there_is_room() {
        let quota = SendQuota::new(100);
        quota.take(200, false).expect("room");
        quota.take(1, false).expect_err("full");
        quota.take(1, false).expect_err("full");
        assert!(quota.give_back(200));
        quota.take(200, false).expect("room");
        assert!(!quota.give_back(200), "nobody was refused since");
    }

    #[test]
    fn endless_empty_messages_are_bounded() {
        let quota = SendQuota::new(640);
        let taken = (0..1_000).take_while(|_| quota.take(0, false).is_ok()).count();
        assert_eq!(taken, 10);
    }

    #[test]
    fn nothing_is_taken_after_half_close_or_end() {
        let quota = SendQuota::new(100);
        quota.take(1, true).expect("room");
        assert_eq!(quota.take(1, false), Err(Refusal::HalfClosed));
        assert_eq!(quota.half_close(), Err(Refusal::HalfClosed));
        quota.end();
        assert_eq!(quota.take(1, false), Err(Refusal::Ended));
        assert_eq!(quota.half_close(), Err(Refusal::Ended));
    }
}
