//! `pick_first`: one connection, to the first address that works (A61, A62, [CONN-60] to [CONN-69]).
//!
//! A pass dials the addresses in order, a new one each time the attempt delay runs out or an attempt fails; the first that is
//! usable wins and the others are dropped. Once every address has failed the policy stays in TRANSIENT_FAILURE until one works,
//! each address being dialed again as its own backoff ends. A lost connection means IDLE: the next call starts a new pass.

use std::collections::{BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use super::config::BalancingConfig;
use super::endpoint::Endpoint;
use super::shuffle::Shuffle;
use super::tally::Tally;
use super::{FixedPicker, Health, Lack, LbAction, LbPolicy, PickArgs, PickResult, SubchannelId, SubchannelIds};
use crate::address::Address;
use crate::state::State;
use crate::time::Time;

/// What a service config may say of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PickFirstConfig {
    /// Whether clients begin with an address of their own, so that not all of them choose the first (A62).
    pub(crate) shuffle_address_list: bool,
}

/// The policy.
#[derive(Debug)]
pub(crate) struct PickFirst {
    attempt_delay: Duration,
    /// `None` keeps the resolver's order.
    shuffle: Option<Shuffle>,
    /// What the resolver said last, in dialing order.
    addresses: Vec<Listed>,
    /// One per address of the running list; when an address is selected, only that one.
    subchannels: Vec<Entry>,
    phase: Phase,
    /// Set when a pass ends with nothing, cleared when an address works: in between the state stays TRANSIENT_FAILURE ([CONN-67]).
    is_failing: bool,
    /// Whether this pass dialed anything: one that only skipped addresses in backoff learned nothing that asks for new ones.
    has_dialed: bool,
    ids: SubchannelIds,
}

/// An address, and where calls on it are counted.
#[derive(Debug)]
struct Listed {
    address: Address,
    tally: Rc<Tally>,
}

#[derive(Debug)]
struct Entry {
    id: SubchannelId,
    address: Address,
    state: State,
    health: Health,
    failed_in_this_pass: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is wanted, or nothing is known yet.
    Idle,
    /// The first pass: `next` is the address whose turn is next, `timer` is armed while one more is to come.
    Pass { next: usize, timer: Option<Time> },
    /// Every address has failed; `failures` counts towards the next request to resolve again ([CONN-66]).
    Failing { failures: usize },
    /// Connected to this one.
    Selected(SubchannelId),
}

impl PickFirst {
    /// `attempt_delay` is clamped to what A61 allows ([CONN-60]).
    pub(crate) fn new(ids: SubchannelIds, attempt_delay: Duration) -> Self {
        let attempt_delay = attempt_delay.clamp(Duration::from_millis(100), Duration::from_secs(2));
        Self {
            attempt_delay,
            shuffle: None,
            addresses: Vec::new(),
            subchannels: Vec::new(),
            phase: Phase::Idle,
            is_failing: false,
            has_dialed: false,
            ids,
        }
    }

    /// Puts each list in an order of its own before anything else is done with it ([LB-13]).
    pub(crate) fn shuffled(self, shuffle: Shuffle) -> Self {
        Self { shuffle: Some(shuffle), ..self }
    }

    /// Whether the subchannel is one of this policy.
    pub(super) fn owns(&self, id: SubchannelId) -> bool {
        self.subchannels.iter().any(|entry| entry.id == id)
    }

    /// Lets go of everything; the policy is used no more.
    pub(super) fn drop_all(&mut self, actions: &mut Vec<LbAction>) {
        actions.extend(self.subchannels.drain(..).map(|entry| LbAction::Remove(entry.id)));
    }

    fn lists(&self, address: &Address) -> bool {
        self.addresses.iter().any(|listed| listed.address == *address)
    }

    fn entry(&mut self, id: SubchannelId) -> Option<&mut Entry> {
        self.subchannels.iter_mut().find(|entry| entry.id == id)
    }

    /// Replaces the subchannels by one for each address of the list; an address that had one keeps it, and its backoff.
    fn rebuild(&mut self, actions: &mut Vec<LbAction>) {
        let mut before = std::mem::replace(&mut self.subchannels, Vec::with_capacity(self.addresses.len()));
        for Listed { address, tally } in &self.addresses {
            let kept = before.iter().position(|entry| entry.address == *address).map(|at| before.swap_remove(at));
            let entry = kept.unwrap_or_else(|| {
                let id = self.ids.next();
                actions.push(LbAction::Create(id, address.clone(), Rc::clone(tally)));
                Entry {
                    id,
                    address: address.clone(),
                    state: State::Idle,
                    health: Health::Healthy,
                    failed_in_this_pass: false,
                }
            });
            self.subchannels.push(Entry { failed_in_this_pass: false, ..entry });
        }
        actions.extend(before.into_iter().map(|entry| LbAction::Remove(entry.id)));
    }

    fn start_pass(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        self.rebuild(actions);
        if !self.is_failing {
            actions.push(publish(State::Connecting, PickResult::Queue));
        }
        self.phase = Phase::Pass { next: 0, timer: None };
        self.has_dialed = false;
        self.take_turns(now, actions);
    }

    /// Lets addresses have their turn until one is being dialed or all have failed ([CONN-62], [CONN-63]).
    fn take_turns(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        while let Phase::Pass { next, .. } = self.phase {
            let count = self.subchannels.len();
            let Some(entry) = self.subchannels.get_mut(next) else {
                self.phase = Phase::Pass { next, timer: None };
                self.end_pass_if_all_failed(actions);
                return;
            };
            let id = entry.id;
            match entry.state {
                State::Ready => return self.select(id, actions),
                State::TransientFailure | State::Shutdown => {
                    entry.failed_in_this_pass = true;
                    self.phase = Phase::Pass { next: next + 1, timer: None };
                }
                State::Idle | State::Connecting => {
                    if entry.state == State::Idle {
                        entry.state = State::Connecting;
                        actions.push(LbAction::Connect(id));
                    }
                    self.has_dialed = true;
                    let timer = (next + 1 < count).then(|| now + self.attempt_delay);
                    self.phase = Phase::Pass { next: next + 1, timer };
                    return;
                }
            }
        }
    }

    /// [CONN-65]
    fn end_pass_if_all_failed(&mut self, actions: &mut Vec<LbAction>) {
        if !self.subchannels.iter().all(|entry| entry.failed_in_this_pass) {
            return;
        }
        if self.has_dialed {
            actions.push(LbAction::Reresolve);
        }
        self.fail(actions);
        // [CONN-66]: an address whose backoff is over already is asked for again at once.
        for entry in self.subchannels.iter_mut().filter(|entry| entry.state == State::Idle) {
            entry.state = State::Connecting;
            actions.push(LbAction::Connect(entry.id));
        }
    }

    fn fail(&mut self, actions: &mut Vec<LbAction>) {
        self.phase = Phase::Failing { failures: 0 };
        self.is_failing = true;
        actions.push(publish(State::TransientFailure, PickResult::Fail(Lack::Connection)));
    }

    /// [CONN-64]
    fn select(&mut self, id: SubchannelId, actions: &mut Vec<LbAction>) {
        self.phase = Phase::Selected(id);
        self.is_failing = false;
        let (selected, others) = std::mem::take(&mut self.subchannels).into_iter().partition(|entry| entry.id == id);
        self.subchannels = selected;
        // The others are gone for as long as this one lasts.
        self.subchannels.shrink_to_fit();
        actions.extend(Vec::into_iter(others).map(|entry: Entry| LbAction::Remove(entry.id)));
        self.publish_selected(id, actions);
    }

    fn publish_selected(&mut self, id: SubchannelId, actions: &mut Vec<LbAction>) {
        actions.push(match self.entry(id).map(|entry| entry.health) {
            Some(Health::Unhealthy) => publish(State::TransientFailure, PickResult::Fail(Lack::Health)),
            // [LB-121]
            Some(Health::Unknown) => publish(State::Connecting, PickResult::Queue),
            _ => publish(State::Ready, PickResult::Complete(id)),
        });
    }

    /// [LB-21]: for policies that have one of this for each endpoint.
    pub(super) fn on_endpoint_health(&mut self, id: SubchannelId, health: Health, actions: &mut Vec<LbAction>) {
        let Some(entry) = self.entry(id) else { return };
        if std::mem::replace(&mut entry.health, health) != health && self.phase == Phase::Selected(id) {
            self.publish_selected(id, actions);
        }
    }
}

impl LbPolicy for PickFirst {
    fn on_endpoints(&mut self, now: Time, mut endpoints: Vec<Endpoint>, actions: &mut Vec<LbAction>) {
        if let Some(shuffle) = &self.shuffle {
            shuffle.shuffle(&mut endpoints);
        }
        let was_waiting = self.addresses.is_empty();
        self.addresses = dialing_order(&endpoints);
        if self.addresses.is_empty() {
            // [LB-16]
            self.rebuild(actions);
            actions.push(LbAction::Reresolve);
            self.fail(actions);
            return;
        }
        match self.phase {
            Phase::Selected(id) => {
                let still_listed = self.entry(id).is_some_and(|entry| entry.state == State::Ready)
                    && self.subchannels.iter().any(|entry| entry.id == id && self.lists(&entry.address));
                if !still_listed {
                    // [LB-15]: drop the connection and wait for a call.
                    self.phase = Phase::Idle;
                    actions.extend(self.subchannels.drain(..).map(|entry| LbAction::Remove(entry.id)));
                    actions.push(publish(State::Idle, PickResult::Queue));
                }
            }
            // [LB-12]: an idle policy only remembers; the first list of all arrives because a call waits.
            Phase::Idle if !was_waiting => {}
            Phase::Idle | Phase::Pass { .. } | Phase::Failing { .. } => self.start_pass(now, actions),
        }
    }

    fn on_config(&mut self, _: Time, config: &BalancingConfig, unit: f64, _: &mut Vec<LbAction>) -> bool {
        let BalancingConfig::PickFirst(settings) = config else { return false };
        if settings.shuffle_address_list != self.shuffle.is_some() {
            self.shuffle = settings.shuffle_address_list.then(|| Shuffle::new(unit));
        }
        true
    }

    fn on_subchannel_state(&mut self, now: Time, id: SubchannelId, state: State, actions: &mut Vec<LbAction>) {
        let Some(entry) = self.entry(id) else { return };
        entry.state = state;
        if state == State::TransientFailure {
            entry.failed_in_this_pass = true;
        }
        match (&mut self.phase, state) {
            (Phase::Selected(_), State::Ready) => {}
            // [CONN-130]. One that leaves a wait behind, because its successor failed or it came to nothing, does so without a call waiting,
            // perhaps: then the next call starts the pass.
            (Phase::Selected(_), State::Connecting) => {
                actions.push(LbAction::Reresolve);
                self.start_pass(now, actions);
            }
            (Phase::Selected(_), _) => {
                // [CONN-69]
                self.phase = Phase::Idle;
                actions.push(LbAction::Reresolve);
                actions.push(publish(State::Idle, PickResult::Queue));
            }
            (_, State::Ready) => self.select(id, actions),
            (Phase::Pass { next, .. }, State::TransientFailure) => {
                let dialed_last = self.subchannels.get(next.wrapping_sub(1)).is_some_and(|entry| entry.id == id);
                if dialed_last || *next >= self.subchannels.len() {
                    self.take_turns(now, actions);
                }
            }
            (Phase::Failing { failures }, State::TransientFailure) => {
                *failures += 1;
                if *failures >= self.subchannels.len() {
                    *failures = 0;
                    actions.push(LbAction::Reresolve);
                }
                // The picker is published anew so that calls see the newest error.
                actions.push(publish(State::TransientFailure, PickResult::Fail(Lack::Connection)));
            }
            (Phase::Failing { .. }, State::Idle) => {
                if let Some(entry) = self.entry(id) {
                    entry.state = State::Connecting;
                }
                actions.push(LbAction::Connect(id));
            }
            (Phase::Idle | Phase::Pass { .. } | Phase::Failing { .. }, _) => {}
        }
    }

    /// [LB-21]: the only choice is not left out.
    fn on_health(&mut self, _: Time, _: SubchannelId, _: Health, _: &mut Vec<LbAction>) {}

    /// Its picks ask for nothing.
    fn on_connection_wanted(&mut self, _: Time, _: &mut Vec<LbAction>) {}

    fn goes_by_health(&self, _: SubchannelId) -> bool {
        false
    }

    fn on_exit_idle(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        if self.phase == Phase::Idle && !self.addresses.is_empty() {
            self.start_pass(now, actions);
        }
    }

    fn on_time(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        if self.next_deadline().is_some_and(|at| at <= now) {
            self.take_turns(now, actions);
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        match self.phase {
            Phase::Pass { timer, .. } => timer,
            Phase::Idle | Phase::Failing { .. } | Phase::Selected(_) => None,
        }
    }
}

/// Hands on what the policy of one endpoint asks for, but for what it publishes: that is told to its owner, as its state, its connected
/// subchannel and what it lacks.
pub(super) fn hand_on(
    asked: Vec<LbAction>,
    actions: &mut Vec<LbAction>,
    mut on_published: impl FnMut(State, Option<SubchannelId>, Lack),
) {
    for action in asked {
        let LbAction::Publish(state, picker) = action else {
            actions.push(action);
            continue;
        };
        match picker.pick(&PickArgs::of_no_call()) {
            PickResult::Complete(id) => on_published(state, Some(id), Lack::Connection),
            PickResult::Queue => on_published(state, None, Lack::Connection),
            PickResult::Fail(lack) => on_published(state, None, lack),
        }
    }
}

fn publish(state: State, pick: PickResult) -> LbAction {
    LbAction::Publish(state, Rc::new(FixedPicker(pick)))
}

/// Each address once ([LB-18]), the families taking turns, the family of the first address first ([CONN-61]).
fn dialing_order(endpoints: &[Endpoint]) -> Vec<Listed> {
    let mut seen = BTreeSet::new();
    let all = endpoints.iter().flat_map(|endpoint| {
        endpoint
            .addresses()
            .iter()
            .map(|address| Listed { address: address.clone(), tally: Rc::clone(endpoint.tally()) })
    });
    let distinct: Vec<Listed> = all.filter(|listed| seen.insert(listed.address.clone())).collect();
    let Some(first_family) = distinct.first().map(|listed| listed.address.family()) else {
        return distinct;
    };
    let (mut first, mut other): (VecDeque<_>, VecDeque<_>) =
        distinct.into_iter().partition(|listed| listed.address.family() == first_family);
    let mut ordered = Vec::with_capacity(first.len() + other.len());
    while !first.is_empty() || !other.is_empty() {
        ordered.extend(first.pop_front());
        ordered.extend(other.pop_front());
    }
    ordered
}

#[cfg(test)]
mod tests;
