//! The proxy between a client and one server: it relays byte streams until it is told not to.
//!
//! Commands: `{"do":"delay","ms":N}` holds every byte back so long; `{"do":"throttle","bytes_per_second":N}`, both ways and
//! for each connection; `{"do":"black_hole","new":BOOL}` swallows what comes on the open connections, whose sockets stay open
//! and acknowledge everything, and on new ones too if so wanted; `{"do":"cut","how":"fin"|"rst"}` ends the open connections;
//! `{"do":"refuse","how":"closed"|"reset"|null}` stops listening, or resets each new connection, which can be counted;
//! `{"do":"heal"}` ends all of this, except that what is in a black hole stays there; `{"ask":"counts"}`.

mod relay;

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::control::Answer;
use crate::unix_ms;

/// A running proxy. Lives on a `LocalSet`.
pub struct Proxy {
    address: SocketAddr,
    shared: Rc<Shared>,
    accepting: Cell<Option<JoinHandle<()>>>,
}

struct Shared {
    to: SocketAddr,
    pace: Cell<Pace>,
    arrival: Cell<Arrival>,
    links: RefCell<Vec<Link>>,
}

/// How fast bytes go.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    delay: Duration,
    bytes_per_second: Option<u64>,
}

/// What becomes of a new connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Arrival {
    #[default]
    Relay,
    Swallow,
    Reset,
}

/// One connection of a client, which is remembered when it has ended.
struct Link {
    fate: watch::Sender<Fate>,
    counts: Rc<RefCell<LinkCounts>>,
}

/// What becomes of an open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Relayed,
    Swallowed,
    Cut(Cut),
}

/// How a connection is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Cut {
    Fin,
    Rst,
}

/// Times are Unix time in milliseconds.
#[derive(Debug, Serialize)]
struct LinkCounts {
    opened_ms: u64,
    ended_ms: Option<u64>,
    /// What the client sent and what of it was passed on, then the same of the server.
    from_client: u64,
    to_server: u64,
    from_server: u64,
    to_client: u64,
    was_reset: bool,
}

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Command {
    Delay {
        ms: u64,
    },
    Throttle {
        bytes_per_second: Option<u64>,
    },
    BlackHole {
        #[serde(default)]
        new: bool,
    },
    Cut {
        how: Cut,
    },
    Refuse {
        how: Option<Refusal>,
    },
    Heal {},
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Refusal {
    Closed,
    Reset,
}

impl Proxy {
    /// Listens on 127.0.0.1 and relays to `to`.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn start(port: u16, to: SocketAddr) -> io::Result<Self> {
        let shared = Shared { to, pace: Cell::default(), arrival: Cell::default(), links: RefCell::default() };
        let mut proxy = Self {
            address: SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)),
            shared: Rc::new(shared),
            accepting: Cell::new(None),
        };
        proxy.address = proxy.listen().await?;
        Ok(proxy)
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
    pub async fn obey(&self, command: Value) -> Answer {
        if command.get("ask").is_some_and(|what| what == "counts") {
            return Ok(self.counts());
        }
        let command = serde_json::from_value(command).map_err(|cause| cause.to_string())?;
        let pace = self.shared.pace.get();
        match command {
            Command::Delay { ms } => self.shared.pace.set(Pace { delay: Duration::from_millis(ms), ..pace }),
            Command::Throttle { bytes_per_second } => self.shared.pace.set(Pace { bytes_per_second, ..pace }),
            Command::BlackHole { new } => {
                self.seal(Fate::Swallowed);
                self.shared.arrival.set(if new { Arrival::Swallow } else { Arrival::Relay });
            }
            Command::Cut { how } => self.seal(Fate::Cut(how)),
            Command::Refuse { how } => self.refuse(how).await?,
            Command::Heal {} => {
                self.shared.pace.set(Pace::default());
                self.refuse(None).await?;
            }
        }
        Ok(json!({}))
    }

    /// Decides the fate of every open connection.
    fn seal(&self, fate: Fate) {
        for link in &*self.shared.links.borrow() {
            link.fate.send_replace(fate);
        }
    }

    async fn refuse(&self, how: Option<Refusal>) -> Result<(), String> {
        self.shared.arrival.set(if how == Some(Refusal::Reset) { Arrival::Reset } else { Arrival::Relay });
        let listening = self.accepting.take();
        if how == Some(Refusal::Closed) {
            if let Some(accepting) = listening {
                accepting.abort();
                // Until it has ended, the port is open.
                let _ = accepting.await;
            }
        } else if listening.is_some() {
            self.accepting.set(listening);
        } else {
            self.listen().await.map_err(|cause| cause.to_string())?;
        }
        Ok(())
    }

    async fn listen(&self) -> io::Result<SocketAddr> {
        let listener = TcpListener::bind(self.address).await?;
        let address = listener.local_addr()?;
        let shared = Rc::clone(&self.shared);
        self.accepting.set(Some(tokio::task::spawn_local(async move {
            loop {
                // A client that left before it was accepted is no event.
                if let Ok((socket, _)) = listener.accept().await {
                    shared.begin(socket);
                }
            }
        })));
        Ok(address)
    }

    fn counts(&self) -> Value {
        let links = self.shared.links.borrow();
        let counts: Vec<_> = links.iter().map(|link| json!(&*link.counts.borrow())).collect();
        json!({ "now_ms": unix_ms(), "connections": counts })
    }
}

impl Shared {
    fn begin(self: &Rc<Self>, client: TcpStream) {
        let arrival = self.arrival.get();
        let counts = Rc::new(RefCell::new(LinkCounts {
            opened_ms: unix_ms(),
            ended_ms: None,
            from_client: 0,
            to_server: 0,
            from_server: 0,
            to_client: 0,
            was_reset: arrival == Arrival::Reset,
        }));
        let first = match arrival {
            Arrival::Relay => Fate::Relayed,
            Arrival::Swallow => Fate::Swallowed,
            Arrival::Reset => Fate::Cut(Cut::Rst),
        };
        let (fate, decided) = watch::channel(first);
        self.links.borrow_mut().push(Link { fate, counts: Rc::clone(&counts) });
        let shared = Rc::clone(self);
        tokio::task::spawn_local(async move {
            relay::run(client, &shared, decided, &counts).await;
            counts.borrow_mut().ended_ms = Some(unix_ms());
        });
    }
}
