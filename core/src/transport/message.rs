//! Length-prefixed messages: one flag byte, four length bytes, the message ([WIRE-90]). Pure.

use std::io::IoSlice;
use std::sync::{Arc, Weak};

use bytes::{Buf, Bytes, BytesMut};

use super::compression::{Compression, Encoding};
use crate::failure::Failure;

pub(super) const PREFIX: usize = 5;

/// HTTP/2 windows hold 2^31-1 bytes, prefix included; the HTTP/2 library takes no more at once.
const LARGEST: u64 = (1 << 31) - 1 - PREFIX as u64;

/// What stands behind a message's prefix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    pub(crate) bytes: Bytes,
    /// The prefix' flag.
    pub(crate) is_compressed: bool,
}

impl Payload {
    pub(super) fn compressed(bytes: Bytes) -> Self {
        Self { bytes, is_compressed: true }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, is_compressed: false }
    }
}

/// A message, or a part of one, on its way to the socket: the prefix and the bytes behind it, never copied together.
#[derive(Debug)]
pub(crate) struct Outbound {
    prefix: [u8; PREFIX],
    prefix_sent: usize,
    bytes: Bytes,
}

/// Such a message does not fit into one frame, and may not fit into a server's window.
const WATCHED: usize = 16 << 10;

/// The bytes of a large message.
struct Held {
    bytes: Bytes,
    _held: Arc<()>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Outbound {
    /// A whole message. What is limited, and what the prefix tells, is its size as it is sent: compressed, if it is ([SC-24], [WIRE-97]).
    ///
    /// # Errors
    /// The message is longer than the limit, or than one stream can be handed at once.
    pub(crate) fn message(payload: impl Into<Payload>, limit: Option<u64>) -> Result<Self, Failure> {
        let Payload { bytes, is_compressed } = payload.into();
        let size = bytes.len() as u64;
        let limit = limit.map_or(LARGEST, |limit| limit.min(LARGEST));
        let too_large = Failure::SentTooLarge { size, limit };
        let length = u32::try_from(size).ok().filter(|_| size <= limit).ok_or(too_large)?;
        let mut prefix = [u8::from(is_compressed), 0, 0, 0, 0];
        prefix[1..].copy_from_slice(&length.to_be_bytes());
        Ok(Self { prefix, prefix_sent: 0, bytes })
    }

    /// With something that is held until all of it is written; a small message is written at once, as a rule.
    pub(crate) fn watched(self) -> (Self, Option<Weak<()>>) {
        if self.bytes.len() < WATCHED {
            return (self, None);
        }
        let held = Arc::new(());
        let unwritten = Arc::downgrade(&held);
        let bytes = Bytes::from_owner(Held { bytes: self.bytes, _held: held });
        (Self { bytes, ..self }, Some(unwritten))
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
    encoding: Encoding,
}

/// A received message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Plain(Bytes),
    Compressed(Compression, Bytes),
}

impl Received {
    fn of(with: Option<Compression>, bytes: Bytes) -> Self {
        match with {
            None => Self::Plain(bytes),
            Some(compression) => Self::Compressed(compression, bytes),
        }
    }

    pub(super) fn wire_size(&self) -> usize {
        let (Self::Plain(bytes) | Self::Compressed(_, bytes)) = self;
        PREFIX + bytes.len()
    }
}

/// Room is made for this much of an announced message at once, and for more as it comes: a server that only announces costs little.
const MOST_RESERVED: usize = 1 << 20;

impl Decoder {
    pub(crate) fn new(limit: Option<u64>, encoding: Encoding) -> Self {
        Self { partial: BytesMut::new(), chunk: Bytes::new(), limit, encoding }
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
    pub(crate) fn next(&mut self) -> Result<Option<Received>, Failure> {
        if self.partial.is_empty() {
            let Some(prefix) = self.chunk.first_chunk() else {
                self.keep_chunk(PREFIX);
                return Ok(None);
            };
            let (with, length) = self.read(*prefix)?;
            let size = PREFIX + length;
            if self.chunk.len() < size {
                self.keep_chunk(size);
                return Ok(None);
            }
            let mut message = self.chunk.split_to(size);
            message.advance(PREFIX);
            return Ok(Some(Received::of(with, message)));
        }
        self.fill(PREFIX);
        let Some(prefix) = self.partial.first_chunk() else { return Ok(None) };
        let (with, length) = self.read(*prefix)?;
        let size = PREFIX + length;
        self.fill(size);
        if self.partial.len() < size {
            return Ok(None);
        }
        // The whole of it, as a rule: what follows is in the chunk.
        let whole =
            if self.partial.len() == size { std::mem::take(&mut self.partial) } else { self.partial.split_to(size) };
        let mut message = whole.freeze();
        message.advance(PREFIX);
        Ok(Some(Received::of(with, message)))
    }

    /// Whether the stream may end here: not inside a message ([WIRE-95]).
    pub(crate) fn is_empty(&self) -> bool {
        self.partial.is_empty() && self.chunk.is_empty()
    }

    /// What the prefix announces: what the message is compressed with, if it is, and its length as it comes ([WIRE-97]).
    fn read(&self, prefix: [u8; PREFIX]) -> Result<(Option<Compression>, usize), Failure> {
        let with = match prefix[0] {
            // [WIRE-120]: whatever else the server calls its encoding.
            0 => None,
            1 => Some(self.encoding.of_compressed()?),
            flag => {
                return Err(Failure::Protocol {
                    rule: format!("the server sent a message with the flag {flag}; only 0 and 1 exist"),
                });
            }
        };
        let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
        match self.limit.filter(|limit| u64::from(length) > *limit) {
            Some(limit) => Err(Failure::ReceivedTooLarge { size: u64::from(length), limit }),
            None => Ok((with, length as usize)),
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
    fn a_large_message_shows_whether_all_of_it_is_written() {
        let (small, unwritten) = Outbound::message(Bytes::from(vec![7; 9]), None).expect("small enough").watched();
        assert!(unwritten.is_none() && small.remaining() == PREFIX + 9);

        let (mut large, unwritten) =
            Outbound::message(Bytes::from(vec![7; WATCHED]), None).expect("small enough").watched();
        let unwritten = unwritten.expect("watched");
        let mut head = large.split_to(WATCHED);
        head.advance(WATCHED);
        drop(head);
        assert_eq!((large.remaining(), large.chunk()[0]), (PREFIX, 7));
        assert_eq!(unwritten.strong_count(), 1);
        drop(large);
        assert_eq!(unwritten.strong_count(), 0);
    }

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
        let mut decoder = Decoder::new(Some(10), Encoding::None);
        decoder.push(frame(0, 11, b""));
        assert_eq!(decoder.next(), Err(Failure::ReceivedTooLarge { size: 11, limit: 10 }));
    }

    /// [WIRE-94], [WIRE-118], [WIRE-119]: on the prefix, without waiting for what it announces.
    #[test]
    fn other_flags_than_0_are_refused_unless_the_message_is_compressed_as_was_said_before() {
        for flag in [1, 2, 255] {
            for encoding in [Encoding::None, Encoding::NotOffered("snappy".into()), Encoding::Known(Compression::Gzip)]
            {
                let is_fine = flag == 1 && encoding == Encoding::Known(Compression::Gzip);
                let mut decoder = Decoder::new(None, encoding.clone());
                decoder.push(frame(flag, 9, b""));
                let next = decoder.next();
                assert_eq!(
                    matches!(next, Err(Failure::Protocol { .. })),
                    !is_fine,
                    "flag {flag}, {encoding:?}: {next:?}"
                );
            }
        }
    }

    /// [WIRE-97], [WIRE-112], [WIRE-120]
    #[test]
    fn compressed_and_plain_messages_may_take_turns_and_lengths_are_those_on_the_wire() {
        let mut decoder = Decoder::new(Some(3), Encoding::Known(Compression::Deflate));
        for flag in [1, 0, 1] {
            decoder.push(frame(flag, 3, b"abc"));
        }
        let bytes = || Bytes::from_static(b"abc");
        assert_eq!(decoder.next(), Ok(Some(Received::Compressed(Compression::Deflate, bytes()))));
        assert_eq!(decoder.next(), Ok(Some(Received::Plain(bytes()))));
        assert_eq!(decoder.next(), Ok(Some(Received::Compressed(Compression::Deflate, bytes()))));
        let mut plain = Decoder::new(None, Encoding::NotOffered("snappy".into()));
        plain.push(frame(0, 3, b"abc"));
        assert_eq!(plain.next(), Ok(Some(Received::Plain(bytes()))));
    }

    /// [WIRE-97]
    #[test]
    fn a_compressed_message_says_so_in_its_flag() {
        let outbound = Outbound::message(Payload::compressed(Bytes::from_static(b"ab")), Some(2)).expect("small");
        assert_eq!(contents(outbound), [1, 0, 0, 0, 2, b'a', b'b']);
    }

    /// [WIRE-96]
    #[test]
    fn empty_messages_are_messages() {
        let mut decoder = Decoder::new(None, Encoding::None);
        for _ in 0..3 {
            decoder.push(frame(0, 0, b""));
        }
        for _ in 0..3 {
            assert_eq!(decoder.next(), Ok(Some(Received::Plain(Bytes::new()))));
        }
        assert_eq!(decoder.next(), Ok(None));
        assert!(decoder.is_empty());
    }

    /// [WIRE-95]
    #[test]
    fn half_a_message_is_not_an_end() {
        let mut decoder = Decoder::new(None, Encoding::None);
        decoder.push(frame(0, 4, b"ab"));
        assert_eq!(decoder.next(), Ok(None));
        assert!(!decoder.is_empty());
    }

    fn messages() -> impl Strategy<Value = Vec<Vec<u8>>> {
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..6)
    }

    /// The sizes of pieces; what they leave is one more.
    fn cuts() -> impl Strategy<Value = Vec<usize>> {
        prop::collection::vec(0_usize..17, 0..40)
    }

    fn wire(messages: &[Vec<u8>]) -> Vec<u8> {
        let outbound = |message: &Vec<u8>| Outbound::message(Bytes::from(message.clone()), None).expect("small");
        messages.iter().map(outbound).flat_map(contents).collect()
    }

    /// What comes of these bytes in these pieces: messages, and whether the stream may end then.
    fn decoded(mut wire: &[u8], cuts: &[usize], limit: Option<u64>) -> (Vec<Vec<u8>>, Result<bool, Failure>) {
        let mut decoder = Decoder::new(limit, Encoding::None);
        let mut decoded = Vec::new();
        for cut in cuts.iter().chain([&usize::MAX]) {
            let (piece, rest) = wire.split_at((*cut).min(wire.len()));
            wire = rest;
            decoder.push(Bytes::copy_from_slice(piece));
            loop {
                match decoder.next() {
                    Ok(Some(Received::Plain(message) | Received::Compressed(_, message))) => {
                        decoded.push(message.to_vec())
                    }
                    Ok(None) => break,
                    Err(failure) => return (decoded, Err(failure)),
                }
            }
        }
        (decoded, Ok(decoder.is_empty()))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// [WIRE-91]
        #[test]
        fn any_split_of_any_messages_decodes_to_the_same(messages in messages(), cuts in cuts()) {
            let (decoded, end) = decoded(&wire(&messages), &cuts, None);
            prop_assert_eq!(decoded, messages);
            prop_assert_eq!(end, Ok(true));
        }

        /// [WIRE-95]
        #[test]
        fn messages_before_the_one_that_is_cut_off_come_and_the_stream_may_not_end_there(
            messages in messages(), last in prop::collection::vec(any::<u8>(), 0..40), left in 1_usize..45, cuts in cuts(),
        ) {
            let mut wire = wire(&messages);
            wire.extend(frame(0, u32::try_from(last.len()).expect("small"), &last).iter().take(left.min(last.len() + PREFIX - 1)));
            let (decoded, end) = decoded(&wire, &cuts, None);
            prop_assert_eq!(decoded, messages);
            prop_assert_eq!(end, Ok(false));
        }

        /// [WIRE-93]
        #[test]
        fn the_first_message_above_the_limit_is_refused_and_none_before_it(messages in messages(), limit in 0_u64..40, cuts in cuts()) {
            let is_good = |message: &&Vec<u8>| message.len() as u64 <= limit;
            let good: Vec<_> = messages.iter().take_while(is_good).cloned().collect();
            let refused = messages.iter().find(|message| !is_good(message)).map(|message| message.len() as u64);
            let (decoded, end) = decoded(&wire(&messages), &cuts, Some(limit));
            prop_assert_eq!(decoded, good);
            prop_assert_eq!(end, refused.map_or(Ok(true), |size| Err(Failure::ReceivedTooLarge { size, limit })));
        }

        #[test]
        fn a_split_outbound_message_is_the_same_bytes(message in prop::collection::vec(any::<u8>(), 0..40), cuts in prop::collection::vec(1_usize..9, 0..12)) {
            let whole = contents(Outbound::message(Bytes::from(message.clone()), None).expect("small"));
            let mut rest = Outbound::message(Bytes::from(message), None).expect("small");
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
