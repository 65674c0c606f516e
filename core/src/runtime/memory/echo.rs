//! A socket with a server of gRPC behind it that echoes unary calls. What is written is answered before the write returns.
//!
//! It costs next to nothing, so that what is counted is the client.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::runtime::Socket;

/// The client's end.
#[derive(Debug, Default)]
pub(crate) struct EchoSocket {
    /// Written and not yet a whole frame.
    written: Vec<u8>,
    preface_is_past: bool,
    /// Answered and not yet read.
    answered: Vec<u8>,
    reader: Option<Waker>,
    has_taught_its_headers: bool,
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// `:status 200`, `content-type` and `grpc-status 0`, the first time; the client's table keeps them (RFC 7541 §6).
const HEAD_TAUGHT: &[u8] = b"\x88\x5f\x10application/grpc";
const TRAILERS_TAUGHT: &[u8] = b"\x40\x0bgrpc-status\x010";
/// The same from the table, newest entry first.
const HEAD: &[u8] = &[0x88, 0x80 | 63];
const TRAILERS: &[u8] = &[0x80 | 62];

impl EchoSocket {
    fn on_written(&mut self, bytes: &[u8]) {
        self.written.extend_from_slice(bytes);
        let mut at = 0;
        if !self.preface_is_past && self.written.starts_with(PREFACE) {
            self.preface_is_past = true;
            at = PREFACE.len();
            self.answer(SETTINGS, 0, 0, &[]);
            // More than any count of calls sends.
            self.answer(WINDOW_UPDATE, 0, 0, &(i32::MAX - 65_535).to_be_bytes());
        }
        let written = std::mem::take(&mut self.written);
        while self.preface_is_past
            && let Some(head) = written[at..].first_chunk::<HEADER>()
        {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            let Some(payload) = written.get(at + HEADER..at + HEADER + length) else { break };
            self.on_frame(head[3], head[4], stream, payload);
            at += HEADER + length;
        }
        self.written = written;
        self.written.drain(..at);
        if let Some(reader) = self.reader.take_if(|_| !self.answered.is_empty()) {
            reader.wake();
        }
    }

    fn on_frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        match kind {
            SETTINGS if flags & ACK == 0 => self.answer(SETTINGS, ACK, 0, &[]),
            DATA if flags & END_STREAM != 0 => {
                let is_taught = std::mem::replace(&mut self.has_taught_its_headers, true);
                self.answer(HEADERS, END_HEADERS, stream, if is_taught { HEAD } else { HEAD_TAUGHT });
                self.answer(DATA, 0, stream, payload);
                let trailers = if is_taught { TRAILERS } else { TRAILERS_TAUGHT };
                self.answer(HEADERS, END_HEADERS | END_STREAM, stream, trailers);
            }
            _ => {}
        }
    }

    fn answer(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).expect("a small frame").to_be_bytes();
        self.answered.extend_from_slice(&[length[1], length[2], length[3], kind, flags]);
        self.answered.extend_from_slice(&stream.to_be_bytes());
        self.answered.extend_from_slice(payload);
    }
}

impl Socket for EchoSocket {
    fn local_address(&self) -> Option<SocketAddr> {
        None
    }
}

impl AsyncRead for EchoSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.answered.is_empty() {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let count = self.answered.len().min(buffer.remaining());
        buffer.put_slice(&self.answered[..count]);
        self.answered.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for EchoSocket {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.on_written(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        slices.iter().for_each(|slice| self.on_written(slice));
        Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
