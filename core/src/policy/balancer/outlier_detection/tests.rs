use std::cell::Cell;

use super::*;
use crate::address::Address;
use crate::policy::balancer::endpoint::of_each;
use crate::policy::balancer::round_robin::RoundRobin;
use crate::policy::balancer::{PickArgs, PickResult, Picker, SubchannelIds, word};

/// Outlier detection around round_robin over endpoints whose subchannels are numbered from 1.
struct Bench {
    policy: OutlierDetection,
    endpoints: Vec<Endpoint>,
    picker: Option<Rc<dyn Picker>>,
}

fn at(seconds: u64) -> Time {
    Time::from_start(Duration::from_secs(seconds))
}

fn address(number: u8) -> Address {
    Address::Inet(([10, 0, 0, number], 1).into())
}

/// Ejects who fails at all, as soon as one call was made, any number of them.
fn strict() -> OutlierOptions {
    let rule = FailurePercentageEjection { threshold: 0, minimum_hosts: 1, request_volume: 1, ..Default::default() };
    OutlierOptions { failure_percentage: Some(rule), max_ejection_percent: 100, ..OutlierOptions::default() }
}

impl Bench {
    /// All are READY.
    fn new(options: OutlierOptions, endpoints: u8) -> Self {
        let child = RoundRobin::round_robin(SubchannelIds::default(), Duration::from_millis(250), 0.0);
        let policy = OutlierDetection::new(options, Box::new(child), Random::new(1));
        let mut bench = Self { policy, endpoints: of_each((1..=endpoints).map(address)), picker: None };
        bench.listed(0, bench.endpoints.clone());
        for id in 1..=u64::from(endpoints) {
            bench.state(0, id, State::Ready);
        }
        bench
    }

    fn told(&mut self, event: impl FnOnce(&mut OutlierDetection, &mut Vec<LbAction>)) -> Vec<String> {
        let mut actions = Vec::new();
        event(&mut self.policy, &mut actions);
        for action in &actions {
            if let LbAction::Publish(_, picker) = action {
                self.picker = Some(Rc::clone(picker));
            }
        }
        actions.iter().map(word).collect()
    }

    fn listed(&mut self, now: u64, endpoints: Vec<Endpoint>) -> Vec<String> {
        self.told(|policy, actions| policy.on_endpoints(at(now), endpoints, actions))
    }

    fn state(&mut self, now: u64, id: u64, state: State) -> Vec<String> {
        self.told(|policy, actions| policy.on_subchannel_state(at(now), SubchannelId::of(id), state, actions))
    }

    fn health(&mut self, now: u64, id: u64, health: Health) -> Vec<String> {
        self.told(|policy, actions| policy.on_health(at(now), SubchannelId::of(id), health, actions))
    }

    fn time(&mut self, now: u64) -> Vec<String> {
        self.told(|policy, actions| policy.on_time(at(now), actions))
    }

    /// A call at an endpoint, which are numbered from 1.
    fn call(&self, endpoint: usize, is_ok: bool) {
        self.endpoints[endpoint - 1].tally().enter().on_ended(is_ok);
    }

    /// The subchannels that are picked, in order.
    fn picked(&self) -> Vec<u64> {
        let picker = self.picker.as_ref().expect("published");
        let next = Cell::new(0.0);
        let random_unit = || next.replace(next.get());
        let pick = || match picker.pick(&PickArgs { random_unit: &random_unit, ..PickArgs::of_no_call() }) {
            PickResult::Complete(id) => Some(id.number()),
            PickResult::Queue | PickResult::Fail(_) => None,
        };
        let mut picked: Vec<u64> = (0..20).filter_map(|_| pick()).collect();
        picked.sort_unstable();
        picked.dedup();
        picked
    }
}

/// [LB-80], [LB-81], [LB-85]
#[test]
fn an_endpoint_that_fails_gets_no_calls_for_its_time_and_stays_connected() {
    let mut bench = Bench::new(strict(), 3);
    assert_eq!(bench.picked(), [1, 2, 3]);
    bench.call(1, true);
    bench.call(2, false);
    assert_eq!(bench.policy.next_deadline(), Some(at(10)));
    let actions = bench.time(10);
    assert!(actions.iter().all(|action| action.starts_with("READY pick")), "nothing is dropped or dialed: {actions:?}");
    assert_eq!(bench.picked(), [1, 3]);
    // Ejected at 10 s for 30 s, and looked at every 10.
    for (now, serving) in [(20, &[1, 3][..]), (30, &[1, 3]), (40, &[1, 3]), (50, &[1, 2, 3])] {
        bench.time(now);
        assert_eq!(bench.picked(), serving, "at {now} s");
    }
}

#[test]
fn whether_an_endpoint_is_ejected_is_seen_until_it_is_back_or_nobody_watches_it_any_more() {
    let mut bench = Bench::new(strict(), 3);
    let seen = |bench: &Bench| -> Vec<bool> { bench.endpoints.iter().map(|one| one.tally().is_ejected()).collect() };
    bench.call(2, false);
    bench.time(10);
    assert_eq!(seen(&bench), [false, true, false]);
    for now in [20, 30, 40, 50] {
        bench.time(now);
    }
    assert_eq!(seen(&bench), [false; 3]);
    bench.call(2, false);
    bench.time(60);
    assert_eq!(seen(&bench), [false, true, false]);
    bench.listed(60, Vec::new());
    assert_eq!(seen(&bench), [false; 3]);
}

/// [LB-21], [LB-85]
#[test]
fn one_that_connects_anew_while_it_is_ejected_stays_ejected() {
    let mut bench = Bench::new(strict(), 2);
    bench.call(2, false);
    bench.time(10);
    bench.state(11, 2, State::Idle);
    bench.state(12, 2, State::Ready);
    assert_eq!(bench.picked(), [1]);
    for now in [20, 30, 40, 50] {
        bench.time(now);
    }
    assert_eq!(bench.picked(), [1, 2]);
}

/// [LB-21], [LB-85]
#[test]
fn what_a_server_says_of_its_health_holds_again_when_the_ejection_is_over() {
    let mut bench = Bench::new(strict(), 2);
    bench.call(2, false);
    bench.time(10);
    assert!(bench.health(11, 2, Health::Unhealthy).is_empty());
    assert!(bench.health(12, 2, Health::Healthy).is_empty(), "the ejection wins");
    assert!(bench.health(13, 2, Health::Unhealthy).is_empty());
    for now in [20, 30, 40, 50] {
        bench.time(now);
        assert_eq!(bench.picked(), [1], "at {now} s");
    }
    bench.health(51, 2, Health::Healthy);
    assert_eq!(bench.picked(), [1, 2]);
}

/// [LB-85]
#[test]
fn when_all_are_ejected_the_channel_fails_and_says_that_it_is_not_for_want_of_connections() {
    let mut bench = Bench::new(strict(), 2);
    bench.call(1, false);
    bench.call(2, false);
    assert_eq!(bench.time(10).last().expect("published"), "TRANSIENT_FAILURE unhealthy");
}

/// [LB-80]
#[test]
fn an_endpoint_that_stays_listed_keeps_its_ejection_and_a_new_one_has_none() {
    let mut bench = Bench::new(strict(), 3);
    bench.call(2, false);
    bench.time(10);
    let kept = bench.endpoints[..2].to_vec();
    bench.listed(11, [kept, of_each([address(9)])].concat());
    bench.state(12, 4, State::Ready);
    assert_eq!(bench.picked(), [1, 4]);
}

/// [LB-87]
#[test]
fn without_a_rule_nothing_is_looked_at() {
    let mut bench = Bench::new(OutlierOptions::default(), 2);
    bench.call(2, false);
    assert_eq!(bench.policy.next_deadline(), None);
    bench.time(10);
    assert_eq!(bench.picked(), [1, 2]);
}

impl Bench {
    /// New options; whether the policy takes them.
    fn options(&mut self, now: u64, options: OutlierOptions) -> bool {
        let config = BalancingConfig::OutlierDetection(options, Box::new(BalancingConfig::RoundRobin));
        let mut has_taken = false;
        self.told(|policy, actions| has_taken = policy.on_config(at(now), &config, 0.0, actions));
        has_taken
    }
}

/// [LB-87]
#[test]
fn a_config_without_a_rule_lets_all_back_at_once_and_forgets_how_often_they_went() {
    let mut bench = Bench::new(strict(), 3);
    bench.call(2, false);
    bench.time(10);
    assert_eq!(bench.picked(), [1, 3]);
    assert!(bench.options(11, OutlierOptions::default()));
    assert_eq!(bench.picked(), [1, 2, 3]);
    assert_eq!(bench.policy.next_deadline(), None);
    assert!(bench.policy.watched.iter().all(|watched| watched.multiplier == 0));
}

/// [LB-87]
#[test]
fn the_first_rule_starts_the_timer_and_what_was_before_counts_for_nothing() {
    let mut bench = Bench::new(OutlierOptions::default(), 3);
    bench.call(2, false);
    assert!(bench.options(5, strict()));
    assert_eq!(bench.policy.next_deadline(), Some(at(15)));
    bench.time(15);
    assert_eq!(bench.picked(), [1, 2, 3]);
    bench.call(2, false);
    bench.time(25);
    assert_eq!(bench.picked(), [1, 3]);
}

/// [LB-87]
#[test]
fn a_new_interval_counts_from_the_last_sweep() {
    for (interval, next) in [(20, 20), (3, 4), (6, 6)] {
        let mut bench = Bench::new(strict(), 3);
        assert!(bench.options(4, OutlierOptions { interval: Duration::from_secs(interval), ..strict() }));
        assert_eq!(bench.policy.next_deadline(), Some(at(next)), "{interval} s");
    }
}

/// [LB-87]: ejections outlast a change of the rules.
#[test]
fn other_rules_leave_who_is_ejected_ejected() {
    let mut bench = Bench::new(strict(), 3);
    bench.call(2, false);
    bench.time(10);
    assert!(bench.options(11, OutlierOptions { max_ejection_percent: 50, ..strict() }));
    assert_eq!(bench.picked(), [1, 3]);
}

/// The loop that asks for the next deadline must come to do something else.
#[test]
fn an_interval_of_nothing_is_a_short_one() {
    let mut bench = Bench::new(OutlierOptions { interval: Duration::ZERO, ..strict() }, 1);
    bench.time(1);
    assert_eq!(bench.policy.next_deadline(), Some(at(1) + Duration::from_millis(10)));
}

/// [LB-89]
#[test]
fn calls_and_connections_of_endpoints_that_are_not_listed_count_for_nothing() {
    let mut bench = Bench::new(strict(), 3);
    let all = bench.endpoints.clone();
    bench.listed(1, [&all[..1], &all[2..]].concat());
    // Its last calls end after it has gone.
    bench.call(2, false);
    assert!(bench.health(2, 2, Health::Unhealthy).is_empty());
    assert!(bench.state(2, 2, State::Idle).is_empty());
    assert_eq!(bench.time(10), [""; 0]);
    assert_eq!(bench.picked(), [1, 3]);
    // Listed again, it is a new one, and what it did while nobody looked is over.
    bench.listed(11, all);
    bench.state(12, 4, State::Ready);
    bench.time(20);
    assert_eq!(bench.picked(), [1, 3, 4]);
}
