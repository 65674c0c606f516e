//! A thin tap between TLS and HTTP/2: it reads the frame headers as they pass and keeps what the HTTP/2 library does not tell.
//!
//! That is: when the peer's first SETTINGS arrived, its stream limit, a GOAWAY as soon as it is read with its code and debug
//! text, how the byte stream ended, and the bytes that passed.

use std::cell::{Cell, OnceCell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::failure::name_of_http2_code;
use crate::observe::counters::{ChannelCounters, ConnectionCounters};

/// What has been seen on the wire. Written by the tap, read by the task that moves the connection, on the same loop.
#[derive(Debug, Default)]
pub(super) struct Seen {
    has_settings: Cell<bool>,
    /// Bytes of DATA frames whose headers were read, those headers excluded.
    data: Cell<u64>,
    /// How often bytes were read; it wraps.
    reads: Cell<u32>,
    /// Set by the first HEADERS frame.
    has_answered: Cell<bool>,
    /// Set by each HEADERS or DATA frame, cleared by who asks.
    has_new_answer: Cell<bool>,
    /// Set once, when the first frame was not SETTINGS ([WIRE-6]).
    wrong_start: RefCell<Option<String>>,
    stream_limit: Cell<Option<u32>>,
    goaway: RefCell<Option<Goaway>>,
    /// Set by a GOAWAY whose last stream is no stream of ours ([WIRE-193]).
    has_bad_goaway: Cell<bool>,
    /// Set by the one GOAWAY that asks for fewer PINGs ([CONN-95]).
    has_too_many_pings: Cell<bool>,
    /// Set once, when reading ended or failed.
    end: RefCell<Option<String>>,
    /// Set once, when writing failed.
    write_failure: OnceCell<String>,
}

impl Seen {
    pub(super) fn has_settings(&self) -> bool {
        self.has_settings.get()
    }

    /// How many bytes of DATA have come so far, or are on their way.
    pub(super) fn data(&self) -> u64 {
        self.data.get()
    }

    /// How often bytes were read so far; two equal answers mean that nothing was between them.
    pub(super) fn reads(&self) -> u32 {
        self.reads.get()
    }

    pub(super) fn has_answered(&self) -> bool {
        self.has_answered.get()
    }

    /// Whether the server has sent headers or data since this was asked last.
    pub(super) fn take_answer(&self) -> bool {
        self.has_new_answer.take()
    }

    pub(super) fn wrong_start(&self) -> Option<String> {
        self.wrong_start.borrow().clone()
    }

    /// The peer's MAX_CONCURRENT_STREAMS; `None` is unlimited.
    pub(super) fn stream_limit(&self) -> Option<u32> {
        self.stream_limit.get()
    }

    pub(super) fn goaway(&self) -> Option<Goaway> {
        self.goaway.borrow().clone()
    }

    pub(super) fn has_bad_goaway(&self) -> bool {
        self.has_bad_goaway.get()
    }

    pub(super) fn has_too_many_pings(&self) -> bool {
        self.has_too_many_pings.get()
    }

    /// How the connection ended, in words: what the server said before what this side noticed.
    pub(super) fn end(&self) -> String {
        let end = self.end.borrow();
        let end = end.as_deref().or(self.write_failure());
        match (end, &*self.goaway.borrow()) {
            (Some(end), Some(goaway)) => format!("{end}, after {goaway}"),
            (None, Some(goaway)) => format!("closed after {goaway}"),
            (Some(end), None) => end.to_owned(),
            (None, None) => "closed by this side".to_owned(),
        }
    }

    /// Why nothing can be written any more, once that is so.
    pub(super) fn write_failure(&self) -> Option<&str> {
        self.write_failure.get().map(String::as_str)
    }

    /// Only the first failure says something.
    pub(super) fn note_write_failure(&self, cause: &io::Error) {
        let _ = self.write_failure.set(words_of(cause));
    }

    /// Why this side ends the connection, unless the byte stream itself ended.
    pub(super) fn note_end(&self, words: String) {
        self.end.borrow_mut().get_or_insert(words);
    }
}

/// A GOAWAY frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Goaway {
    pub(crate) code: u32,
    pub(crate) debug: String,
}

impl std::fmt::Display for Goaway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "GOAWAY {}", name_of_http2_code(self.code))?;
        if !self.debug.is_empty() {
            write!(f, " {:?}", self.debug)?;
        }
        Ok(())
    }
}

/// The byte stream with the tap on it.
#[derive(Debug)]
pub(crate) struct Tap<S> {
    stream: S,
    frames: FrameReader,
    connection: Arc<ConnectionCounters>,
    channel: Arc<ChannelCounters>,
    goaway_is_counted: bool,
}

impl<S> Tap<S> {
    pub(super) fn new(
        stream: S,
        seen: Rc<Seen>,
        connection: Arc<ConnectionCounters>,
        channel: Arc<ChannelCounters>,
    ) -> Self {
        Self { stream, frames: FrameReader::new(seen), connection, channel, goaway_is_counted: false }
    }

    /// Counts what was written. Once a write has failed, this and later ones count as done: the bytes have nowhere to go, and
    /// what the server said before it closed is still to be read and says why.
    fn written(&self, outcome: io::Result<usize>, wanted: usize) -> io::Result<usize> {
        match outcome {
            Ok(count) => {
                self.connection.bytes_sent.add(count as u64);
                self.channel.bytes_sent.add(count as u64);
                Ok(count)
            }
            Err(cause) => {
                self.frames.seen.note_write_failure(&cause);
                Ok(wanted)
            }
        }
    }

    fn cannot_write(&self) -> bool {
        self.frames.seen.write_failure.get().is_some()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let wanted = buffer.remaining();
        let outcome = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        let read = &buffer.filled()[before..];
        match &outcome {
            Err(cause) => self.frames.on_end(words_of(cause)),
            Ok(()) if read.is_empty() && wanted > 0 => self.frames.on_end("closed by the server".into()),
            Ok(()) => {
                self.connection.bytes_received.add(read.len() as u64);
                self.channel.bytes_received.add(read.len() as u64);
                self.frames.seen.reads.set(self.frames.seen.reads.get().wrapping_add(1));
                self.frames.on_bytes(read);
                // A graceful end is said in two frames and is one event.
                if !self.goaway_is_counted && self.frames.seen.goaway.borrow().is_some() {
                    self.goaway_is_counted = true;
                    self.channel.goaways.one();
                }
            }
        }
        Poll::Ready(outcome)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.cannot_write() {
            return Poll::Ready(Ok(bytes.len()));
        }
        let outcome = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes));
        Poll::Ready(self.written(outcome, bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wanted = slices.iter().map(|slice| slice.len()).sum();
        if self.cannot_write() {
            return Poll::Ready(Ok(wanted));
        }
        let outcome = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, slices));
        Poll::Ready(self.written(outcome, wanted))
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.cannot_write() {
            return Poll::Ready(Ok(()));
        }
        let outcome = ready!(Pin::new(&mut self.stream).poll_flush(cx));
        Poll::Ready(self.written(outcome.map(|()| 0), 0).map(|_| ()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// rustls explains an end without close_notify with a link to its manual; users of gRPC need the fact alone.
fn words_of(cause: &io::Error) -> String {
    match cause.kind() {
        io::ErrorKind::UnexpectedEof => "closed by the server in the middle".to_owned(),
        _ => cause.to_string(),
    }
}

/// Follows the frames in a byte stream, RFC 9113 §4.1.
#[derive(Debug)]
struct FrameReader {
    seen: Rc<Seen>,
    header: [u8; HEADER],
    header_filled: usize,
    /// Payload bytes of the current frame still to come.
    payload_left: usize,
    /// What is kept of the payload; empty for frames that are not kept.
    payload: Vec<u8>,
    first_frame_is_past: bool,
}

const HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const ENHANCE_YOUR_CALM: u32 = 11;
/// Longer debug texts are cut; a peer cannot make us keep more.
const MAX_KEPT: usize = 8 + 512;

impl FrameReader {
    fn new(seen: Rc<Seen>) -> Self {
        Self {
            seen,
            header: [0; HEADER],
            header_filled: 0,
            payload_left: 0,
            payload: Vec::new(),
            first_frame_is_past: false,
        }
    }

    fn on_end(&self, how: String) {
        self.seen.end.borrow_mut().get_or_insert(how);
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

    fn wrong_start(&self, words: &str) {
        self.seen.wrong_start.borrow_mut().get_or_insert_with(|| words.to_owned());
    }

    fn on_bytes(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.header_filled < HEADER {
                let wanted = bytes.len().min(HEADER - self.header_filled);
                let (head, rest) = bytes.split_at(wanted);
                self.header[self.header_filled..self.header_filled + wanted].copy_from_slice(head);
                self.header_filled += wanted;
                bytes = rest;
                if !self.first_frame_is_past {
                    self.on_first_bytes();
                }
                if self.header_filled == HEADER {
                    self.on_header();
                }
            } else {
                let (part, rest) = bytes.split_at(bytes.len().min(self.payload_left));
                if self.is_kept() {
                    let room = MAX_KEPT - self.payload.len();
                    self.payload.extend_from_slice(&part[..part.len().min(room)]);
                }
                self.payload_left -= part.len();
                bytes = rest;
            }
            if self.header_filled == HEADER && self.payload_left == 0 {
                self.on_frame();
            }
        }
    }

    fn is_kept(&self) -> bool {
        matches!(self.header[3], SETTINGS | GOAWAY)
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
    }

    fn on_frame(&mut self) {
        self.header_filled = 0;
        let payload = std::mem::take(&mut self.payload);
        match self.header[3] {
            SETTINGS if self.header[4] & ACK == 0 => {
                for entry in payload.chunks_exact(6) {
                    if u16::from_be_bytes([entry[0], entry[1]]) == MAX_CONCURRENT_STREAMS {
                        self.seen.stream_limit.set(Some(u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]])));
                    }
                }
                self.seen.has_settings.set(true);
            }
            HEADERS => {
                self.seen.has_answered.set(true);
                self.seen.has_new_answer.set(true);
            }
            DATA => self.seen.has_new_answer.set(true),
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
                *self.seen.goaway.borrow_mut() = Some(Goaway { code, debug });
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).expect("small").to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        frame
    }

    fn goaway(code: u32, debug: &[u8]) -> Vec<u8> {
        let mut payload = vec![0, 0, 0, 1];
        payload.extend_from_slice(&code.to_be_bytes());
        payload.extend_from_slice(debug);
        frame(GOAWAY, 0, &payload)
    }

    fn read(bytes: &[u8], cut: usize) -> Rc<Seen> {
        let seen = Rc::new(Seen::default());
        let mut reader = FrameReader::new(Rc::clone(&seen));
        bytes.chunks(cut).for_each(|piece| reader.on_bytes(piece));
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
        assert_eq!(seen.goaway(), Some(Goaway { code: 11, debug: "too_many_pings".into() }));
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
            assert_eq!(seen.take_answer(), is_answer, "{kind}");
            assert!(!seen.take_answer());
        }
    }

    /// [CONN-95]
    #[test]
    fn only_the_exact_words_with_their_code_ask_for_fewer_pings() {
        for (code, words) in [(0, "too_many_pings"), (11, "too_many_pings!"), (11, "Too_many_pings"), (11, "")] {
            assert!(!read(&goaway(code, words.as_bytes()), 100).has_too_many_pings(), "{code} {words}");
        }
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
            prop_assert_eq!(seen.goaway(), Some(Goaway { code: 0, debug: "max_age".into() }));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 1_usize..20) {
            read(&bytes, cut);
        }
    }
}
