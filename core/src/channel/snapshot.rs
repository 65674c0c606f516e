//! What calls read: state, picker and ready connections, published together and never changed ([LB-9]).

use std::rc::Rc;

use crate::failure::Failure;
use crate::observe::trail::ConnectTrail;
use crate::policy::balancer::{FixedPicker, PickResult, Picker, SubchannelId};
use crate::state::State;
use crate::transport::connection::Connection;

/// One published state of a channel.
pub(crate) struct Snapshot {
    pub(crate) state: State,
    picker: Rc<dyn Picker>,
    /// In the order of their ids.
    connections: Box<[(SubchannelId, Connection)]>,
    /// Why picks fail; also what a call that waits tells when its deadline passes.
    pub(crate) failure: Option<Failure>,
    pub(crate) trail: Option<Rc<ConnectTrail>>,
    /// Whether addresses are still being looked for.
    pub(crate) is_resolving: bool,
}

/// Where a call goes.
pub(crate) enum Pick {
    Ready(Connection),
    /// Wait for a newer snapshot.
    Queue,
    /// Fail, unless the call waits for ready.
    Fail(Failure),
    /// The channel is closed: fail in any case.
    Closed,
}

impl Snapshot {
    /// A channel nobody has asked for anything yet.
    pub(super) fn idle() -> Self {
        Self {
            state: State::Idle,
            picker: Rc::new(FixedPicker(PickResult::Queue)),
            connections: Box::default(),
            failure: None,
            trail: None,
            is_resolving: false,
        }
    }

    pub(super) fn closed() -> Self {
        Self { state: State::Shutdown, ..Self::idle() }
    }

    pub(super) fn new(
        state: State,
        picker: Rc<dyn Picker>,
        connections: Box<[(SubchannelId, Connection)]>,
        failure: Option<Failure>,
        trail: Option<Rc<ConnectTrail>>,
        is_resolving: bool,
    ) -> Self {
        Self { state, picker, connections, failure, trail, is_resolving }
    }

    /// Where a call goes; not to the connection `refused` it, where there is another.
    pub(crate) fn pick(&self, refused: Option<u64>) -> Pick {
        if self.state == State::Shutdown {
            return Pick::Closed;
        }
        let mut picked = self.pick_once();
        // On a connection that is checked the call would wait, and on one that refused it, it may be refused again.
        for _ in 1..self.connections.len() {
            match &picked {
                Pick::Ready(connection) if connection.is_checked() || Some(connection.id()) == refused => {
                    picked = self.pick_once();
                }
                _ => break,
            }
        }
        picked
    }

    /// Whether a connection is not in doubt.
    pub(crate) fn has_unchecked(&self) -> bool {
        self.connections.iter().any(|(_, connection)| !connection.is_checked())
    }

    fn pick_once(&self) -> Pick {
        match self.picker.pick() {
            PickResult::Complete(id) => match self.connections.binary_search_by_key(&id, |(id, _)| *id) {
                Ok(place) => Pick::Ready(self.connections[place].1.clone()),
                // [CONN-25]
                Err(_) => Pick::Queue,
            },
            PickResult::Queue => Pick::Queue,
            PickResult::Fail => match &self.failure {
                Some(failure) => Pick::Fail(failure.clone()),
                None => Pick::Queue,
            },
        }
    }
}
