//! The byte stream under HTTP/2 with bulk in mind: many small writes become one large, many small reads become one large.
//!
//! The HTTP/2 library writes each DATA frame by itself and reads eight kilobytes at a time; a megabyte costs it 200 system calls.
//! Here large writes are gathered until the connection's task has had its turn, and a read that filled its buffer makes the next ones
//! read ahead. Small writes and reads pass through, and a connection in which nothing moves holds no buffer.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

use super::authorities::Certified;

/// A byte stream, shared by the HTTP/2 library, which reads and writes, and the connection's task, which sends what was gathered.
#[derive(Debug)]
pub(super) struct Wire<S>(Rc<RefCell<Inner<S>>>);

#[derive(Debug)]
struct Inner<S> {
    stream: S,
    /// Written and not yet sent.
    gathered: BytesMut,
    /// Read and not yet taken.
    ahead: BytesMut,
    /// Set while reads fill what they are given.
    is_reading_bulk: bool,
    /// What was sent since the connection's task had its turn.
    sent_in_turn: usize,
}

/// A write this large is bulk: it is gathered, and so is what follows until it is sent.
const BULK_WRITE: usize = 4 << 10;

/// As much is gathered at most; then it is sent before more is taken. A quarter of it costs a megabyte a fifth more CPU, twice as much
/// saves nothing.
const MOST_GATHERED: usize = 512 << 10;

/// The HTTP/2 library writes as long as it may, and a peer that reads as fast as we write would have it write a message of any size before
/// another call is taken in. So after as much it is told to wait until the others had their turn.
const MOST_SENT_IN_TURN: usize = 2 << 20;

/// How much is read ahead at once.
const READ_AHEAD: usize = 256 << 10;

impl<S> Wire<S> {
    pub(super) fn new(stream: S) -> Self {
        let (gathered, ahead) = (BytesMut::new(), BytesMut::new());
        Self(Rc::new(RefCell::new(Inner { stream, gathered, ahead, is_reading_bulk: false, sent_in_turn: 0 })))
    }
}

impl<S: Certified + 'static> Wire<S> {
    /// Whoever asks the stream for its certificate, and does not keep it.
    pub(super) fn certified(&self) -> Weak<dyn Certified> {
        let weak: Weak<RefCell<Inner<S>>> = Rc::downgrade(&self.0);
        weak
    }
}

impl<S: Certified> Certified for RefCell<Inner<S>> {
    fn certificate(&self) -> Option<CertificateDer<'static>> {
        self.borrow().stream.certificate()
    }
}

impl<S> Clone for Wire<S> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
    /// Sends what was gathered. After each poll of the HTTP/2 library somebody must.
    pub(super) fn poll_send(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        inner.sent_in_turn = 0;
        inner.poll_send(cx)
    }
}

impl<S: AsyncWrite + Unpin> Inner<S> {
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.gathered.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.gathered.is_empty() {
            match ready!(Pin::new(&mut self.stream).poll_write(cx, &self.gathered)) {
                Ok(0) => return self.lost(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.gathered.advance(count),
                Err(cause) => return self.lost(cause),
            }
        }
        self.gathered = BytesMut::new();
        // TLS may hold a part of what it took.
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// What was gathered has nowhere to go.
    fn lost(&mut self, cause: io::Error) -> Poll<io::Result<()>> {
        self.gathered = BytesMut::new();
        Poll::Ready(Err(cause))
    }

    /// Takes slices in; `None` when they are few bytes and nothing is before them, so that they may go directly.
    fn poll_gather(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Option<Poll<io::Result<usize>>> {
        let size = slices.iter().map(|slice| slice.len()).sum();
        if self.gathered.is_empty() && size < BULK_WRITE {
            return None;
        }
        if !self.gathered.is_empty() && self.gathered.len() + size > MOST_GATHERED {
            if self.sent_in_turn >= MOST_SENT_IN_TURN {
                cx.waker().wake_by_ref();
                return Some(Poll::Pending);
            }
            self.sent_in_turn += self.gathered.len();
            match self.poll_send(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(cause)) => return Some(Poll::Ready(Err(cause))),
                Poll::Pending => return Some(Poll::Pending),
            }
        }
        if self.gathered.capacity() == 0 {
            // A lone frame gets what it needs, the second one room for all that may follow.
            self.gathered.reserve(size);
        } else if self.gathered.capacity() < self.gathered.len() + size {
            self.gathered.reserve(MOST_GATHERED.max(self.gathered.len() + size) - self.gathered.len());
        }
        slices.iter().for_each(|slice| self.gathered.extend_from_slice(slice));
        Some(Poll::Ready(Ok(size)))
    }
}

impl<S: AsyncRead + Unpin> Inner<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            if !self.is_reading_bulk {
                let outcome = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
                self.is_reading_bulk = outcome.is_ok() && buffer.remaining() == 0;
                return Poll::Ready(outcome);
            }
            self.ahead.reserve(READ_AHEAD);
            match pin!(self.stream.read_buf(&mut self.ahead)).poll(cx) {
                Poll::Ready(Ok(count)) => self.is_reading_bulk = count >= READ_AHEAD / 4,
                Poll::Ready(Err(cause)) => return Poll::Ready(Err(cause)),
                Poll::Pending => {
                    self.is_reading_bulk = false;
                    self.ahead = BytesMut::new();
                    return Poll::Pending;
                }
            }
        }
        let count = self.ahead.len().min(buffer.remaining());
        buffer.put_slice(&self.ahead[..count]);
        self.ahead.advance(count);
        if self.ahead.is_empty() && !self.is_reading_bulk {
            self.ahead = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut inner = self.0.borrow_mut();
        match inner.poll_gather(cx, &[IoSlice::new(bytes)]) {
            Some(outcome) => outcome,
            None => Pin::new(&mut inner.stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut inner = self.0.borrow_mut();
        match inner.poll_gather(cx, slices) {
            Some(outcome) => outcome,
            None => Pin::new(&mut inner.stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.0.borrow().stream.is_write_vectored()
    }

    /// What was gathered waits for [`Wire::poll_send`]: the HTTP/2 library flushes after each large frame.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        if inner.gathered.is_empty() { Pin::new(&mut inner.stream).poll_flush(cx) } else { Poll::Ready(Ok(())) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.0.borrow_mut();
        ready!(inner.poll_send(cx))?;
        Pin::new(&mut inner.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::task::Waker;

    /// A stream that takes and gives as its script says, and counts how often it was asked.
    #[derive(Default)]
    struct Scripted {
        written: Vec<u8>,
        writes: usize,
        /// The most bytes the next writes take; 0 is not now. All when it is over.
        takes: VecDeque<usize>,
        read: Vec<u8>,
        reads: usize,
    }

    impl AsyncRead for Scripted {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            self.reads += 1;
            if self.read.is_empty() {
                return Poll::Pending;
            }
            let count = buffer.remaining().min(self.read.len());
            buffer.put_slice(&self.read[..count]);
            self.read.drain(..count);
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Scripted {
        fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
            self.writes += 1;
            let count = self.takes.pop_front().unwrap_or(bytes.len()).min(bytes.len());
            if count == 0 {
                return Poll::Pending;
            }
            self.written.extend_from_slice(&bytes[..count]);
            Poll::Ready(Ok(count))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    fn cx() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    fn write(wire: &mut Wire<Scripted>, bytes: &[u8]) -> Poll<usize> {
        Pin::new(wire).poll_write(&mut cx(), bytes).map(|outcome| outcome.expect("written"))
    }

    fn flush(wire: &mut Wire<Scripted>) {
        assert!(Pin::new(wire).poll_flush(&mut cx()).is_ready());
    }

    #[test]
    fn a_small_write_goes_at_once_and_large_ones_go_together() {
        let mut wire = Wire::new(Scripted::default());
        assert_eq!(write(&mut wire, b"small"), Poll::Ready(5));
        assert_eq!(wire.0.borrow().stream.written, b"small");
        for _ in 0..4 {
            assert_eq!(write(&mut wire, &[1; 16_384]), Poll::Ready(16_384));
            flush(&mut wire);
        }
        assert_eq!(write(&mut wire, b"after"), Poll::Ready(5));
        assert_eq!(wire.0.borrow().stream.writes, 1);
        assert!(wire.poll_send(&mut cx()).is_ready());
        let inner = wire.0.borrow();
        assert_eq!((inner.stream.writes, inner.stream.written.len()), (2, 5 + 4 * 16_384 + 5));
        assert!(inner.stream.written.ends_with(b"after"));
        assert_eq!(inner.gathered.capacity(), 0, "nothing is held");
    }

    #[test]
    fn a_stream_that_takes_nothing_holds_the_writer_back() {
        let mut wire = Wire::new(Scripted { takes: [0, 0, 0].into(), ..Scripted::default() });
        let mut gathered = 0;
        while let Poll::Ready(count) = write(&mut wire, &[1; 16_384]) {
            gathered += count;
        }
        assert_eq!(gathered, MOST_GATHERED);
        assert!(wire.poll_send(&mut cx()).is_pending());
        assert!(Pin::new(&mut wire).poll_shutdown(&mut cx()).is_pending(), "what was gathered goes first");
        assert!(Pin::new(&mut wire).poll_shutdown(&mut cx()).is_ready());
        assert_eq!(wire.0.borrow().stream.written.len(), gathered);
    }

    #[test]
    fn a_writer_that_never_stops_waits_until_the_connections_task_had_its_turn() {
        let mut wire = Wire::new(Scripted::default());
        for _ in 0..2 {
            let mut taken = 0;
            while let Poll::Ready(count) = write(&mut wire, &[1; 16_384]) {
                taken += count;
            }
            assert!((MOST_SENT_IN_TURN..=MOST_SENT_IN_TURN + 2 * MOST_GATHERED).contains(&taken), "{taken}");
            assert!(wire.poll_send(&mut cx()).is_ready());
        }
    }

    #[test]
    fn a_write_larger_than_what_is_gathered_at_most_is_taken_whole() {
        let mut wire = Wire::new(Scripted::default());
        assert_eq!(write(&mut wire, &vec![1; 3 * MOST_GATHERED]), Poll::Ready(3 * MOST_GATHERED));
        assert!(wire.poll_send(&mut cx()).is_ready());
        assert_eq!(wire.0.borrow().stream.written.len(), 3 * MOST_GATHERED);
    }

    #[test]
    fn bulk_is_read_ahead_and_nothing_is_held_when_it_is_over() {
        let bulk: Vec<u8> = (0..=255).cycle().take(200_000).collect();
        let mut wire = Wire::new(Scripted { read: bulk.clone(), ..Scripted::default() });
        let mut taken = Vec::new();
        let mut room = [0; 8_192];
        loop {
            let mut buffer = ReadBuf::new(&mut room);
            if Pin::new(&mut wire).poll_read(&mut cx(), &mut buffer).is_pending() {
                break;
            }
            taken.extend_from_slice(buffer.filled());
        }
        assert_eq!(taken, bulk);
        let inner = wire.0.borrow();
        assert!(inner.stream.reads <= 4, "{} reads", inner.stream.reads);
        assert_eq!(inner.ahead.capacity(), 0, "nothing is held");
    }

    proptest! {
        #[test]
        fn any_writes_and_any_taking_keep_the_bytes_in_order(
            writes in prop::collection::vec((0_usize..40_000, any::<bool>()), 0..20),
            takes in prop::collection::vec(0_usize..50_000, 0..20),
        ) {
            let mut wire = Wire::new(Scripted { takes: takes.into(), ..Scripted::default() });
            let mut wanted = Vec::new();
            for (number, (size, sends)) in writes.into_iter().enumerate() {
                let bytes = vec![u8::try_from(number).expect("few"); size];
                let mut left = &bytes[..];
                while !left.is_empty() {
                    if let Poll::Ready(count) = write(&mut wire, left) {
                        left = &left[count..];
                    }
                }
                wanted.extend(bytes);
                if sends {
                    let _ = wire.poll_send(&mut cx());
                }
            }
            while wire.poll_send(&mut cx()).is_pending() {}
            prop_assert_eq!(&wire.0.borrow().stream.written, &wanted);
        }
    }
}
