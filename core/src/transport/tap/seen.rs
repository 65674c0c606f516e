//! What the tap has seen on the wire, for the task that moves the connection.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;

use crate::failure::name_of_http2_code;
use crate::transport::tls::failures::words_of;

/// What has been seen on the wire. Written by the tap, read by the task that moves the connection, on the same loop.
#[derive(Debug, Default)]
pub(in crate::transport) struct Seen {
    pub(super) has_settings: Cell<bool>,
    /// Bytes of DATA frames whose headers were read, those headers excluded.
    pub(super) data: Cell<u64>,
    /// How often bytes were read; it wraps.
    pub(super) reads: Cell<u32>,
    /// Set by the first HEADERS frame.
    pub(super) has_answered: Cell<bool>,
    /// How many HEADERS and DATA frames were read; it wraps.
    pub(super) answers: Cell<u32>,
    /// Set once, when the first frame was not SETTINGS ([WIRE-6]).
    pub(super) wrong_start: OnceCell<&'static str>,
    pub(super) stream_limit: Cell<Option<u32>>,
    pub(super) header_limit: Cell<Option<u32>>,
    /// The highest stream that headers, or what comes with them, were said to belong to.
    pub(super) highest_stream: Cell<u32>,
    /// Streams with a header block longer than HTTP/2 lets through, and its length.
    pub(super) cut: RefCell<Vec<(u32, u64)>>,
    /// Boxed, because it comes once and every connection has room for it.
    pub(super) goaway: RefCell<Option<Box<Goaway>>>,
    /// Set by a GOAWAY whose last stream is no stream of ours ([WIRE-193]).
    pub(super) has_bad_goaway: Cell<bool>,
    /// Set by the one GOAWAY that asks for fewer PINGs ([CONN-95]).
    pub(super) has_too_many_pings: Cell<bool>,
    /// Set once, when reading ended or failed.
    pub(super) end: OnceCell<Box<str>>,
    /// Set when that was an alert of TLS.
    pub(super) has_alert: Cell<bool>,
    /// Set once, when writing failed.
    pub(super) write_failure: OnceCell<Box<str>>,
}

impl Seen {
    pub(in crate::transport) fn has_settings(&self) -> bool {
        self.has_settings.get()
    }

    /// How many bytes of DATA have come so far, or are on their way.
    pub(in crate::transport) fn data(&self) -> u64 {
        self.data.get()
    }

    /// How often bytes were read so far; two equal answers mean that nothing was between them.
    pub(in crate::transport) fn reads(&self) -> u32 {
        self.reads.get()
    }

    pub(in crate::transport) fn has_answered(&self) -> bool {
        self.has_answered.get()
    }

    /// How many frames of headers or data were read so far; two equal answers mean that none was between them.
    pub(in crate::transport) fn answers(&self) -> u32 {
        self.answers.get()
    }

    pub(in crate::transport) fn wrong_start(&self) -> Option<&'static str> {
        self.wrong_start.get().copied()
    }

    /// The peer's MAX_CONCURRENT_STREAMS; `None` is unlimited.
    pub(in crate::transport) fn stream_limit(&self) -> Option<u32> {
        self.stream_limit.get()
    }

    /// The peer's MAX_HEADER_LIST_SIZE; `None` is that it did not say one.
    pub(in crate::transport) fn header_limit(&self) -> Option<u32> {
        self.header_limit.get()
    }

    /// The highest stream the peer has spoken of in headers. The HTTP/2 library opens no stream below it, even if it never was one.
    pub(in crate::transport) fn highest_stream(&self) -> u32 {
        self.highest_stream.get()
    }

    /// The length of the stream's header block, if it was longer than HTTP/2 lets through whole.
    pub(in crate::transport) fn take_cut(&self, stream: u32) -> Option<u64> {
        let mut cut = self.cut.borrow_mut();
        let at = cut.iter().position(|(of, _)| *of == stream)?;
        Some(cut.swap_remove(at).1)
    }

    pub(in crate::transport) fn goaway(&self) -> Option<Goaway> {
        self.goaway.borrow().as_deref().cloned()
    }

    pub(in crate::transport) fn has_bad_goaway(&self) -> bool {
        self.has_bad_goaway.get()
    }

    pub(in crate::transport) fn has_too_many_pings(&self) -> bool {
        self.has_too_many_pings.get()
    }

    /// How the connection ended, in words: what the server said before what this side noticed.
    pub(in crate::transport) fn end(&self) -> String {
        let end = self.end.get().map(Box::as_ref).or(self.write_failure());
        match (end, &*self.goaway.borrow()) {
            (Some(end), Some(goaway)) => format!("{end}, after {goaway}"),
            (None, Some(goaway)) => format!("closed after {goaway}"),
            (Some(end), None) => end.to_owned(),
            (None, None) => "closed by this side".to_owned(),
        }
    }

    /// Whether the server gave the connection up by an alert of TLS.
    pub(in crate::transport) fn has_alert(&self) -> bool {
        self.has_alert.get()
    }

    /// Why nothing can be written any more, once that is so.
    pub(in crate::transport) fn write_failure(&self) -> Option<&str> {
        self.write_failure.get().map(Box::as_ref)
    }

    /// Only the first failure says something.
    pub(in crate::transport) fn note_write_failure(&self, cause: &io::Error) {
        let _ = self.write_failure.set(words_of(cause).into());
    }

    /// Why this side ends the connection, unless the byte stream itself ended.
    pub(in crate::transport) fn note_end(&self, words: String) {
        let _ = self.end.set(words.into());
    }
}

/// A GOAWAY frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Goaway {
    pub(crate) code: u32,
    /// The last stream it will look at.
    pub(crate) last_stream: u32,
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
