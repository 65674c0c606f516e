//! `random_subsetting`: of many endpoints, each client uses a few of its own (A68, [LB-110]).
//!
//! It stands around any policy and shows it a part of what the resolver listed. Which part follows from a number that the client draws once:
//! clients differ, and one keeps what it has as endpoints come and go.

use twox_hash::XxHash64;

use super::config::BalancingConfig;
use super::endpoint::Endpoint;
use super::{Health, LbAction, LbPolicy, SubchannelId};
use crate::state::State;
use crate::time::Time;

/// The settings of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RandomSubsettingConfig {
    /// How many endpoints the client uses, where there are so many.
    pub(crate) subset_size: u32,
}

/// The policy.
#[derive(Debug)]
pub(crate) struct RandomSubsetting {
    size: usize,
    seed: u64,
    child: Box<dyn LbPolicy>,
}

impl RandomSubsetting {
    /// `seed` is random.
    pub(crate) fn new(config: RandomSubsettingConfig, seed: u64, child: Box<dyn LbPolicy>) -> Self {
        Self { size: config.subset_size as usize, seed, child }
    }
}

/// Rendezvous hashing: an endpoint's rank depends on no other endpoint, so one that comes or goes takes the place of one at most.
fn subset(mut endpoints: Vec<Endpoint>, size: usize, seed: u64) -> Vec<Endpoint> {
    if endpoints.len() > size {
        endpoints.sort_by_cached_key(|endpoint| {
            let key = endpoint.addresses().first().map(ToString::to_string).unwrap_or_default();
            XxHash64::oneshot(seed, key.as_bytes())
        });
        endpoints.truncate(size);
    }
    endpoints
}

impl LbPolicy for RandomSubsetting {
    fn on_endpoints(&mut self, now: Time, endpoints: Vec<Endpoint>, actions: &mut Vec<LbAction>) {
        self.child.on_endpoints(now, subset(endpoints, self.size, self.seed), actions);
    }

    fn on_config(&mut self, now: Time, config: &BalancingConfig, unit: f64, actions: &mut Vec<LbAction>) -> bool {
        let BalancingConfig::RandomSubsetting(settings, of_child) = config else { return false };
        let has_taken = self.child.on_config(now, of_child, unit, actions);
        if has_taken {
            self.size = settings.subset_size as usize;
        }
        has_taken
    }

    fn on_subchannel_state(&mut self, now: Time, id: SubchannelId, state: State, actions: &mut Vec<LbAction>) {
        self.child.on_subchannel_state(now, id, state, actions);
    }

    fn on_health(&mut self, now: Time, id: SubchannelId, health: Health, actions: &mut Vec<LbAction>) {
        self.child.on_health(now, id, health, actions);
    }

    fn goes_by_health(&self, id: SubchannelId) -> bool {
        self.child.goes_by_health(id)
    }

    fn on_connection_wanted(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        self.child.on_connection_wanted(now, actions);
    }

    fn on_exit_idle(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        self.child.on_exit_idle(now, actions);
    }

    fn on_time(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        self.child.on_time(now, actions);
    }

    fn next_deadline(&self) -> Option<Time> {
        self.child.next_deadline()
    }
}

#[cfg(test)]
mod tests;
