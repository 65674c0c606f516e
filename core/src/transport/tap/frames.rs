//! Follows the frames in a byte stream by their headers, and the few payloads that say something, RFC 9113 §4.1.

use std::rc::Rc;

use super::seen::{Goaway, Seen};
use crate::transport::dial::HTTP2_HEADER_LIMIT;

/// Follows the frames in a byte stream, RFC 9113 §4.1.
#[derive(Debug)]
pub(super) struct FrameReader {
    pub(super) seen: Rc<Seen>,
    header: [u8; HEADER],
    header_filled: usize,
    /// Payload bytes of the current frame still to come.
    payload_left: usize,
    /// What is kept of the payload; empty for frames that are not kept.
    payload: Vec<u8>,
    first_frame_is_past: bool,
    /// How many empty DATA frames came one after the other.
    empty_in_a_row: u32,
    /// How long the header block is so far that came last.
    block: u64,
}

pub(super) const HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const SETTINGS: u8 = 4;
const PUSH_PROMISE: u8 = 5;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
/// A kind that does not exist and that everybody passes over ([WIRE-210]).
const NO_KIND: u8 = 0xff;
const END_STREAM: u8 = 1;
const PADDED: u8 = 8;
const ACK: u8 = 1;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const MAX_HEADER_LIST_SIZE: u16 = 6;
const ENHANCE_YOUR_CALM: u32 = 11;
/// Longer debug texts are cut; a peer cannot make us keep more.
const MAX_KEPT: usize = 8 + 512;
/// So many streams at once may be told of as cut.
const MOST_CUT: usize = 64;
/// A longer run of empty DATA frames means harm ([WIRE-212]).
const MOST_EMPTY_IN_A_ROW: u32 = 16_384;

impl FrameReader {
    pub(super) fn new(seen: Rc<Seen>) -> Self {
        Self {
            seen,
            header: [0; HEADER],
            header_filled: 0,
            payload_left: 0,
            payload: Vec::new(),
            first_frame_is_past: false,
            empty_in_a_row: 0,
            block: 0,
        }
    }

    pub(super) fn on_end(&self, how: String) {
        self.seen.note_end(how);
    }

    /// Looks at the first bytes of all as soon as they are there: what answers in another protocol may say less than a frame
    /// header, and the HTTP/2 library judges the first three bytes, the length, by themselves.
    fn on_first_bytes(&self) {
        match &self.header[..self.header_filled] {
            // A TLS alert or handshake record; as a frame it would be longer than any frame may be.
            [0x15 | 0x16, 0x03, ..] => self.wrong_start("the server answered in TLS; use TLS credentials"),
            [b'H', b'T', b'T', ..] => self.wrong_start("the server answered in HTTP/1"),
            _ => {}
        }
    }

    fn wrong_start(&self, words: &'static str) {
        // Only the first says something.
        let _ = self.seen.wrong_start.set(words);
    }

    /// Follows the bytes, and returns how many frames began. An empty DATA frame may be made one that is passed over.
    pub(super) fn on_bytes(&mut self, mut bytes: &mut [u8]) -> usize {
        let mut begun = 0;
        while !bytes.is_empty() {
            if self.header_filled < HEADER {
                let wanted = bytes.len().min(HEADER - self.header_filled);
                let (head, rest) = bytes.split_at_mut(wanted);
                self.header[self.header_filled..self.header_filled + wanted].copy_from_slice(head);
                self.header_filled += wanted;
                bytes = rest;
                if !self.first_frame_is_past {
                    self.on_first_bytes();
                }
                if self.header_filled == HEADER {
                    begun += 1;
                    self.on_header();
                    // Where the kind was; it may have passed before.
                    if let Some(kind) = (head.len() + 3).checked_sub(HEADER).filter(|_| self.is_passed_over()) {
                        head[kind] = NO_KIND;
                    }
                }
            } else {
                let (part, rest) = bytes.split_at_mut(bytes.len().min(self.payload_left));
                self.on_payload(part);
                self.payload_left -= part.len();
                bytes = rest;
            }
            if self.header_filled == HEADER && self.payload_left == 0 {
                self.on_frame();
            }
        }
        begun
    }

    /// The HTTP/2 library allows a hundred empty DATA frames in the whole life of a connection, and some servers send them with each
    /// call. They mean nothing, so it does not see them; only a run that no honest server sends is left for it to end.
    fn is_passed_over(&mut self) -> bool {
        let is_empty = self.header[3] == DATA && self.payload_left == 0 && self.header[4] & (END_STREAM | PADDED) == 0;
        self.empty_in_a_row = if is_empty { self.empty_in_a_row.saturating_add(1) } else { 0 };
        is_empty && self.empty_in_a_row <= MOST_EMPTY_IN_A_ROW
    }

    fn on_payload(&mut self, part: &[u8]) {
        match self.header[3] {
            SETTINGS if self.header[4] & ACK == 0 => {
                self.payload.extend_from_slice(part);
                let (entries, rest) = self.payload.as_chunks::<6>();
                for entry in entries {
                    let value = u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]]);
                    match u16::from_be_bytes([entry[0], entry[1]]) {
                        MAX_CONCURRENT_STREAMS => self.seen.stream_limit.set(Some(value)),
                        MAX_HEADER_LIST_SIZE => self.seen.header_limit.set(Some(value)),
                        _ => {}
                    }
                }
                self.payload.drain(..self.payload.len() - rest.len());
            }
            GOAWAY => {
                let room = MAX_KEPT - self.payload.len();
                self.payload.extend_from_slice(&part[..part.len().min(room)]);
            }
            _ => {}
        }
    }

    fn on_header(&mut self) {
        self.payload_left = u32::from_be_bytes([0, self.header[0], self.header[1], self.header[2]]) as usize;
        if self.header[3] == DATA {
            self.seen.data.set(self.seen.data.get() + self.payload_left as u64);
        }
        if !self.first_frame_is_past {
            self.first_frame_is_past = true;
            let is_settings = self.header[3] == SETTINGS && self.header[4] & ACK == 0;
            if !is_settings {
                self.wrong_start("the server did not begin with an HTTP/2 SETTINGS frame");
            }
        }
        if matches!(self.header[3], HEADERS | PRIORITY | PUSH_PROMISE | CONTINUATION) {
            let stream = u32::from_be_bytes([self.header[5] & 0x7f, self.header[6], self.header[7], self.header[8]]);
            self.seen.highest_stream.set(self.seen.highest_stream.get().max(stream));
            self.on_block(stream);
        }
    }

    /// What the HTTP/2 library cuts it does not tell, and what it refuses as a whole it calls a broken rule ([WIRE-72]).
    fn on_block(&mut self, stream: u32) {
        let before = if self.header[3] == CONTINUATION { self.block } else { 0 };
        self.block = before + self.payload_left as u64;
        if before <= u64::from(HTTP2_HEADER_LIMIT) && self.block > u64::from(HTTP2_HEADER_LIMIT) {
            let mut cut = self.seen.cut.borrow_mut();
            // Those that nobody asks for belong to no call.
            if cut.len() >= MOST_CUT {
                cut.remove(0);
            }
            cut.push((stream, self.block));
        }
    }

    fn on_answer(&self) {
        self.seen.answers.set(self.seen.answers.get().wrapping_add(1));
    }

    fn on_frame(&mut self) {
        self.header_filled = 0;
        let payload = std::mem::take(&mut self.payload);
        match self.header[3] {
            SETTINGS if self.header[4] & ACK == 0 => self.seen.has_settings.set(true),
            HEADERS => {
                self.seen.has_answered.set(true);
                self.on_answer();
            }
            DATA => self.on_answer(),
            GOAWAY if payload.len() >= 8 => {
                let code = u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]]);
                let debug = String::from_utf8_lossy(&payload[8..]).into_owned();
                // None, or one of ours, which have odd numbers; that it must not grow is looked after by the HTTP/2 library.
                let last_stream = u32::from_be_bytes([payload[0] & 0x7f, payload[1], payload[2], payload[3]]);
                if last_stream != 0 && last_stream.is_multiple_of(2) {
                    self.seen.has_bad_goaway.set(true);
                }
                if code == ENHANCE_YOUR_CALM && debug == "too_many_pings" {
                    self.seen.has_too_many_pings.set(true);
                }
                *self.seen.goaway.borrow_mut() = Some(Box::new(Goaway { code, last_stream, debug }));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
pub(super) fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("small").to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 0];
    frame.extend_from_slice(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What servers say here.
    const LAST: u32 = 1;

    fn goaway(code: u32, debug: &[u8]) -> Vec<u8> {
        let mut payload = LAST.to_be_bytes().to_vec();
        payload.extend_from_slice(&code.to_be_bytes());
        payload.extend_from_slice(debug);
        frame(GOAWAY, 0, &payload)
    }

    fn read(bytes: &[u8], cut: usize) -> Rc<Seen> {
        let seen = Rc::new(Seen::default());
        let mut reader = FrameReader::new(Rc::clone(&seen));
        for piece in bytes.to_vec().chunks_mut(cut) {
            reader.on_bytes(piece);
        }
        seen
    }

    /// [WIRE-5]
    #[test]
    fn settings_count_when_whole() {
        let settings = frame(SETTINGS, 0, &[0, 3, 0, 0, 0, 7]);
        assert!(!read(&settings[..14], 100).has_settings());
        let seen = read(&settings, 100);
        assert!(seen.has_settings());
        assert_eq!(seen.stream_limit(), Some(7));
        assert!(read(&frame(SETTINGS, 0, &[]), 100).has_settings());
    }

    /// [WIRE-6]
    #[test]
    fn another_first_frame_is_told() {
        assert!(read(&frame(6, 0, &[0; 8]), 100).wrong_start().is_some());
        assert!(read(&frame(SETTINGS, ACK, &[]), 100).wrong_start().is_some());
        let http1 = read(b"HTTP/1.1 400 Bad Request\r\n", 100).wrong_start().expect("not HTTP/2");
        assert!(http1.contains("HTTP/1"), "{http1}");
        let tls = read(&[0x15, 3, 3, 0, 2, 2, 40], 100).wrong_start().expect("not HTTP/2");
        assert!(tls.contains("TLS"), "{tls}");
    }

    /// [WIRE-196]
    #[test]
    fn a_goaway_is_kept_with_its_text_and_a_long_text_is_cut() {
        let mut bytes = frame(SETTINGS, 0, &[]);
        bytes.extend(goaway(11, b"too_many_pings"));
        let seen = read(&bytes, 100);
        assert_eq!(seen.goaway(), Some(Goaway { code: 11, last_stream: LAST, debug: "too_many_pings".into() }));
        assert_eq!(seen.goaway().expect("there").to_string(), "GOAWAY ENHANCE_YOUR_CALM \"too_many_pings\"");
        assert!(seen.has_too_many_pings());
        let long = read(&goaway(0, &[b'x'; 10_000]), 100).goaway().expect("there");
        assert_eq!(long.debug.len(), MAX_KEPT - 8);
    }

    /// [CONN-110]
    #[test]
    fn headers_and_data_are_answers_and_nothing_else_is() {
        for (kind, is_answer) in [(DATA, true), (HEADERS, true), (SETTINGS, false), (6, false), (8, false)] {
            let seen = read(&frame(kind, ACK, &[]), 100);
            assert_eq!(seen.answers(), u32::from(is_answer), "{kind}");
        }
    }

    /// [CONN-95]
    #[test]
    fn only_the_exact_words_with_their_code_ask_for_fewer_pings() {
        for (code, words) in [(0, "too_many_pings"), (11, "too_many_pings!"), (11, "Too_many_pings"), (11, "")] {
            assert!(!read(&goaway(code, words.as_bytes()), 100).has_too_many_pings(), "{code} {words}");
        }
    }

    #[test]
    fn limits_are_seen_wherever_they_stand_in_a_long_frame_and_the_last_ones_count() {
        let mut entries = [0x10, 0, 0, 0, 0, 1].repeat(2_000);
        entries.extend([0, 3, 0, 0, 0, 5, 0, 6, 0, 0, 1, 0, 0, 3, 0, 0, 0, 6, 0, 6, 0, 0, 2, 0]);
        let limits = |seen: Rc<Seen>| (seen.stream_limit(), seen.header_limit());
        for cut in [1, 7, 20_000] {
            assert_eq!(limits(read(&frame(SETTINGS, 0, &entries), cut)), (Some(6), Some(512)));
        }
        assert_eq!(limits(read(&frame(SETTINGS, ACK, &entries), 100)), (None, None));
    }

    /// [WIRE-210], [WIRE-212]
    #[test]
    fn empty_data_is_passed_over_unless_it_says_something_or_does_not_stop() {
        let mut reader = FrameReader::new(Rc::default());
        let mut kinds = |mut bytes: Vec<u8>| {
            reader.on_bytes(&mut bytes);
            bytes.chunks(HEADER).map(|head| head[3]).collect::<Vec<_>>()
        };
        assert_eq!(kinds(frame(DATA, 0, &[]).repeat(2)), [NO_KIND, NO_KIND]);
        assert_eq!(kinds(frame(DATA, END_STREAM, &[])), [DATA]);
        assert_eq!(kinds(frame(DATA, PADDED, &[])), [DATA], "what is missing is a broken rule");
        assert_eq!(kinds(frame(HEADERS, 0, &[])), [HEADERS]);
        let run = kinds(frame(DATA, 0, &[]).repeat(MOST_EMPTY_IN_A_ROW as usize + 1));
        assert_eq!((run[0], run[run.len() - 2], run[run.len() - 1]), (NO_KIND, NO_KIND, DATA));
    }

    /// [WIRE-72]
    #[test]
    fn a_header_block_longer_than_is_let_through_is_told_once_with_its_stream() {
        let block =
            |pieces| [frame(HEADERS, 0, &[0; 16_384]), frame(CONTINUATION, 0, &[0; 16_384]).repeat(pieces)].concat();
        assert_eq!(read(&block(63), 9_999).take_cut(0), None);
        let seen = read(&block(70), 9_999);
        assert_eq!(seen.take_cut(1), None);
        assert_eq!(seen.take_cut(0), Some(65 * 16_384));
        assert_eq!(seen.take_cut(0), None);
    }

    /// [WIRE-199]
    #[test]
    fn the_highest_stream_of_headers_is_seen() {
        let mut bytes = [frame(HEADERS, 0, &[]), frame(DATA, 0, &[])].concat();
        bytes[HEADER - 1] = 9;
        bytes[2 * HEADER - 1] = 11;
        assert_eq!(read(&bytes, 100).highest_stream(), 9);
    }

    proptest! {
        #[test]
        fn any_cut_shows_the_same(cut in 1_usize..40, noise in prop::collection::vec(any::<u8>(), 0..50)) {
            let mut bytes = frame(SETTINGS, 0, &[0, 3, 0, 0, 0, 9]);
            bytes.extend(frame(0, 0, &noise));
            bytes.extend(goaway(0, b"max_age"));
            let seen = read(&bytes, cut);
            prop_assert!(seen.has_settings());
            prop_assert_eq!(seen.data(), noise.len() as u64);
            prop_assert_eq!(seen.stream_limit(), Some(9));
            prop_assert_eq!(seen.goaway(), Some(Goaway { code: 0, last_stream: LAST, debug: "max_age".into() }));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 1_usize..20) {
            read(&bytes, cut);
        }
    }
}
