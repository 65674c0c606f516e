//! One world: a driver, an engine on it, servers, calls; what is wrong with it is collected and told with the seed.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use super::calls::{Call, Plan};
use super::invariants;
use super::server::{Record, Script, Server};
use crate::address::Address;
use crate::channel::options::ChannelOptions;
use crate::engine::completion::Reply;
use crate::engine::{Channel, Engine, EngineOptions, by_hand};
use crate::runtime::Driver;
use crate::runtime::environment;
use crate::runtime::simulated::{Side, SimulatedDriver};
use crate::state::State;
use crate::time::Time;
use crate::transport::credentials::Credentials;

/// A world that runs. Clones are the same world.
#[derive(Clone)]
pub(crate) struct World(Rc<Inner>);

struct Inner {
    seed: u64,
    driver: SimulatedDriver,
    engine: Engine,
    loop_is_over: Rc<Cell<bool>>,
    record: Record,
    calls: RefCell<Vec<Rc<Call>>>,
    channels: RefCell<Vec<Channel>>,
    wrongs: RefCell<Vec<String>>,
    /// When the process did not run.
    freezes: RefCell<Vec<(Time, Time)>>,
    /// How often a policy lets a call run.
    most_runs: Cell<usize>,
}

/// What came of a world.
#[derive(Debug)]
pub(crate) struct Outcome {
    seed: u64,
    pub(crate) fingerprint: u64,
    pub(crate) wrongs: Vec<String>,
    journal: String,
}

impl World {
    /// Runs a world until its story ends; then closes its channels and checks what must hold in every world.
    pub(crate) fn run<F: Future<Output = ()> + 'static>(seed: u64, story: impl FnOnce(Self) -> F) -> Outcome {
        let slot = Rc::new(RefCell::new(None));
        let made = Rc::clone(&slot);
        let run = SimulatedDriver::run(seed, |driver| {
            let world = Self::new(seed, driver);
            *made.borrow_mut() = Some(world.clone());
            let story = story(world.clone());
            async move {
                story.await;
                world.end().await;
            }
        });
        let world = slot.take().expect("made");
        if let Err(stuck) = run {
            world.wrong(format_args!("the world is stuck: {stuck:?}"));
        }
        world.outcome()
    }

    fn new(seed: u64, driver: SimulatedDriver) -> Self {
        let engine = Engine::new(EngineOptions::default()).expect("an engine");
        let loop_is_over = Rc::new(Cell::new(false));
        let serving = by_hand::serve(driver.on(Side::Engine), &engine);
        let is_over = Rc::clone(&loop_is_over);
        driver.spawn(async move {
            serving.await;
            is_over.set(true);
        });
        let (record, calls, channels, wrongs, freezes) = Default::default();
        let most_runs = Cell::new(1);
        Self(Rc::new(Inner { seed, driver, engine, loop_is_over, record, calls, channels, wrongs, freezes, most_runs }))
    }

    pub(crate) fn driver(&self) -> &SimulatedDriver {
        &self.0.driver
    }

    pub(crate) fn record(&self) -> &Record {
        &self.0.record
    }

    pub(crate) async fn sleep(&self, length: Duration) {
        self.0.driver.sleep(length).await;
    }

    /// Nobody runs for so long, as when a laptop sleeps; what was due meanwhile is late.
    pub(crate) fn freeze(&self, length: Duration) {
        self.0.driver.journal().note(format_args!("the process freezes for {length:?}"));
        let from = self.0.driver.now();
        self.0.driver.jump(length);
        self.0.freezes.borrow_mut().push((from, self.0.driver.now()));
    }

    /// From when to when nobody ran.
    pub(crate) fn freezes(&self) -> Vec<(Time, Time)> {
        self.0.freezes.borrow().clone()
    }

    /// A policy lets calls run so often.
    pub(crate) fn lets_run(&self, times: usize) {
        self.0.most_runs.set(times);
    }

    /// How often a call may run.
    pub(crate) fn most_runs(&self, plan: &Plan) -> usize {
        // Beside a policy the engine makes a call five times more that is lost and may run twice.
        match (plan.no_retry, plan.idempotent) {
            (true, _) => 1,
            (false, true) => self.0.most_runs.get() + 5,
            (false, false) => self.0.most_runs.get(),
        }
    }

    /// When something that was due then could happen at the earliest.
    pub(super) fn possible(&self, due: Time) -> Time {
        let freezes = self.0.freezes.borrow();
        let late = |due: Time, (from, to): &(Time, Time)| {
            // One freeze may follow the other before anybody ran.
            if (*from..*to).contains(&due) { *to } else { due }
        };
        freezes.iter().fold(due, late)
    }

    /// A server that listens.
    pub(crate) fn server(&self, address: &Address, script: Script) -> Server {
        let server = Server::new(&self.0.driver, address.clone(), script, &self.0.record);
        server.start();
        server
    }

    /// A channel of this world's engine; it is closed at the end.
    ///
    /// # Panics
    /// The target or an option is wrong.
    pub(crate) fn channel(&self, target: &str, options: &ChannelOptions) -> Channel {
        let channel = Channel::on(&self.0.engine, target, &Credentials::insecure(), options).expect("a channel");
        // Makes the loop know it, so that it does not end before the first call.
        channel.watch(State::Idle, None, Reply::callback(|_| {})).expect("taken");
        self.0.channels.borrow_mut().push(channel.clone());
        channel
    }

    pub(crate) fn channels(&self) -> Vec<Channel> {
        self.0.channels.borrow().clone()
    }

    pub(crate) fn calls(&self) -> Vec<Rc<Call>> {
        self.0.calls.borrow().clone()
    }

    pub(super) fn next_call(&self) -> u64 {
        self.0.calls.borrow().len() as u64 + 1
    }

    pub(super) fn add_call(&self, call: &Rc<Call>) {
        self.0.calls.borrow_mut().push(Rc::clone(call));
    }

    /// Something is not as it must be.
    pub(crate) fn wrong(&self, what: impl fmt::Display) {
        self.0.driver.journal().note(format_args!("WRONG: {what}"));
        self.0.wrongs.borrow_mut().push(what.to_string());
    }

    /// Closes what is open and looks at everything once more.
    async fn end(&self) {
        let random = self.0.driver.random();
        let grace = random.between(Duration::ZERO, Duration::from_secs(5));
        self.0.driver.journal().note(format_args!("the channels are closed with a grace of {grace:?}"));
        self.channels().iter().for_each(|channel| channel.close(Some(grace)));
        let closed = self.0.driver.now();
        // Goodbyes take a second, and the loop waits one more for a next channel.
        self.sleep(grace + Duration::from_millis(2_500)).await;
        invariants::check(self, closed + grace);
        let (pings, punished) = (self.0.record.pings(), self.0.record.too_many_pings());
        self.0.driver.journal().note(format_args!("{pings} pings came, {punished} connections had too many"));
        for channel in self.channels() {
            channel.events(0).iter().for_each(|event| {
                self.0.driver.journal().note(format_args!("at {:.6} {event}", event.at.as_secs_f64()));
            });
        }
    }

    pub(super) fn loop_is_over(&self) -> bool {
        self.0.loop_is_over.get()
    }

    fn outcome(&self) -> Outcome {
        let journal = self.0.driver.journal();
        let wrongs = self.0.wrongs.borrow().clone();
        let text = if wrongs.is_empty() { String::new() } else { journal.text() };
        Outcome { seed: self.0.seed, fingerprint: journal.fingerprint(), wrongs, journal: text }
    }
}

impl Outcome {
    pub(crate) fn is_right(&self) -> bool {
        self.wrongs.is_empty()
    }

    /// The seed and what is wrong with it.
    pub(crate) fn summary(&self) -> String {
        format!("seed {}: {}", self.seed, self.wrongs.join("\n    "))
    }

    /// # Panics
    /// Something was wrong: with the seed, what it was and what happened.
    pub(crate) fn must_be_right(&self) {
        let (summary, seed) = (self.summary(), self.seed);
        let again = format!("run it again alone with LINKSPAN_SIMULATION_SEED={seed}");
        assert!(self.is_right(), "\n{summary}\n\n{}\n\n{summary}\n{again}\n", self.told());
    }

    /// The journal; of many seeds only its end, of one the whole.
    fn told(&self) -> String {
        if environment::simulation_seed().is_some() {
            return self.journal.clone();
        }
        let lines: Vec<&str> = self.journal.lines().collect();
        lines[lines.len().saturating_sub(MOST_LINES)..].join("\n")
    }
}

const MOST_LINES: usize = 300;
