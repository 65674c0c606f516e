//! A connected socket on tokio.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use socket2::{SockAddr, SockRef};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::runtime::Socket;
use crate::runtime::fork::Listed;

/// A TCP, unix or vsock socket that writes without raising SIGPIPE.
///
/// Tokio's vectored writes use `writev`, which kills a C host with SIGPIPE once the peer has closed; every write here goes through
/// `sendmsg` with MSG_NOSIGNAL.
#[derive(Debug)]
pub(crate) struct TokioSocket {
    /// Before the socket itself, so that it leaves the list first.
    _listed: Listed,
    kind: Kind,
    /// Reads since one had to wait.
    reads: u32,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    /// Also of vsock: once it is open, a stream of either is read, written and shut down alike.
    Local(UnixStream),
}

/// A peer that sends faster than we read must leave the other tasks of the loop their turn after as many reads.
const MOST_READS: u32 = 64;

impl TokioSocket {
    /// It is listed from its first moment on: a process may fork while it connects.
    pub(super) async fn connect(socket: socket2::Socket, address: &SockAddr) -> io::Result<Self> {
        let listed = Listed::new(&socket);
        let started = match socket.connect(address) {
            Err(cause) if cause.raw_os_error() == Some(nix::libc::EINPROGRESS) => Ok(()),
            other => other,
        };
        let kind = if address.is_ipv4() || address.is_ipv6() {
            TcpStream::from_std(socket.into()).map(Kind::Tcp)?
        } else {
            UnixStream::from_std(socket.into()).map(Kind::Local)?
        };
        let connecting = Self { _listed: listed, kind, reads: 0 };
        started?;
        connecting.opened().await?;
        Ok(connecting)
    }

    async fn opened(&self) -> io::Result<()> {
        let refusal = match &self.kind {
            Kind::Tcp(stream) => {
                poll_fn(|cx| stream.poll_write_ready(cx)).await?;
                stream.take_error()?
            }
            Kind::Local(stream) => {
                poll_fn(|cx| stream.poll_write_ready(cx)).await?;
                stream.take_error()?
            }
        };
        refusal.map_or(Ok(()), Err)
    }

    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        mut send: impl FnMut(SockRef<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let outcome = match &self.kind {
                Kind::Tcp(stream) => {
                    ready!(stream.poll_write_ready(cx))?;
                    stream.try_io(Interest::WRITABLE, || send(SockRef::from(stream)))
                }
                Kind::Local(stream) => {
                    ready!(stream.poll_write_ready(cx))?;
                    stream.try_io(Interest::WRITABLE, || send(SockRef::from(stream)))
                }
            };
            match outcome {
                Err(cause) if matches!(cause.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }
}

impl Socket for TokioSocket {
    fn local_address(&self) -> Option<SocketAddr> {
        match &self.kind {
            Kind::Tcp(stream) => stream.local_addr().ok(),
            Kind::Local(_) => None,
        }
    }
}

impl AsFd for TokioSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.kind {
            Kind::Tcp(stream) => stream.as_fd(),
            Kind::Local(stream) => stream.as_fd(),
        }
    }
}

impl AsyncRead for TokioSocket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.reads >= MOST_READS {
            this.reads = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let outcome = match &mut this.kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Kind::Local(stream) => Pin::new(stream).poll_read(cx, buffer),
        };
        this.reads = if outcome.is_ready() { this.reads + 1 } else { 0 };
        outcome
    }
}

impl AsyncWrite for TokioSocket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |socket| socket.send_with_flags(bytes, NO_SIGNAL))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |socket| socket.send_vectored_with_flags(slices, NO_SIGNAL))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().kind {
            Kind::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Kind::Local(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// `MSG_NOSIGNAL` where there is one; elsewhere sockets carry an option instead, set when they are made.
#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "openbsd",
    target_os = "netbsd"
))]
const NO_SIGNAL: i32 = nix::libc::MSG_NOSIGNAL;
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "openbsd",
    target_os = "netbsd"
)))]
const NO_SIGNAL: i32 = 0;
