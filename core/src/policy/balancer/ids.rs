//! What subchannels are called.

use std::cell::RefCell;
use std::cmp::Ordering;
use std::rc::Rc;

/// Names a subchannel within its channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SubchannelId {
    /// Never reused: this is what makes two of them differ.
    number: u64,
    /// A small number that no other subchannel has as long as this one lives: whoever keeps something for each finds it at once.
    seat: u32,
}

impl SubchannelId {
    pub(crate) fn seat(self) -> usize {
        self.seat as usize
    }

    #[cfg(test)]
    pub(crate) fn of(number: u64) -> Self {
        Self { number, seat: 0 }
    }

    pub(crate) fn number(self) -> u64 {
        self.number
    }
}

impl PartialEq for SubchannelId {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for SubchannelId {}

impl PartialOrd for SubchannelId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for SubchannelId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.number.cmp(&other.number)
    }
}

/// Gives a channel's policies, one after the other, ids that no other subchannel has had. Clones share the count. By default it is one of their
/// own, from 1.
#[derive(Clone, Debug, Default)]
pub(crate) struct SubchannelIds(Rc<RefCell<Given>>);

#[derive(Debug, Default)]
struct Given {
    last: u64,
    /// Where numbers are from that are not counted here.
    source: Option<fn() -> u64>,
    seats: u32,
    free: Vec<u32>,
}

impl SubchannelIds {
    /// The numbers are from here, each greater than those before.
    pub(crate) fn numbered_by(source: fn() -> u64) -> Self {
        Self(Rc::new(RefCell::new(Given { source: Some(source), ..Given::default() })))
    }

    pub(super) fn next(&self) -> SubchannelId {
        let mut given = self.0.borrow_mut();
        given.last = given.source.map_or(given.last + 1, |source| source());
        let seat = given.free.pop().unwrap_or_else(|| {
            given.seats += 1;
            given.seats - 1
        });
        SubchannelId { number: given.last, seat }
    }

    /// The subchannel is gone: another one may sit there.
    pub(crate) fn free(&self, id: SubchannelId) {
        self.0.borrow_mut().free.push(id.seat);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_never_reused_and_seats_are_once_they_are_free() {
        let ids = SubchannelIds::default();
        let [first, second] = [ids.next(), ids.next()];
        assert_eq!((first.seat(), second.seat()), (0, 1));
        ids.free(first);
        let third = ids.next();
        assert_eq!(third.seat(), 0);
        assert_ne!(third, first);
        assert_eq!(ids.next().seat(), 2);
    }
}
