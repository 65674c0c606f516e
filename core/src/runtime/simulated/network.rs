//! The network of a simulated world: hosts that listen, refuse or are not reached, and what becomes of the streams to them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::Alive;
use super::clock::Clock;
use super::journal::Journal;
use super::names::{Answer, Texts};
use super::random::Random;
use super::socket::{Link, SimulatedSocket};
use crate::address::Address;
use crate::runtime::{NameAnswer, SocketOptions, TextAnswer};
use crate::time::Time;

/// The network. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Network(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Rc<Clock>,
    journal: Journal,
    random: Random,
    hosts: RefCell<BTreeMap<Address, Rc<Host>>>,
    names: RefCell<BTreeMap<String, Answer>>,
    texts: RefCell<BTreeMap<String, Answer<Texts>>>,
    dials: RefCell<Vec<Dial>>,
    lookups: RefCell<Vec<Time>>,
    text_lookups: RefCell<Vec<String>>,
    /// Streams something in between has forgotten.
    forgotten: RefCell<Vec<Rc<Link>>>,
    engine_sockets: Rc<Cell<usize>>,
}

/// What the way to a host is like.
#[derive(Clone, Debug)]
pub(crate) struct Path {
    /// One way.
    pub(crate) latency: Duration,
    /// Up to so much more, each time.
    pub(crate) jitter: Duration,
    pub(crate) bytes_per_second: Option<u64>,
    /// How much may be written and not read.
    pub(crate) buffer: usize,
    /// A write is cut into pieces of at most this.
    pub(crate) largest_piece: usize,
}

impl Default for Path {
    fn default() -> Self {
        let (latency, jitter) = (Duration::from_micros(500), Duration::from_micros(100));
        Self { latency, jitter, bytes_per_second: None, buffer: 256 << 10, largest_piece: 16 << 10 }
    }
}

/// Whether a host is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    Open,
    /// Nothing passes in either direction, and nobody says so; what was sent meanwhile is sent again afterwards.
    Dropped,
    /// As dropped, but who connects is told so.
    Unreachable,
}

/// One address.
#[derive(Debug)]
pub(super) struct Host {
    path: RefCell<Path>,
    reach: Cell<Reach>,
    accepting: RefCell<Option<Rc<Accepting>>>,
    links: RefCell<Vec<Weak<Link>>>,
    /// When the engine read the first bytes of each connection: the server's greeting.
    greeted: RefCell<Vec<Time>>,
}

impl Host {
    pub(super) fn on_greeted(&self, now: Time) {
        self.greeted.borrow_mut().push(now);
    }

    pub(super) fn path(&self) -> Path {
        self.path.borrow().clone()
    }

    pub(super) fn reach(&self) -> Reach {
        self.reach.get()
    }
}

/// A connect of the engine's.
#[derive(Clone, Debug)]
pub(crate) struct Dial {
    pub(crate) address: Address,
    pub(crate) started: Time,
    /// When it was over, and whether the socket opened; `None` while it runs or when it was given up.
    pub(crate) ended: Option<(Time, bool)>,
}

/// A stream that something in between has forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    pub(crate) opened: Time,
    pub(crate) forgotten: Time,
    /// When the engine closed its end.
    pub(crate) closed: Option<Time>,
}

/// How often a kernel sends a SYN again.
const SYN_RETRIES: u32 = 6;

impl Network {
    pub(super) fn new(clock: Rc<Clock>, journal: Journal, random: Random) -> Self {
        Self(Rc::new(Inner {
            clock,
            journal,
            random,
            hosts: RefCell::default(),
            names: RefCell::default(),
            texts: RefCell::default(),
            dials: RefCell::default(),
            lookups: RefCell::default(),
            text_lookups: RefCell::default(),
            forgotten: RefCell::default(),
            engine_sockets: Rc::default(),
        }))
    }

    /// Listens on an address until the listener is dropped; what connects without a listener is refused.
    pub(crate) fn listen(&self, address: &Address) -> Listener {
        let host = self.host(address);
        let accepting = Rc::new(Accepting::default());
        *host.accepting.borrow_mut() = Some(Rc::clone(&accepting));
        Listener { host, accepting }
    }

    pub(crate) fn set_path(&self, address: &Address, path: Path) {
        *self.host(address).path.borrow_mut() = path;
    }

    /// Whether the address is reached from now on. Streams outlive the time it is not, if their kernels are patient.
    pub(crate) fn set_reach(&self, address: &Address, reach: Reach) {
        let host = self.host(address);
        if host.reach.replace(reach) != reach && reach == Reach::Open {
            let (now, path) = (self.0.clock.now(), host.path());
            for link in host.live_links() {
                let (mut up, mut down) = (link.up.borrow_mut(), link.down.borrow_mut());
                if let Some(at) = up.release(now, &path, &link.random) {
                    down.reset(at);
                }
                if let Some(at) = down.release(now, &path, &link.random) {
                    up.reset(at);
                }
            }
        }
    }

    /// Something in between forgets the streams that are open: nothing of them passes any more, and nobody says so.
    pub(crate) fn forget_streams(&self, address: &Address, up: bool, down: bool) {
        for link in self.host(address).live_links() {
            if link.closed_at.get().is_some() {
                continue;
            }
            if link.forgotten_at.get().is_none() {
                link.forgotten_at.set(Some(self.0.clock.now()));
                self.0.forgotten.borrow_mut().push(Rc::clone(&link));
            }
            if up {
                link.up.borrow_mut().lose();
                link.down.borrow_mut().lose_acknowledgements();
            }
            if down {
                link.down.borrow_mut().lose();
                link.up.borrow_mut().lose_acknowledgements();
            }
        }
    }

    /// What is answered for this name from now on.
    pub(crate) fn set_name(&self, name: &str, answer: Answer) {
        self.0.names.borrow_mut().insert(name.to_owned(), answer);
    }

    /// What is answered to whoever asks for this name's texts from now on.
    pub(crate) fn set_texts(&self, name: &str, answer: Answer<Texts>) {
        self.0.texts.borrow_mut().insert(name.to_owned(), answer);
    }

    /// Every connect so far.
    pub(crate) fn dials(&self) -> Vec<Dial> {
        self.0.dials.borrow().clone()
    }

    /// When servers' greetings were read.
    pub(crate) fn greetings(&self) -> Vec<Time> {
        self.0.hosts.borrow().values().flat_map(|host| host.greeted.borrow().clone()).collect()
    }

    /// When names were asked for.
    pub(crate) fn lookups(&self) -> Vec<Time> {
        self.0.lookups.borrow().clone()
    }

    /// The names whose texts were asked for.
    pub(crate) fn text_lookups(&self) -> Vec<String> {
        self.0.text_lookups.borrow().clone()
    }

    /// The streams that were forgotten.
    pub(crate) fn losses(&self) -> Vec<Loss> {
        let loss = |link: &Rc<Link>| {
            Some(Loss { opened: link.opened_at, forgotten: link.forgotten_at.get()?, closed: link.closed_at.get() })
        };
        self.0.forgotten.borrow().iter().filter_map(loss).collect()
    }

    /// How many sockets the engine holds.
    pub(crate) fn engine_sockets(&self) -> usize {
        self.0.engine_sockets.get()
    }

    /// Lets go of everything at the end of a world.
    pub(super) fn clear(&self) {
        let hosts = std::mem::take(&mut *self.0.hosts.borrow_mut());
        for host in hosts.into_values() {
            let accepting = host.accepting.take();
            drop(accepting);
        }
    }

    pub(super) fn connect(
        &self,
        address: &Address,
        options: SocketOptions,
    ) -> impl Future<Output = io::Result<SimulatedSocket>> + use<> {
        let network = self.clone();
        let address = match address {
            Address::Tunnel(tunnel) => Address::Inet(tunnel.proxy),
            address => address.clone(),
        };
        async move {
            let at = network.0.dials.borrow().len();
            let started = network.0.clock.now();
            network.0.dials.borrow_mut().push(Dial { address: address.clone(), started, ended: None });
            network.0.journal.note(format_args!("connect {at} to {address}"));
            let outcome = network.open(&address, at).await.map(|socket| socket.with(options));
            match &outcome {
                Ok(_) => network.0.journal.note(format_args!("connect {at} is open")),
                Err(cause) => network.0.journal.note(format_args!("connect {at} failed: {cause}")),
            }
            network.0.dials.borrow_mut()[at].ended = Some((network.0.clock.now(), outcome.is_ok()));
            outcome
        }
    }

    async fn open(&self, address: &Address, number: usize) -> io::Result<SimulatedSocket> {
        if matches!(address, Address::Unresolved { .. }) {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "only a resolver looks up names in this network"));
        }
        let (host, clock) = (self.host(address), &self.0.clock);
        let mut retries = 0;
        loop {
            let latency = host.path().latency;
            if host.reach() == Reach::Unreachable {
                clock.sleep(latency * 2).await;
                return Err(io::ErrorKind::HostUnreachable.into());
            }
            if host.reach() == Reach::Open {
                clock.sleep(latency).await;
            }
            if host.reach() == Reach::Open {
                let accepting = host.accepting.borrow().clone();
                let Some(accepting) = accepting else {
                    clock.sleep(latency).await;
                    return Err(io::ErrorKind::ConnectionRefused.into());
                };
                let client = self.link(&host, &accepting, address, number);
                clock.sleep(latency).await;
                return Ok(client);
            }
            if retries == SYN_RETRIES {
                return Err(io::ErrorKind::TimedOut.into());
            }
            clock.sleep(Duration::from_secs(1 << retries)).await;
            retries += 1;
        }
    }

    fn link(&self, host: &Rc<Host>, accepting: &Accepting, address: &Address, number: usize) -> SimulatedSocket {
        let port = 10_000 + u16::try_from(number % 50_000).unwrap_or(0);
        let local = SocketAddr::from((Ipv4Addr::new(10, 255, 0, 1), port));
        let remote = match address {
            Address::Inet(address) => *address,
            _ => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        };
        let link = Rc::new(Link {
            host: Rc::clone(host),
            clock: Rc::clone(&self.0.clock),
            random: self.0.random.fork(),
            opened_at: self.0.clock.now(),
            is_greeted: Cell::new(false),
            forgotten_at: Cell::new(None),
            closed_at: Cell::new(None),
            up: RefCell::default(),
            down: RefCell::default(),
        });
        let mut links = host.links.borrow_mut();
        links.retain(|link| link.strong_count() > 0);
        links.push(Rc::downgrade(&link));
        accepting.push(SimulatedSocket::new(&link, false, remote, None));
        SimulatedSocket::new(&link, true, local, Some(Alive::enter(&self.0.engine_sockets)))
    }

    pub(super) fn resolve(&self, name: &str, port: u16) -> impl Future<Output = io::Result<NameAnswer>> + use<> {
        let (network, name) = (self.clone(), name.to_owned());
        async move {
            network.0.lookups.borrow_mut().push(network.0.clock.now());
            let answer = network.0.names.borrow().get(&name).cloned();
            let answer = answer.unwrap_or_else(|| Answer::failure(io::ErrorKind::NotFound, Duration::ZERO));
            network.0.clock.sleep(answer.delay).await;
            network.0.journal.note(format_args!("{name} is {:?}", answer.found));
            match answer.found {
                Ok(addresses) => {
                    let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
                    Ok(NameAnswer { addresses, valid_for: answer.valid_for })
                }
                Err(kind) => Err(kind.into()),
            }
        }
    }

    /// A name that nothing was said of has no texts.
    pub(super) fn resolve_texts(&self, name: &str) -> impl Future<Output = io::Result<TextAnswer>> + use<> {
        let (network, name) = (self.clone(), name.to_owned());
        async move {
            network.0.text_lookups.borrow_mut().push(name.clone());
            let answer = network.0.texts.borrow().get(&name).cloned();
            let answer = answer.unwrap_or_else(|| Answer::of_texts([], Duration::ZERO));
            network.0.clock.sleep(answer.delay).await;
            network.0.journal.note(format_args!("the texts of {name} are {:?}", answer.found));
            let record = |text: String| -> Box<[Box<[u8]>]> { Box::from([text.into_bytes().into()]) };
            let records = answer.found?.into_iter().map(record).collect();
            Ok(TextAnswer { records, valid_for: answer.valid_for })
        }
    }

    fn host(&self, address: &Address) -> Rc<Host> {
        let mut hosts = self.0.hosts.borrow_mut();
        let host = hosts.entry(address.clone()).or_insert_with(|| {
            Rc::new(Host {
                path: RefCell::default(),
                reach: Cell::new(Reach::Open),
                accepting: RefCell::default(),
                links: RefCell::default(),
                greeted: RefCell::default(),
            })
        });
        Rc::clone(host)
    }
}

impl Host {
    fn live_links(&self) -> Vec<Rc<Link>> {
        self.links.borrow().iter().filter_map(Weak::upgrade).collect()
    }
}

/// Sockets that connected and were not accepted yet.
#[derive(Debug, Default)]
struct Accepting {
    sockets: RefCell<VecDeque<SimulatedSocket>>,
    waker: RefCell<Option<Waker>>,
}

impl Accepting {
    fn push(&self, socket: SimulatedSocket) {
        self.sockets.borrow_mut().push_back(socket);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Accepts what connects to an address; refuses when dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    host: Rc<Host>,
    accepting: Rc<Accepting>,
}

impl Listener {
    /// The server's end of the next stream.
    pub(crate) async fn accept(&self) -> SimulatedSocket {
        poll_fn(|cx| {
            if let Some(socket) = self.accepting.sockets.borrow_mut().pop_front() {
                return Poll::Ready(socket);
            }
            *self.accepting.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut accepting = self.host.accepting.borrow_mut();
        if accepting.as_ref().is_some_and(|current| Rc::ptr_eq(current, &self.accepting)) {
            *accepting = None;
        }
        drop(accepting);
        // Dropping the sockets ends their streams.
        let waiting = std::mem::take(&mut *self.accepting.sockets.borrow_mut());
        drop(waiting);
    }
}
