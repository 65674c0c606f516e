//! The only room that reads the clock, draws random numbers, spawns, opens sockets and asks for names.
//!
//! Everything else is generic over a [`Driver`] and names no runtime. One driver moves one loop; a loop is single-threaded, so
//! its tasks need not be `Send`. The tokio driver moves it in a program, the simulated one in tests; a
//! reactor driven by the host fits in the same place.

pub(crate) mod environment;
pub(crate) mod fork;
#[cfg(test)]
pub(crate) mod memory;
mod names;
mod offload;
#[cfg(any(test, fuzzing))]
pub(crate) mod simulated;
pub(crate) mod stderr;
mod tasks;
pub(crate) mod tokio;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::tokio::io::{AsyncRead, AsyncWrite};

use crate::address::Address;
use crate::time::Time;

/// What a loop gets from the world. Cheap to clone; every clone is the same loop.
pub(crate) trait Driver: Clone + 'static {
    /// A connected byte stream. Its writes never raise SIGPIPE.
    type Socket: Socket;
    /// A spawned task.
    type Task: Task;

    /// The time now.
    fn now(&self) -> Time;

    /// The time of day, since 1970 in UTC. It jumps: only for what is dated, as certificates are.
    fn time_of_day(&self) -> Duration;

    /// A random fraction in 0..1.
    fn random_unit(&self) -> f64;

    /// The name of this machine; empty where it has none.
    fn hostname(&self) -> String;

    /// Runs a task on this loop. A panic ends that task alone.
    fn spawn(&self, task: impl Future<Output = ()> + 'static) -> Self::Task;

    /// Completes at `deadline`, or at once when it is past.
    fn sleep_until(&self, deadline: Time) -> impl Future<Output = ()> + 'static;

    /// Does work that blocks, such as reading a file, beside the loop. Dropping the future lets it go on, for nobody.
    fn offload<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = io::Result<T>> + 'static;

    /// Opens a socket, for a tunnel to its proxy; a host that is not resolved is looked up first. Dropping the future gives up the attempt.
    fn connect(
        &self,
        address: &Address,
        options: SocketOptions,
    ) -> impl Future<Output = io::Result<Self::Socket>> + 'static;

    /// Asks for a name.
    fn resolve(
        &self,
        host: &str,
        port: u16,
        source: NameSource,
    ) -> impl Future<Output = io::Result<NameAnswer>> + 'static;

    /// Asks for the texts of a name. The system's resolver cannot be asked for them, so [`NameSource::System`] is its servers; in a build that asks no
    /// servers that is an error.
    fn resolve_texts(&self, name: &str, source: NameSource) -> impl Future<Output = io::Result<TextAnswer>> + 'static;
}

/// The time of day, for whoever has no driver at hand.
pub(crate) fn time_of_day() -> Duration {
    #[expect(clippy::disallowed_methods, reason = "this is the driver's room")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Whether this build can ask DNS servers itself; without that it has the system's resolver alone.
pub(crate) const ASKS_SERVERS: bool = cfg!(feature = "hickory");

/// Who is asked for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameSource {
    /// The system's resolver.
    System,
    /// The servers the system is set up with, which tell how long their answer is good.
    Servers,
    /// This server.
    Server(SocketAddr),
}

/// What is known of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameAnswer {
    /// In RFC 6724 order.
    pub(crate) addresses: Vec<SocketAddr>,
    /// For how long; `None` where that is not told.
    pub(crate) valid_for: Option<Duration>,
}

/// The texts of a name: its TXT records (RFC 1035 §3.3.14).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TextAnswer {
    /// Each a list of strings; none where the name has none, or is not there.
    pub(crate) records: Vec<Box<[Box<[u8]>]>>,
    /// For how long; `None` where that is not told.
    pub(crate) valid_for: Option<Duration>,
}

/// How a socket is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SocketOptions {
    /// TCP_USER_TIMEOUT: how long what was sent may stay unacknowledged. `None` is the system's; passed over where there is none
    /// ([CONN-107]).
    pub(crate) tcp_user_timeout: Option<Duration>,
}

/// Completes at `deadline`; never without one.
pub(crate) async fn sleep_until<D: Driver>(driver: &D, deadline: Option<Time>) {
    match deadline {
        Some(deadline) => driver.sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// A connected byte stream.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Where the stream starts, if it has such an address.
    fn local_address(&self) -> Option<SocketAddr>;
}

/// A handle of a spawned task; dropping it lets the task go on.
pub(crate) trait Task: 'static {
    /// Drops the task's future the next time the loop turns.
    fn abort(&self);
}
