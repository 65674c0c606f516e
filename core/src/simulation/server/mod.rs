//! A scripted server of a simulated world, behind a real HTTP/2 codec.
//!
//! It answers, errs, refuses, is silent, says goodbye in every form, polices pings as servers do, stops, freezes and comes back. It
//! writes down every call that reached its application, so that a call that ran twice is seen.

mod answering;
mod connection;
mod health;
mod policing;
mod wire;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use tokio::sync::watch;

use crate::address::Address;
use crate::runtime::simulated::{Journal, Random, Reach, SimulatedDriver};
use crate::runtime::{Driver, Task};
use crate::time::Time;

use connection::{Order, Orders};
pub(crate) use health::Tells;
pub(crate) use policing::Policing;

/// What a server does by itself.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// It says nothing for so long after it accepted.
    pub(crate) settings_after: Duration,
    pub(crate) max_streams: Option<u32>,
    /// ± 10 %, and for how long calls may then go on.
    pub(crate) max_age: Option<(Duration, Option<Duration>)>,
    pub(crate) max_idle: Option<Duration>,
    pub(crate) policing: Option<Policing>,
    /// Of its health, at first.
    pub(crate) tells: Tells,
    pub(crate) answers: Answers,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            settings_after: Duration::ZERO,
            max_streams: None,
            max_age: None,
            max_idle: None,
            policing: Some(Policing::default()),
            tells: Tells::default(),
            answers: Answers::default(),
        }
    }
}

/// How calls are answered: how late, and which of a hundred not well.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    pub(crate) after: (Duration, Duration),
    pub(crate) errors: u64,
    /// With this code, and perhaps with a pushback.
    pub(crate) error: (u8, Option<&'static str>),
    /// Refused with REFUSED_STREAM; the application does not see them.
    pub(crate) refused: u64,
    pub(crate) never: u64,
    /// Reset after the answer has begun.
    pub(crate) reset: u64,
    /// What is told with every status.
    pub(crate) load: Option<Load>,
}

/// How busy a server says it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) queries_per_second: f64,
    pub(crate) utilization: f64,
}

impl Default for Answers {
    fn default() -> Self {
        let after = (Duration::from_micros(100), Duration::from_millis(5));
        Self { after, errors: 0, error: (9, None), refused: 0, never: 0, reset: 0, load: None }
    }
}

/// What the applications of all servers of a world saw. Clones are the same record.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record(Rc<RecordInner>);

#[derive(Debug, Default)]
struct RecordInner {
    calls: RefCell<BTreeMap<u64, Vec<Time>>>,
    watches: RefCell<Vec<Time>>,
    connections: Cell<usize>,
    too_many_pings: Cell<usize>,
    pings: Cell<usize>,
    over_limit: Cell<usize>,
}

impl Record {
    /// When the application got the call with this id; more than once is once too often.
    pub(crate) fn runs(&self, id: u64) -> Vec<Time> {
        self.0.calls.borrow().get(&id).cloned().unwrap_or_default()
    }

    /// When servers were asked for their health.
    pub(crate) fn watches(&self) -> Vec<Time> {
        self.0.watches.borrow().clone()
    }

    /// Connections accepted.
    pub(crate) fn connections(&self) -> usize {
        self.0.connections.get()
    }

    /// Connections ended for `too_many_pings`.
    pub(crate) fn too_many_pings(&self) -> usize {
        self.0.too_many_pings.get()
    }

    /// PINGs of the client's that arrived.
    pub(crate) fn pings(&self) -> usize {
        self.0.pings.get()
    }

    /// Streams opened above a MAX_CONCURRENT_STREAMS the client had acknowledged.
    pub(crate) fn over_limit(&self) -> usize {
        self.0.over_limit.get()
    }
}

/// One server. Clones are the same.
#[derive(Clone)]
pub(crate) struct Server(Rc<Inner>);

pub(super) struct Inner {
    driver: SimulatedDriver,
    address: Address,
    script: RefCell<Script>,
    record: Record,
    /// Calls that reached the application.
    runs: Cell<usize>,
    tells: watch::Sender<Tells>,
    random: Random,
    accepting: RefCell<Option<<SimulatedDriver as Driver>::Task>>,
    /// By number.
    connections: RefCell<BTreeMap<usize, Open>>,
    is_frozen: Cell<bool>,
    /// Whoever waits for the end of the freeze.
    frozen: RefCell<Vec<Waker>>,
    /// Calls that its application runs, and the most there have been.
    running: Cell<usize>,
    most_running: Cell<usize>,
}

struct Open {
    task: <SimulatedDriver as Driver>::Task,
    orders: Rc<Orders>,
}

impl Server {
    /// A server that does not listen yet.
    pub(crate) fn new(driver: &SimulatedDriver, address: Address, script: Script, record: &Record) -> Self {
        Self(Rc::new(Inner {
            driver: driver.clone(),
            address,
            tells: watch::Sender::new(script.tells),
            script: RefCell::new(script),
            record: record.clone(),
            runs: Cell::new(0),
            random: driver.random(),
            accepting: RefCell::default(),
            connections: RefCell::default(),
            is_frozen: Cell::new(false),
            frozen: RefCell::default(),
            running: Cell::new(0),
            most_running: Cell::new(0),
        }))
    }

    pub(crate) fn address(&self) -> &Address {
        &self.0.address
    }

    /// Changes what it does on connections that come from now on.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.0.script.borrow_mut());
    }

    /// Tells this of its health from now on, to those who watch too.
    pub(crate) fn tells(&self, what: Tells) {
        self.0.note(format_args!("is to tell {what:?} of its health"));
        self.0.tells.send_replace(what);
    }

    /// Listens, if it does not.
    pub(crate) fn start(&self) {
        if self.0.accepting.borrow().is_some() {
            return;
        }
        self.0.note("listens");
        let listener = self.0.driver.network().listen(&self.0.address);
        let server = Rc::clone(&self.0);
        let task = self.0.driver.spawn(async move {
            loop {
                let socket = listener.accept().await;
                server.thawed().await;
                server.take_in(socket);
            }
        });
        *self.0.accepting.borrow_mut() = Some(task);
    }

    /// Refuses connections from now on; those it has go on.
    pub(crate) fn stop_listening(&self) {
        if let Some(task) = self.0.accepting.borrow_mut().take() {
            self.0.note("refuses connections");
            task.abort();
        }
    }

    /// As a well-made server goes: no new connections, GOAWAY, and after the grace time the end of what still runs.
    pub(crate) async fn stop_gracefully(&self, grace: Duration) {
        self.stop_listening();
        self.say_goodbye();
        self.0.driver.sleep(grace).await;
        self.kill();
    }

    /// GOAWAY on every connection; running calls go on.
    pub(crate) fn say_goodbye(&self) {
        self.0.note("says goodbye");
        self.0.order(Order::Goodbye);
    }

    /// GOAWAY on every connection, and its end.
    pub(crate) fn cut(&self) {
        self.0.note("cuts its connections");
        self.0.order(Order::Cut);
    }

    /// Another MAX_CONCURRENT_STREAMS on every connection, and on those to come.
    pub(crate) fn set_max_streams(&self, limit: u32) {
        self.0.note(format_args!("allows {limit} streams"));
        self.change(|script| script.max_streams = Some(limit));
        self.0.order(Order::Limit(limit));
    }

    /// Ends as a killed process does: at once, its kernel closes what it had open.
    pub(crate) fn kill(&self) {
        self.stop_listening();
        self.0.note("is gone");
        let connections = std::mem::take(&mut *self.0.connections.borrow_mut());
        connections.into_values().for_each(|open| open.task.abort());
    }

    /// Ends as a machine without power does: nobody closes anything.
    pub(crate) fn power_off(&self) {
        self.0.note("has no power");
        let network = self.0.driver.network();
        network.set_reach(&self.0.address, Reach::Dropped);
        network.forget_streams(&self.0.address, true, true);
        self.kill();
    }

    /// Comes back after [`Server::power_off`] or [`Server::kill`].
    pub(crate) fn restart(&self) {
        self.thaw();
        self.0.driver.network().set_reach(&self.0.address, Reach::Open);
        self.start();
    }

    /// Stops as a process does that gets no time: connections are still opened by its kernel, nothing is read or written.
    pub(crate) fn freeze(&self) {
        self.0.note("freezes");
        self.0.is_frozen.set(true);
    }

    pub(crate) fn thaw(&self) {
        if self.0.is_frozen.replace(false) {
            self.0.note("thaws");
        }
        self.0.frozen.take().into_iter().for_each(Waker::wake);
    }

    /// How many calls its application has got.
    pub(crate) fn runs(&self) -> usize {
        self.0.runs.get()
    }

    /// The most calls its application ran at once.
    pub(crate) fn most_running(&self) -> usize {
        self.0.most_running.get()
    }

    /// How many connections it has.
    pub(crate) fn connections(&self) -> usize {
        self.0.connections.borrow().len()
    }
}

impl Inner {
    fn take_in(self: &Rc<Self>, socket: crate::runtime::simulated::SimulatedSocket) {
        let number = self.record.0.connections.get();
        self.record.0.connections.set(number + 1);
        self.note(format_args!("accepts connection {number}"));
        let orders = Rc::new(Orders::default());
        let (server, its_orders) = (Rc::clone(self), Rc::clone(&orders));
        let task = self.driver.spawn(async move {
            connection::serve(&server, socket, &its_orders, number).await;
            server.connections.borrow_mut().remove(&number);
        });
        self.connections.borrow_mut().insert(number, Open { task, orders });
    }

    fn order(&self, order: Order) {
        self.connections.borrow().values().for_each(|open| open.orders.give(order));
    }

    async fn thawed(&self) {
        std::future::poll_fn(|cx| {
            if self.is_frozen.get() {
                self.frozen.borrow_mut().push(cx.waker().clone());
                return std::task::Poll::Pending;
            }
            std::task::Poll::Ready(())
        })
        .await;
    }

    fn journal(&self) -> &Journal {
        self.driver.journal()
    }

    fn note(&self, what: impl std::fmt::Display) {
        self.journal().note(format_args!("server {} {what}", self.address));
    }
}
