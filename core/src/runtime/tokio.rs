//! The tokio driver: one background thread with a single-threaded tokio runtime.
//!
//! The runtime has one task of its own, which takes the turns of the loop's tasks; they live beside it on the thread. So a wake-up
//! from another thread is a system call only while the loop sleeps, and one from the loop itself never is.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, SockRef, Type};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::fork::Listed;
use super::tasks::{Ready, TaskHandle, Tasks};
use super::{Driver, Socket, SocketOptions};
use crate::address::Address;
use crate::error::Error;
use crate::time::Time;

/// One loop on tokio.
#[derive(Clone, Debug)]
pub(crate) struct TokioDriver {
    started: Instant,
    random: Rc<Cell<u64>>,
    tasks: Tasks,
}

thread_local! {
    /// The tasks of the loop this thread moves. The runtime wants a future that could move to another thread; one that finds
    /// here what it polls could, and never does.
    static TASKS: RefCell<Option<Tasks>> = const { RefCell::new(None) };
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
        let ready = Arc::<Ready>::default();
        let sleeper = Arc::clone(&ready);
        // Made here and not on the thread, so that a system without descriptors refuses the caller and hangs nobody.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            // Its one task takes a whole turn at each poll.
            .event_interval(1)
            .on_thread_park(move || sleeper.fall_asleep())
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
                Self::run_here(runtime, ready, loop_body);
            })
            .map_err(|cause| Error::system("cannot start the engine's thread", &cause))
    }

    fn run_here<F, Body>(runtime: Runtime, ready: Arc<Ready>, loop_body: F)
    where
        F: FnOnce(Self) -> Body + 'static,
        Body: Future<Output = ()>,
    {
        let tasks = Tasks::new(ready);
        TASKS.set(Some(tasks.clone()));
        let driver = Self { started: now(), random: Rc::new(Cell::new(random_seed())), tasks: tasks.clone() };
        let end = End(tasks.clone());
        tasks.spawn(async move {
            let _end = end;
            loop_body(driver).await;
        });
        let turns = tokio::task::unconstrained(poll_fn(|cx| {
            let tasks = TASKS.with_borrow(Clone::clone);
            tasks.map_or(Poll::Ready(()), |tasks| tasks.turn(cx))
        }));
        // Fails when the runtime is gone, which it is not.
        let _ = runtime.block_on(runtime.spawn(turns));
        TASKS.set(None);
        tasks.drop_all();
        // A look-up that hangs must not keep the thread.
        runtime.shutdown_background();
    }
}

/// Ends the loop when its body has ended, by a panic too.
struct End(Tasks);

impl Drop for End {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Driver for TokioDriver {
    type Socket = TokioSocket;
    type Task = TaskHandle;

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

    fn spawn(&self, task: impl Future<Output = ()> + 'static) -> TaskHandle {
        self.tasks.spawn(task)
    }

    fn sleep_until(&self, deadline: Time) -> impl Future<Output = ()> + 'static {
        // Tokio's clock cannot hold every length; thirty years are as good as never.
        let length = deadline.since_start().min(Duration::from_secs(30 * 365 * 86_400));
        #[expect(clippy::disallowed_methods, reason = "this is the driver")]
        tokio::time::sleep_until(self.started + length)
    }

    fn connect(
        &self,
        address: &Address,
        options: SocketOptions,
    ) -> impl Future<Output = io::Result<TokioSocket>> + 'static {
        let address = address.clone();
        async move {
            match address {
                Address::Inet(address) => {
                    let socket = open(Domain::for_address(address), Some(Protocol::TCP))?;
                    socket.set_tcp_nodelay(true)?;
                    let socket = TokioSocket::connect(socket, &address.into()).await?;
                    set_user_timeout(&socket, options.tcp_user_timeout);
                    Ok(socket)
                }
                Address::Unix(path) => {
                    let socket = open(Domain::UNIX, None)?;
                    TokioSocket::connect(socket, &SockAddr::unix(path)?).await
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

/// A TCP or unix socket that writes without raising SIGPIPE.
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
    Unix(UnixStream),
}

/// A peer that sends faster than we read must leave the other tasks of the loop their turn after as many reads.
const MOST_READS: u32 = 64;

impl TokioSocket {
    /// It is listed from its first moment on: a process may fork while it connects.
    async fn connect(socket: socket2::Socket, address: &SockAddr) -> io::Result<Self> {
        let listed = Listed::new(&socket);
        let started = match socket.connect(address) {
            Err(cause) if cause.raw_os_error() == Some(nix::libc::EINPROGRESS) => Ok(()),
            other => other,
        };
        let kind = if address.is_unix() {
            UnixStream::from_std(socket.into()).map(Kind::Unix)?
        } else {
            TcpStream::from_std(socket.into()).map(Kind::Tcp)?
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
            Kind::Unix(stream) => {
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
                Kind::Unix(stream) => {
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
            Kind::Unix(_) => None,
        }
    }
}

impl AsFd for TokioSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.kind {
            Kind::Tcp(stream) => stream.as_fd(),
            Kind::Unix(stream) => stream.as_fd(),
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
            Kind::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
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
            Kind::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// [CONN-105]. A kernel that knows no such option does without.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn set_user_timeout(socket: &impl AsFd, timeout: Option<Duration>) {
    if timeout.is_some() {
        let _ = SockRef::from(socket).set_tcp_user_timeout(timeout);
    }
}
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn set_user_timeout(_: &impl AsFd, _: Option<Duration>) {}

/// A socket that does not block and that no program started from here inherits.
fn open(domain: Domain, protocol: Option<Protocol>) -> io::Result<socket2::Socket> {
    let socket = socket2::Socket::new(domain, Type::STREAM, protocol)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
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

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// TCP_NODELAY and TCP_USER_TIMEOUT of a socket opened with these options, as the kernel has them.
    fn opened_with(options: SocketOptions) -> (bool, Option<Duration>) {
        let server = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = Address::Inet(server.local_addr().expect("bound"));
        let (sender, opened) = mpsc::sync_channel(1);
        let thread = TokioDriver::run_on_thread("test", move |driver| async move {
            let socket = driver.connect(&address, options).await.expect("a server listens");
            let Kind::Tcp(stream) = &socket.kind else { panic!("another kind") };
            let socket = SockRef::from(stream);
            let seen = (socket.tcp_nodelay().expect("told"), socket.tcp_user_timeout().expect("told"));
            sender.send(seen).expect("waited for");
        });
        thread.expect("a thread").join().expect("no panic");
        opened.recv().expect("told")
    }

    /// [CONN-105], [CONN-106], [CONN-44]
    #[test]
    fn a_socket_sends_at_once_and_has_the_user_timeout_that_was_asked_for() {
        assert_eq!(opened_with(SocketOptions::default()), (true, None));
        let timeout = Some(Duration::from_millis(12_345));
        assert_eq!(opened_with(SocketOptions { tcp_user_timeout: timeout }), (true, timeout));
    }
}
