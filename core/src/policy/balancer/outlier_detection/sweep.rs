//! Which endpoints are ejected and which come back, once each interval: the algorithm of A50 on numbers alone ([LB-80] to [LB-88]).

use std::time::Duration;

use crate::time::Time;

/// The parameters; the defaults are A50's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutlierOptions {
    pub(crate) interval: Duration,
    pub(crate) base_ejection_time: Duration,
    pub(crate) max_ejection_time: Duration,
    /// Of all endpoints; one may go in any case.
    pub(crate) max_ejection_percent: u32,
    pub(crate) success_rate: Option<SuccessRateEjection>,
    pub(crate) failure_percentage: Option<FailurePercentageEjection>,
}

impl Default for OutlierOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            base_ejection_time: Duration::from_secs(30),
            max_ejection_time: Duration::from_secs(300),
            max_ejection_percent: 10,
            success_rate: None,
            failure_percentage: None,
        }
    }
}

impl OutlierOptions {
    /// Whether anything is ever ejected.
    pub(crate) fn is_on(&self) -> bool {
        self.success_rate.is_some() || self.failure_percentage.is_some()
    }
}

/// Who succeeds much less often than the others is ejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SuccessRateEjection {
    /// So many thousandths of the standard deviation below the mean.
    pub(crate) stdev_factor: u32,
    pub(crate) enforcement_percentage: u32,
    pub(crate) minimum_hosts: u32,
    pub(crate) request_volume: u32,
}

impl Default for SuccessRateEjection {
    fn default() -> Self {
        Self { stdev_factor: 1_900, enforcement_percentage: 100, minimum_hosts: 5, request_volume: 100 }
    }
}

/// Who fails more often than this is ejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FailurePercentageEjection {
    pub(crate) threshold: u32,
    pub(crate) enforcement_percentage: u32,
    pub(crate) minimum_hosts: u32,
    pub(crate) request_volume: u32,
}

impl Default for FailurePercentageEjection {
    fn default() -> Self {
        Self { threshold: 85, enforcement_percentage: 100, minimum_hosts: 5, request_volume: 50 }
    }
}

/// One endpoint, as the algorithm sees it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Host {
    /// Calls that ended OK, and otherwise, since the last sweep.
    pub(super) succeeded: u64,
    pub(super) failed: u64,
    pub(super) ejected_at: Option<Time>,
    /// How often in a row it was ejected.
    pub(super) multiplier: u32,
}

impl Host {
    fn volume(&self) -> u64 {
        self.succeeded + self.failed
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of calls")]
    fn success_ratio(&self) -> f64 {
        self.succeeded as f64 / self.volume() as f64
    }
}

/// [LB-81], from its third step on: the interval is over. `random_unit` gives a fraction for each ejection that may or may not be.
pub(super) fn sweep(options: &OutlierOptions, now: Time, hosts: &mut [Host], mut random_unit: impl FnMut() -> f64) {
    if let Some(rule) = &options.success_rate {
        by_success_rate(options, rule, now, hosts, &mut random_unit);
    }
    if let Some(rule) = &options.failure_percentage {
        by_failure_percentage(options, rule, now, hosts, &mut random_unit);
    }
    for host in hosts {
        match host.ejected_at {
            None => host.multiplier = host.multiplier.saturating_sub(1),
            Some(at) => {
                let longest = options.base_ejection_time.max(options.max_ejection_time);
                let time = options.base_ejection_time.saturating_mul(host.multiplier).min(longest);
                if now > at + time {
                    host.ejected_at = None;
                }
            }
        }
    }
}

/// [LB-82]
fn by_success_rate(
    options: &OutlierOptions,
    rule: &SuccessRateEjection,
    now: Time,
    hosts: &mut [Host],
    random_unit: &mut impl FnMut() -> f64,
) {
    let candidates = with_volume(hosts, rule.request_volume);
    if candidates.len() < rule.minimum_hosts as usize || candidates.is_empty() {
        return;
    }
    #[expect(clippy::cast_precision_loss, reason = "a count of endpoints")]
    let count = candidates.len() as f64;
    let ratios = || candidates.iter().map(|at| hosts[*at].success_ratio());
    let mean = ratios().sum::<f64>() / count;
    let variance = ratios().map(|ratio| (ratio - mean).powi(2)).sum::<f64>() / count;
    let least = mean - variance.sqrt() * f64::from(rule.stdev_factor) / 1_000.0;
    for at in candidates {
        if hosts[at].success_ratio() < least {
            eject(options, rule.enforcement_percentage, now, hosts, at, random_unit);
        }
    }
}

/// [LB-83], [LB-86]
fn by_failure_percentage(
    options: &OutlierOptions,
    rule: &FailurePercentageEjection,
    now: Time,
    hosts: &mut [Host],
    random_unit: &mut impl FnMut() -> f64,
) {
    let candidates = with_volume(hosts, rule.request_volume);
    if candidates.len() < rule.minimum_hosts as usize {
        return;
    }
    for at in candidates {
        let percentage = 100.0 * (1.0 - hosts[at].success_ratio());
        if hosts[at].ejected_at.is_none() && percentage > f64::from(rule.threshold) {
            eject(options, rule.enforcement_percentage, now, hosts, at, random_unit);
        }
    }
}

/// Those that had so many calls, and one at least.
fn with_volume(hosts: &[Host], least: u32) -> Vec<usize> {
    let least = u64::from(least).max(1);
    (0..hosts.len()).filter(|at| hosts[*at].volume() >= least).collect()
}

/// [LB-84], [LB-85], [LB-88]
fn eject(
    options: &OutlierOptions,
    enforcement_percentage: u32,
    now: Time,
    hosts: &mut [Host],
    at: usize,
    random_unit: &mut impl FnMut() -> f64,
) {
    let ejected = hosts.iter().filter(|host| host.ejected_at.is_some()).count();
    // The first may always go.
    let is_full = ejected > 0 && 100 * ejected >= hosts.len() * options.max_ejection_percent as usize;
    if is_full || hosts[at].ejected_at.is_some() || random_unit() * 100.0 >= f64::from(enforcement_percentage) {
        return;
    }
    hosts[at].ejected_at = Some(now);
    hosts[at].multiplier = hosts[at].multiplier.saturating_add(1);
}

#[cfg(test)]
mod tests;
