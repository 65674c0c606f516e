//! Which policy is wanted, and with which settings.

use super::least_request::LeastRequestConfig;
use super::outlier_detection::OutlierOptions;
use super::pick_first::PickFirstConfig;
use super::random_subsetting::RandomSubsettingConfig;
use super::ring_hash::RingHashConfig;
use super::weighted_round_robin::WeightedRoundRobinConfig;

/// A policy with its settings.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum BalancingConfig {
    PickFirst(PickFirstConfig),
    RoundRobin,
    WeightedRoundRobin(WeightedRoundRobinConfig),
    LeastRequest(LeastRequestConfig),
    RingHash(RingHashConfig),
    /// Around another one.
    RandomSubsetting(RandomSubsettingConfig, Box<Self>),
    /// Around another one.
    OutlierDetection(OutlierOptions, Box<Self>),
}

impl BalancingConfig {
    /// Its name in service configs; of one around another, the other's.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::PickFirst(_) => "pick_first",
            Self::RoundRobin => "round_robin",
            Self::WeightedRoundRobin(_) => "weighted_round_robin",
            Self::LeastRequest(_) => "least_request_experimental",
            Self::RingHash(_) => "ring_hash_experimental",
            Self::RandomSubsetting(_, child) | Self::OutlierDetection(_, child) => child.name(),
        }
    }

    /// For people: the names of those it is made of.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::RandomSubsetting(_, child) => format!("random_subsetting ({})", child.title()),
            Self::OutlierDetection(_, child) => format!("outlier_detection ({})", child.title()),
            _ => self.name().to_owned(),
        }
    }

    /// Whether it asks, itself or around another one, for reports of load beside calls ([LB-50]).
    pub(crate) fn wants_reports_beside_calls(&self) -> bool {
        match self {
            Self::WeightedRoundRobin(settings) => settings.enable_oob_load_report,
            Self::RandomSubsetting(_, child) | Self::OutlierDetection(_, child) => child.wants_reports_beside_calls(),
            Self::PickFirst(_) | Self::RoundRobin | Self::LeastRequest(_) | Self::RingHash(_) => false,
        }
    }
}
