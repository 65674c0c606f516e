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
