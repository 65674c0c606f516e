//! How many calls may be in flight at once, on a channel and on each of its addresses, and the lines of those that wait until one ends.

use std::cell::Cell;
use std::future::poll_fn;
use std::ops::Deref;
use std::rc::Rc;
use std::task::Poll;

use super::mailbox::{Mail, Mailbox};
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

/// A call that an address has been given. When it is over, who waits for room, or to probe the address, looks again.
pub(crate) struct AtAddress {
    in_flight: InFlight,
    limit: Option<Rc<AddressLimit>>,
    breakers: Option<Rc<Mailbox>>,
}

impl AtAddress {
    /// `breakers` is told when a probe begins, so that it is not waited for without end, and when one proves nothing.
    pub(super) fn new(in_flight: InFlight, limit: Option<&Rc<AddressLimit>>, breakers: Option<&Rc<Mailbox>>) -> Self {
        if let Some(breakers) = breakers.filter(|_| in_flight.is_probe()) {
            breakers.post(Mail::BreakerChanged);
        }
        Self { in_flight, limit: limit.map(Rc::clone), breakers: breakers.map(Rc::clone) }
    }

    /// The call looks elsewhere at once. Nobody has missed the room it had, and who is called for nothing, itself perhaps, calls back.
    pub(crate) fn leave_unseen(mut self) {
        (self.limit, self.breakers) = (None, None);
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
        if let Some(breakers) = &self.breakers
            && self.in_flight.leave()
        {
            breakers.post(Mail::BreakerChanged);
        }
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
    use std::time::Duration;

    use super::*;
    use crate::address::Address;
    use crate::policy::balancer::breaker::{BreakerOptions, CircuitBreaking, Verdict};
    use crate::policy::balancer::endpoint::EndpointBook;
    use crate::policy::balancer::pick_first::PickFirst;
    use crate::policy::balancer::{LbPolicy, SubchannelIds};
    use crate::status::Code;
    use crate::time::Time;

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

    /// [TRANS-17]: as with one whose deadline passes while it waits for a stream. Calls that wait for the breaker would sleep on.
    #[test]
    fn the_begin_of_a_probe_is_told_and_its_end_when_it_was_not_judged() {
        let address = Address::Inet(([10, 0, 0, 1], 1).into());
        let endpoints = EndpointBook::default().on_listed([Box::from([address])]);
        let tally = Rc::clone(endpoints[0].tally());
        let options = BreakerOptions { consecutive_failures: Some(1), ..BreakerOptions::default() };
        let open_time = options.open_time;
        let child = PickFirst::new(SubchannelIds::default(), Duration::from_millis(250));
        let mut policy = CircuitBreaking::new(options, Box::new(child));
        policy.on_endpoints(Time::ZERO, endpoints, &mut Vec::new());
        let mailbox = Rc::<Mailbox>::default();
        let is_told = || matches!(mailbox.take(), Some(Mail::BreakerChanged));
        let call = AtAddress::new(tally.enter(), None, Some(&mailbox));
        call.on_verdict(Time::ZERO, Some(Verdict::Failed(Code::Unavailable)));
        drop(call);
        assert!(!is_told(), "it was no probe, and its end was judged");
        policy.on_time(Time::ZERO, &mut Vec::new());
        policy.on_time(Time::ZERO + open_time, &mut Vec::new());
        let probe = AtAddress::new(tally.enter(), None, Some(&mailbox));
        assert!(is_told());
        drop(probe);
        assert!(is_told());
    }
}
