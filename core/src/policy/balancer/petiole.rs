//! What the policies that spread calls have in common: a connection to every endpoint ([NAME-83], [LB-25] to [LB-31]).
//!
//! Each endpoint has a `pick_first` of its own, which is told to connect whenever it is idle, whether calls come or not ([CONN-76]).
//! The channel is READY while any endpoint is. Between those that are, the policy's own picker chooses.

use std::fmt::Debug;
use std::rc::Rc;
use std::time::Duration;

use super::config::BalancingConfig;
use super::endpoint::Endpoint;
use super::pick_first::{self, PickFirst};
use super::tally::Tally;
use super::{FixedPicker, Health, Lack, LbAction, LbPolicy, PickResult, Picker, SubchannelId, SubchannelIds};
use crate::state::State;
use crate::time::{Time, earliest};

/// How a policy spreads calls.
pub(crate) trait Spread: Debug {
    /// What it keeps of each endpoint as long as that is listed.
    type Kept: Clone + Debug;

    /// An endpoint is listed that was not before.
    fn on_listed(&self, tally: &Tally) -> Self::Kept;
    /// An endpoint has become READY.
    fn on_ready(&self, _: &Self::Kept) {}
    /// A picker between endpoints that are READY, of which there is one at least.
    fn picker(&mut self, now: Time, ready: &[Ready<Self::Kept>]) -> Rc<dyn Picker>;
    /// The time given by [`Spread::next_deadline`] came, or another one.
    fn on_time(&mut self, _: Time) {}
    /// When it wants to be asked again.
    fn next_deadline(&self) -> Option<Time> {
        None
    }
    /// New settings, for the pickers to come; `false` when they are another policy's.
    fn on_config(&mut self, config: &BalancingConfig) -> bool;
}

/// An endpoint that is READY.
#[derive(Clone, Debug)]
pub(crate) struct Ready<K = ()> {
    /// Its connected subchannel.
    pub(crate) id: SubchannelId,
    pub(crate) tally: Rc<Tally>,
    pub(crate) kept: K,
}

/// A policy that spreads calls.
#[derive(Debug)]
pub(crate) struct Petiole<S: Spread> {
    spread: S,
    children: Vec<Child<S>>,
    attempt_delay: Duration,
    ids: SubchannelIds,
}

#[derive(Debug)]
struct Child<S: Spread> {
    endpoint: Endpoint,
    kept: S::Kept,
    policy: PickFirst,
    /// Once it has failed that is TRANSIENT_FAILURE until it is READY, whatever its policy says ([LB-26]).
    state: State,
    /// Whether its policy said last that it is idle.
    is_idle: bool,
    /// Its connected subchannel, while it is READY.
    ready: Option<SubchannelId>,
    /// What it lacks while it is in TRANSIENT_FAILURE.
    lack: Lack,
}

impl<S: Spread> Petiole<S> {
    pub(crate) fn new(spread: S, ids: SubchannelIds, attempt_delay: Duration) -> Self {
        Self { spread, children: Vec::new(), attempt_delay, ids }
    }

    /// The child of this endpoint: the one it has had, or a new one.
    fn child(&self, endpoint: Endpoint, before: &mut Vec<Child<S>>) -> Child<S> {
        before.iter().position(|child| child.endpoint.is(&endpoint)).map_or_else(
            || Child {
                kept: self.spread.on_listed(endpoint.tally()),
                endpoint,
                policy: PickFirst::new(self.ids.clone(), self.attempt_delay),
                state: State::Idle,
                is_idle: true,
                ready: None,
                lack: Lack::Connection,
            },
            |at| before.swap_remove(at),
        )
    }

    /// [LB-27]
    pub(super) fn publish(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        let ready: Vec<_> = self.children.iter().filter_map(Child::as_ready).collect();
        let (state, picker): (_, Rc<dyn Picker>) = if !ready.is_empty() {
            (State::Ready, self.spread.picker(now, &ready))
        } else if self.children.iter().any(|child| child.state != State::TransientFailure) {
            (State::Connecting, Rc::new(FixedPicker(PickResult::Queue)))
        } else {
            let is_connected = self.children.iter().any(|child| child.lack == Lack::Health);
            let lack = if is_connected { Lack::Health } else { Lack::Connection };
            (State::TransientFailure, Rc::new(FixedPicker(PickResult::Fail(lack))))
        };
        actions.push(LbAction::Publish(state, picker));
    }
}

#[cfg(test)]
impl<S: Spread> Petiole<S> {
    /// The picker between these.
    pub(super) fn picker(&mut self, ready: &[Ready<S::Kept>]) -> Rc<dyn Picker> {
        self.spread.picker(Time::ZERO, ready)
    }
}

impl<S: Spread> Child<S> {
    /// Tells the endpoint's policy something, hands on what it asks for, and lets it connect when it is idle. Whether that is news.
    fn tell(
        &mut self,
        spread: &S,
        now: Time,
        actions: &mut Vec<LbAction>,
        event: impl FnOnce(&mut PickFirst, &mut Vec<LbAction>),
    ) -> bool {
        let before = (self.state, self.ready);
        let mut asked = Vec::new();
        event(&mut self.policy, &mut asked);
        let mut has_published = self.hand_on(asked, actions);
        if self.is_idle {
            let mut asked = Vec::new();
            self.policy.on_exit_idle(now, &mut asked);
            has_published |= self.hand_on(asked, actions);
        }
        if before.1.is_none() && self.ready.is_some() {
            spread.on_ready(&self.kept);
        }
        // A further failure is news too: calls see the newest error.
        before != (self.state, self.ready) || (has_published && self.state == State::TransientFailure)
    }

    /// Keeps what is published to itself, and says whether something was.
    fn hand_on(&mut self, asked: Vec<LbAction>, actions: &mut Vec<LbAction>) -> bool {
        let mut has_published = false;
        pick_first::hand_on(asked, actions, |state, ready, lack| {
            self.is_idle = state == State::Idle;
            if self.state == State::TransientFailure && matches!(state, State::Idle | State::Connecting) {
                if state == State::Idle {
                    // What was not healthy is not connected any more.
                    has_published |= std::mem::replace(&mut self.lack, Lack::Connection) != Lack::Connection;
                }
                return;
            }
            (self.state, self.ready, self.lack) = (state, ready, lack);
            has_published = true;
        });
        has_published
    }

    fn as_ready(&self) -> Option<Ready<S::Kept>> {
        Some(Ready { id: self.ready?, tally: Rc::clone(self.endpoint.tally()), kept: self.kept.clone() })
    }
}

impl<S: Spread> LbPolicy for Petiole<S> {
    /// Endpoints that stay listed keep what they have ([LB-29]).
    fn on_endpoints(&mut self, now: Time, endpoints: Vec<Endpoint>, actions: &mut Vec<LbAction>) {
        let mut before = std::mem::replace(&mut self.children, Vec::with_capacity(endpoints.len()));
        for endpoint in endpoints {
            let mut child = self.child(endpoint.clone(), &mut before);
            // The order of its addresses may be another one now ([NAME-82]).
            if child.is_idle || child.endpoint.addresses() != endpoint.addresses() {
                child.endpoint = endpoint.clone();
                child.tell(&self.spread, now, actions, |policy, asked| policy.on_endpoints(now, vec![endpoint], asked));
            }
            self.children.push(child);
        }
        if self.children.is_empty() {
            // [LB-30]
            actions.push(LbAction::Reresolve);
        }
        // Before the others are dropped: no call is sent to one that is going.
        self.publish(now, actions);
        for mut gone in before {
            gone.policy.drop_all(actions);
        }
    }

    fn on_config(&mut self, _: Time, config: &BalancingConfig, _: f64, _: &mut Vec<LbAction>) -> bool {
        self.spread.on_config(config)
    }

    fn on_subchannel_state(&mut self, now: Time, id: SubchannelId, state: State, actions: &mut Vec<LbAction>) {
        let Some(child) = self.children.iter_mut().find(|child| child.policy.owns(id)) else { return };
        if child.tell(&self.spread, now, actions, |policy, asked| policy.on_subchannel_state(now, id, state, asked)) {
            self.publish(now, actions);
        }
    }

    fn on_health(&mut self, now: Time, id: SubchannelId, health: Health, actions: &mut Vec<LbAction>) {
        let Some(child) = self.children.iter_mut().find(|child| child.policy.owns(id)) else { return };
        if child.tell(&self.spread, now, actions, |policy, asked| policy.on_endpoint_health(id, health, asked)) {
            self.publish(now, actions);
        }
    }

    /// It connects whatever there is.
    fn on_connection_wanted(&mut self, _: Time, _: &mut Vec<LbAction>) {}

    /// It never is idle: the channel drops it instead.
    fn on_exit_idle(&mut self, _: Time, _: &mut Vec<LbAction>) {}

    fn on_time(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        let mut is_news = false;
        for child in self.children.iter_mut().filter(|child| child.policy.next_deadline().is_some_and(|at| at <= now)) {
            is_news |= child.tell(&self.spread, now, actions, |policy, asked| policy.on_time(now, asked));
        }
        if is_news {
            self.publish(now, actions);
        }
        self.spread.on_time(now);
    }

    fn goes_by_health(&self, _: SubchannelId) -> bool {
        true
    }

    fn next_deadline(&self) -> Option<Time> {
        let of_children = self.children.iter().map(|child| child.policy.next_deadline());
        earliest(of_children.chain([self.spread.next_deadline()]))
    }
}

#[cfg(test)]
mod tests;
