//! `round_robin`: a connection to every address, calls to each in turn ([LB-25] to [LB-32]).
//!
//! Every address is kept connected: one that is free to be dialed is, whether calls come or not ([CONN-76]). One that failed counts as
//! failed until it works ([LB-26]). The channel is READY while any address is.

use std::cell::Cell;
use std::rc::Rc;

use super::{FixedPicker, LbAction, LbPolicy, PickResult, Picker, SubchannelId, SubchannelIds};
use crate::address::Address;
use crate::state::State;
use crate::time::Time;

/// The policy.
#[derive(Debug)]
pub(crate) struct RoundRobin {
    endpoints: Vec<Endpoint>,
    /// Whose turn is next; goes on from picker to picker.
    next: Rc<Cell<usize>>,
    ids: SubchannelIds,
}

#[derive(Debug)]
struct Endpoint {
    id: SubchannelId,
    address: Address,
    state: EndpointState,
}

/// What an endpoint counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EndpointState {
    Connecting,
    Ready,
    /// Until it is READY again, whatever its subchannel does meanwhile.
    Failed,
}

impl RoundRobin {
    /// `unit` is a random fraction: where clients begin must differ, or all of them begin with the same server ([LB-28]).
    pub(crate) fn new(ids: SubchannelIds, unit: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of 2^16")]
        let first = (unit * 65_536.0) as usize;
        Self { endpoints: Vec::new(), next: Rc::new(Cell::new(first)), ids }
    }

    fn publish(&self, actions: &mut Vec<LbAction>) {
        let any = |wanted| self.endpoints.iter().any(|endpoint| endpoint.state == wanted);
        let (state, picker): (_, Rc<dyn Picker>) = if any(EndpointState::Ready) {
            let ready = self.endpoints.iter().filter(|endpoint| endpoint.state == EndpointState::Ready);
            let ready = ready.map(|endpoint| endpoint.id).collect();
            (State::Ready, Rc::new(InTurn { ready, next: Rc::clone(&self.next) }))
        } else if any(EndpointState::Connecting) {
            (State::Connecting, Rc::new(FixedPicker(PickResult::Queue)))
        } else {
            (State::TransientFailure, Rc::new(FixedPicker(PickResult::Fail)))
        };
        actions.push(LbAction::Publish(state, picker));
    }
}

impl LbPolicy for RoundRobin {
    /// Endpoints that stay listed are kept as they are ([LB-29]).
    fn on_addresses(&mut self, _: Time, addresses: Vec<Address>, actions: &mut Vec<LbAction>) {
        let mut before = std::mem::replace(&mut self.endpoints, Vec::with_capacity(addresses.len()));
        for address in addresses {
            // [NAME-84]
            if self.endpoints.iter().any(|endpoint| endpoint.address == address) {
                continue;
            }
            let kept = before.iter().position(|endpoint| endpoint.address == address);
            let endpoint = kept.map(|at| before.swap_remove(at)).unwrap_or_else(|| {
                let id = self.ids.next();
                actions.push(LbAction::Create(id, address.clone()));
                actions.push(LbAction::Connect(id));
                Endpoint { id, address, state: EndpointState::Connecting }
            });
            self.endpoints.push(endpoint);
        }
        if self.endpoints.is_empty() {
            // [LB-30]
            actions.push(LbAction::Reresolve);
        }
        // Before the others are dropped: no call is sent to one that is going.
        self.publish(actions);
        actions.extend(before.into_iter().map(|endpoint| LbAction::Remove(endpoint.id)));
    }

    fn on_subchannel_state(&mut self, _: Time, id: SubchannelId, state: State, actions: &mut Vec<LbAction>) {
        let Some(endpoint) = self.endpoints.iter_mut().find(|endpoint| endpoint.id == id) else { return };
        let before = endpoint.state;
        endpoint.state = match (before, state) {
            (_, State::Ready) => EndpointState::Ready,
            (_, State::TransientFailure | State::Shutdown) => EndpointState::Failed,
            (EndpointState::Failed, _) => EndpointState::Failed,
            (_, State::Idle | State::Connecting) => EndpointState::Connecting,
        };
        let is_changed = endpoint.state != before;
        if state == State::TransientFailure || (before == EndpointState::Ready && is_changed) {
            // [LB-31]
            actions.push(LbAction::Reresolve);
        }
        if state == State::Idle {
            actions.push(LbAction::Connect(id));
        }
        // A further failure is published too: calls see the newest error.
        if is_changed || state == State::TransientFailure {
            self.publish(actions);
        }
    }

    /// It never is idle: the channel drops it instead.
    fn on_exit_idle(&mut self, _: Time, _: &mut Vec<LbAction>) {}

    fn on_time(&mut self, _: Time, _: &mut Vec<LbAction>) {}

    fn next_deadline(&self) -> Option<Time> {
        None
    }
}

/// The addresses that are READY, one after the other.
#[derive(Debug)]
struct InTurn {
    ready: Box<[SubchannelId]>,
    next: Rc<Cell<usize>>,
}

impl Picker for InTurn {
    fn pick(&self) -> PickResult {
        let turn = self.next.get();
        self.next.set(turn.wrapping_add(1));
        PickResult::Complete(self.ready[turn % self.ready.len()])
    }
}

#[cfg(test)]
mod tests;
