//! The weight of one endpoint: what its last report made it, and whether that counts now ([LB-41] to [LB-43]).

use std::cell::{Cell, Ref, RefCell};
use std::rc::Rc;

use super::WeightedRoundRobinConfig;
use super::metric::utilization;
use crate::load_report::LoadReport;
use crate::policy::balancer::tally::LoadListener;
use crate::time::Time;

/// What the endpoints of a policy have in common: how reports are read, and whether one has come.
#[derive(Debug)]
pub(super) struct Reports {
    config: RefCell<WeightedRoundRobinConfig>,
    /// A weight was reported since the last schedule was made.
    are_new: Cell<bool>,
}

impl Reports {
    pub(super) fn new(config: WeightedRoundRobinConfig) -> Self {
        Self { config: RefCell::new(config), are_new: Cell::new(false) }
    }

    pub(super) fn config(&self) -> Ref<'_, WeightedRoundRobinConfig> {
        self.config.borrow()
    }

    /// Weights that were reported before stay what they are until the next report, or until they expire by the new config.
    pub(super) fn on_config(&self, config: &WeightedRoundRobinConfig) {
        self.config.borrow_mut().clone_from(config);
    }

    pub(super) fn are_new(&self) -> bool {
        self.are_new.get()
    }

    /// A schedule is made of all there are.
    pub(super) fn are_seen(&self) {
        self.are_new.set(false);
    }
}

/// The weight of one endpoint.
#[derive(Debug)]
pub(crate) struct Weight {
    reports: Rc<Reports>,
    /// By the last good report.
    value: Cell<f64>,
    updated: Cell<Option<Time>>,
    /// Since when reports have come without a pause.
    non_empty_since: Cell<Option<Time>>,
}

impl Weight {
    pub(super) fn new(reports: Rc<Reports>) -> Self {
        Self { reports, value: Cell::new(0.0), updated: Cell::new(None), non_empty_since: Cell::new(None) }
    }

    /// [LB-42]: what the endpoint said before it was lost says little of what it is now.
    pub(super) fn on_ready(&self) {
        self.non_empty_since.set(None);
    }

    /// [LB-43]: the weight, if one counts now, and when that will be otherwise if no report comes.
    pub(super) fn at(&self, now: Time) -> (Option<f64>, Option<Time>) {
        let Some(updated) = self.updated.get() else { return (None, None) };
        let config = self.reports.config();
        let expires = updated + config.weight_expiration_period;
        if expires <= now {
            self.non_empty_since.set(None);
            return (None, None);
        }
        if !config.blackout_period.is_zero() {
            let Some(since) = self.non_empty_since.get() else { return (None, None) };
            let counts_from = since + config.blackout_period;
            if now < counts_from {
                return (None, Some(counts_from.min(expires)));
            }
        }
        (Some(self.value.get()), Some(expires))
    }
}

impl LoadListener for Weight {
    /// [LB-42]
    fn on_report(&self, now: Time, report: &LoadReport<'_>) -> bool {
        let Some(value) = weight_of(report, &self.reports.config()) else { return false };
        self.value.set(value);
        self.updated.set(Some(now));
        if self.non_empty_since.get().is_none() {
            self.non_empty_since.set(Some(now));
        }
        !self.reports.are_new.replace(true)
    }
}

/// [LB-41]: calls per second at full utilization. `None` for a report that says nothing of that.
///
/// Servers may write any numbers, so what is no weight in the end is none either: nothing, less than nothing, or without bound.
fn weight_of(report: &LoadReport<'_>, config: &WeightedRoundRobinConfig) -> Option<f64> {
    let (queries, errors) = (report.queries_per_second, report.errors_per_second);
    let utilization = utilization(report, &config.metric_names);
    if !(queries > 0.0 && utilization > 0.0) {
        return None;
    }
    let penalty = if errors > 0.0 { errors / queries * config.error_utilization_penalty } else { 0.0 };
    let weight = queries / (utilization + penalty);
    (weight > 0.0 && weight.is_finite()).then_some(weight)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_start(Duration::from_secs(seconds))
    }

    fn report(queries: f64, errors: f64, utilization: f64) -> LoadReport<'static> {
        LoadReport {
            queries_per_second: queries,
            errors_per_second: errors,
            cpu_utilization: utilization,
            ..LoadReport::default()
        }
    }

    /// [LB-41]
    #[test]
    fn a_weight_is_calls_per_second_over_utilization_with_a_penalty_for_errors() {
        let of = |queries, errors, utilization, error_utilization_penalty| {
            let config = WeightedRoundRobinConfig { error_utilization_penalty, ..WeightedRoundRobinConfig::default() };
            weight_of(&report(queries, errors, utilization), &config)
        };
        // 100 / 0.5
        assert_eq!(of(100.0, 0.0, 0.5, 1.0), Some(200.0));
        // 100 / (0.5 + 50/100 × 1)
        assert_eq!(of(100.0, 50.0, 0.5, 1.0), Some(100.0));
        // 100 / (0.5 + 50/100 × 3)
        assert_eq!(of(100.0, 50.0, 0.5, 3.0), Some(50.0));
        assert_eq!(of(100.0, 50.0, 0.5, 0.0), Some(200.0));
        // 100 / 2: more than all there is, with as many errors as calls.
        assert_eq!(of(100.0, 100.0, 1.0, 1.0), Some(50.0));
        for (what, queries, errors, utilization) in [
            ("no calls", 0.0, 0.0, 0.5),
            ("fewer than none", -1.0, 0.0, 0.5),
            ("no number of calls", f64::NAN, 0.0, 0.5),
            ("not busy", 100.0, 0.0, 0.0),
            ("less than not busy", 100.0, 0.0, -0.5),
            ("not busy, with errors", 100.0, 50.0, 0.0),
            ("less than not busy, with errors", 100.0, 100.0, -0.5),
            ("busy without a number", 100.0, 0.0, f64::NAN),
            ("busy without bound", 100.0, 0.0, f64::INFINITY),
            ("calls without bound", f64::INFINITY, 0.0, 0.5),
            ("a quotient without bound", f64::MAX, 0.0, f64::MIN_POSITIVE),
            ("errors without bound", 100.0, f64::INFINITY, 0.5),
        ] {
            assert_eq!(of(queries, errors, utilization, 1.0), None, "{what}");
        }
        // What is said of errors makes no weight better.
        assert_eq!(of(100.0, -50.0, 0.5, 1.0), Some(200.0));
        assert_eq!(of(100.0, f64::NAN, 0.5, 1.0), Some(200.0));
    }

    fn weight(blackout: u64, expiration: u64) -> Weight {
        let config = WeightedRoundRobinConfig {
            blackout_period: Duration::from_secs(blackout),
            weight_expiration_period: Duration::from_secs(expiration),
            ..WeightedRoundRobinConfig::default()
        };
        Weight::new(Rc::new(Reports::new(config)))
    }

    /// [LB-42], [LB-43]
    #[test]
    fn a_weight_counts_after_the_blackout_and_until_it_expires() {
        let weight = weight(10, 180);
        assert_eq!(weight.at(at(0)), (None, None));
        weight.on_report(at(5), &report(100.0, 0.0, 0.5));
        assert_eq!(weight.at(at(5)), (None, Some(at(15))));
        weight.on_report(at(14), &report(100.0, 0.0, 0.25));
        assert_eq!(weight.at(at(14)), (None, Some(at(15))), "since the first report, not the last");
        assert_eq!(weight.at(at(15)), (Some(400.0), Some(at(194))));
        assert_eq!(weight.at(at(193)), (Some(400.0), Some(at(194))));
        assert_eq!(weight.at(at(194)), (None, None));
        weight.on_report(at(200), &report(100.0, 0.0, 0.5));
        assert_eq!(weight.at(at(209)), (None, Some(at(210))), "once expired it begins anew");
        assert_eq!(weight.at(at(210)), (Some(200.0), Some(at(380))));
    }

    /// [LB-42]
    #[test]
    fn an_endpoint_that_is_ready_again_is_not_trusted_before_it_has_reported_for_a_while() {
        let weight = weight(10, 180);
        weight.on_report(at(0), &report(100.0, 0.0, 0.5));
        assert_eq!(weight.at(at(20)), (Some(200.0), Some(at(180))));
        weight.on_ready();
        assert_eq!(weight.at(at(20)), (None, None));
        weight.on_report(at(21), &report(100.0, 0.0, 0.5));
        assert_eq!(weight.at(at(30)), (None, Some(at(31))));
        assert_eq!(weight.at(at(31)), (Some(200.0), Some(at(201))));
    }

    /// [LB-43]
    #[test]
    fn without_a_blackout_a_weight_counts_at_once_also_after_the_endpoint_was_lost() {
        let weight = weight(0, 180);
        weight.on_report(at(5), &report(100.0, 0.0, 0.5));
        assert_eq!(weight.at(at(5)), (Some(200.0), Some(at(185))));
        weight.on_ready();
        assert_eq!(weight.at(at(6)), (Some(200.0), Some(at(185))));
    }

    /// [LB-43]
    #[test]
    fn a_weight_that_expires_before_its_blackout_ends_never_counts() {
        let weight = weight(10, 3);
        weight.on_report(at(0), &report(100.0, 0.0, 0.5));
        assert_eq!(weight.at(at(2)), (None, Some(at(3))));
        assert_eq!(weight.at(at(3)), (None, None));
    }

    /// [LB-41]
    #[test]
    fn a_report_that_says_nothing_of_load_moves_nothing() {
        let weight = weight(10, 180);
        weight.on_report(at(0), &report(100.0, 0.0, 0.5));
        weight.reports.are_seen();
        assert!(!weight.on_report(at(170), &report(0.0, 0.0, 0.5)));
        assert!(!weight.on_report(at(170), &report(100.0, 0.0, 0.0)));
        assert!(!weight.reports.are_new());
        assert_eq!(weight.at(at(179)), (Some(200.0), Some(at(180))));
    }

    #[test]
    fn only_the_first_report_since_the_last_schedule_is_news() {
        let weight = weight(10, 180);
        assert!(weight.on_report(at(0), &report(100.0, 0.0, 0.5)));
        assert!(!weight.on_report(at(1), &report(100.0, 0.0, 0.5)));
        weight.reports.are_seen();
        assert!(weight.on_report(at(2), &report(100.0, 0.0, 0.5)));
    }
}
