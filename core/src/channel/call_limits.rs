//! How many calls may be in flight at once, on a channel and on each of its addresses, and the lines of those that wait until one ends.

use std::cell::Cell;
use std::future::poll_fn;
use std::ops::Deref;
use std::rc::Rc;
use std::task::Poll;

use crate::line::Line;
use crate::policy::balancer::tally::InFlight;

/// The limit of a channel. A call counts once, however often it is sent.
#[derive(Debug)]
pub(crate) struct ChannelLimit {
    pub(crate) most: u32,
    in_flight: Cell<u32>,
    /// Set when its channel is closed: nobody waits any more.
    is_over: Cell<bool>,
    pub(crate) line: Line,
}

impl ChannelLimit {
    pub(super) fn new(most: u32) -> Rc<Self> {
        Rc::new(Self { most, in_flight: Cell::new(0), is_over: Cell::new(false), line: Line::default() })
    }

    /// Counts a call, if there is room and nobody has waited for it.
    pub(crate) fn take(self: &Rc<Self>) -> Option<Running> {
        if self.line.is_empty() { self.take_free() } else { None }
    }

    /// Waits for room, and no longer than the channel is open. Who waits longest goes first.
    ///
    /// Cancel safe: a dropped wait takes nothing.
    pub(crate) async fn wait(self: &Rc<Self>) -> Option<Running> {
        let mut turn = self.line.turn();
        poll_fn(|cx| {
            if self.is_over.get() {
                return Poll::Ready(None);
            }
            if turn.has_come()
                && let Some(running) = self.take_free()
            {
                return Poll::Ready(Some(running));
            }
            turn.wait(cx);
            Poll::Pending
        })
        .await
    }

    /// The channel is closed: calls that wait end ([CONN-154]).
    pub(super) fn end(&self) {
        self.is_over.set(true);
        self.line.call_all();
    }

    fn take_free(self: &Rc<Self>) -> Option<Running> {
        (self.in_flight.get() < self.most).then(|| {
            self.in_flight.set(self.in_flight.get() + 1);
            Running(Rc::clone(self))
        })
    }
}

/// A call that counts towards its channel's limit until this is dropped.
#[derive(Debug)]
pub(crate) struct Running(Rc<ChannelLimit>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.in_flight.set(self.0.in_flight.get() - 1);
        self.0.line.call_next();
    }
}

/// The limit of each address of a channel. Which address has room is seen by a pick, so there is one line for all.
#[derive(Debug)]
pub(crate) struct AddressLimit {
    pub(crate) most: u32,
    pub(crate) line: Line,
}

impl AddressLimit {
    pub(crate) fn new(most: u32) -> Rc<Self> {
        Rc::new(Self { most, line: Line::default() })
    }
}

/// A call that an address has been given. When it is over, who waits for room looks again.
#[derive(Debug)]
pub(crate) struct AtAddress {
    in_flight: InFlight,
    limit: Option<Rc<AddressLimit>>,
}

impl AtAddress {
    pub(super) fn new(in_flight: InFlight, limit: Option<&Rc<AddressLimit>>) -> Self {
        Self { in_flight, limit: limit.map(Rc::clone) }
    }

    /// The call looks elsewhere at once. Nobody has missed the room it had, and who is called for nothing, itself perhaps, calls back.
    pub(crate) fn leave_unseen(mut self) {
        self.limit = None;
    }
}

impl Deref for AtAddress {
    type Target = InFlight;

    fn deref(&self) -> &InFlight {
        &self.in_flight
    }
}

impl Drop for AtAddress {
    fn drop(&mut self) {
        // Who is called looks later, when this call does not count any more.
        if let Some(limit) = &self.limit {
            limit.line.call_next();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::{Context, Waker};

    use super::*;

    fn polled(call: Pin<&mut impl Future<Output = Option<Running>>>) -> Option<Running> {
        match call.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(running) => running,
            Poll::Pending => None,
        }
    }

    #[test]
    fn room_goes_to_who_has_waited_longest_and_not_to_who_comes_when_there_is_some() {
        let limit = ChannelLimit::new(1);
        let first = limit.take().expect("room");
        assert!(limit.take().is_none());
        let (mut second, mut third) = (pin!(limit.wait()), pin!(limit.wait()));
        assert!(polled(second.as_mut()).is_none());
        assert!(polled(third.as_mut()).is_none());
        drop(first);
        assert!(limit.take().is_none(), "two wait");
        assert!(polled(third.as_mut()).is_none(), "one waits longer");
        let second = polled(second.as_mut()).expect("its turn");
        assert!(polled(third.as_mut()).is_none());
        drop(second);
        assert!(polled(third.as_mut()).is_some());
    }

    #[test]
    fn a_call_that_leaves_the_line_takes_nothing_with_it() {
        let limit = ChannelLimit::new(1);
        let first = limit.take().expect("room");
        {
            let mut given_up = pin!(limit.wait());
            assert!(polled(given_up.as_mut()).is_none());
            drop(first);
        }
        assert!(limit.take().is_some());
    }
}
