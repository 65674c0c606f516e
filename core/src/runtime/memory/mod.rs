//! A driver without a world: no socket, no thread, a clock that only counts. Every connect leads to an echo server in memory.
//!
//! It exists to count what a call costs: the same program does the same steps each time, so a difference is a difference of
//! the code.

mod echo;

use std::cell::Cell;
use std::future::{Future, pending, ready};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::{AbortHandle, LocalSet};

use super::Driver;
use crate::address::Address;
use crate::time::Time;
use echo::EchoSocket;

/// One loop in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryDriver {
    asked: Rc<Cell<u64>>,
}

impl MemoryDriver {
    /// Runs a body, and what it spawns, until the body ends.
    pub(crate) fn run<F: Future<Output = ()>>(body: impl FnOnce(Self) -> F) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime without I/O");
        LocalSet::new().block_on(&runtime, body(Self::default()));
    }
}

impl Driver for MemoryDriver {
    type Socket = EchoSocket;
    type Task = AbortHandle;

    /// A microsecond passes whenever somebody asks.
    fn now(&self) -> Time {
        self.asked.set(self.asked.get() + 1);
        Time::from_start(Duration::from_micros(self.asked.get()))
    }

    fn random_unit(&self) -> f64 {
        0.5
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) -> AbortHandle {
        #[expect(clippy::disallowed_methods, reason = "this is the driver")]
        let handle = tokio::task::spawn_local(task);
        handle.abort_handle()
    }

    /// No time passes by itself.
    fn sleep_until(&self, _: Time) -> impl Future<Output = ()> + 'static {
        pending()
    }

    fn connect(&self, _: &Address) -> impl Future<Output = io::Result<EchoSocket>> + 'static {
        ready(Ok(EchoSocket::default()))
    }

    fn resolve(&self, host: &str, _: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + 'static {
        ready(Err(io::Error::other(format!("{host}: there are no names in memory"))))
    }
}
