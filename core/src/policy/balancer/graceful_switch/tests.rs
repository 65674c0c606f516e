use std::time::Duration;

use super::*;
use crate::address::Address;
use crate::policy::balancer::breaker::{BreakerOptions, CircuitBreaking, Verdict};
use crate::policy::balancer::endpoint::of_each;
use crate::policy::balancer::least_request::{LeastRequest, LeastRequestConfig};
use crate::policy::balancer::outlier_detection::{OutlierDetection, OutlierOptions};
use crate::policy::balancer::pick_first::{PickFirst, PickFirstConfig};
use crate::policy::balancer::random_subsetting::RandomSubsetting;
use crate::policy::balancer::ring_hash::RingHash;
use crate::policy::balancer::round_robin::RoundRobin;
use crate::policy::balancer::shuffle::Shuffle;
use crate::policy::balancer::weighted_round_robin::{WeightedRoundRobin, WeightedRoundRobinConfig};
use crate::policy::balancer::{SubchannelIds, word};
use crate::random::Random;
use crate::status::Code;

const PICK_FIRST: BalancingConfig = BalancingConfig::PickFirst(PickFirstConfig { shuffle_address_list: false });
const SHUFFLED: BalancingConfig = BalancingConfig::PickFirst(PickFirstConfig { shuffle_address_list: true });
const ROUND_ROBIN: BalancingConfig = BalancingConfig::RoundRobin;
const LEAST_REQUEST: BalancingConfig = BalancingConfig::LeastRequest(LeastRequestConfig { choice_count: 2 });
const A: &str = "10.0.0.1:1";
const B: &str = "10.0.0.2:1";

/// Drives the policies and writes their actions down as short words.
struct Bench {
    policy: GracefulSwitch,
    ids: SubchannelIds,
}

fn make(config: &BalancingConfig, ids: &SubchannelIds) -> Box<dyn LbPolicy> {
    let (ids, delay) = (ids.clone(), Duration::from_millis(250));
    match config {
        BalancingConfig::PickFirst(PickFirstConfig { shuffle_address_list: false }) => {
            Box::new(PickFirst::new(ids, delay))
        }
        BalancingConfig::PickFirst(_) => Box::new(PickFirst::new(ids, delay).shuffled(Shuffle::new(0.0))),
        BalancingConfig::RoundRobin => Box::new(RoundRobin::round_robin(ids, delay, 0.0)),
        BalancingConfig::WeightedRoundRobin(settings) => {
            Box::new(WeightedRoundRobin::weighted_round_robin(ids, delay, 0.0, settings.clone()))
        }
        BalancingConfig::LeastRequest(settings) => Box::new(LeastRequest::least_request(ids, delay, *settings)),
        BalancingConfig::RingHash(settings) => Box::new(RingHash::new(settings, 4_096, ids, delay, Random::new(1))),
        BalancingConfig::RandomSubsetting(settings, child) => {
            Box::new(RandomSubsetting::new(*settings, 1, make(child, &ids)))
        }
        BalancingConfig::OutlierDetection(options, child) => {
            Box::new(OutlierDetection::new(options.clone(), make(child, &ids), Random::new(1)))
        }
    }
}

impl Bench {
    fn new(config: &BalancingConfig) -> Self {
        let ids = SubchannelIds::default();
        Self { policy: GracefulSwitch::new(Arc::new(config.clone()), make(config, &ids)), ids }
    }

    /// One that is READY at A by its subchannel 1.
    fn ready(config: &BalancingConfig) -> Self {
        let mut bench = Self::new(config);
        bench.told(|policy, actions| policy.on_endpoints(Time::ZERO, endpoints(&[A]), actions));
        assert_eq!(bench.state(1, State::Ready), ["READY pick 1"]);
        bench
    }

    fn told(&mut self, event: impl FnOnce(&mut GracefulSwitch, &mut Vec<LbAction>)) -> Vec<String> {
        let mut actions = Vec::new();
        event(&mut self.policy, &mut actions);
        actions.iter().map(word).collect()
    }

    /// What a resolver's answer with this config and these addresses leads to.
    fn resolved(&mut self, config: &BalancingConfig, addresses: &[&str]) -> Vec<String> {
        let ids = self.ids.clone();
        self.told(|policy, actions| {
            policy.switch_to(Time::ZERO, &Arc::new(config.clone()), 0.5, |config| make(config, &ids), actions);
            policy.on_endpoints(Time::ZERO, endpoints(addresses), actions);
        })
    }

    fn state(&mut self, id: u64, state: State) -> Vec<String> {
        self.told(|policy, actions| policy.on_subchannel_state(Time::ZERO, SubchannelId::of(id), state, actions))
    }
}

fn endpoints(addresses: &[&str]) -> Vec<Endpoint> {
    of_each(addresses.iter().map(|text| Address::Inet(text.parse().expect("address"))))
}

/// pick_first serves at A by subchannel 1, round_robin connects to A by 2 and to B by 3.
fn switching() -> Bench {
    let mut bench = Bench::ready(&PICK_FIRST);
    let made = bench.resolved(&ROUND_ROBIN, &[A, B]);
    // What it publishes is held back.
    assert_eq!(made, ["create 2 10.0.0.1:1", "connect 2", "create 3 10.0.0.2:1", "connect 3"]);
    bench
}

/// [LB-5], [INV-9]
#[test]
fn the_old_policy_serves_until_the_new_one_is_ready_and_is_dropped_then() {
    let mut bench = switching();
    assert_eq!(bench.state(3, State::TransientFailure), ["re-resolve"]);
    assert_eq!(bench.state(2, State::Ready), ["READY pick 2", "remove 1"]);
    // Nobody has it any more.
    assert_eq!(bench.state(1, State::Idle), [""; 0]);
    assert_eq!(bench.state(3, State::Ready), ["READY pick 3"]);
}

/// [LB-5]
#[test]
fn a_new_policy_that_fails_takes_over_too() {
    let mut bench = switching();
    bench.state(2, State::TransientFailure);
    let last = bench.state(3, State::TransientFailure);
    assert_eq!(last, ["re-resolve", "TRANSIENT_FAILURE fail", "remove 1"]);
}

/// [LB-5]
#[test]
fn the_new_policy_takes_over_when_the_old_one_is_not_ready_any_more() {
    let mut bench = switching();
    // Its wish for other addresses and its own state are the past.
    assert_eq!(bench.state(1, State::Idle), ["CONNECTING queue", "remove 1"]);
    assert_eq!(bench.state(2, State::Ready), ["READY pick 2"]);
}

/// [LB-5]
#[test]
fn what_the_old_policy_shows_while_it_is_ready_is_shown() {
    let mut bench = Bench::new(&ROUND_ROBIN);
    bench.told(|policy, actions| policy.on_endpoints(Time::ZERO, endpoints(&[A, B]), actions));
    bench.state(1, State::Ready);
    bench.state(2, State::Ready);
    bench.resolved(&PICK_FIRST, &[A, B]);
    // The one that is lost is dialed again, and no other addresses are asked for.
    assert_eq!(bench.state(1, State::Idle), ["connect 1", "READY pick 2"]);
}

/// [LB-5]
#[test]
fn a_policy_that_is_not_ready_is_replaced_at_once() {
    let mut fresh = Bench::new(&PICK_FIRST);
    let made = fresh.resolved(&ROUND_ROBIN, &[B]);
    assert_eq!(made, ["create 1 10.0.0.2:1", "connect 1", "CONNECTING queue"]);
    for state in [State::TransientFailure, State::Connecting] {
        let mut bench = Bench::new(&PICK_FIRST);
        bench.resolved(&PICK_FIRST, &[A]);
        bench.state(1, state);
        let made = bench.resolved(&ROUND_ROBIN, &[B]);
        assert_eq!(made, ["remove 1", "create 2 10.0.0.2:1", "connect 2", "CONNECTING queue"], "{state}");
    }
}

/// [LB-5]
#[test]
fn another_change_replaces_the_policy_that_has_not_taken_over() {
    let mut bench = switching();
    let changed = bench.resolved(&LEAST_REQUEST, &[B]);
    assert_eq!(changed, ["remove 2", "remove 3", "create 4 10.0.0.2:1", "connect 4"]);
    assert_eq!(bench.state(2, State::Ready), [""; 0], "of the one that is gone");
    assert_eq!(bench.state(4, State::Ready), ["READY pick 4", "remove 1"]);
}

/// [LB-5]
#[test]
fn going_back_to_what_runs_is_a_change_like_any_other() {
    let mut bench = switching();
    let back = bench.resolved(&PICK_FIRST, &[A]);
    assert_eq!(back, ["remove 2", "remove 3", "create 4 10.0.0.1:1", "connect 4"]);
    assert_eq!(bench.state(4, State::Ready), ["READY pick 4", "remove 1"]);
}

/// [LB-5]
#[test]
fn the_old_policy_is_told_of_no_endpoints_any_more() {
    let mut bench = switching();
    // Its address is not listed any more, and it serves on.
    assert_eq!(bench.resolved(&ROUND_ROBIN, &[B]), ["remove 2"]);
    assert_eq!(bench.state(3, State::Ready), ["READY pick 3", "remove 1"]);
}

/// [LB-5]
#[test]
fn the_same_config_again_changes_nothing() {
    let mut bench = Bench::ready(&ROUND_ROBIN);
    assert_eq!(bench.resolved(&ROUND_ROBIN, &[A]), ["READY pick 1"]);
}

/// [LB-5]
#[test]
fn other_settings_of_the_same_policy_are_taken_in_place() {
    let outliers = |interval| {
        let options = OutlierOptions { interval: Duration::from_secs(interval), ..OutlierOptions::default() };
        BalancingConfig::OutlierDetection(options, Box::new(ROUND_ROBIN))
    };
    let more = BalancingConfig::LeastRequest(LeastRequestConfig { choice_count: 4 });
    let weighted = |error_utilization_penalty| {
        let config = WeightedRoundRobinConfig { error_utilization_penalty, ..WeightedRoundRobinConfig::default() };
        BalancingConfig::WeightedRoundRobin(config)
    };
    let changes =
        [(PICK_FIRST, SHUFFLED), (LEAST_REQUEST, more), (weighted(1.0), weighted(2.0)), (outliers(10), outliers(20))];
    for (before, after) in changes {
        let mut bench = Bench::ready(&before);
        let actions = bench.resolved(&after, &[A]);
        assert!(actions.iter().all(|action| action == "READY pick 1"), "{after:?}: {actions:?}");
        assert!(bench.policy.pending.is_none(), "{after:?}");
    }
}

/// [LB-13]
#[test]
fn pick_first_that_is_told_to_shuffle_does_so_with_the_next_list() {
    let many: Vec<String> = (1..=9).map(|number| format!("10.0.0.{number}:1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let mut bench = Bench::new(&PICK_FIRST);
    let actions = bench.resolved(&SHUFFLED, &many);
    let dialed: Vec<&str> = actions.iter().filter_map(|action| action.strip_prefix("create ")?.get(2..)).collect();
    assert_eq!(dialed.len(), 9);
    assert!(!dialed.is_sorted(), "{dialed:?}");
}

/// [LB-5]: the child of a policy cannot be changed under it.
#[test]
fn another_policy_inside_is_another_policy() {
    let with = |child| BalancingConfig::OutlierDetection(OutlierOptions::default(), Box::new(child));
    let mut bench = Bench::ready(&with(ROUND_ROBIN));
    assert_eq!(bench.resolved(&with(LEAST_REQUEST), &[A]), ["create 2 10.0.0.1:1", "connect 2"]);
    assert_eq!(bench.state(2, State::Ready), ["READY pick 2", "remove 1"]);
}

#[test]
fn both_policies_are_asked_at_their_times() {
    let mut bench = Bench::ready(&ROUND_ROBIN);
    let made = bench.resolved(&PICK_FIRST, &[A, B]);
    assert_eq!(made, ["create 2 10.0.0.1:1", "create 3 10.0.0.2:1", "connect 2"]);
    // The new one's attempt at its next address.
    let due = Time::from_start(Duration::from_millis(250));
    assert_eq!(bench.policy.next_deadline(), Some(due));
    assert_eq!(bench.told(|policy, actions| policy.on_time(due, actions)), ["connect 3"]);
}

#[test]
fn health_is_told_to_the_policy_that_has_the_subchannel() {
    let mut bench = switching();
    let unhealthy = |id| {
        move |policy: &mut GracefulSwitch, actions: &mut Vec<LbAction>| {
            policy.on_health(Time::ZERO, SubchannelId::of(id), Health::Unhealthy, actions);
        }
    };
    assert_eq!(bench.told(unhealthy(2)), [""; 0]);
    bench.state(2, State::Ready);
    assert_eq!(bench.state(3, State::Ready), ["READY pick 3", "remove 1"], "2 is not healthy");
}

/// The breaker is the endpoint's, and both policies see it.
#[test]
fn a_breaker_whose_opening_lets_the_new_policy_take_over_is_told_once() {
    let ids = SubchannelIds::default();
    let options = BreakerOptions { consecutive_failures: Some(1), ..BreakerOptions::default() };
    let guarded = |config: &BalancingConfig| CircuitBreaking::new(options.clone(), make(config, &ids));
    let policy = GracefulSwitch::new(Arc::new(ROUND_ROBIN), Box::new(guarded(&ROUND_ROBIN)));
    let mut bench = Bench { policy, ids: ids.clone() };
    let listed = endpoints(&[A]);
    bench.told(|policy, actions| policy.on_endpoints(Time::ZERO, listed.clone(), actions));
    bench.state(1, State::Ready);
    bench.told(|policy, actions| {
        policy.switch_to(Time::ZERO, &Arc::new(LEAST_REQUEST), 0.5, |config| Box::new(guarded(config)), actions);
        policy.on_endpoints(Time::ZERO, listed.clone(), actions);
    });
    listed[0].tally().enter().on_verdict(Time::ZERO, Some(Verdict::Failed(Code::Unavailable)));
    let look = |bench: &mut Bench| bench.told(|policy, actions| policy.on_time(Time::ZERO, actions));
    let told = [look(&mut bench), look(&mut bench)].concat();
    assert!(told.contains(&"remove 1".to_owned()), "it has taken over: {told:?}");
    assert_eq!(told.iter().filter(|action| action.contains("has opened")).count(), 1, "{told:?}");
}
