//! A channel's balancing policies, made as its configs want them. Here they get the randomness that they have no way to draw.

use std::sync::Arc;

use super::balancing;
use super::config::ChannelConfig;
use crate::policy::balancer::breaker::CircuitBreaking;
use crate::policy::balancer::config::BalancingConfig;
use crate::policy::balancer::graceful_switch::GracefulSwitch;
use crate::policy::balancer::least_request::LeastRequest;
use crate::policy::balancer::outlier_detection::OutlierDetection;
use crate::policy::balancer::pick_first::PickFirst;
use crate::policy::balancer::random_subsetting::RandomSubsetting;
use crate::policy::balancer::ring_hash::RingHash;
use crate::policy::balancer::round_robin::RoundRobin;
use crate::policy::balancer::shuffle::Shuffle;
use crate::policy::balancer::weighted_round_robin::WeightedRoundRobin;
use crate::policy::balancer::{LbPolicy, SubchannelIds};
use crate::random::Random;
use crate::runtime::Driver;

/// The policy of a channel whose resolver has said nothing yet.
pub(super) fn first_policy<D: Driver>(driver: &D, config: &ChannelConfig, ids: &SubchannelIds) -> GracefulSwitch {
    let balancing = balancing::of(config.service_config.as_deref(), &config.balancing);
    balancing::warn_of_what_is_missing(balancing);
    GracefulSwitch::new(Arc::clone(balancing), guarded_policy(driver, config, balancing, ids))
}

/// A policy within the channel's circuit breakers, if it has some.
pub(super) fn guarded_policy<D: Driver>(
    driver: &D,
    config: &ChannelConfig,
    balancing: &BalancingConfig,
    ids: &SubchannelIds,
) -> Box<dyn LbPolicy> {
    let policy = new_policy(driver, config, balancing, ids);
    match &config.breaker {
        Some(options) => Box::new(CircuitBreaking::new(options.clone(), policy)),
        None => policy,
    }
}

fn new_policy<D: Driver>(
    driver: &D,
    config: &ChannelConfig,
    balancing: &BalancingConfig,
    ids: &SubchannelIds,
) -> Box<dyn LbPolicy> {
    match balancing {
        BalancingConfig::PickFirst(settings) => {
            let policy = PickFirst::new(ids.clone(), config.attempt_delay);
            let shuffled = settings.shuffle_address_list;
            Box::new(if shuffled { policy.shuffled(Shuffle::new(driver.random_unit())) } else { policy })
        }
        BalancingConfig::RoundRobin => {
            Box::new(RoundRobin::round_robin(ids.clone(), config.attempt_delay, driver.random_unit()))
        }
        BalancingConfig::LeastRequest(settings) => {
            Box::new(LeastRequest::least_request(ids.clone(), config.attempt_delay, *settings))
        }
        BalancingConfig::WeightedRoundRobin(settings) => {
            let (delay, unit) = (config.attempt_delay, driver.random_unit());
            Box::new(WeightedRoundRobin::weighted_round_robin(ids.clone(), delay, unit, settings.clone()))
        }
        BalancingConfig::RingHash(settings) => {
            let random = Random::new(driver.random_unit().to_bits());
            Box::new(RingHash::new(settings, config.ring_size_cap, ids.clone(), config.attempt_delay, random))
        }
        BalancingConfig::RandomSubsetting(settings, child) => {
            let child = new_policy(driver, config, child, ids);
            let seed = Random::new(driver.random_unit().to_bits()).bits();
            Box::new(RandomSubsetting::new(*settings, seed, child))
        }
        BalancingConfig::OutlierDetection(settings, child) => {
            let child = new_policy(driver, config, child, ids);
            let random = Random::new(driver.random_unit().to_bits());
            Box::new(OutlierDetection::new(settings.clone(), child, random))
        }
    }
}
