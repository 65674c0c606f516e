use super::*;
use crate::address::Address;
use crate::policy::balancer::endpoint::of_each;
use crate::policy::balancer::least_request::LeastRequestConfig;
use crate::policy::balancer::round_robin::RoundRobin;
use crate::policy::balancer::{SubchannelIds, word};
use crate::random::Random;

/// The endpoints with these numbers.
fn endpoints(numbers: impl IntoIterator<Item = u8>) -> Vec<Endpoint> {
    of_each(numbers.into_iter().map(|number| Address::Inet(([10, 0, 0, number], 443).into())))
}

/// The numbers of the subset.
fn chosen(numbers: impl IntoIterator<Item = u8>, size: usize, seed: u64) -> Vec<String> {
    subset(endpoints(numbers), size, seed).iter().map(|endpoint| endpoint.addresses()[0].to_string()).collect()
}

/// [LB-110]. The order is that of libxxhash's XXH64 with the seed 7.
#[test]
fn the_first_by_their_hashes_are_chosen() {
    assert_eq!(chosen(1..=5, 3, 7), ["10.0.0.5:443", "10.0.0.2:443", "10.0.0.3:443"]);
    assert_eq!(chosen([3, 5, 1, 2, 4], 3, 7), chosen(1..=5, 3, 7), "whatever the order of the list");
}

/// [LB-110]
#[test]
fn where_there_are_no_more_all_are_used() {
    for count in 0..=3 {
        assert_eq!(chosen(1..=count, 3, 7).len(), usize::from(count));
    }
}

/// [LB-110]
#[test]
fn an_endpoint_that_comes_or_goes_takes_the_place_of_one_at_most() {
    for seed in 0..200 {
        let before = chosen(1..=20, 5, seed);
        assert_eq!(chosen(1..=20, 5, seed), before, "the same seed, the same subset");
        let more = chosen(1..=21, 5, seed);
        let fewer = chosen((1..=20).filter(|number| *number != 9), 5, seed);
        for after in [more, fewer] {
            assert!(after.iter().filter(|endpoint| !before.contains(endpoint)).count() <= 1, "{before:?} {after:?}");
        }
    }
}

/// [LB-110]
#[test]
fn clients_are_spread_over_all_endpoints() {
    const ENDPOINTS: u8 = 20;
    const CLIENTS: u32 = 1_000;
    const SIZE: u32 = 5;
    let all = chosen(1..=ENDPOINTS, usize::from(ENDPOINTS), 0);
    let mut counts = vec![0_u32; all.len()];
    for client in 0..CLIENTS {
        let seed = Random::new(u64::from(client)).bits();
        for endpoint in chosen(1..=ENDPOINTS, SIZE as usize, seed) {
            counts[all.iter().position(|other| *other == endpoint).expect("one of them")] += 1;
        }
    }
    let expected = f64::from(CLIENTS * SIZE) / f64::from(ENDPOINTS);
    let square = |count: &u32| (f64::from(*count) - expected).powi(2) / expected;
    let chi_squared: f64 = counts.iter().map(square).sum();
    // One in a thousand of fair draws is above, with 19 degrees of freedom; without replacement they are closer together still.
    assert!(chi_squared < 43.8, "{chi_squared}: {counts:?}");
}

#[test]
fn another_size_is_taken_if_the_child_takes_its_settings() {
    let child = RoundRobin::round_robin(SubchannelIds::default(), std::time::Duration::from_millis(250), 0.0);
    let mut policy = RandomSubsetting::new(RandomSubsettingConfig { subset_size: 2 }, 7, Box::new(child));
    let mut take = |config: &BalancingConfig| {
        let has_taken = policy.on_config(Time::ZERO, config, 0.0, &mut Vec::new());
        (has_taken, policy.size)
    };
    let with =
        |subset_size, child| BalancingConfig::RandomSubsetting(RandomSubsettingConfig { subset_size }, Box::new(child));
    assert_eq!(take(&with(3, BalancingConfig::LeastRequest(LeastRequestConfig::default()))), (false, 2));
    assert_eq!(take(&BalancingConfig::RoundRobin), (false, 2));
    assert_eq!(take(&with(4, BalancingConfig::RoundRobin)), (true, 4));
}

/// [LB-110]
#[test]
fn everything_else_passes_through() {
    let child = RoundRobin::round_robin(SubchannelIds::default(), std::time::Duration::from_millis(250), 0.0);
    let config = RandomSubsettingConfig { subset_size: 2 };
    let mut policy = RandomSubsetting::new(config, 7, Box::new(child));
    let told = |policy: &mut RandomSubsetting, event: &dyn Fn(&mut RandomSubsetting, &mut Vec<LbAction>)| {
        let mut actions = Vec::new();
        event(policy, &mut actions);
        actions.iter().map(word).collect::<Vec<_>>()
    };
    let words = told(&mut policy, &|policy, actions| policy.on_endpoints(Time::ZERO, endpoints(1..=9), actions));
    assert_eq!(words.iter().filter(|word| word.starts_with("create")).count(), 2, "{words:?}");
    let state = |id, state| {
        move |policy: &mut RandomSubsetting, actions: &mut Vec<LbAction>| {
            policy.on_subchannel_state(Time::ZERO, SubchannelId::of(id), state, actions);
        }
    };
    assert_eq!(told(&mut policy, &state(1, State::Ready)), ["READY pick 1"]);
    let health = |health| {
        move |policy: &mut RandomSubsetting, actions: &mut Vec<LbAction>| {
            policy.on_health(Time::ZERO, SubchannelId::of(1), health, actions);
        }
    };
    assert_eq!(told(&mut policy, &health(Health::Unhealthy)), ["CONNECTING queue"]);
    assert_eq!(told(&mut policy, &health(Health::Healthy)), ["READY pick 1"]);
    assert_eq!(told(&mut policy, &state(1, State::Idle)), ["re-resolve", "connect 1", "CONNECTING queue"]);
}
