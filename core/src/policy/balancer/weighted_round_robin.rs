//! `weighted_round_robin`: calls in turn, more of them to the endpoints that say they can take more (A58, A114, [LB-40] to [LB-51]).
//!
//! Servers report their load with the ends of calls; `weight` keeps what follows from that for one endpoint, `stride` makes a schedule
//! of the weights. Nothing here runs while nothing changes: a schedule is made anew when a report has come since the last one, or when
//! a weight begins or ceases to count, and never more often than `weight_update_period`.

mod metric;
mod stride;
mod weight;

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

pub(crate) use metric::MetricName;
use stride::Stride;
use weight::{Reports, Weight};

use super::config::BalancingConfig;
use super::petiole::{Petiole, Ready, Spread};
use super::tally::{LoadListener, Tally};
use super::{PickArgs, PickResult, Picker, SubchannelIds};
use crate::time::{Time, earliest};

/// The policy.
pub(crate) type WeightedRoundRobin = Petiole<ByWeight>;

impl WeightedRoundRobin {
    /// `unit` is a random fraction: where clients begin must differ.
    pub(crate) fn weighted_round_robin(
        ids: SubchannelIds,
        attempt_delay: Duration,
        unit: f64,
        config: WeightedRoundRobinConfig,
    ) -> Self {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a fraction of 2^32")]
        let first = (unit * 4_294_967_296.0) as u32;
        Self::new(ByWeight::new(config, first), ids, attempt_delay)
    }
}

/// The settings of the policy; the defaults are A58's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WeightedRoundRobinConfig {
    /// How long an endpoint must have reported before its weight counts; nothing for at once.
    pub(crate) blackout_period: Duration,
    /// How long a weight counts without a further report.
    pub(crate) weight_expiration_period: Duration,
    pub(crate) weight_update_period: Duration,
    /// How much of utilization a call that fails counts for; 0 or more.
    pub(crate) error_utilization_penalty: f64,
    /// Whose largest value is the utilization, instead of the report's own.
    pub(crate) metric_names: Box<[MetricName]>,
    /// Asks for reports beside calls, which are not there yet ([LB-50]).
    pub(crate) enable_oob_load_report: bool,
}

impl Default for WeightedRoundRobinConfig {
    fn default() -> Self {
        Self {
            blackout_period: Duration::from_secs(10),
            weight_expiration_period: Duration::from_secs(180),
            weight_update_period: Duration::from_secs(1),
            error_utilization_penalty: 1.0,
            metric_names: Box::default(),
            enable_oob_load_report: false,
        }
    }
}

/// By the weights.
#[derive(Debug)]
pub(crate) struct ByWeight {
    reports: Rc<Reports>,
    /// Goes on from picker to picker; wraps around.
    sequence: Rc<Cell<u32>>,
    /// The newest picker, while calls may use it.
    picker: Weak<ByWeightPicker>,
    made_at: Time,
    /// When a weight begins or ceases to count.
    next_change: Option<Time>,
}

impl ByWeight {
    fn new(config: WeightedRoundRobinConfig, first: u32) -> Self {
        Self {
            reports: Rc::new(Reports::new(config)),
            sequence: Rc::new(Cell::new(first)),
            picker: Weak::new(),
            made_at: Time::ZERO,
            next_change: None,
        }
    }

    /// [LB-45]
    fn schedule(&mut self, now: Time, ready: &[Ready<Rc<Weight>>]) -> Option<Stride> {
        let (weights, changes): (Vec<_>, Vec<_>) = ready.iter().map(|endpoint| endpoint.kept.at(now)).unzip();
        self.reports.are_seen();
        (self.made_at, self.next_change) = (now, earliest(changes));
        Stride::of(&weights)
    }
}

impl Spread for ByWeight {
    /// Kept with the endpoint, so it survives new lists that have it too ([LB-44]).
    type Kept = Rc<Weight>;

    fn on_listed(&self, tally: &Tally) -> Rc<Weight> {
        let weight = Rc::new(Weight::new(Rc::clone(&self.reports)));
        let listener: Weak<dyn LoadListener> = Rc::<Weight>::downgrade(&weight);
        tally.listen(listener);
        weight
    }

    fn on_ready(&self, weight: &Rc<Weight>) {
        weight.on_ready();
    }

    fn picker(&mut self, now: Time, ready: &[Ready<Rc<Weight>>]) -> Rc<dyn Picker> {
        let stride = RefCell::new(self.schedule(now, ready));
        let picker = Rc::new(ByWeightPicker { ready: ready.into(), stride, sequence: Rc::clone(&self.sequence) });
        self.picker = Rc::downgrade(&picker);
        picker
    }

    /// The picker stays: where a call may go has not changed, and nobody waits for this.
    fn on_time(&mut self, now: Time) {
        if self.next_deadline().is_some_and(|at| at <= now)
            && let Some(picker) = self.picker.upgrade()
        {
            *picker.stride.borrow_mut() = self.schedule(now, &picker.ready);
        }
    }

    fn on_config(&mut self, config: &BalancingConfig) -> bool {
        let BalancingConfig::WeightedRoundRobin(config) = config else { return false };
        self.reports.on_config(config);
        true
    }

    fn next_deadline(&self) -> Option<Time> {
        if self.picker.strong_count() == 0 {
            return None;
        }
        let soonest = self.made_at + self.reports.config().weight_update_period;
        if self.reports.are_new() { Some(soonest) } else { self.next_change.map(|at| at.max(soonest)) }
    }
}

#[derive(Debug)]
struct ByWeightPicker {
    ready: Box<[Ready<Rc<Weight>>]>,
    /// `None` while too few weights are known: all have the same number of turns then ([LB-46]).
    stride: RefCell<Option<Stride>>,
    sequence: Rc<Cell<u32>>,
}

impl Picker for ByWeightPicker {
    fn pick(&self, call: &PickArgs<'_>) -> PickResult {
        let first = self.next_place();
        let would_do = |place: &usize| call.would_go_to(self.ready[*place].id);
        if would_do(&first) {
            return PickResult::Complete(self.ready[first].id);
        }
        // By the weights of those that are left; where heavy ones come again and again, the next one in the list.
        let by_weight = (1..self.ready.len()).map(|_| self.next_place()).find(would_do);
        let place = by_weight.or_else(|| (first + 1..self.ready.len()).chain(0..first).find(would_do));
        PickResult::Complete(self.ready[place.unwrap_or(first)].id)
    }
}

impl ByWeightPicker {
    fn next_place(&self) -> usize {
        let next = || self.sequence.replace(self.sequence.get().wrapping_add(1));
        match &*self.stride.borrow() {
            Some(stride) => stride.pick(next),
            None => next() as usize % self.ready.len(),
        }
    }
}

#[cfg(test)]
mod tests;
