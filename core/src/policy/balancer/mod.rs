//! The contract of a load-balancing policy: events in, actions and a picker out.
//!
//! A policy cannot reach the channel. It *asks* for what it wants by pushing an [`LbAction`], and the control task carries the
//! actions out in order before it tells the policy anything new.

pub(crate) mod breaker;
pub(crate) mod config;
pub(crate) mod endpoint;
pub(crate) mod graceful_switch;
mod ids;
pub(crate) mod least_request;
pub(crate) mod outlier_detection;
mod petiole;
pub(crate) mod pick_first;
pub(crate) mod random_subsetting;
pub(crate) mod ring_hash;
pub(crate) mod round_robin;
pub(crate) mod shuffle;
pub(crate) mod tally;
pub(crate) mod weighted_round_robin;

use std::fmt::Debug;
use std::rc::Rc;

use breaker::{BreakerTurned, OpenBreaker};
use config::BalancingConfig;
use endpoint::Endpoint;
pub(crate) use ids::{SubchannelId, SubchannelIds};
use tally::Tally;

use crate::address::Address;
use crate::metadata::Metadata;
use crate::state::State;
use crate::time::Time;

/// What a policy asks the control task to do.
#[derive(Debug)]
pub(crate) enum LbAction {
    /// Make a subchannel for this address, in IDLE; calls on it are counted there.
    Create(SubchannelId, Address, Rc<Tally>),
    /// Drop this subchannel: stop its dial, let its connection finish its streams and close.
    Remove(SubchannelId),
    /// Connect this subchannel, if it is IDLE.
    Connect(SubchannelId),
    /// Ask the resolver again when its rate limit allows.
    Reresolve,
    /// Show this state and picker, together ([LB-9]).
    Publish(State, Rc<dyn Picker>),
    /// Tell people that an endpoint's circuit breaker has turned; what is published next happens because of it.
    Breaker(BreakerTurned),
}

/// Whether calls may use what is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Healthy,
    /// It is not known yet: calls wait.
    Unknown,
    /// It counts as failed, and stays connected.
    Unhealthy,
}

/// A balancing policy of one channel. Every method may push actions.
pub(crate) trait LbPolicy: Debug {
    /// The resolver listed these endpoints, in its order, each once.
    fn on_endpoints(&mut self, now: Time, endpoints: Vec<Endpoint>, actions: &mut Vec<LbAction>);
    /// The policy is to go on with these settings; endpoints are listed right after. `false` when it cannot, because they are another policy's or
    /// because it does not change them while it runs: nothing has changed then. `unit` is a random fraction.
    fn on_config(&mut self, _now: Time, _config: &BalancingConfig, _unit: f64, _actions: &mut Vec<LbAction>) -> bool {
        false
    }
    /// A subchannel changed its state.
    fn on_subchannel_state(&mut self, now: Time, id: SubchannelId, state: State, actions: &mut Vec<LbAction>);
    /// Whether calls may use a subchannel's connection changed ([LB-21]). At first they may.
    fn on_health(&mut self, now: Time, id: SubchannelId, health: Health, actions: &mut Vec<LbAction>);
    /// Picks asked for connections ([LB-8]).
    fn on_connection_wanted(&mut self, now: Time, actions: &mut Vec<LbAction>);
    /// A call waits, or the user asked to connect, and the policy had gone IDLE.
    fn on_exit_idle(&mut self, now: Time, actions: &mut Vec<LbAction>);
    /// The time given by [`LbPolicy::next_deadline`] came.
    fn on_time(&mut self, now: Time, actions: &mut Vec<LbAction>);
    /// When the policy wants to be asked again.
    fn next_deadline(&self) -> Option<Time>;
    /// Whether it goes by what the subchannel's server says of its health ([LB-120]).
    fn goes_by_health(&self, id: SubchannelId) -> bool;
    /// The circuit breakers that are not closed, to be told to calls that fail.
    fn open_breakers(&self) -> Vec<OpenBreaker> {
        Vec::new()
    }
}

/// Answers one question, for one call, without waiting: where to?
pub(crate) trait Picker: Debug {
    fn pick(&self, call: &PickArgs<'_>) -> PickResult;
}

/// What a pick may depend on.
pub(crate) struct PickArgs<'a> {
    /// A random fraction, another one each time.
    pub(crate) random_unit: &'a dyn Fn() -> f64,
    /// What the call's caller sends with it.
    pub(crate) metadata: &'a Metadata,
    /// Tells the control task that picks asked for connections. A pick that asks leaves its wish where its policy finds it, so that many
    /// calls with the same wish are one.
    pub(crate) connection_wanted: &'a dyn Fn(),
    /// Where the call would go, when it asks again because the first answer did not do: a picker that has a choice looks at every endpoint
    /// once before it names another one. `None` the first time.
    pub(crate) would_go_to: Option<&'a dyn Fn(SubchannelId) -> bool>,
}

impl PickArgs<'_> {
    fn would_go_to(&self, id: SubchannelId) -> bool {
        self.would_go_to.is_none_or(|would| would(id))
    }
}

impl PickArgs<'static> {
    /// For no call, to learn what a picker answers that answers all calls alike.
    pub(crate) const fn of_no_call() -> Self {
        const NOTHING: &Metadata = &Metadata::new();
        Self { random_unit: &|| 0.0, metadata: NOTHING, connection_wanted: &|| (), would_go_to: None }
    }
}

/// The answer of a pick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PickResult {
    /// Use this subchannel's connection; if it has gone meanwhile, wait for a newer picker ([CONN-25]).
    Complete(SubchannelId),
    /// Wait for a newer picker.
    Queue,
    /// No way now: a call that does not wait for ready fails.
    Fail(Lack),
}

/// What is missing where a pick fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    /// No address could be connected.
    Connection,
    /// What is connected is not healthy.
    Health,
    /// None of the endpoints on the ring could be connected.
    RingMember,
    /// The call's place on the ring: no header is named that says it.
    RequestHash,
    /// The circuit breakers of all that is connected are open.
    Breaker,
}

/// A picker whose answer never changes.
#[derive(Debug)]
pub(crate) struct FixedPicker(pub(crate) PickResult);

impl Picker for FixedPicker {
    fn pick(&self, _: &PickArgs<'_>) -> PickResult {
        self.0
    }
}

/// An action as the policies' tests write it down.
#[cfg(test)]
fn word(action: &LbAction) -> String {
    match action {
        LbAction::Create(id, address, _) => format!("create {} {address}", id.number()),
        LbAction::Remove(id) => format!("remove {}", id.number()),
        LbAction::Connect(id) => format!("connect {}", id.number()),
        LbAction::Reresolve => "re-resolve".into(),
        LbAction::Publish(state, picker) => match picker.pick(&PickArgs::of_no_call()) {
            PickResult::Complete(id) => format!("{state} pick {}", id.number()),
            PickResult::Queue => format!("{state} queue"),
            PickResult::Fail(Lack::Connection) => format!("{state} fail"),
            PickResult::Fail(Lack::Health) => format!("{state} unhealthy"),
            PickResult::Fail(Lack::RingMember) => format!("{state} no ring member"),
            PickResult::Fail(Lack::RequestHash) => format!("{state} no request hash"),
            PickResult::Fail(Lack::Breaker) => format!("{state} broken"),
        },
        LbAction::Breaker(turned) => format!("{}: {}", turned.address, turned.words),
    }
}
