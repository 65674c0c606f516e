//! How many bytes calls keep to be sent again, each for itself and all of a channel together.
//!
//! The messages themselves are the calls'; here is only the account.

use std::cell::Cell;
use std::rc::Rc;

/// What a message costs beside its bytes, so that endless empty messages are bounded too ([BUF-03]).
pub(crate) const OVERHEAD: u64 = 64;

/// What all calls of a channel keep.
#[derive(Debug)]
pub(crate) struct ChannelBuffer {
    limit: u64,
    used: Cell<u64>,
}

impl ChannelBuffer {
    /// `limit` in bytes ([BUF-02]).
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, used: Cell::new(0) }
    }

    /// How many bytes are kept now.
    pub(crate) fn used(&self) -> u64 {
        self.used.get()
    }
}

/// What one call keeps. All of it goes from the channel's account when this is dropped ([BUF-06]).
#[derive(Debug)]
pub(crate) struct CallBuffer {
    channel: Rc<ChannelBuffer>,
    limit: u64,
    used: u64,
}

/// Whose room a message does not fit in: the call cannot be made again after it ([BUF-04]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overflow {
    /// `grpc.per_rpc_retry_buffer_size`
    OfCall,
    /// `grpc.retry_buffer_size`
    OfChannel,
}

impl CallBuffer {
    /// `limit` in bytes ([BUF-02]).
    pub(crate) fn new(channel: Rc<ChannelBuffer>, limit: u64) -> Self {
        Self { channel, limit, used: 0 }
    }

    /// A message of so many bytes is to be kept.
    ///
    /// # Errors
    /// It does not fit, and nothing was counted.
    pub(crate) fn keep(&mut self, length: usize) -> Result<(), Overflow> {
        let cost = cost(length);
        let grown = |used: u64, limit: u64| used.checked_add(cost).filter(|used| *used <= limit);
        let of_call = grown(self.used, self.limit).ok_or(Overflow::OfCall)?;
        let of_channel = grown(self.channel.used(), self.channel.limit).ok_or(Overflow::OfChannel)?;
        self.used = of_call;
        self.channel.used.set(of_channel);
        Ok(())
    }

    /// A message of so many bytes that was kept is let go.
    pub(crate) fn let_go(&mut self, length: usize) {
        self.give_back(cost(length));
    }

    /// All messages are let go.
    pub(crate) fn let_all_go(&mut self) {
        self.give_back(self.used);
    }

    fn give_back(&mut self, bytes: u64) {
        let bytes = bytes.min(self.used);
        self.used -= bytes;
        self.channel.used.set(self.channel.used().saturating_sub(bytes));
    }
}

impl Drop for CallBuffer {
    fn drop(&mut self) {
        self.let_all_go();
    }
}

fn cost(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX).saturating_add(OVERHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffers(of_call: u64, of_channel: u64) -> (Rc<ChannelBuffer>, [CallBuffer; 2]) {
        let channel = Rc::new(ChannelBuffer::new(of_channel));
        let call = || CallBuffer::new(Rc::clone(&channel), of_call);
        let calls = [call(), call()];
        (channel, calls)
    }

    /// [BUF-01], [BUF-03], [BUF-04]
    #[test]
    fn a_message_that_does_not_fit_is_not_counted() {
        let (channel, [mut one, mut other]) = buffers(1_000, 1_500);
        assert_eq!(one.keep(1_000), Err(Overflow::OfCall));
        assert_eq!(channel.used(), 0);
        assert_eq!(one.keep(936), Ok(()));
        assert_eq!(one.keep(0), Err(Overflow::OfCall));
        assert_eq!(other.keep(437), Err(Overflow::OfChannel));
        assert_eq!(other.keep(436), Ok(()));
        assert_eq!(channel.used(), 1_500);
        assert_eq!(other.keep(usize::MAX), Err(Overflow::OfCall));
    }

    /// [BUF-03]
    #[test]
    fn empty_messages_are_bounded_too() {
        let (_, [mut call, _]) = buffers(1_000, 10_000);
        assert_eq!((0..).take_while(|_| call.keep(0).is_ok()).count(), 15);
    }

    #[test]
    fn a_limit_of_nothing_keeps_nothing() {
        let (_, [mut call, _]) = buffers(0, 10_000);
        assert_eq!(call.keep(0), Err(Overflow::OfCall));
        let (_, [mut call, _]) = buffers(1_000, 0);
        assert_eq!(call.keep(0), Err(Overflow::OfChannel));
    }

    /// [BUF-06]
    #[test]
    fn what_is_let_go_makes_room_for_others() {
        let (channel, [mut one, mut other]) = buffers(1_000, 1_000);
        assert_eq!((one.keep(400), one.keep(336)), (Ok(()), Ok(())));
        assert_eq!(other.keep(300), Err(Overflow::OfChannel));
        one.let_go(336);
        assert_eq!((channel.used(), other.keep(300)), (464, Ok(())));
        one.let_all_go();
        assert_eq!(channel.used(), 364);
        one.let_go(1_000_000);
        assert_eq!(channel.used(), 364);
        drop(other);
        assert_eq!(channel.used(), 0);
    }
}
