//! The tokio driver: one background thread with a single-threaded tokio runtime.

use std::cell::Cell;
use std::future::Future;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;
use tokio::task::{AbortHandle, LocalSet};
use tokio::time::Instant;

use super::{Driver, Socket, Task};
use crate::address::Address;
use crate::error::Error;
use crate::time::Time;

/// One loop on tokio.
#[derive(Clone, Debug)]
pub(crate) struct TokioDriver {
    started: Instant,
    random: Rc<Cell<u64>>,
}

impl TokioDriver {
    /// Starts a background thread named `name` and runs `loop_body` on it until it returns. The thread blocks every signal, so a
    /// host's handlers run on the host's own threads.
    ///
    /// # Errors
    /// The system refused a thread or a descriptor.
    pub(crate) fn run_on_thread<F, Body>(name: &str, loop_body: F) -> Result<thread::JoinHandle<()>, Error>
    where
        F: FnOnce(Self) -> Body + Send + 'static,
        Body: Future<Output = ()>,
    {
        // Made here and not on the thread, so that a system without descriptors refuses the caller and hangs nobody.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // Name look-ups are the only blocking work; the threads for them go soon after.
            .max_blocking_threads(4)
            .thread_keep_alive(Duration::from_millis(100))
            .build()
            .map_err(|cause| Error::system("cannot set up the engine's loop", &cause))?;
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                // Fails only for a bad argument, which a full set is not.
                let _ = nix::sys::signal::SigSet::all().thread_block();
                Self::run_here(runtime, loop_body);
            })
            .map_err(|cause| Error::system("cannot start the engine's thread", &cause))
    }

    fn run_here<F, Body>(runtime: Runtime, loop_body: F)
    where
        F: FnOnce(Self) -> Body,
        Body: Future<Output = ()>,
    {
        let tasks = LocalSet::new();
        tasks.block_on(&runtime, async {
            let driver = Self { started: now(), random: Rc::new(Cell::new(random_seed())) };
            loop_body(driver).await;
        });
        // A look-up that hangs must not keep the thread.
        runtime.shutdown_background();
    }
}

impl Driver for TokioDriver {
    type Socket = TokioSocket;
    type Task = AbortHandle;

    fn now(&self) -> Time {
        Time::from_start(now().duration_since(self.started))
    }

    fn random_unit(&self) -> f64 {
        // splitmix64: jitter needs spread, not secrecy.
        let seed = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(seed);
        let mut mixed = seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // 53 bits are what a double holds exactly.
        #[expect(clippy::cast_precision_loss, reason = "both sides are below 2^53")]
        let unit = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
        unit
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) -> AbortHandle {
        #[expect(clippy::disallowed_methods, reason = "this is the driver")]
        let handle = tokio::task::spawn_local(task);
        handle.abort_handle()
    }

    fn sleep_until(&self, deadline: Time) -> impl Future<Output = ()> + 'static {
        // Tokio's clock cannot hold every length; thirty years are as good as never.
        let length = deadline.since_start().min(Duration::from_secs(30 * 365 * 86_400));
        #[expect(clippy::disallowed_methods, reason = "this is the driver")]
        tokio::time::sleep_until(self.started + length)
    }

    fn connect(&self, address: &Address) -> impl Future<Output = io::Result<TokioSocket>> + 'static {
        let address = address.clone();
        async move {
            match address {
                Address::Inet(address) => {
                    #[expect(clippy::disallowed_methods, reason = "this is the driver")]
                    let stream = TcpStream::connect(address).await?;
                    stream.set_nodelay(true)?;
                    Ok(TokioSocket::Tcp(stream))
                }
                Address::Unix(path) => {
                    #[expect(clippy::disallowed_methods, reason = "this is the driver")]
                    let stream = UnixStream::connect(path).await?;
                    Ok(TokioSocket::Unix(stream))
                }
            }
        }
    }

    fn resolve(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + 'static {
        let name = (host.to_owned(), port);
        async move {
            #[expect(clippy::disallowed_methods, reason = "this is the driver")]
            let found = tokio::net::lookup_host(name).await?;
            Ok(found.collect())
        }
    }
}

impl Task for AbortHandle {
    fn abort(&self) {
        Self::abort(self);
    }
}

/// A TCP or unix socket that writes without raising SIGPIPE.
///
/// Tokio's vectored writes use `writev`, which kills a C host with SIGPIPE once the peer has closed; every write here goes through
/// `sendmsg` with MSG_NOSIGNAL.
#[derive(Debug)]
pub(crate) enum TokioSocket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl TokioSocket {
    fn poll_send(
        &self,
        cx: &mut Context<'_>,
        mut send: impl FnMut(SockRef<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let outcome = match self {
                Self::Tcp(stream) => {
                    ready!(stream.poll_write_ready(cx))?;
                    stream.try_io(Interest::WRITABLE, || send(SockRef::from(stream)))
                }
                Self::Unix(stream) => {
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
        match self {
            Self::Tcp(stream) => stream.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }
}

impl AsFd for TokioSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl AsyncRead for TokioSocket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
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
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "this is the driver")]
    Instant::now()
}

/// A number that differs between loops and processes: the standard library seeds its hash maps from the system.
fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
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
