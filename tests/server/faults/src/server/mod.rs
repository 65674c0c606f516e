//! The server that misbehaves on demand.
//!
//! Commands: `{"set": {…}}` changes the [`behaviour::Behaviour`] (the fields that are named); `{"do": …}` is an
//! [`behaviour::Action`] on every open connection, or on the one named by `"connection"`; `{"ask": "counts"}`;
//! `{"listen": false}` refuses new connections and `{"listen": true}` takes them again on the same port;
//! `{"shutdown": MS}` stops listening, drains, and answers when every connection has ended, after so long by force.

pub mod behaviour;
mod call;
mod connection;
mod counts;
mod frame;
mod lifetime;
pub mod pings;
mod service;
mod socket;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use crate::control::Answer;
use behaviour::{Action, Arrival, Behaviour};
use connection::{Connection, Shared};
use counts::Counts;

/// A running server. Lives on a `LocalSet`.
pub struct Server {
    address: SocketAddr,
    shared: Rc<Shared>,
    open: Rc<Open>,
    accepting: Cell<Option<JoinHandle<()>>>,
}

/// The connections that are open, and where their actions go.
#[derive(Default)]
struct Open {
    actions: RefCell<BTreeMap<usize, mpsc::Sender<Action>>>,
    one_ended: Notify,
}

/// Actions that wait for one connection; a test sends a handful.
const ACTIONS_WAITING: usize = 64;

impl Server {
    /// Listens on 127.0.0.1.
    ///
    /// # Errors
    /// The port is taken.
    pub fn start(port: u16, name: &str) -> io::Result<Self> {
        let shared = Shared {
            name: name.to_owned(),
            behaviour: RefCell::new(Behaviour::default()),
            counts: RefCell::new(Counts::default()),
        };
        let mut server = Self {
            address: SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)),
            shared: Rc::new(shared),
            open: Rc::new(Open::default()),
            accepting: Cell::new(None),
        };
        server.address = server.listen()?;
        Ok(server)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does what a command says.
    ///
    /// # Errors
    /// The command means nothing, or the port was taken meanwhile.
    pub async fn obey(&self, mut command: Value) -> Answer {
        let fields = command.as_object_mut().ok_or("a command is an object")?;
        if let Some(change) = fields.remove("set") {
            self.set(change)?;
        } else if fields.get("ask").is_some_and(|what| what == "counts") {
            return Ok(self.shared.counts.borrow().answer());
        } else if let Some(wanted) = fields.remove("listen") {
            self.stop_listening().await;
            if wanted == true {
                self.listen().map_err(|cause| cause.to_string())?;
            }
        } else if let Some(grace) = fields.remove("shutdown") {
            self.shut_down(Duration::from_millis(grace.as_u64().ok_or("shutdown takes milliseconds")?)).await;
        } else {
            let only = fields.remove("connection").and_then(|id| id.as_u64());
            let action: Action = serde_json::from_value(command).map_err(|cause| cause.to_string())?;
            return Ok(json!({ "connections": self.act(&action, only).await }));
        }
        Ok(json!({}))
    }

    fn set(&self, mut change: Value) -> Result<(), String> {
        let mut behaviour = self.shared.behaviour.borrow_mut();
        let change = change.as_object_mut().ok_or("set takes an object")?;
        let keeps_calls = !change.contains_key("calls");
        let mut fields = serde_json::to_value(&*behaviour).map_err(|cause| cause.to_string())?;
        fields.as_object_mut().ok_or("no object")?.append(change);
        let mut changed: Behaviour = serde_json::from_value(fields).map_err(|cause| cause.to_string())?;
        if keeps_calls {
            // Which calls have met their fault is no part of what was set.
            changed.calls = std::mem::take(&mut behaviour.calls);
        }
        *behaviour = changed;
        Ok(())
    }

    /// Sends an action to its connections; to how many.
    async fn act(&self, action: &Action, only: Option<u64>) -> usize {
        let chosen = self.open.chosen(only);
        for sender in &chosen {
            // A connection that ends meanwhile needs no action.
            let _ = sender.send(action.clone()).await;
        }
        chosen.len()
    }

    fn listen(&self) -> io::Result<SocketAddr> {
        let listener = std::net::TcpListener::bind(self.address)?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let (shared, open) = (Rc::clone(&self.shared), Rc::clone(&self.open));
        self.accepting.set(Some(tokio::task::spawn_local(async move {
            loop {
                // A client that left before it was accepted is no event.
                if let Ok((socket, _)) = listener.accept().await {
                    begin(socket, &shared, &open);
                }
            }
        })));
        Ok(address)
    }

    async fn stop_listening(&self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            // Until it has ended, the port is taken.
            let _ = accepting.await;
        }
    }

    async fn shut_down(&self, grace: Duration) {
        self.stop_listening().await;
        self.act(&Action::Drain, None).await;
        if tokio::time::timeout(grace, self.open.all_ended()).await.is_err() {
            self.act(&Action::Abort, None).await;
            self.open.all_ended().await;
        }
    }
}

impl Open {
    /// Where the actions of all connections go, or of the one with this id.
    fn chosen(&self, only: Option<u64>) -> Vec<mpsc::Sender<Action>> {
        let is_chosen = |id: usize| only.is_none_or(|only| only == id as u64);
        self.actions.borrow().iter().filter(|(id, _)| is_chosen(**id)).map(|(_, sender)| sender.clone()).collect()
    }

    async fn all_ended(&self) {
        while !self.actions.borrow().is_empty() {
            self.one_ended.notified().await;
        }
    }
}

/// Serves a connection that was accepted, as a task of its own.
fn begin(socket: TcpStream, shared: &Rc<Shared>, open: &Rc<Open>) {
    let id = shared.counts.borrow_mut().opened();
    let (sender, actions) = mpsc::channel(ACTIONS_WAITING);
    open.actions.borrow_mut().insert(id, sender);
    let (shared, open) = (Rc::clone(shared), Rc::clone(open));
    tokio::task::spawn_local(async move {
        let arrival = shared.behaviour.borrow().arrival;
        let mut connection = Connection::new(id, Rc::clone(&shared));
        match arrival {
            Arrival::Serve => {}
            Arrival::Ignore => connection.on_action(&Action::Stall { reads: true }, Duration::ZERO),
            Arrival::Close => connection.on_action(&Action::Close, Duration::ZERO),
            Arrival::Abort => connection.on_action(&Action::Abort, Duration::ZERO),
        }
        let by = socket::serve(socket, connection, actions).await;
        shared.counts.borrow_mut().ended(id, by);
        open.actions.borrow_mut().remove(&id);
        open.one_ended.notify_one();
    });
}
