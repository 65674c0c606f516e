//! One end of a simulated byte stream; the client's and the server's are of the same type.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Alive;
use super::clock::{Clock, Sleep};
use super::network::Host;
use super::pipe::{Found, Pipe};
use super::random::Random;
use crate::runtime::{Socket, SocketOptions};
use crate::time::Time;

/// Two pipes between a client and a host.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) host: Rc<Host>,
    pub(super) clock: Rc<Clock>,
    pub(super) random: Random,
    pub(super) opened_at: Time,
    /// Whether the client has read anything.
    pub(super) is_greeted: Cell<bool>,
    /// When something in between has forgotten it, and when the client closed its end.
    pub(super) forgotten_at: Cell<Option<Time>>,
    pub(super) closed_at: Cell<Option<Time>>,
    /// From the client.
    pub(super) up: RefCell<Pipe>,
    /// From the server.
    pub(super) down: RefCell<Pipe>,
}

/// One end.
#[derive(Debug)]
pub(crate) struct SimulatedSocket {
    link: Rc<Link>,
    is_client: bool,
    local: SocketAddr,
    /// Wakes the reader when the next bytes arrive.
    timer: Option<Sleep>,
    gives_up_after: Duration,
    /// Counts the engine's sockets.
    _alive: Option<Alive>,
}

/// Linux retransmits for about this long (`tcp_retries2`), unless TCP_USER_TIMEOUT says otherwise.
const RETRANSMITS_FOR: Duration = Duration::from_secs(924);

impl SimulatedSocket {
    pub(super) fn new(link: &Rc<Link>, is_client: bool, local: SocketAddr, alive: Option<Alive>) -> Self {
        let link = Rc::clone(link);
        Self { link, is_client, local, timer: None, gives_up_after: RETRANSMITS_FOR, _alive: alive }
    }

    pub(super) fn with(mut self, options: SocketOptions) -> Self {
        self.gives_up_after = options.tcp_user_timeout.unwrap_or(RETRANSMITS_FOR);
        self
    }

    fn outgoing(&self) -> &RefCell<Pipe> {
        if self.is_client { &self.link.up } else { &self.link.down }
    }

    fn incoming(&self) -> &RefCell<Pipe> {
        if self.is_client { &self.link.down } else { &self.link.up }
    }

    /// When the kernel gives up waiting for an acknowledgement.
    fn gives_up_at(&self) -> Option<Time> {
        Some(self.outgoing().borrow().unacknowledged_since? + self.gives_up_after)
    }

    fn check(&self, now: Time) -> io::Result<()> {
        if self.gives_up_at().is_some_and(|at| at <= now) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if self.incoming().borrow().reset_at.is_some_and(|at| at <= now) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }

    fn write(&self, bytes: &[u8]) {
        let now = self.link.clock.now();
        let host = &self.link.host;
        let was_acknowledged = self.outgoing().borrow().unacknowledged_since.is_none();
        let reset_at = self.outgoing().borrow_mut().write(now, bytes, &host.path(), host.reach(), &self.link.random);
        let mut incoming = self.incoming().borrow_mut();
        if let Some(at) = reset_at {
            incoming.reset(at);
        }
        if was_acknowledged && self.outgoing().borrow().unacknowledged_since.is_some() {
            // Whoever waits to read must also wait for the kernel to give up.
            incoming.wake_reader();
        }
    }

    /// Ends the stream for the peer as if the process had been killed.
    fn reset(&self) {
        let now = self.link.clock.now();
        let latency = self.link.host.path().latency;
        self.outgoing().borrow_mut().reset(now + latency);
    }
}

impl Socket for SimulatedSocket {
    fn local_address(&self) -> Option<SocketAddr> {
        Some(self.local)
    }
}

impl AsyncRead for SimulatedSocket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let now = this.link.clock.now();
        this.check(now)?;
        let link = Rc::clone(&this.link);
        let mut incoming = if this.is_client { link.down.borrow_mut() } else { link.up.borrow_mut() };
        let next = match incoming.find(now) {
            Found::Bytes(bytes) => {
                let count = bytes.len().min(buffer.remaining());
                buffer.put_slice(&bytes[..count]);
                incoming.took(count);
                if this.is_client && !link.is_greeted.replace(true) {
                    link.host.on_greeted(now);
                }
                return Poll::Ready(Ok(()));
            }
            Found::End => return Poll::Ready(Ok(())),
            Found::Reset => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Found::Nothing(next) => next,
        };
        incoming.wait_to_read(cx);
        drop(incoming);
        let next = next.into_iter().chain(this.gives_up_at()).min();
        match (next, &this.timer) {
            (None, _) => this.timer = None,
            (Some(at), Some(timer)) if timer.deadline() == at => {}
            (Some(at), _) => this.timer = Some(link.clock.sleep_until(at)),
        }
        if let Some(timer) = &mut this.timer {
            // Due later than now, so it only takes the waker.
            let _ = Pin::new(timer).poll(cx);
        }
        Poll::Pending
    }
}

impl AsyncWrite for SimulatedSocket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check(self.link.clock.now())?;
        if self.outgoing().borrow().is_fin_written {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if slices.iter().all(|slice| slice.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        let path = self.link.host.path();
        let room = self.outgoing().borrow().room(&path);
        if room == 0 {
            self.outgoing().borrow_mut().wait_to_write(cx);
            return Poll::Pending;
        }
        let piece = 1 + usize::try_from(self.link.random.below(path.largest_piece as u64)).unwrap_or(0);
        let most = room.min(piece);
        let mut taken = Vec::with_capacity(most.min(slices.iter().map(|slice| slice.len()).sum()));
        for slice in slices {
            taken.extend_from_slice(&slice[..slice.len().min(most - taken.len())]);
        }
        self.write(&taken);
        Poll::Ready(Ok(taken.len()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.outgoing().borrow().is_fin_written {
            self.write(&[]);
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for SimulatedSocket {
    fn drop(&mut self) {
        if self.is_client {
            self.link.closed_at.set(Some(self.link.clock.now()));
        }
        let was_unread = self.incoming().borrow_mut().close_reader();
        if was_unread {
            self.reset();
        } else if !self.outgoing().borrow().is_fin_written {
            self.write(&[]);
        }
        self.outgoing().borrow_mut().close_writer();
    }
}
