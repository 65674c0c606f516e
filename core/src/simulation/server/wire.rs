//! What a server's HTTP/2 library does not do, below it: counting pings and striking back, changing the stream limit, freezing.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Inner;
use super::policing::Police;
use crate::runtime::Driver;
use crate::runtime::simulated::SimulatedSocket;

const PREFACE: usize = 24;
const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const ENHANCE_YOUR_CALM: u32 = 11;
const MAX_CONCURRENT_STREAMS: u16 = 3;

/// What the connection's task asks of its wire.
pub(super) struct Control {
    /// Frames to be written between the library's.
    injected: RefCell<Vec<u8>>,
    /// Nothing more is read or written once what is injected is out.
    is_cut: Cell<bool>,
    /// Calls that are open.
    pub(super) calls: Cell<usize>,
    police: RefCell<Option<Police>>,
    /// Of each SETTINGS that was not acknowledged yet, the stream limit it set; `None` is one of the library's.
    unacknowledged: RefCell<VecDeque<Option<u32>>>,
    /// What the client has acknowledged.
    limit: Cell<Option<u32>>,
    /// Streams that neither side has ended.
    streams: RefCell<BTreeSet<u32>>,
}

impl Control {
    pub(super) fn new(server: &Inner) -> Rc<Self> {
        let police = server.script.borrow().policing.clone().map(Police::new);
        Rc::new(Self {
            injected: RefCell::default(),
            is_cut: Cell::new(false),
            calls: Cell::new(0),
            police: RefCell::new(police),
            unacknowledged: RefCell::default(),
            limit: Cell::new(None),
            streams: RefCell::default(),
        })
    }

    /// Announces another limit. The wire must be polled afterwards.
    pub(super) fn announce_limit(&self, limit: u32) {
        let mut payload = MAX_CONCURRENT_STREAMS.to_be_bytes().to_vec();
        payload.extend_from_slice(&limit.to_be_bytes());
        self.inject(SETTINGS, &payload);
        self.unacknowledged.borrow_mut().push_back(Some(limit));
    }

    fn strike_back(&self) {
        let mut payload = 0x7fff_ffff_u32.to_be_bytes().to_vec();
        payload.extend_from_slice(&ENHANCE_YOUR_CALM.to_be_bytes());
        payload.extend_from_slice(b"too_many_pings");
        self.inject(GOAWAY, &payload);
        self.is_cut.set(true);
    }

    fn inject(&self, kind: u8, payload: &[u8]) {
        let mut injected = self.injected.borrow_mut();
        let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
        injected.extend_from_slice(&[length[1], length[2], length[3], kind, 0, 0, 0, 0, 0]);
        injected.extend_from_slice(payload);
    }
}

/// The stream under the server's HTTP/2 library.
pub(super) struct Wire {
    socket: SimulatedSocket,
    server: Rc<Inner>,
    control: Rc<Control>,
    /// Read and not yet a whole frame.
    raw: BytesMut,
    preface_is_past: bool,
    /// Whole frames for the library.
    whole: BytesMut,
    /// The head of the frame that is being written, and how much of its payload is left.
    head: Vec<u8>,
    payload_left: usize,
}

impl Wire {
    pub(super) fn new(socket: SimulatedSocket, server: Rc<Inner>, control: Rc<Control>) -> Self {
        Self {
            socket,
            server,
            control,
            raw: BytesMut::new(),
            preface_is_past: false,
            whole: BytesMut::new(),
            head: Vec::new(),
            payload_left: 0,
        }
    }

    fn poll_thawed(&self, cx: &Context<'_>) -> Poll<()> {
        if self.server.is_frozen.get() {
            self.server.frozen.borrow_mut().push(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn is_between_frames(&self) -> bool {
        self.head.is_empty() && self.payload_left == 0
    }

    /// Writes what is injected, if no frame of the library's is half out.
    fn poll_injected(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.is_between_frames() && !self.control.injected.borrow().is_empty() {
            let waiting = self.control.injected.borrow().clone();
            let written = ready!(Pin::new(&mut self.socket).poll_write(cx, &waiting))?;
            // Injected frames are small; cut in pieces, they must still go out whole before anything else.
            self.control.injected.borrow_mut().drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    fn on_read(&mut self) {
        if !self.preface_is_past && self.raw.len() >= PREFACE {
            self.preface_is_past = true;
            self.whole.unsplit(self.raw.split_to(PREFACE));
        }
        while self.preface_is_past
            && let Some(head) = self.raw.first_chunk::<HEAD>()
        {
            let length = HEAD + u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let (kind, flags) = (head[3], head[4]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            if self.raw.len() < length {
                return;
            }
            let frame = self.raw.split_to(length);
            if self.is_for_library(kind, flags, stream) {
                self.whole.extend_from_slice(&frame);
            }
        }
    }

    fn is_for_library(&self, kind: u8, flags: u8, stream: u32) -> bool {
        let control = &self.control;
        match kind {
            PING if flags & ACK == 0 => {
                let pings = &self.server.record.0.pings;
                pings.set(pings.get() + 1);
                let now = self.server.driver.now();
                let mut police = control.police.borrow_mut();
                if police.as_mut().is_some_and(|police| police.on_ping(now, control.calls.get() > 0)) {
                    self.server.note("has had too many pings");
                    let count = &self.server.record.0.too_many_pings;
                    count.set(count.get() + 1);
                    control.strike_back();
                    return false;
                }
            }
            SETTINGS if flags & ACK != 0 => {
                if let Some(Some(limit)) = control.unacknowledged.borrow_mut().pop_front() {
                    control.limit.set(Some(limit));
                    return false;
                }
            }
            HEADERS => {
                let mut streams = control.streams.borrow_mut();
                streams.insert(stream);
                if control.limit.get().is_some_and(|limit| streams.len() > limit as usize) {
                    let count = &self.server.record.0.over_limit;
                    count.set(count.get() + 1);
                }
            }
            RST_STREAM => {
                control.streams.borrow_mut().remove(&stream);
            }
            _ => {}
        }
        true
    }

    /// The library's bytes went out.
    fn on_written(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let count = self.payload_left.min(bytes.len());
                self.payload_left -= count;
                bytes = &bytes[count..];
                continue;
            }
            let count = (HEAD - self.head.len()).min(bytes.len());
            self.head.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if let Ok(head) = <[u8; HEAD]>::try_from(&self.head[..]) {
                self.head.clear();
                self.payload_left = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
                self.on_frame_written(head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]));
            }
        }
    }

    fn on_frame_written(&self, kind: u8, flags: u8, stream: u32) {
        let control = &self.control;
        if matches!(kind, DATA | HEADERS)
            && let Some(police) = control.police.borrow_mut().as_mut()
        {
            police.on_sent();
        }
        if (matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0) || kind == RST_STREAM {
            control.streams.borrow_mut().remove(&stream);
        }
        if kind == SETTINGS && flags & ACK == 0 {
            control.unacknowledged.borrow_mut().push_back(None);
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_thawed(cx));
        loop {
            // Waits for the socket by itself when it must.
            let injected = this.poll_injected(cx);
            if this.control.is_cut.get() && injected.is_ready() {
                return Poll::Ready(Ok(()));
            }
            if !this.whole.is_empty() {
                let count = this.whole.len().min(buffer.remaining());
                buffer.put_slice(&this.whole.split_to(count));
                return Poll::Ready(Ok(()));
            }
            let mut room = [MaybeUninit::uninit(); 4096];
            let mut read = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut this.socket).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.raw.extend_from_slice(read.filled());
            this.on_read();
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_thawed(cx));
        ready!(this.poll_injected(cx))?;
        if this.control.is_cut.get() && this.is_between_frames() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        // With something to inject, the library's frame goes out to its end and no further.
        let most = match (this.control.injected.borrow().is_empty(), this.payload_left) {
            (true, _) => bytes.len(),
            (false, 0) => HEAD - this.head.len(),
            (false, left) => left,
        };
        let bytes = &bytes[..most.min(bytes.len())];
        let count = ready!(Pin::new(&mut this.socket).poll_write(cx, bytes))?;
        this.on_written(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_thawed(cx));
        this.poll_injected(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_thawed(cx));
        Pin::new(&mut this.socket).poll_shutdown(cx)
    }
}
