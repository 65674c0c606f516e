//! A thin tap between TLS and HTTP/2: it reads the frame headers as they pass and keeps what the HTTP/2 library does not tell.
//!
//! That is: when the peer's first SETTINGS arrived, its stream limit, a GOAWAY as soon as it is read with its code and debug
//! text, how the byte stream ended, and the bytes that passed.

use std::cell::{Cell, OnceCell, RefCell};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::dial::HTTP2_HEADER_LIMIT;
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
    /// The highest stream that headers, or what comes with them, were said to belong to.
    highest_stream: Cell<u32>,
    /// Streams with a header block longer than [`HTTP2_HEADER_LIMIT`] on the wire, and its length.
    cut: RefCell<Vec<(u32, u64)>>,
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

    /// The highest stream the peer has spoken of in headers. The HTTP/2 library opens no stream below it, even if it never was one.
    pub(super) fn highest_stream(&self) -> u32 {
        self.highest_stream.get()
    }

    /// The length of the stream's header block, if it was longer than HTTP/2 lets through whole.
    pub(super) fn take_cut(&self, stream: u32) -> Option<u64> {
        let mut cut = self.cut.borrow_mut();
        let at = cut.iter().position(|(of, _)| *of == stream)?;
        Some(cut.swap_remove(at).1)
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
    /// Set while the peer does not take what is written.
    unanswered: Option<Unanswered>,
    /// What was read since the reader last had to wait.
    read_in_turn: usize,
}

/// What has come while nothing could be written ([WIRE-211]).
#[derive(Debug, Default)]
struct Unanswered {
    frames: usize,
    /// Who wants to read on.
    reader: Option<Waker>,
}

/// A peer that does not read may say as many frames; each may be one more answer that waits in memory. Then it is not read either.
const MOST_UNANSWERED: usize = 4_096;

/// The HTTP/2 library reads as long as there is something, and keeps what it has read for calls that cannot have their turn meanwhile.
/// So after as much it is told to wait: bytes, and what a frame costs in memory and time beside its bytes.
const MOST_READ_IN_TURN: usize = 2 << 20;
const COST_OF_FRAME: usize = 1_024;

impl<S> Tap<S> {
    pub(super) fn new(
        stream: S,
        seen: Rc<Seen>,
        connection: Arc<ConnectionCounters>,
        channel: Arc<ChannelCounters>,
    ) -> Self {
        Self {
            stream,
            frames: FrameReader::new(seen),
            connection,
            channel,
            goaway_is_counted: false,
            unanswered: None,
            read_in_turn: 0,
        }
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

    /// Notes whether the peer takes what is written.
    fn asked<T>(&mut self, outcome: Poll<T>) -> Poll<T> {
        if outcome.is_pending() {
            self.unanswered.get_or_insert_default();
        } else if let Some(Unanswered { reader: Some(reader), .. }) = self.unanswered.take() {
            reader.wake();
        }
        outcome
    }

    fn cannot_write(&self) -> bool {
        self.frames.seen.write_failure.get().is_some()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(unanswered) = self.unanswered.as_mut().filter(|unanswered| unanswered.frames >= MOST_UNANSWERED) {
            unanswered.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if self.read_in_turn >= MOST_READ_IN_TURN {
            self.read_in_turn = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let wanted = buffer.remaining();
        let Poll::Ready(outcome) = Pin::new(&mut self.stream).poll_read(cx, buffer) else {
            self.read_in_turn = 0;
            return Poll::Pending;
        };
        let read = &mut buffer.filled_mut()[before..];
        match &outcome {
            Err(cause) => self.frames.on_end(words_of(cause)),
            Ok(()) if read.is_empty() && wanted > 0 => self.frames.on_end("closed by the server".into()),
            Ok(()) => {
                self.connection.bytes_received.add(read.len() as u64);
                self.channel.bytes_received.add(read.len() as u64);
                self.frames.seen.reads.set(self.frames.seen.reads.get().wrapping_add(1));
                let frames = self.frames.on_bytes(read);
                self.read_in_turn += read.len() + frames * COST_OF_FRAME;
                if let Some(unanswered) = &mut self.unanswered {
                    unanswered.frames += frames;
                }
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
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        let outcome = ready!(self.asked(outcome));
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
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        let outcome = ready!(self.asked(outcome));
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
    /// How many empty DATA frames came one after the other.
    empty_in_a_row: u32,
    /// How long the header block is so far that came last.
    block: u64,
}

const HEADER: usize = 9;
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
const ENHANCE_YOUR_CALM: u32 = 11;
/// Longer debug texts are cut; a peer cannot make us keep more.
const MAX_KEPT: usize = 8 + 512;
/// So many streams at once may be told of as cut.
const MOST_CUT: usize = 64;
/// A longer run of empty DATA frames means harm ([WIRE-212]).
const MOST_EMPTY_IN_A_ROW: u32 = 16_384;

impl FrameReader {
    fn new(seen: Rc<Seen>) -> Self {
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

    /// Follows the bytes, and returns how many frames began. An empty DATA frame may be made one that is passed over.
    fn on_bytes(&mut self, mut bytes: &mut [u8]) -> usize {
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
                    if u16::from_be_bytes([entry[0], entry[1]]) == MAX_CONCURRENT_STREAMS {
                        self.seen.stream_limit.set(Some(u32::from_be_bytes([entry[2], entry[3], entry[4], entry[5]])));
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

    fn on_frame(&mut self) {
        self.header_filled = 0;
        let payload = std::mem::take(&mut self.payload);
        match self.header[3] {
            SETTINGS if self.header[4] & ACK == 0 => self.seen.has_settings.set(true),
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
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    use std::task::Wake;
    use std::time::Duration;

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

    #[test]
    fn a_stream_limit_is_seen_wherever_it_stands_in_a_long_frame_and_the_last_one_counts() {
        let mut entries = [0x10, 0, 0, 0, 0, 1].repeat(2_000);
        entries.extend([0, 3, 0, 0, 0, 5, 0, 3, 0, 0, 0, 6]);
        for cut in [1, 7, 20_000] {
            assert_eq!(read(&frame(SETTINGS, 0, &entries), cut).stream_limit(), Some(6));
        }
        assert_eq!(read(&frame(SETTINGS, ACK, &entries), 100).stream_limit(), None);
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

    /// A stream with endless frames that takes nothing, or all.
    struct Endless {
        frames: Vec<u8>,
        takes: bool,
    }

    impl AsyncRead for Endless {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            buffer.put_slice(&self.frames[..self.frames.len().min(buffer.remaining())]);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Endless {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            if self.takes { Poll::Ready(Ok(bytes.len())) } else { Poll::Pending }
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn tap_of(frames: Vec<u8>, takes: bool) -> Tap<Endless> {
        let connection = Arc::new(ConnectionCounters::new(String::new(), None, Duration::ZERO, None));
        Tap::new(Endless { frames, takes }, Rc::default(), connection, Arc::default())
    }

    /// Reads until the tap says wait; how many bytes that were.
    fn read_on(tap: &mut Tap<Endless>, cx: &mut Context<'_>) -> usize {
        let mut all = 0;
        loop {
            let mut bytes = [0; 900];
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut *tap).poll_read(cx, &mut buffer) {
                Poll::Ready(read) => read.expect("endless"),
                Poll::Pending => return all,
            }
            all += buffer.filled().len();
        }
    }

    #[test]
    fn a_turn_ends_after_so_many_bytes_and_frames_and_wakes_for_the_next() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let cx = &mut Context::from_waker(&waker);
        let mut small = tap_of(frame(6, 0, &[0; 8]).repeat(50), true);
        for turn in 1..4 {
            let frames = read_on(&mut small, cx) / (HEADER + 8);
            assert_eq!(frames, MOST_READ_IN_TURN.div_ceil((HEADER + 8 + COST_OF_FRAME) * 50) * 50);
            assert_eq!(woken.0.load(Relaxed), turn);
        }
    }

    /// [WIRE-211]
    #[test]
    fn a_peer_that_takes_nothing_is_not_read_after_so_many_frames_until_it_does() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let cx = &mut Context::from_waker(&waker);
        let mut tap = tap_of(frame(6, 0, &[0; 8]).repeat(50), false);
        assert!(Pin::new(&mut tap).poll_write(cx, b"answer").is_pending());
        // In turns, until one brings nothing.
        let turns: Vec<_> = std::iter::repeat_with(|| read_on(&mut tap, cx)).take_while(|bytes| *bytes > 0).collect();
        assert_eq!(turns.iter().sum::<usize>() / (HEADER + 8), MOST_UNANSWERED.next_multiple_of(50));
        let before = woken.0.load(Relaxed);

        tap.stream.takes = true;
        assert!(Pin::new(&mut tap).poll_write(cx, b"answer").is_ready());
        assert_eq!(woken.0.load(Relaxed), before + 1);
        // The turn that ended meanwhile brings nothing.
        assert!(read_on(&mut tap, cx) + read_on(&mut tap, cx) > 0);
    }

    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
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
