//! `least_request`: of a few endpoints drawn at random, the one with the fewest calls in flight (A48, [LB-55] to [LB-59]).

use std::rc::Rc;
use std::time::Duration;

use super::config::BalancingConfig;
use super::petiole::{Petiole, Ready, Spread};
use super::tally::Tally;
use super::{PickArgs, PickResult, Picker, SubchannelIds};
use crate::time::Time;

/// The policy.
pub(crate) type LeastRequest = Petiole<Fewest>;

impl LeastRequest {
    pub(crate) fn least_request(ids: SubchannelIds, attempt_delay: Duration, config: LeastRequestConfig) -> Self {
        Self::new(Fewest::new(config), ids, attempt_delay)
    }
}

/// The settings of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeastRequestConfig {
    /// How many endpoints are drawn for a call; more than ten are ten ([LB-55]).
    pub(crate) choice_count: u32,
}

impl Default for LeastRequestConfig {
    fn default() -> Self {
        Self { choice_count: 2 }
    }
}

const MOST_CHOICES: u32 = 10;

/// By the calls in flight.
#[derive(Debug)]
pub(crate) struct Fewest {
    choices: u32,
}

impl Fewest {
    fn new(config: LeastRequestConfig) -> Self {
        Self { choices: config.choice_count.min(MOST_CHOICES) }
    }
}

impl Spread for Fewest {
    type Kept = ();

    fn on_listed(&self, _: &Tally) {}

    fn picker(&mut self, _: Time, ready: &[Ready]) -> Rc<dyn Picker> {
        Rc::new(FewestPicker { ready: ready.into(), choices: self.choices })
    }

    fn on_config(&mut self, config: &BalancingConfig) -> bool {
        let BalancingConfig::LeastRequest(config) = config else { return false };
        *self = Self::new(*config);
        true
    }
}

#[derive(Debug)]
struct FewestPicker {
    ready: Box<[Ready]>,
    choices: u32,
}

impl Picker for FewestPicker {
    /// [LB-56]: drawn with replacement; of equals the first.
    fn pick(&self, call: &PickArgs<'_>) -> PickResult {
        let mut best = self.drawn(call);
        for _ in 1..self.choices {
            let other = self.drawn(call);
            if other.tally.in_flight() < best.tally.in_flight() {
                best = other;
            }
        }
        if !call.would_go_to(best.id) {
            // Those drawn may all be among those that will not do.
            let others = self.ready.iter().filter(|endpoint| call.would_go_to(endpoint.id));
            best = others.min_by_key(|endpoint| endpoint.tally.in_flight()).unwrap_or(best);
        }
        PickResult::Complete(best.id)
    }
}

impl FewestPicker {
    fn drawn(&self, call: &PickArgs<'_>) -> &Ready {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a fraction of a length"
        )]
        let at = ((call.random_unit)() * self.ready.len() as f64) as usize;
        &self.ready[at.min(self.ready.len() - 1)]
    }
}

#[cfg(test)]
mod tests;
