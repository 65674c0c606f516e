//! A driver without a world: no socket, no thread, a clock that only counts. Every connect leads to an echo server in memory.
//!
//! It exists to count what a call costs: the same program does the same steps each time, so a difference is a difference of
//! the code.

mod echo;

use std::cell::Cell;
use std::future::{Future, pending, ready};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::tasks::{Ready, TaskHandle, Tasks};
use super::{Driver, NameAnswer, NameSource, SocketOptions, TextAnswer};
use crate::address::Address;
use crate::time::Time;
use echo::EchoSocket;

/// One loop in memory.
#[derive(Clone, Debug)]
pub(crate) struct MemoryDriver {
    asked: Rc<Cell<u64>>,
    tasks: Tasks,
}

impl MemoryDriver {
    /// Runs a body, and what it spawns, until the body ends. What waits for something outside waits for ever.
    pub(crate) fn run<F: Future<Output = ()> + 'static>(body: impl FnOnce(Self) -> F) {
        let ready = Arc::<Ready>::default();
        let tasks = Tasks::new(Arc::clone(&ready));
        let driver = Self { asked: Rc::default(), tasks: tasks.clone() };
        let (body, end) = (body(driver), tasks.clone());
        tasks.spawn(async move {
            body.await;
            end.end();
        });
        while tasks.turn(&mut Context::from_waker(Waker::noop())) == Poll::Pending {
            assert!(!ready.is_empty(), "every task waits, and nothing will ever come");
        }
        tasks.drop_all();
    }
}

impl Driver for MemoryDriver {
    type Socket = EchoSocket;
    type Task = TaskHandle;

    /// A microsecond passes whenever somebody asks.
    fn now(&self) -> Time {
        self.asked.set(self.asked.get() + 1);
        Time::from_start(Duration::from_micros(self.asked.get()))
    }

    fn time_of_day(&self) -> Duration {
        Duration::ZERO
    }

    fn random_unit(&self) -> f64 {
        0.5
    }

    fn hostname(&self) -> String {
        String::new()
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) -> TaskHandle {
        self.tasks.spawn(task)
    }

    /// No time passes by itself.
    fn sleep_until(&self, _: Time) -> impl Future<Output = ()> + 'static {
        pending()
    }

    fn offload<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = io::Result<T>> + 'static {
        ready(Ok(work()))
    }

    fn connect(&self, _: &Address, _: SocketOptions) -> impl Future<Output = io::Result<EchoSocket>> + 'static {
        ready(Ok(EchoSocket::default()))
    }

    fn resolve(&self, host: &str, _: u16, _: NameSource) -> impl Future<Output = io::Result<NameAnswer>> + 'static {
        ready(Err(io::Error::other(format!("{host}: there are no names in memory"))))
    }

    fn resolve_texts(&self, _: &str, _: NameSource) -> impl Future<Output = io::Result<TextAnswer>> + 'static {
        ready(Ok(TextAnswer::default()))
    }
}
