//! A thin tap between TLS and HTTP/2: it reads the frame headers as they pass and keeps what the HTTP/2 library does not tell.
//!
//! That is: when the peer's first SETTINGS arrived, its stream limit, a GOAWAY as soon as it is read with its code and debug
//! text, how the byte stream ended, and the bytes that passed. It also tells the library to wait when it has read enough for one turn,
//! or when the peer takes no answers.

mod frames;
mod seen;

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::tls::failures::{is_alert, words_of};
use crate::observe::counters::{ChannelCounters, ConnectionCounters};
use frames::FrameReader;
pub(super) use seen::Seen;

/// The byte stream with the tap on it.
#[derive(Debug)]
pub(crate) struct Tap<S> {
    stream: S,
    frames: FrameReader,
    connection: Arc<ConnectionCounters>,
    channel: Arc<ChannelCounters>,
    goaway_is_counted: bool,
    /// Set while the peer does not take what is written; boxed, because it is rare.
    unanswered: Option<Box<Unanswered>>,
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
        } else if let Some(reader) = self.unanswered.take().and_then(|unanswered| unanswered.reader) {
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
            Err(cause) => {
                self.frames.seen.has_alert.set(is_alert(cause));
                self.frames.on_end(words_of(cause));
            }
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    use std::task::Wake;
    use std::time::Duration;

    use super::frames::{HEADER, frame};
    use super::*;

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
        let connection = Arc::new(ConnectionCounters::new("".into(), None, Duration::ZERO, None));
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
}
