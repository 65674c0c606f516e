//! `ring_hash`: calls with the same value of a header go to the same endpoint, whoever makes them (A42, A61, A76, A117, [LB-60] to [LB-69]).
//!
//! Endpoints have their places on a ring, and calls too; a call goes to the endpoint whose place comes next. Only what calls are for is
//! connected. When an endpoint comes or goes, most calls for the others stay where they are.

mod child;
mod picker;
mod ring;

use std::rc::Rc;
use std::time::Duration;

use child::Child;
use picker::{RingPicker, Seen};
pub(crate) use ring::RingSizes;
use ring::{Member, Ring};

use super::config::BalancingConfig;
use super::endpoint::Endpoint;
use super::pick_first::PickFirst;
use super::{FixedPicker, Health, Lack, LbAction, LbPolicy, PickResult, Picker, SubchannelId, SubchannelIds};
use crate::random::Random;
use crate::state::State;
use crate::time::{Time, earliest};

/// The settings of the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RingHashConfig {
    pub(crate) sizes: RingSizes,
    /// The header whose value says where a call goes; without it calls fail ([LB-63]).
    pub(crate) request_hash_header: Option<String>,
}

impl Default for RingHashConfig {
    fn default() -> Self {
        Self { sizes: RingSizes { min: 1_024, max: 4_096 }, request_hash_header: None }
    }
}

/// The policy.
#[derive(Debug)]
pub(crate) struct RingHash {
    sizes: RingSizes,
    size_cap: u32,
    header: Option<Rc<str>>,
    /// `None` until endpoints are listed, and while it is to be made anew.
    ring: Option<Rc<Ring>>,
    /// In the order of the ring's members.
    children: Vec<Child>,
    attempt_delay: Duration,
    ids: SubchannelIds,
    random: Random,
}

impl RingHash {
    /// No ring has more than `size_cap` places, about, whatever the config says.
    pub(crate) fn new(
        config: &RingHashConfig,
        size_cap: u32,
        ids: SubchannelIds,
        attempt_delay: Duration,
        random: Random,
    ) -> Self {
        Self {
            sizes: config.sizes.capped(size_cap),
            size_cap,
            header: config.request_hash_header.as_deref().map(Rc::from),
            ring: None,
            children: Vec::new(),
            attempt_delay,
            ids,
            random,
        }
    }

    fn state(&self) -> State {
        aggregated(self.children.iter().map(Child::state))
    }

    /// Connects those of the endpoints that are IDLE and wanted.
    fn connect(&mut self, now: Time, actions: &mut Vec<LbAction>, is_wanted: impl Fn(&Child) -> bool) {
        for child in self.children.iter_mut().filter(|child| is_wanted(child)) {
            child.connect(now, actions, || PickFirst::new(self.ids.clone(), self.attempt_delay));
        }
    }

    /// Connects an endpoint that is IDLE. Any of them: which one first must differ between clients (A117).
    fn connect_one(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        let idle = self.children.iter().filter(|child| child.state() == State::Idle);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a fraction of a number of endpoints"
        )]
        let drawn = (self.random.unit() * idle.clone().count() as f64) as usize;
        let Some(endpoint) = idle.map(Child::endpoint).nth(drawn).cloned() else { return };
        self.connect(now, actions, |child| child.endpoint().is(&endpoint));
    }

    /// What follows of any change: [LB-68], and a new picker.
    fn publish(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        let is_tried = self.children.iter().any(|child| child.state() == State::Connecting);
        if matches!(self.state(), State::Connecting | State::TransientFailure) && !is_tried {
            self.connect_one(now, actions);
        }
        let picker: Rc<dyn Picker> = match &self.ring {
            Some(ring) if !self.children.is_empty() => {
                let seen: Box<[Seen]> = self.children.iter().map(Child::seen).collect();
                Rc::new(RingPicker::new(Rc::clone(ring), seen, self.header.clone()))
            }
            _ => Rc::new(FixedPicker(PickResult::Fail(Lack::Connection))),
        };
        actions.push(LbAction::Publish(self.state(), picker));
    }
}

impl LbPolicy for RingHash {
    fn on_endpoints(&mut self, now: Time, endpoints: Vec<Endpoint>, actions: &mut Vec<LbAction>) {
        let mut before = std::mem::replace(&mut self.children, Vec::with_capacity(endpoints.len()));
        let had_same_keys = before.iter().map(|child| key(child.endpoint())).eq(endpoints.iter().map(key));
        for endpoint in endpoints {
            let known = before.iter().position(|child| child.endpoint().is(&endpoint));
            let mut child = known.map_or_else(|| Child::new(endpoint.clone()), |at| before.swap_remove(at));
            child.on_listed(now, endpoint, actions);
            self.children.push(child);
        }
        if !had_same_keys || self.ring.is_none() {
            let member = |child: &Child| Member { key: key(child.endpoint()), weight: 1 };
            let members: Vec<Member> = self.children.iter().map(member).collect();
            self.ring = Some(Rc::new(Ring::new(&members, self.sizes)));
        }
        if self.children.is_empty() {
            actions.push(LbAction::Reresolve);
        }
        // Before the others are dropped: no call is sent to one that is going.
        self.publish(now, actions);
        before.into_iter().for_each(|gone| gone.drop_all(actions));
    }

    fn on_config(&mut self, _: Time, config: &BalancingConfig, _: f64, _: &mut Vec<LbAction>) -> bool {
        let BalancingConfig::RingHash(config) = config else { return false };
        self.header = config.request_hash_header.as_deref().map(Rc::from);
        self.sizes = config.sizes.capped(self.size_cap);
        self.ring = None;
        true
    }

    fn on_subchannel_state(&mut self, now: Time, id: SubchannelId, state: State, actions: &mut Vec<LbAction>) {
        let Some(child) = self.children.iter_mut().find(|child| child.owns(id)) else { return };
        if child.on_subchannel_state(now, id, state, actions) {
            self.publish(now, actions);
        }
    }

    fn on_health(&mut self, now: Time, id: SubchannelId, health: Health, actions: &mut Vec<LbAction>) {
        let Some(child) = self.children.iter_mut().find(|child| child.owns(id)) else { return };
        if child.on_health(id, health, actions) {
            self.publish(now, actions);
        }
    }

    fn goes_by_health(&self, _: SubchannelId) -> bool {
        true
    }

    fn on_connection_wanted(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        let so_far = actions.len();
        self.connect(now, actions, Child::take_wish);
        // Those that were asked for may have left IDLE before.
        if actions.len() > so_far {
            self.publish(now, actions);
        }
    }

    /// No call says which one: A117.
    fn on_exit_idle(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        if self.state() == State::Idle {
            self.connect_one(now, actions);
            self.publish(now, actions);
        }
    }

    fn on_time(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        let mut is_news = false;
        for child in self.children.iter_mut().filter(|child| child.next_deadline().is_some_and(|at| at <= now)) {
            is_news |= child.on_time(now, actions);
        }
        if is_news {
            self.publish(now, actions);
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        earliest(self.children.iter().map(Child::next_deadline))
    }
}

/// What an endpoint's places on the ring follow from: its first address ([LB-61]).
fn key(endpoint: &Endpoint) -> String {
    endpoint.addresses().first().map(ToString::to_string).unwrap_or_default()
}

/// [LB-67]
fn aggregated(states: impl Iterator<Item = State>) -> State {
    let (mut ready, mut connecting, mut idle, mut failed) = (0_usize, 0_usize, 0_usize, 0_usize);
    for state in states {
        *match state {
            State::Ready => &mut ready,
            State::Connecting => &mut connecting,
            State::Idle => &mut idle,
            State::TransientFailure | State::Shutdown => &mut failed,
        } += 1;
    }
    if ready > 0 {
        State::Ready
    } else if failed > 1 {
        State::TransientFailure
    } else if connecting > 0 || (failed == 1 && idle > 0) {
        State::Connecting
    } else if idle > 0 {
        State::Idle
    } else {
        State::TransientFailure
    }
}

#[cfg(test)]
mod tests;
