//! Circuit breaking: an endpoint whose calls fail gets none for a while, then a few that probe it, then all again or none.
//!
//! It stands around the channel's policy. Each endpoint's tally holds its breaker, which calls feed as they end; here is what follows from
//! that: the policy inside is told that an endpoint with an open breaker is not healthy, and calls that may probe it are sent there before
//! the policy is asked. An endpoint stays connected whatever its breaker does.

mod circuit;
mod window;

use std::rc::Rc;

use circuit::Position;
pub(crate) use circuit::{BreakerOptions, Circuit, Standing, Verdict};

use super::config::BalancingConfig;
use super::endpoint::Endpoint;
use super::tally::Tally;
use super::{FixedPicker, Health, Lack, LbAction, LbPolicy, PickArgs, PickResult, Picker, SubchannelId};
use crate::state::State;
use crate::time::{Time, earliest};

/// The policy.
#[derive(Debug)]
pub(crate) struct CircuitBreaking {
    options: Rc<BreakerOptions>,
    child: Box<dyn LbPolicy>,
    guarded: Vec<Guarded>,
    /// What the child published last.
    published: (State, Rc<dyn Picker>),
}

/// A breaker has turned; to be told to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BreakerTurned {
    pub(crate) address: String,
    /// What happened, and why.
    pub(crate) words: String,
    /// Whether calls go there no more.
    pub(crate) has_opened: bool,
}

/// A breaker that is not closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenBreaker {
    pub(crate) address: String,
    pub(crate) since: Time,
    pub(crate) why: String,
    /// When it lets a call through to probe; `None` when it does, as far as none does it already.
    pub(crate) probe_at: Option<Time>,
}

/// An endpoint behind its breaker.
#[derive(Debug)]
struct Guarded {
    endpoint: Endpoint,
    /// What was seen of the breaker last.
    changes: u32,
    kind: Kind,
    subchannels: Vec<Member>,
}

/// Where a call that may probe goes.
#[derive(Debug)]
struct Probed {
    id: SubchannelId,
    tally: Rc<Tally>,
}

#[derive(Debug)]
struct Member {
    id: SubchannelId,
    is_ready: bool,
    /// As others than the breaker have it.
    health: Health,
}

/// Where a breaker stands, without the details.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Closed,
    Open,
    HalfOpen,
}

impl CircuitBreaking {
    pub(crate) fn new(options: BreakerOptions, child: Box<dyn LbPolicy>) -> Self {
        let published: (_, Rc<dyn Picker>) = (State::Idle, Rc::new(FixedPicker(PickResult::Queue)));
        Self { options: Rc::new(options), child, guarded: Vec::new(), published }
    }

    /// Tells the child something, watches what it makes of its endpoints, and shows what it publishes in our own way.
    fn tell(
        &mut self,
        now: Time,
        actions: &mut Vec<LbAction>,
        event: impl FnOnce(&mut dyn LbPolicy, &mut Vec<LbAction>),
    ) {
        let mut asked = Vec::new();
        event(&mut *self.child, &mut asked);
        let mut left_out = Vec::new();
        for action in &asked {
            match action {
                LbAction::Create(id, _, tally) => {
                    let of = |guarded: &&mut Guarded| Rc::ptr_eq(guarded.endpoint.tally(), tally);
                    if let Some(guarded) = self.guarded.iter_mut().find(of) {
                        guarded.subchannels.push(Member { id: *id, is_ready: false, health: Health::Healthy });
                        left_out.extend((guarded.kind != Kind::Closed).then_some(*id));
                    }
                }
                LbAction::Remove(id) => {
                    self.guarded.iter_mut().for_each(|guarded| guarded.subchannels.retain(|known| known.id != *id));
                }
                LbAction::Connect(_) | LbAction::Reresolve | LbAction::Publish(..) | LbAction::Breaker(_) => {}
            }
        }
        // Known before it can become READY.
        for id in left_out {
            self.child.on_health(now, id, Health::Unhealthy, &mut asked);
        }
        for action in asked {
            match action {
                LbAction::Publish(state, picker) => {
                    self.published = (state, picker);
                    actions.push(self.shown());
                }
                action => actions.push(action),
            }
        }
    }

    /// What the child published, behind the calls that may probe, unless no endpoint that is connected has a closed breaker: then calls fail.
    fn shown(&self) -> LbAction {
        let (state, picker) = &self.published;
        let connected = || self.guarded.iter().filter(|guarded| guarded.ready().is_some());
        let is_any_closed = connected().any(|guarded| guarded.kind == Kind::Closed);
        let (state, picker): (_, Rc<dyn Picker>) = match connected().next() {
            Some(_) if !is_any_closed => {
                let state = if *state == State::Ready { State::TransientFailure } else { *state };
                (state, Rc::new(BrokenPicker(Rc::clone(picker))))
            }
            _ => (*state, Rc::clone(picker)),
        };
        let probed = connected().filter(|guarded| guarded.kind == Kind::HalfOpen);
        let probed: Box<[Probed]> = probed.filter_map(Guarded::as_probed).collect();
        if probed.is_empty() {
            return LbAction::Publish(state, picker);
        }
        LbAction::Publish(state, Rc::new(ProbingPicker { probed, others: picker }))
    }

    /// Looks at every breaker, and does what follows where one has turned.
    fn look(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        let mut told = Vec::new();
        let mut is_news = false;
        for guarded in &mut self.guarded {
            let Some(circuit) = guarded.endpoint.tally().circuit() else { continue };
            circuit.borrow_mut().on_time(now);
            let circuit = circuit.borrow();
            if std::mem::replace(&mut guarded.changes, circuit.changes()) == circuit.changes() {
                continue;
            }
            is_news = true;
            let before = std::mem::replace(&mut guarded.kind, Kind::of(&circuit));
            if let Some(words) = turning_words(before, circuit.position()) {
                let (address, has_opened) = (guarded.address(), guarded.kind == Kind::Open);
                actions.push(LbAction::Breaker(BreakerTurned { address, words, has_opened }));
            }
            if (before == Kind::Closed) != (guarded.kind == Kind::Closed) {
                told.extend(guarded.subchannels.iter().map(|member| match guarded.kind {
                    Kind::Closed => (member.id, member.health),
                    Kind::Open | Kind::HalfOpen => (member.id, Health::Unhealthy),
                }));
            }
        }
        for (id, health) in told {
            self.tell(now, actions, |child, actions| child.on_health(now, id, health, actions));
        }
        if is_news {
            actions.push(self.shown());
        }
    }
}

/// What is told when a breaker that stood there stands here now; nothing when it stands where it stood.
fn turning_words(before: Kind, position: &Position) -> Option<String> {
    match (before, position) {
        (Kind::Closed, Position::Closed) | (Kind::HalfOpen, Position::HalfOpen { .. }) => None,
        (_, Position::Closed) => Some("the circuit breaker has closed: its probes succeeded".to_owned()),
        (_, Position::Open { why, .. }) => Some(format!("the circuit breaker has opened: {why}")),
        (_, Position::HalfOpen { .. }) => Some("the circuit breaker is half-open: calls probe".to_owned()),
    }
}

impl Guarded {
    fn new(endpoint: Endpoint, options: &Rc<BreakerOptions>) -> Self {
        let circuit = endpoint.tally().guard(|| Circuit::new(Rc::clone(options))).borrow();
        let (changes, kind) = (circuit.changes(), Kind::of(&circuit));
        drop(circuit);
        Self { endpoint, changes, kind, subchannels: Vec::new() }
    }

    /// Its connected subchannel.
    fn ready(&self) -> Option<SubchannelId> {
        self.subchannels.iter().find(|member| member.is_ready).map(|member| member.id)
    }

    /// Its connected subchannel, where calls may use it but for the breaker.
    fn as_probed(&self) -> Option<Probed> {
        let would_do = |member: &&Member| member.is_ready && member.health == Health::Healthy;
        let id = self.subchannels.iter().find(would_do)?.id;
        Some(Probed { id, tally: Rc::clone(self.endpoint.tally()) })
    }

    fn address(&self) -> String {
        let addresses: Vec<String> = self.endpoint.addresses().iter().map(ToString::to_string).collect();
        addresses.join(", ")
    }

    fn as_open(&self) -> Option<OpenBreaker> {
        let circuit = self.endpoint.tally().circuit()?.borrow();
        let (since, why, probe_at) = match circuit.position() {
            Position::Closed => return None,
            Position::Open { since, until, why } => (*since, why.clone(), Some(*until)),
            Position::HalfOpen { since, why, .. } => (*since, why.clone(), None),
        };
        Some(OpenBreaker { address: self.address(), since, why, probe_at })
    }
}

impl Kind {
    fn of(circuit: &Circuit) -> Self {
        match circuit.position() {
            Position::Closed => Self::Closed,
            Position::Open { .. } => Self::Open,
            Position::HalfOpen { .. } => Self::HalfOpen,
        }
    }
}

impl LbPolicy for CircuitBreaking {
    fn on_endpoints(&mut self, now: Time, endpoints: Vec<Endpoint>, actions: &mut Vec<LbAction>) {
        let mut before = std::mem::take(&mut self.guarded);
        // An endpoint that stays listed has the tally it had, and with it its breaker.
        self.guarded = Vec::with_capacity(endpoints.len());
        for endpoint in &endpoints {
            let is_it = |known: &Guarded| Rc::ptr_eq(known.endpoint.tally(), endpoint.tally());
            let known = before.iter().position(is_it).map(|at| before.swap_remove(at));
            let guarded = known.unwrap_or_else(|| Guarded::new(endpoint.clone(), &self.options));
            self.guarded.push(Guarded { endpoint: endpoint.clone(), ..guarded });
        }
        self.tell(now, actions, |child, actions| child.on_endpoints(now, endpoints, actions));
    }

    fn on_config(&mut self, now: Time, config: &BalancingConfig, unit: f64, actions: &mut Vec<LbAction>) -> bool {
        let mut has_taken = false;
        self.tell(now, actions, |child, actions| has_taken = child.on_config(now, config, unit, actions));
        has_taken
    }

    fn on_subchannel_state(&mut self, now: Time, id: SubchannelId, state: State, actions: &mut Vec<LbAction>) {
        let is_ready = state == State::Ready;
        let mut is_news = false;
        for guarded in &mut self.guarded {
            if let Some(member) = guarded.subchannels.iter_mut().find(|member| member.id == id) {
                is_news = std::mem::replace(&mut member.is_ready, is_ready) != is_ready && guarded.kind != Kind::Closed;
            }
        }
        self.tell(now, actions, |child, actions| child.on_subchannel_state(now, id, state, actions));
        if is_news {
            // The child counts it as failed, and may have nothing new to show.
            actions.push(self.shown());
        }
    }

    fn on_health(&mut self, now: Time, id: SubchannelId, health: Health, actions: &mut Vec<LbAction>) {
        let mut is_closed = true;
        for guarded in &mut self.guarded {
            if let Some(member) = guarded.subchannels.iter_mut().find(|member| member.id == id) {
                member.health = health;
                is_closed = guarded.kind == Kind::Closed;
            }
        }
        if is_closed {
            self.tell(now, actions, |child, actions| child.on_health(now, id, health, actions));
        } else {
            actions.push(self.shown());
        }
    }

    fn on_exit_idle(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        self.tell(now, actions, |child, actions| child.on_exit_idle(now, actions));
    }

    fn on_connection_wanted(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        self.tell(now, actions, |child, actions| child.on_connection_wanted(now, actions));
    }

    fn on_time(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        self.look(now, actions);
        self.tell(now, actions, |child, actions| child.on_time(now, actions));
    }

    fn next_deadline(&self) -> Option<Time> {
        let of_breaker = |guarded: &Guarded| guarded.endpoint.tally().circuit()?.borrow().next_deadline();
        earliest(self.guarded.iter().map(of_breaker).chain([self.child.next_deadline()]))
    }

    fn goes_by_health(&self, id: SubchannelId) -> bool {
        self.child.goes_by_health(id)
    }

    fn open_breakers(&self) -> Vec<OpenBreaker> {
        self.guarded.iter().filter_map(Guarded::as_open).collect()
    }
}

/// The child's, while every endpoint that is connected has an open breaker: there it sends nobody. It may know of others, and is asked for them.
#[derive(Debug)]
struct BrokenPicker(Rc<dyn Picker>);

impl Picker for BrokenPicker {
    fn pick(&self, call: &PickArgs<'_>) -> PickResult {
        match self.0.pick(call) {
            PickResult::Complete(_) | PickResult::Fail(Lack::Health) => PickResult::Fail(Lack::Breaker),
            other => other,
        }
    }
}

/// Sends a call that may probe an endpoint there, and leaves the others to another picker.
#[derive(Debug)]
struct ProbingPicker {
    probed: Box<[Probed]>,
    others: Rc<dyn Picker>,
}

impl Picker for ProbingPicker {
    /// A call that asks again is sent where all is well, if there is such a place: a probe that cannot start now can be another call.
    fn pick(&self, call: &PickArgs<'_>) -> PickResult {
        let may_probe = |endpoint: &&Probed| endpoint.tally.admits() && call.would_go_to(endpoint.id);
        let probe = || self.probed.iter().find(may_probe).map(|endpoint| PickResult::Complete(endpoint.id));
        if call.would_go_to.is_none() {
            return probe().unwrap_or_else(|| self.others.pick(call));
        }
        match self.others.pick(call) {
            PickResult::Complete(id) if call.would_go_to(id) => PickResult::Complete(id),
            other => probe().unwrap_or(other),
        }
    }
}

#[cfg(test)]
mod tests;
