//! The simulated driver: virtual time, a virtual network, names that change and lie, one seed that decides everything.
//!
//! One thread moves all tasks of a world, the engine's and those of the servers it talks to. Time moves only when no task is ready,
//! to the earliest timer, so that hours pass in milliseconds and nothing depends on the machine. `core/docs/simulation.md` says
//! what is not decided by the seed.

mod clock;
mod journal;
mod names;
mod network;
mod pipe;
mod random;
mod socket;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::tasks::{Ready, TaskHandle, Tasks};
use super::{Driver, NameAnswer, NameSource, SocketOptions, TextAnswer};
use crate::address::Address;
use crate::time::Time;

pub(crate) use clock::{Clock, Now};
pub(crate) use journal::Journal;
pub(crate) use names::{Answer, Texts};
pub(crate) use network::{Dial, Listener, Loss, Network, Path, Reach};
pub(crate) use random::Random;
pub(crate) use socket::SimulatedSocket;

/// One simulated world. Clones are the same world.
#[derive(Clone)]
pub(crate) struct SimulatedDriver {
    world: Rc<World>,
    side: Side,
}

struct World {
    clock: Rc<Clock>,
    random: Random,
    network: Network,
    journal: Journal,
    tasks: Tasks,
    engine: Counts,
    others: Counts,
}

/// Whose tasks and timers they are: only the engine's may not outlive it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Engine,
    Others,
}

/// What is alive of one side.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    tasks: Rc<Cell<usize>>,
    timers: Rc<Cell<usize>>,
    panics: Rc<Cell<usize>>,
}

impl Counts {
    pub(crate) fn tasks(&self) -> usize {
        self.tasks.get()
    }

    pub(crate) fn timers(&self) -> usize {
        self.timers.get()
    }

    /// Tasks that ended by a panic.
    pub(crate) fn panics(&self) -> usize {
        self.panics.get()
    }
}

/// How a world's run ended before its body did.
#[derive(Debug)]
pub(crate) enum Stuck {
    /// Every task waits, and nothing will ever come.
    Asleep,
    /// Tasks are polled without end although no time passes.
    Spinning,
}

/// The name of the machine the engine is on.
pub(crate) const HOSTNAME: &str = "client.simulated";

/// More turns without any time passing are a busy loop; a turn has up to 256 polls.
const MOST_TURNS_AT_ONCE: u32 = 10_000;

impl SimulatedDriver {
    /// Runs a body, and what it spawns, until the body ends. The body gets the world's driver and its own side of it.
    ///
    /// # Errors
    /// The body can never end.
    pub(crate) fn run<F: Future<Output = ()> + 'static>(seed: u64, body: impl FnOnce(Self) -> F) -> Result<(), Stuck> {
        let random = Random::new(seed);
        let ready = Arc::<Ready>::default();
        let tasks = Tasks::new(Arc::clone(&ready));
        let clock = Clock::new(random.fork());
        let journal = Journal::new(clock.reader());
        let network = Network::new(Rc::clone(&clock), journal.clone(), random.fork());
        let (engine, others) = (Counts::default(), Counts::default());
        let world = Rc::new(World { clock, random, network, journal, tasks: tasks.clone(), engine, others });
        let driver = Self { world: Rc::clone(&world), side: Side::Others };
        let (body, end) = (body(driver), tasks.clone());
        tasks.spawn(async move {
            body.await;
            end.end();
        });
        let outcome = Self::turn_until_over(&world, &ready);
        tasks.drop_all();
        // Listeners hold sockets, and sockets the network.
        world.network.clear();
        outcome
    }

    fn turn_until_over(world: &World, ready: &Ready) -> Result<(), Stuck> {
        let mut turns_at_once = 0;
        while world.tasks.turn(&mut Context::from_waker(Waker::noop())) == Poll::Pending {
            if !ready.is_empty() {
                turns_at_once += 1;
                if turns_at_once > MOST_TURNS_AT_ONCE {
                    return Err(Stuck::Spinning);
                }
            } else if world.clock.advance() {
                turns_at_once = 0;
            } else {
                return Err(Stuck::Asleep);
            }
        }
        Ok(())
    }

    /// The same world, for this side.
    pub(crate) fn on(&self, side: Side) -> Self {
        Self { world: Rc::clone(&self.world), side }
    }

    pub(crate) fn clock(&self) -> &Rc<Clock> {
        &self.world.clock
    }

    pub(crate) fn network(&self) -> &Network {
        &self.world.network
    }

    pub(crate) fn journal(&self) -> &Journal {
        &self.world.journal
    }

    /// A generator of its own.
    pub(crate) fn random(&self) -> Random {
        self.world.random.fork()
    }

    /// What is alive of a side.
    pub(crate) fn alive(&self, side: Side) -> &Counts {
        match side {
            Side::Engine => &self.world.engine,
            Side::Others => &self.world.others,
        }
    }

    /// The process, and all it talks to, does not run for so long.
    pub(crate) fn jump(&self, length: Duration) {
        self.world.clock.jump(length);
    }

    pub(crate) async fn sleep(&self, length: Duration) {
        self.sleep_until(self.now() + length).await;
    }
}

impl fmt::Debug for SimulatedDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedDriver").field("now", &self.now()).field("side", &self.side).finish_non_exhaustive()
    }
}

impl Driver for SimulatedDriver {
    type Socket = SimulatedSocket;
    type Task = TaskHandle;

    fn now(&self) -> Time {
        self.world.clock.now()
    }

    /// A world begins in 2020.
    fn time_of_day(&self) -> Duration {
        Duration::from_secs(1_577_836_800) + self.now().since_start()
    }

    fn random_unit(&self) -> f64 {
        self.world.random.unit()
    }

    fn hostname(&self) -> String {
        HOSTNAME.to_owned()
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) -> TaskHandle {
        let counts = self.alive(self.side);
        let guards = (Alive::enter(&counts.tasks), Panics(Rc::clone(&counts.panics)));
        self.world.tasks.spawn(async move {
            let _guards = guards;
            task.await;
        })
    }

    fn sleep_until(&self, deadline: Time) -> impl Future<Output = ()> + 'static {
        let alive = Alive::enter(&self.alive(self.side).timers);
        let sleep = self.world.clock.sleep_until(deadline);
        async move {
            let _alive = alive;
            sleep.await;
        }
    }

    /// Takes no time.
    fn offload<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> impl Future<Output = io::Result<T>> + 'static {
        std::future::ready(Ok(work()))
    }

    fn connect(
        &self,
        address: &Address,
        options: SocketOptions,
    ) -> impl Future<Output = io::Result<SimulatedSocket>> + 'static {
        self.world.network.connect(address, options)
    }

    /// Whoever is asked, the answer is the same.
    fn resolve(&self, host: &str, port: u16, _: NameSource) -> impl Future<Output = io::Result<NameAnswer>> + 'static {
        self.world.network.resolve(host, port)
    }

    fn resolve_texts(&self, name: &str, _: NameSource) -> impl Future<Output = io::Result<TextAnswer>> + 'static {
        self.world.network.resolve_texts(name)
    }
}

/// Counts something for as long as it lives.
#[derive(Debug)]
pub(super) struct Alive(Rc<Cell<usize>>);

impl Alive {
    fn enter(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        Self(Rc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// Counts a panic that drops it.
struct Panics(Rc<Cell<usize>>);

impl Drop for Panics {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.set(self.0.get() + 1);
        }
    }
}
