//! Length-prefixed messages: one flag byte, four length bytes, the message ([WIRE-90]). Pure.

use std::io::IoSlice;

use bytes::{Buf, Bytes, BytesMut};

use crate::failure::Failure;

pub(super) const PREFIX: usize = 5;

/// HTTP/2 windows hold 2^31-1 bytes, prefix included; the HTTP/2 library takes no more at once.
const LARGEST: u64 = (1 << 31) - 1 - PREFIX as u64;

/// A message, or a part of one, on its way to the socket: the prefix and the bytes behind it, never copied together.
#[derive(Debug)]
pub(crate) struct Outbound {
    prefix: [u8; PREFIX],
    prefix_sent: usize,
    bytes: Bytes,
}

impl Outbound {
    /// A whole uncompressed message.
    ///
    /// # Errors
    /// The message is longer than the limit, or than one stream can be handed at once.
    pub(crate) fn message(bytes: Bytes, limit: Option<u64>) -> Result<Self, Failure> {
        let size = bytes.len() as u64;
        let limit = limit.map_or(LARGEST, |limit| limit.min(LARGEST));
        let too_large = Failure::SentTooLarge { size, limit };
        let length = u32::try_from(size).ok().filter(|_| size <= limit).ok_or(too_large)?;
        let mut prefix = [0; PREFIX];
        prefix[1..].copy_from_slice(&length.to_be_bytes());
        Ok(Self { prefix, prefix_sent: 0, bytes })
    }

    /// Nothing: an empty frame that carries END_STREAM.
    pub(crate) fn nothing() -> Self {
        Self { prefix: [0; PREFIX], prefix_sent: PREFIX, bytes: Bytes::new() }
    }

    /// Takes the first `count` bytes off.
    pub(crate) fn split_to(&mut self, count: usize) -> Self {
        let of_prefix = count.min(PREFIX - self.prefix_sent);
        let mut head = Self { bytes: self.bytes.split_to((count - of_prefix).min(self.bytes.len())), ..*self };
        // A head that ends inside the prefix ends there: its own end is moved up by shifting what it has to the back.
        head.keep_prefix(self.prefix_sent, of_prefix);
        self.prefix_sent += of_prefix;
        head
    }

    /// Makes the unsent part of the prefix exactly the `count` bytes from `from`.
    fn keep_prefix(&mut self, from: usize, count: usize) {
        let mut prefix = [0; PREFIX];
        prefix[PREFIX - count..].copy_from_slice(&self.prefix[from..from + count]);
        self.prefix = prefix;
        self.prefix_sent = PREFIX - count;
    }
}

impl Buf for Outbound {
    fn remaining(&self) -> usize {
        PREFIX - self.prefix_sent + self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        if self.prefix_sent < PREFIX { &self.prefix[self.prefix_sent..] } else { &self.bytes }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let parts = [&self.prefix[self.prefix_sent..], &self.bytes[..]];
        let mut filled = 0;
        for (slice, part) in slices.iter_mut().zip(parts.into_iter().filter(|part| !part.is_empty())) {
            *slice = IoSlice::new(part);
            filled += 1;
        }
        filled
    }

    fn advance(&mut self, count: usize) {
        let of_prefix = count.min(PREFIX - self.prefix_sent);
        self.prefix_sent += of_prefix;
        self.bytes.advance(count - of_prefix);
    }
}

/// Puts received DATA together to messages. Frame boundaries mean nothing ([WIRE-91]).
///
/// A message that lies in one chunk is a part of it. One that does not is copied together as it arrives, while the bytes are still in
/// the processor's cache, and no chunk is kept for it: a server that sends single bytes pins no buffer for each.
#[derive(Debug)]
pub(crate) struct Decoder {
    /// The beginning of a message whose end was not in the chunk.
    partial: BytesMut,
    /// What follows it: the rest of the newest chunk.
    chunk: Bytes,
    limit: Option<u64>,
}

/// Room is made for this much of an announced message at once, and for more as it comes: a server that only announces costs little.
const MOST_RESERVED: usize = 1 << 20;

impl Decoder {
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Self { partial: BytesMut::new(), chunk: Bytes::new(), limit }
    }

    pub(crate) fn push(&mut self, chunk: Bytes) {
        if !self.chunk.is_empty() {
            self.partial.extend_from_slice(&self.chunk);
        }
        self.chunk = chunk;
    }

    /// The next whole message, if it is there.
    ///
    /// # Errors
    /// The prefix breaks a rule, or announces more than the limit: told as soon as the prefix is read ([WIRE-93]).
    pub(crate) fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.partial.is_empty() {
            let Some(prefix) = self.chunk.first_chunk() else {
                self.keep_chunk(PREFIX);
                return Ok(None);
            };
            let size = PREFIX + self.length(*prefix)?;
            if self.chunk.len() < size {
                self.keep_chunk(size);
                return Ok(None);
            }
            let mut message = self.chunk.split_to(size);
            message.advance(PREFIX);
            return Ok(Some(message));
        }
        self.fill(PREFIX);
        let Some(prefix) = self.partial.first_chunk() else { return Ok(None) };
        let size = PREFIX + self.length(*prefix)?;
        self.fill(size);
        if self.partial.len() < size {
            return Ok(None);
        }
        // The whole of it, as a rule: what follows is in the chunk.
        let whole =
            if self.partial.len() == size { std::mem::take(&mut self.partial) } else { self.partial.split_to(size) };
        let mut message = whole.freeze();
        message.advance(PREFIX);
        Ok(Some(message))
    }

    /// Whether the stream may end here: not inside a message ([WIRE-95]).
    pub(crate) fn is_empty(&self) -> bool {
        self.partial.is_empty() && self.chunk.is_empty()
    }

    /// What the prefix announces.
    fn length(&self, prefix: [u8; PREFIX]) -> Result<usize, Failure> {
        match prefix[0] {
            0 => {}
            // [WIRE-119]: nothing but identity was offered, so nothing else may come.
            1 => {
                return Err(Failure::Protocol {
                    rule: "the server sent a compressed message, and no compression was offered to it".into(),
                });
            }
            flag => {
                return Err(Failure::Protocol {
                    rule: format!("the server sent a message with the flag {flag}; only 0 and 1 exist"),
                });
            }
        }
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
        match self.limit.filter(|limit| u64::from(length) > *limit) {
            Some(limit) => Err(Failure::ReceivedTooLarge { size: u64::from(length), limit }),
            None => Ok(length as usize),
        }
    }

    /// The chunk ends inside a message of this size: what is there is kept.
    fn keep_chunk(&mut self, size: usize) {
        if !self.chunk.is_empty() {
            self.partial.reserve(size.min(MOST_RESERVED).max(self.chunk.len()));
            self.partial.extend_from_slice(&self.chunk);
            self.chunk = Bytes::new();
        }
    }

    /// Moves bytes from the chunk until the partial message has `size`.
    fn fill(&mut self, size: usize) {
        let missing = size.saturating_sub(self.partial.len());
        let there = missing.min(self.chunk.len());
        if there == 0 {
            return;
        }
        if self.partial.capacity() < self.partial.len() + there {
            self.partial.reserve(missing.min(MOST_RESERVED.max(self.partial.len())).max(there));
        }
        self.partial.extend_from_slice(&self.chunk.split_to(there));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(flag: u8, length: u32, bytes: &[u8]) -> Bytes {
        let mut frame = vec![flag];
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(bytes);
        frame.into()
    }

    fn contents(mut buffer: Outbound) -> Vec<u8> {
        buffer.copy_to_bytes(buffer.remaining()).to_vec()
    }

    /// [WIRE-90]
    #[test]
    fn a_message_carries_its_length() {
        let outbound = Outbound::message(Bytes::from_static(b"abc"), None).expect("small");
        assert_eq!(contents(outbound), [0, 0, 0, 0, 3, b'a', b'b', b'c']);
        assert_eq!(Outbound::nothing().remaining(), 0);
    }

    /// [WIRE-104], [WIRE-105]
    #[test]
    fn a_message_above_the_send_limit_is_refused_and_one_at_the_limit_is_not() {
        let three = Bytes::from_static(b"abc");
        assert!(Outbound::message(three.clone(), Some(3)).is_ok());
        let refused = Outbound::message(three, Some(2)).expect_err("too large");
        assert_eq!(refused, Failure::SentTooLarge { size: 3, limit: 2 });
    }

    /// [WIRE-93]
    #[test]
    fn a_message_above_the_receive_limit_is_refused_on_its_prefix() {
        let mut decoder = Decoder::new(Some(10));
        decoder.push(frame(0, 11, b""));
        assert_eq!(decoder.next(), Err(Failure::ReceivedTooLarge { size: 11, limit: 10 }));
    }

    /// [WIRE-94], [WIRE-119]
    #[test]
    fn other_flags_than_0_are_refused() {
        for flag in [1, 2, 255] {
            let mut decoder = Decoder::new(None);
            decoder.push(frame(flag, 0, b""));
            assert!(matches!(decoder.next(), Err(Failure::Protocol { .. })), "flag {flag}");
        }
    }

    /// [WIRE-96]
    #[test]
    fn empty_messages_are_messages() {
        let mut decoder = Decoder::new(None);
        for _ in 0..3 {
            decoder.push(frame(0, 0, b""));
        }
        for _ in 0..3 {
            assert_eq!(decoder.next(), Ok(Some(Bytes::new())));
        }
        assert_eq!(decoder.next(), Ok(None));
        assert!(decoder.is_empty());
    }

    /// [WIRE-95]
    #[test]
    fn half_a_message_is_not_an_end() {
        let mut decoder = Decoder::new(None);
        decoder.push(frame(0, 4, b"ab"));
        assert_eq!(decoder.next(), Ok(None));
        assert!(!decoder.is_empty());
    }

    proptest! {
        /// [WIRE-91]
        #[test]
        fn any_split_of_any_messages_decodes_to_the_same(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6), cut in 1_usize..17) {
            let mut wire = Vec::new();
            for message in &messages {
                wire.extend(contents(Outbound::message(message.clone().into(), None).expect("small")));
            }
            let mut decoder = Decoder::new(None);
            let mut decoded = Vec::new();
            for piece in wire.chunks(cut) {
                decoder.push(Bytes::copy_from_slice(piece));
                while let Some(message) = decoder.next().expect("valid") {
                    decoded.push(message.to_vec());
                }
            }
            prop_assert_eq!(decoded, messages);
            prop_assert!(decoder.is_empty());
        }

        #[test]
        fn a_split_outbound_message_is_the_same_bytes(message in prop::collection::vec(any::<u8>(), 0..40), cuts in prop::collection::vec(1_usize..9, 0..12)) {
            let whole = contents(Outbound::message(message.clone().into(), None).expect("small"));
            let mut rest = Outbound::message(message.into(), None).expect("small");
            let mut pieces = Vec::new();
            for cut in cuts {
                let cut = cut.min(rest.remaining());
                let head = rest.split_to(cut);
                prop_assert_eq!(head.remaining(), cut);
                pieces.extend(contents(head));
            }
            pieces.extend(contents(rest));
            prop_assert_eq!(pieces, whole);
        }
    }
}
