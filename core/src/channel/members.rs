//! The connections of one subchannel: when each has a successor, when one that is not needed goes, and whether a further one is wanted.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::policy::pool::PoolSizes;
use crate::time::{Time, earliest};
use crate::transport::connection::Connection;
use crate::transport::pool::Pool;

pub(super) struct Members {
    /// The same connections, as calls see them.
    pool: Rc<Pool>,
    /// In the order in which they became usable.
    list: Vec<Member>,
    sizes: Rc<Cell<PoolSizes>>,
    /// One that is not needed goes after so long without a call.
    shrink_after: Duration,
}

struct Member {
    connection: Connection,
    ready_since: Time,
    /// When it is to be replaced, and why then.
    retire: Option<(Time, &'static str)>,
    /// Why it is to be replaced, until it is.
    successor: Option<String>,
    /// Set while it is one more than are kept.
    spare: Option<Spare>,
}

/// A look at whether a connection is used.
struct Spare {
    at: Time,
    /// How many streams it had opened at the last look; `None` if one was open then.
    streams_then: Option<u32>,
}

impl Spare {
    fn look(at: Time, connection: &Connection) -> Self {
        Self { at, streams_then: (connection.streams() == 0).then(|| connection.streams_opened()) }
    }
}

/// Why a connection is dialed.
pub(super) enum Wanted {
    /// There is none.
    First,
    /// To take the place of this one.
    Successor { of: u64, why: String },
    /// There are fewer than are to be kept.
    Kept,
    /// Calls wait for streams.
    Streams,
}

impl fmt::Display for Wanted {
    /// Behind what is dialed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First => Ok(()),
            Self::Successor { of, why } => write!(f, " to replace connection {of}: {why}"),
            Self::Kept => f.write_str(" beside the connections there are"),
            Self::Streams => f.write_str(" because calls wait for streams"),
        }
    }
}

impl Members {
    pub(super) fn new(sizes: Rc<Cell<PoolSizes>>, shrink_after: Duration) -> Self {
        Self { pool: Pool::new(Rc::clone(&sizes)), list: Vec::new(), sizes, shrink_after }
    }

    pub(super) fn pool(&self) -> &Rc<Pool> {
        &self.pool
    }

    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How long each connection has been one of these.
    pub(super) fn ages(&self, now: Time) -> impl Iterator<Item = (u64, Duration)> {
        self.list.iter().map(move |member| (member.connection.id(), now.since(member.ready_since)))
    }

    pub(super) fn oldest(&self) -> Option<&Connection> {
        self.list.first().map(|member| &member.connection)
    }

    /// A connection is usable.
    pub(super) fn add(&mut self, now: Time, connection: Connection, retire_at: Option<Time>) {
        self.pool.add(connection.clone());
        self.list.reserve_exact(1);
        let retire = retire_at.map(|at| (at, "it has reached its age"));
        self.list.push(Member { connection, ready_since: now, retire, successor: None, spare: None });
        self.look_for_spares(now);
    }

    /// The connection takes no more calls; it, and how long it was one of these.
    pub(super) fn remove(&mut self, now: Time, connection: u64) -> Option<(Connection, Duration)> {
        let place = self.list.iter().position(|member| member.connection.id() == connection)?;
        let member = self.list.remove(place);
        self.pool.remove(connection);
        self.look_for_spares(now);
        Some((member.connection, now.since(member.ready_since)))
    }

    /// None takes calls any more; streams that run finish.
    pub(super) fn drain_all(&mut self) {
        for member in self.list.drain(..) {
            self.pool.remove(member.connection.id());
            member.connection.drain();
        }
    }

    /// The connection is to be replaced, because of this. Whether it is one of these.
    pub(super) fn on_successor_wanted(&mut self, connection: u64, why: String) -> bool {
        let member = self.list.iter_mut().find(|member| member.connection.id() == connection);
        member.map(|member| member.successor.get_or_insert(why)).is_some()
    }

    /// Connections like these are to be replaced at some time, or before.
    pub(super) fn retire_where(
        &mut self,
        is_meant: impl Fn(&Connection) -> bool,
        at: impl Fn() -> Time,
        why: &'static str,
    ) {
        for member in self.list.iter_mut().filter(|member| is_meant(&member.connection)) {
            let at = at();
            if member.retire.is_none_or(|(earlier, _)| earlier > at) {
                member.retire = Some((at, why));
            }
        }
    }

    /// Other numbers of connections are kept from now on.
    pub(super) fn on_sizes_changed(&mut self, now: Time) {
        self.look_for_spares(now);
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        let times = |member: &Member| [member.retire.map(|(at, _)| at), member.spare.as_ref().map(|spare| spare.at)];
        earliest(self.list.iter().flat_map(times))
    }

    /// Time passed. The connections that are not needed: those that are more than are kept and have had no stream since the last look.
    pub(super) fn on_time(&mut self, now: Time) -> Vec<u64> {
        let mut unused = Vec::new();
        for member in &mut self.list {
            if let Some((_, why)) = member.retire.take_if(|(at, _)| *at <= now) {
                member.successor.get_or_insert_with(|| why.to_owned());
            }
            let Some(spare) = member.spare.as_mut().filter(|spare| spare.at <= now) else { continue };
            let next = Spare::look(now + self.shrink_after, &member.connection);
            if next.streams_then.is_some() && next.streams_then == spare.streams_then {
                unused.push(member.connection.id());
            }
            *spare = next;
        }
        unused
    }

    /// Whether a further connection is wanted beside those there are, and why.
    pub(super) fn wanted(&self) -> Option<Wanted> {
        let successor = self.list.iter().find_map(|member| {
            let why = member.successor.clone()?;
            Some(Wanted::Successor { of: member.connection.id(), why })
        });
        let (sizes, count) = (self.sizes.get(), self.list.len());
        successor
            .or_else(|| sizes.is_short(count).then_some(Wanted::Kept))
            .or_else(|| (sizes.may_grow(count) && self.pool.is_asked_for_more()).then_some(Wanted::Streams))
    }

    fn look_for_spares(&mut self, now: Time) {
        let sizes = self.sizes.get();
        for (place, member) in self.list.iter_mut().enumerate() {
            if !sizes.is_spare(place) {
                member.spare = None;
            } else if member.spare.is_none() {
                member.spare = Some(Spare::look(now + self.shrink_after, &member.connection));
            }
        }
    }
}
