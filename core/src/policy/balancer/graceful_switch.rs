//! The policy that runs, and the one that is to follow it: calls lose nothing when a config names another one ([LB-5]).
//!
//! Settings of the same policy are given to it where it takes them. For any other the new policy is made beside the old one and connects while the
//! old one serves. It takes over when it has left CONNECTING, for better or worse, or as soon as the old one is not READY.

use std::rc::Rc;
use std::sync::Arc;

use super::breaker::OpenBreaker;
use super::config::BalancingConfig;
use super::endpoint::Endpoint;
use super::{FixedPicker, Health, LbAction, LbPolicy, PickResult, SubchannelId};
use crate::state::State;
use crate::time::{Time, earliest};

/// The policy, or both.
#[derive(Debug)]
pub(crate) struct GracefulSwitch {
    /// What was asked for last.
    config: Arc<BalancingConfig>,
    current: Running,
    /// There only while the current one is READY.
    pending: Option<Box<Pending>>,
}

/// A policy and what it has.
#[derive(Debug)]
struct Running {
    policy: Box<dyn LbPolicy>,
    subchannels: Vec<SubchannelId>,
    /// What it published last.
    state: State,
}

#[derive(Debug)]
struct Pending {
    running: Running,
    /// What it published last; shown when it takes over.
    held_back: LbAction,
}

impl GracefulSwitch {
    /// `policy` is one with these settings.
    pub(crate) fn new(config: Arc<BalancingConfig>, policy: Box<dyn LbPolicy>) -> Self {
        Self { config, current: Running::new(policy), pending: None }
    }

    /// What was asked for last.
    pub(crate) fn config(&self) -> &BalancingConfig {
        &self.config
    }

    /// This policy is wanted from now on, with these settings. Endpoints must be listed right after. `unit` is a random fraction.
    pub(crate) fn switch_to(
        &mut self,
        now: Time,
        config: &Arc<BalancingConfig>,
        unit: f64,
        make: impl FnOnce(&BalancingConfig) -> Box<dyn LbPolicy>,
        actions: &mut Vec<LbAction>,
    ) {
        if *config == self.config {
            return;
        }
        self.config = Arc::clone(config);
        let mut has_taken = false;
        self.tell_newest(actions, |policy, actions| has_taken = policy.on_config(now, config, unit, actions));
        if has_taken {
            return;
        }
        let new = Running::new(make(config));
        if self.current.state == State::Ready {
            let connecting = LbAction::Publish(State::Connecting, Rc::new(FixedPicker(PickResult::Queue)));
            let before = self.pending.replace(Box::new(Pending { running: new, held_back: connecting }));
            actions.extend(before.into_iter().flat_map(|pending| pending.running.removed()));
        } else {
            let before = std::mem::replace(&mut self.current, new);
            actions.extend(before.removed());
        }
    }

    /// Tells the policy that is to stay something.
    fn tell_newest(&mut self, actions: &mut Vec<LbAction>, event: impl FnOnce(&mut dyn LbPolicy, &mut Vec<LbAction>)) {
        if self.pending.is_some() { self.tell_pending(actions, event) } else { self.current.tell(actions, event) }
    }

    /// The old one asks for no other addresses any more, and what it shows counts while it is READY.
    fn tell_current(&mut self, actions: &mut Vec<LbAction>, event: impl FnOnce(&mut dyn LbPolicy, &mut Vec<LbAction>)) {
        let first_new = actions.len();
        self.current.tell(actions, event);
        if self.pending.is_none() {
            return;
        }
        let is_ready = self.current.state == State::Ready;
        let new = actions.split_off(first_new);
        actions.extend(new.into_iter().filter(|action| match action {
            LbAction::Publish(..) => is_ready,
            LbAction::Reresolve => false,
            LbAction::Create(..) | LbAction::Remove(_) | LbAction::Connect(_) | LbAction::Breaker(_) => true,
        }));
        if !is_ready {
            self.swap(actions);
        }
    }

    fn tell_pending(&mut self, actions: &mut Vec<LbAction>, event: impl FnOnce(&mut dyn LbPolicy, &mut Vec<LbAction>)) {
        let Some(pending) = &mut self.pending else { return };
        let mut asked = Vec::new();
        pending.running.tell(&mut asked, event);
        for action in asked {
            match action {
                LbAction::Publish(..) => pending.held_back = action,
                // Both see the same breakers; the current one tells what became of them.
                LbAction::Breaker(_) => {}
                action => actions.push(action),
            }
        }
        if pending.running.state != State::Connecting {
            self.swap(actions);
        }
    }

    fn swap(&mut self, actions: &mut Vec<LbAction>) {
        let Some(pending) = self.pending.take() else { return };
        let Pending { running, held_back } = *pending;
        let before = std::mem::replace(&mut self.current, running);
        // Before the others are dropped: no call is sent to one that is going.
        actions.push(held_back);
        actions.extend(before.removed());
    }

    /// Tells the policy that has this subchannel something.
    fn tell_owner(
        &mut self,
        id: SubchannelId,
        actions: &mut Vec<LbAction>,
        event: impl FnOnce(&mut dyn LbPolicy, &mut Vec<LbAction>),
    ) {
        if self.current.subchannels.contains(&id) {
            self.tell_current(actions, event);
        } else if self.pending.as_ref().is_some_and(|pending| pending.running.subchannels.contains(&id)) {
            self.tell_pending(actions, event);
        }
    }
}

impl Running {
    fn new(policy: Box<dyn LbPolicy>) -> Self {
        Self { policy, subchannels: Vec::new(), state: State::Connecting }
    }

    fn tell(&mut self, actions: &mut Vec<LbAction>, event: impl FnOnce(&mut dyn LbPolicy, &mut Vec<LbAction>)) {
        let first_new = actions.len();
        event(&mut *self.policy, actions);
        for action in &actions[first_new..] {
            match action {
                LbAction::Create(id, ..) => {
                    if self.subchannels.is_empty() {
                        // Most channels have one address.
                        self.subchannels.reserve_exact(1);
                    }
                    self.subchannels.push(*id);
                }
                LbAction::Remove(id) => self.subchannels.retain(|known| known != id),
                LbAction::Publish(state, _) => self.state = *state,
                LbAction::Connect(_) | LbAction::Reresolve | LbAction::Breaker(_) => {}
            }
        }
    }

    /// The end of all it has.
    fn removed(self) -> impl Iterator<Item = LbAction> {
        self.subchannels.into_iter().map(LbAction::Remove)
    }
}

impl LbPolicy for GracefulSwitch {
    fn on_endpoints(&mut self, now: Time, endpoints: Vec<Endpoint>, actions: &mut Vec<LbAction>) {
        self.tell_newest(actions, |policy, actions| policy.on_endpoints(now, endpoints, actions));
    }

    fn on_subchannel_state(&mut self, now: Time, id: SubchannelId, state: State, actions: &mut Vec<LbAction>) {
        self.tell_owner(id, actions, |policy, actions| policy.on_subchannel_state(now, id, state, actions));
    }

    fn on_health(&mut self, now: Time, id: SubchannelId, health: Health, actions: &mut Vec<LbAction>) {
        self.tell_owner(id, actions, |policy, actions| policy.on_health(now, id, health, actions));
    }

    fn goes_by_health(&self, id: SubchannelId) -> bool {
        let pending = self.pending.as_ref().map(|pending| &pending.running);
        let owner =
            [Some(&self.current), pending].into_iter().flatten().find(|running| running.subchannels.contains(&id));
        owner.is_some_and(|running| running.policy.goes_by_health(id))
    }

    /// The pickers of one that is pending are not shown.
    fn on_connection_wanted(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        self.tell_current(actions, |policy, actions| policy.on_connection_wanted(now, actions));
    }

    /// One that is pending is not IDLE: it would have taken over.
    fn on_exit_idle(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        self.tell_current(actions, |policy, actions| policy.on_exit_idle(now, actions));
    }

    fn on_time(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        let had_pending = self.pending.is_some();
        self.tell_current(actions, |policy, actions| policy.on_time(now, actions));
        if had_pending && self.pending.is_none() {
            // It has taken over because of what the one before saw and told: it sees the same breakers, and tells nothing of them.
            let mut asked = Vec::new();
            self.current.tell(&mut asked, |policy, actions| policy.on_time(now, actions));
            actions.extend(asked.into_iter().filter(|action| !matches!(action, LbAction::Breaker(_))));
        } else {
            self.tell_pending(actions, |policy, actions| policy.on_time(now, actions));
        }
    }

    fn next_deadline(&self) -> Option<Time> {
        let of_pending = self.pending.as_ref().and_then(|pending| pending.running.policy.next_deadline());
        earliest([self.current.policy.next_deadline(), of_pending])
    }

    fn open_breakers(&self) -> Vec<OpenBreaker> {
        self.current.policy.open_breakers()
    }
}

#[cfg(test)]
mod tests;
