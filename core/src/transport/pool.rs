//! The connections to one address that calls may use, and the one line of calls that wait for a stream on any of them ([CONN-123],
//! [CONN-126]). Who owns the connections adds and removes them; calls see what there is at once.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use super::connection::Connection;
use super::places::Place;
use crate::line::Line;
use crate::policy::pool::{Load, PoolSizes, choose};
use crate::time::Time;

/// One address' connections.
pub(crate) struct Pool {
    /// In the order in which they became usable.
    connections: RefCell<Vec<Connection>>,
    line: Rc<Line>,
    /// The channel's.
    sizes: Rc<Cell<PoolSizes>>,
    /// Set while a further connection is asked for, because calls wait for streams.
    asks_for_more: Cell<bool>,
    /// Whose turn it is, of connections that are equal.
    turn: Cell<usize>,
}

/// A connection, and a place for a stream on it.
pub(crate) type Placed = (Connection, Place);

impl Pool {
    pub(crate) fn new(sizes: Rc<Cell<PoolSizes>>) -> Rc<Self> {
        let (connections, line) = (RefCell::default(), Rc::default());
        Rc::new(Self { connections, line, sizes, asks_for_more: Cell::new(false), turn: Cell::new(0) })
    }

    /// Where calls wait; connections that are to be added call it when there is room on them.
    pub(crate) fn line(&self) -> &Rc<Line> {
        &self.line
    }

    pub(crate) fn add(&self, connection: Connection) {
        let mut connections = self.connections.borrow_mut();
        // Most addresses have one.
        connections.reserve_exact(1);
        connections.push(connection);
        drop(connections);
        self.asks_for_more.set(false);
        self.line.call_next();
    }

    pub(crate) fn remove(&self, id: u64) {
        self.connections.borrow_mut().retain(|connection| connection.id() != id);
        if self.is_over() {
            self.line.call_all();
        } else {
            self.line.call_next();
        }
    }

    /// Whether a call was told to wait for a further connection, and one waits still. Once none does, the next must ask again.
    pub(crate) fn is_asked_for_more(&self) -> bool {
        if self.line.is_empty() {
            self.asks_for_more.set(false);
        }
        self.asks_for_more.get()
    }

    /// A call waits for a stream. Whether a further connection should be opened, and nobody has said so.
    pub(crate) fn ask_for_more(&self) -> bool {
        let may_grow = self.sizes.get().may_grow(self.connections.borrow().len());
        may_grow && !self.is_in_doubt() && !self.asks_for_more.replace(true)
    }

    /// Whether no connection takes streams any more.
    pub(crate) fn is_over(&self) -> bool {
        self.connections.borrow().iter().all(Connection::is_closed)
    }

    /// Whether calls must wait until a connection is known to be alive.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.connections.borrow().iter().filter(|connection| !connection.is_closed()).all(Connection::is_checked)
    }

    /// Whether there is another connection than this one.
    pub(crate) fn has_other_than(&self, id: u64) -> bool {
        self.connections.borrow().iter().any(|connection| connection.id() != id && !connection.is_closed())
    }

    /// The oldest connection: what a call that waits is told to wait for.
    pub(crate) fn oldest(&self) -> Option<Connection> {
        self.connections.borrow().first().cloned()
    }

    /// A place for a stream, if there is one and nobody has waited for it longer. What was idle for long is checked first. Another connection
    /// than the one that `refused` the call is taken, where there is one with room.
    pub(crate) fn take(&self, now: Time, refused: Option<u64>) -> Option<Placed> {
        if self.line.is_empty() { self.take_free(now, refused) } else { None }
    }

    /// Waits for a place; `None` once no connection takes streams. `waits` is called whenever it has to wait.
    ///
    /// Cancel safe: a dropped wait takes nothing.
    pub(crate) async fn wait(&self, now: Time, refused: Option<u64>, waits: impl Fn()) -> Option<Placed> {
        let mut turn = self.line.turn();
        poll_fn(|cx| {
            if self.is_over() {
                return Poll::Ready(None);
            }
            if turn.has_come()
                && let Some(placed) = self.take_free(now, refused)
            {
                return Poll::Ready(Some(placed));
            }
            turn.wait(cx);
            waits();
            Poll::Pending
        })
        .await
    }

    fn take_free(&self, now: Time, refused: Option<u64>) -> Option<Placed> {
        let connections = self.connections.borrow();
        // One that is checked because of this call has no room for it, so each is chosen once.
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        let loads = || connections.iter().map(|connection| load(connection, refused));
        while let Some(place) = choose(self.sizes.get(), turn, loads()) {
            let connection = &connections[place];
            connection.on_place_wanted(now);
            if !connection.is_checked() {
                return Some((connection.clone(), connection.take_place()));
            }
        }
        connections
            .iter()
            .filter(|connection| connection.is_checked())
            .for_each(|connection| connection.on_place_wanted(now));
        None
    }

    /// What a call that waits lacks now.
    pub(crate) fn lacks(&self) -> Lacks {
        let connections = self.connections.borrow();
        let sum = |of: &dyn Fn(&Connection) -> u32| connections.iter().fold(0, |sum, one| of(one).saturating_add(sum));
        Lacks {
            in_use: sum(&Connection::streams),
            limit: sum(&|connection| connection.stream_limit().unwrap_or(u32::MAX)),
            connections: connections.len(),
            waiting: self.line.len(),
        }
    }
}

/// What a call lacked when it looked last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lacks {
    in_use: u32,
    limit: u32,
    connections: usize,
    /// How many calls waited, it among them.
    waiting: usize,
}

impl Lacks {
    /// Whether every stream is in use; else a connection is checked.
    pub(crate) fn is_a_stream(&self) -> bool {
        self.in_use >= self.limit
    }

    /// In words that follow a semicolon.
    pub(crate) fn words(&self, address: &str) -> String {
        let Self { in_use, limit, connections, .. } = self;
        if !self.is_a_stream() {
            return format!("waiting for {address} to answer a PING");
        }
        let on = if *connections == 1 { "1 connection".to_owned() } else { format!("{connections} connections") };
        let others = self.waiting.saturating_sub(1);
        format!("waiting for a stream to {address}: {in_use} of {limit} in use on {on}, {others} other calls waiting")
    }
}

fn load(connection: &Connection, refused: Option<u64>) -> Load {
    Load {
        streams: connection.streams(),
        has_room: connection.has_room(),
        has_refused: refused == Some(connection.id()),
    }
}
