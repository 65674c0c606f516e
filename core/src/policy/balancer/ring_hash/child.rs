//! One endpoint of the policy: connected when a call is for it, and not before ([LB-66]).

use std::cell::Cell;
use std::rc::Rc;

use super::picker::Seen;
use crate::policy::balancer::endpoint::Endpoint;
use crate::policy::balancer::pick_first::{self, PickFirst};
use crate::policy::balancer::{Health, Lack, LbAction, LbPolicy, SubchannelId};
use crate::state::State;
use crate::time::Time;

#[derive(Debug)]
pub(super) struct Child {
    endpoint: Endpoint,
    /// Made when it is first connected.
    policy: Option<PickFirst>,
    /// What it published last.
    state: State,
    /// Its connected subchannel, while it is READY.
    ready: Option<SubchannelId>,
    /// What it lacks while it is in TRANSIENT_FAILURE.
    lack: Lack,
    /// Set by picks that want it connected.
    wish: Rc<Cell<bool>>,
}

impl Child {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, policy: None, state: State::Idle, ready: None, lack: Lack::Connection, wish: Rc::default() }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn owns(&self, id: SubchannelId) -> bool {
        self.policy.as_ref().is_some_and(|policy| policy.owns(id))
    }

    /// Whether picks wanted it connected since this was asked last.
    pub(super) fn take_wish(&self) -> bool {
        self.wish.take()
    }

    /// As a pick sees it.
    pub(super) fn seen(&self) -> Seen {
        match (self.state, self.ready) {
            (State::Ready, Some(id)) => Seen::Ready(id),
            (State::Idle, _) => Seen::Idle(Rc::clone(&self.wish)),
            (State::TransientFailure | State::Shutdown, _) => Seen::Failed(self.lack),
            (State::Connecting | State::Ready, _) => Seen::Connecting,
        }
    }

    /// Connects it, if it is IDLE.
    pub(super) fn connect(&mut self, now: Time, actions: &mut Vec<LbAction>, new_policy: impl FnOnce() -> PickFirst) {
        if self.state != State::Idle {
            return;
        }
        if self.policy.is_some() {
            self.tell(actions, |policy, asked| policy.on_exit_idle(now, asked));
        } else {
            self.policy = Some(new_policy());
            let endpoints = vec![self.endpoint.clone()];
            self.tell(actions, |policy, asked| policy.on_endpoints(now, endpoints, asked));
        }
    }

    /// The resolver listed it again, its addresses in another order perhaps ([LB-69]).
    pub(super) fn on_listed(&mut self, now: Time, endpoint: Endpoint, actions: &mut Vec<LbAction>) {
        if self.endpoint.addresses() != endpoint.addresses() {
            self.tell(actions, |policy, asked| policy.on_endpoints(now, vec![endpoint.clone()], asked));
        }
        self.endpoint = endpoint;
    }

    pub(super) fn on_subchannel_state(
        &mut self,
        now: Time,
        id: SubchannelId,
        state: State,
        actions: &mut Vec<LbAction>,
    ) -> bool {
        self.tell(actions, |policy, asked| policy.on_subchannel_state(now, id, state, asked))
    }

    pub(super) fn on_health(&mut self, id: SubchannelId, health: Health, actions: &mut Vec<LbAction>) -> bool {
        self.tell(actions, |policy, asked| policy.on_endpoint_health(id, health, asked))
    }

    pub(super) fn on_time(&mut self, now: Time, actions: &mut Vec<LbAction>) -> bool {
        self.tell(actions, |policy, asked| policy.on_time(now, asked))
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        self.policy.as_ref().and_then(PickFirst::next_deadline)
    }

    /// Lets go of everything.
    pub(super) fn drop_all(mut self, actions: &mut Vec<LbAction>) {
        if let Some(policy) = &mut self.policy {
            policy.drop_all(actions);
        }
    }

    /// Tells its policy something, hands on what that asks for, keeps what it publishes to itself, and says whether it published.
    fn tell(&mut self, actions: &mut Vec<LbAction>, event: impl FnOnce(&mut PickFirst, &mut Vec<LbAction>)) -> bool {
        let Some(policy) = &mut self.policy else { return false };
        let mut asked = Vec::new();
        event(policy, &mut asked);
        let mut has_published = false;
        pick_first::hand_on(asked, actions, |state, ready, lack| {
            (self.state, self.ready, self.lack) = (state, ready, lack);
            has_published = true;
        });
        has_published
    }
}
