//! `outlier_detection`: endpoints whose calls fail much more than others' are left out for a while (A50, [LB-80] to [LB-90]).
//!
//! It stands around any policy and looks at the tallies of its endpoints once an interval. An endpoint that is ejected stays connected;
//! its policy is told that it is not healthy, and counts it as failed until it is told otherwise.

mod sweep;

use std::rc::Rc;
use std::time::Duration;

pub(crate) use sweep::{FailurePercentageEjection, OutlierOptions, SuccessRateEjection};
use sweep::{Host, sweep};

use super::config::BalancingConfig;
use super::endpoint::Endpoint;
use super::tally::Tally;
use super::{Health, LbAction, LbPolicy, SubchannelId};
use crate::random::Random;
use crate::state::State;
use crate::time::{Time, earliest};

/// The policy.
#[derive(Debug)]
pub(crate) struct OutlierDetection {
    options: OutlierOptions,
    child: Box<dyn LbPolicy>,
    watched: Vec<Watched>,
    next_sweep: Option<Time>,
    random: Random,
}

const LEAST_INTERVAL: Duration = Duration::from_millis(10);

/// An endpoint, and what became of it.
#[derive(Debug)]
struct Watched {
    tally: Rc<Tally>,
    /// What the tally said at the last sweep.
    succeeded_then: u64,
    failed_then: u64,
    ejected_at: Option<Time>,
    multiplier: u32,
    /// With what others say of their health, which holds while the endpoint is not ejected.
    subchannels: Vec<(SubchannelId, Health)>,
}

impl OutlierDetection {
    pub(crate) fn new(options: OutlierOptions, child: Box<dyn LbPolicy>, random: Random) -> Self {
        let options = Self::bounded(options);
        Self { options, child, watched: Vec::new(), next_sweep: None, random }
    }

    /// An interval of nothing would leave time for nothing else.
    fn bounded(options: OutlierOptions) -> OutlierOptions {
        OutlierOptions { interval: options.interval.max(LEAST_INTERVAL), ..options }
    }

    /// Tells the child something, and watches what it makes of its endpoints.
    fn tell(
        &mut self,
        now: Time,
        actions: &mut Vec<LbAction>,
        event: impl FnOnce(&mut dyn LbPolicy, &mut Vec<LbAction>),
    ) {
        let first_new = actions.len();
        event(&mut *self.child, actions);
        let mut unhealthy = Vec::new();
        for action in &actions[first_new..] {
            match action {
                LbAction::Create(id, _, tally) => {
                    if let Some(watched) = self.watched.iter_mut().find(|watched| Rc::ptr_eq(&watched.tally, tally)) {
                        watched.subchannels.push((*id, Health::Healthy));
                        unhealthy.extend(watched.ejected_at.map(|_| *id));
                    }
                }
                LbAction::Remove(id) => {
                    self.watched.iter_mut().for_each(|watched| watched.subchannels.retain(|(known, _)| known != id));
                }
                LbAction::Connect(_) | LbAction::Reresolve | LbAction::Publish(..) | LbAction::Breaker(_) => {}
            }
        }
        // Known before it can become READY.
        for id in unhealthy {
            self.child.on_health(now, id, Health::Unhealthy, actions);
        }
    }

    /// [LB-87]
    fn on_options(&mut self, now: Time, options: OutlierOptions, actions: &mut Vec<LbAction>) {
        let before = std::mem::replace(&mut self.options, Self::bounded(options));
        let interval = self.options.interval;
        if !self.options.is_on() {
            self.next_sweep = None;
            self.let_all_back(now, actions);
        } else if !before.is_on() {
            // What was seen while nobody looked counts for nothing.
            for watched in &mut self.watched {
                let _ = watched.take_interval();
            }
            self.next_sweep = Some(now + interval);
        } else if let Some(at) = &mut self.next_sweep {
            let elapsed = before.interval.saturating_sub(at.since(now));
            *at = now + interval.saturating_sub(elapsed);
        }
    }

    fn let_all_back(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        for watched in &mut self.watched {
            watched.multiplier = 0;
            watched.tally.set_ejected(false);
            if watched.ejected_at.take().is_some() {
                for (id, health) in &watched.subchannels {
                    self.child.on_health(now, *id, *health, actions);
                }
            }
        }
    }

    /// [LB-81]
    fn sweep(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        let mut hosts: Vec<Host> = self.watched.iter_mut().map(Watched::take_interval).collect();
        sweep(&self.options, now, &mut hosts, || self.random.unit());
        for (watched, host) in self.watched.iter_mut().zip(hosts) {
            let was_ejected = watched.ejected_at.is_some();
            (watched.ejected_at, watched.multiplier) = (host.ejected_at, host.multiplier);
            let is_ejected = host.ejected_at.is_some();
            watched.tally.set_ejected(is_ejected);
            if was_ejected == is_ejected {
                continue;
            }
            for (id, health) in &watched.subchannels {
                let health = if is_ejected { Health::Unhealthy } else { *health };
                self.child.on_health(now, *id, health, actions);
            }
        }
    }
}

impl Watched {
    fn new(tally: &Rc<Tally>) -> Self {
        Self {
            tally: Rc::clone(tally),
            succeeded_then: tally.succeeded(),
            failed_then: tally.failed(),
            ejected_at: None,
            multiplier: 0,
            subchannels: Vec::new(),
        }
    }

    /// What was seen since the last sweep; the next interval begins.
    fn take_interval(&mut self) -> Host {
        let (succeeded, failed) = (self.tally.succeeded(), self.tally.failed());
        let host = Host {
            succeeded: succeeded - self.succeeded_then,
            failed: failed - self.failed_then,
            ejected_at: self.ejected_at,
            multiplier: self.multiplier,
        };
        (self.succeeded_then, self.failed_then) = (succeeded, failed);
        host
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // The endpoint may stay, with a policy that ejects none.
        self.tally.set_ejected(false);
    }
}

impl LbPolicy for OutlierDetection {
    fn on_endpoints(&mut self, now: Time, endpoints: Vec<Endpoint>, actions: &mut Vec<LbAction>) {
        let mut before = std::mem::take(&mut self.watched);
        // An endpoint that stays listed has the tally it had.
        self.watched = endpoints
            .iter()
            .map(|endpoint| {
                let known = before.iter().position(|watched| Rc::ptr_eq(&watched.tally, endpoint.tally()));
                known.map_or_else(|| Watched::new(endpoint.tally()), |at| before.swap_remove(at))
            })
            .collect();
        if self.options.is_on() {
            self.next_sweep.get_or_insert(now + self.options.interval);
        }
        self.tell(now, actions, |child, actions| child.on_endpoints(now, endpoints, actions));
    }

    fn on_config(&mut self, now: Time, config: &BalancingConfig, unit: f64, actions: &mut Vec<LbAction>) -> bool {
        let BalancingConfig::OutlierDetection(options, of_child) = config else { return false };
        let mut has_taken = false;
        self.tell(now, actions, |child, actions| has_taken = child.on_config(now, of_child, unit, actions));
        if has_taken {
            self.on_options(now, options.clone(), actions);
        }
        has_taken
    }

    fn on_subchannel_state(&mut self, now: Time, id: SubchannelId, state: State, actions: &mut Vec<LbAction>) {
        self.tell(now, actions, |child, actions| child.on_subchannel_state(now, id, state, actions));
    }

    fn on_health(&mut self, now: Time, id: SubchannelId, health: Health, actions: &mut Vec<LbAction>) {
        let mut is_ejected = false;
        for watched in &mut self.watched {
            if let Some(known) = watched.subchannels.iter_mut().find(|(known, _)| *known == id) {
                known.1 = health;
                is_ejected = watched.ejected_at.is_some();
            }
        }
        if !is_ejected {
            self.tell(now, actions, |child, actions| child.on_health(now, id, health, actions));
        }
    }

    fn goes_by_health(&self, id: SubchannelId) -> bool {
        self.child.goes_by_health(id)
    }

    fn on_connection_wanted(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        self.tell(now, actions, |child, actions| child.on_connection_wanted(now, actions));
    }

    fn on_exit_idle(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        self.tell(now, actions, |child, actions| child.on_exit_idle(now, actions));
    }

    fn on_time(&mut self, now: Time, actions: &mut Vec<LbAction>) {
        if self.next_sweep.take_if(|at| *at <= now).is_some() {
            self.sweep(now, actions);
            self.next_sweep = Some(now + self.options.interval);
        }
        self.tell(now, actions, |child, actions| child.on_time(now, actions));
    }

    fn next_deadline(&self) -> Option<Time> {
        earliest([self.next_sweep, self.child.next_deadline()])
    }
}

#[cfg(test)]
mod tests;
