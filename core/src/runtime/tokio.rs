//! The tokio driver: one background thread with a single-threaded tokio runtime.
//!
//! The runtime has one task of its own, which takes the turns of the loop's tasks; they live beside it on the thread. So a wake-up
//! from another thread is a system call only while the loop sleeps, and one from the loop itself never is.

mod dial;
mod lookup;
#[cfg(feature = "hickory")]
mod servers;
#[cfg(not(feature = "hickory"))]
#[path = "tokio/no_servers.rs"]
mod servers;
mod socket;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::tasks::{Ready, TaskHandle, Tasks};
use super::{Driver, NameAnswer, NameSource, SocketOptions, TextAnswer, names, offload};
use crate::address::Address;
use crate::error::Error;
use crate::random::Random;
use crate::time::Time;
use socket::TokioSocket;

/// One loop on tokio.
#[derive(Clone, Debug)]
pub(crate) struct TokioDriver(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Instant,
    random: Random,
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
            // What is read of /etc before DNS servers are asked; it takes no time to speak of.
            .max_blocking_threads(1)
            .thread_keep_alive(Duration::from_millis(100))
            .on_thread_park(move || sleeper.fall_asleep())
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
        let inner = Inner { started: now(), random: Random::new(random_seed()), tasks: tasks.clone() };
        let driver = Self(Rc::new(inner));
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
        Time::from_start(now().duration_since(self.0.started))
    }

    fn time_of_day(&self) -> Duration {
        super::time_of_day()
    }

    fn random_unit(&self) -> f64 {
        self.0.random.unit()
    }

    fn hostname(&self) -> String {
        nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) -> TaskHandle {
        self.0.tasks.spawn(task)
    }

    fn sleep_until(&self, deadline: Time) -> impl Future<Output = ()> + 'static {
        // Tokio's clock cannot hold every length; thirty years are as good as never.
        let length = deadline.since_start().min(Duration::from_secs(30 * 365 * 86_400));
        #[expect(clippy::disallowed_methods, reason = "this is the driver")]
        tokio::time::sleep_until(self.0.started + length)
    }

    fn offload<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = io::Result<T>> + 'static {
        offload::offload(work)
    }

    fn connect(
        &self,
        address: &Address,
        options: SocketOptions,
    ) -> impl Future<Output = io::Result<TokioSocket>> + 'static {
        dial::dial(address.clone(), options)
    }

    fn resolve(
        &self,
        host: &str,
        port: u16,
        source: NameSource,
    ) -> impl Future<Output = io::Result<NameAnswer>> + 'static {
        let host = host.to_owned();
        async move {
            match source {
                NameSource::System => {
                    let addresses = names::look_up(&host, port).await?;
                    Ok(NameAnswer { addresses, valid_for: None })
                }
                NameSource::Servers => servers::look_up(&host, port, None).await,
                NameSource::Server(server) => servers::look_up(&host, port, Some(server)).await,
            }
        }
    }

    fn resolve_texts(&self, name: &str, source: NameSource) -> impl Future<Output = io::Result<TextAnswer>> + 'static {
        let name = name.to_owned();
        async move {
            match source {
                NameSource::System | NameSource::Servers => servers::look_up_texts(&name, None).await,
                NameSource::Server(server) => servers::look_up_texts(&name, Some(server)).await,
            }
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
