use std::time::Duration;

use super::*;
use crate::address::Address;
use crate::policy::balancer::endpoint::of_each;
use crate::policy::balancer::outlier_detection::{FailurePercentageEjection, OutlierDetection, OutlierOptions};
use crate::policy::balancer::pick_first::PickFirst;
use crate::policy::balancer::round_robin::RoundRobin;
use crate::policy::balancer::tally::InFlight;
use crate::policy::balancer::{SubchannelIds, word};
use crate::random::Random;
use crate::status::Code;

/// Circuit breakers around a policy over endpoints whose subchannels are numbered from 1.
struct Bench {
    policy: CircuitBreaking,
    endpoints: Vec<Endpoint>,
    state: State,
    picker: Option<Rc<dyn Picker>>,
}

fn at(seconds: u64) -> Time {
    Time::from_start(Duration::from_secs(seconds))
}

/// One failure opens a breaker for five seconds.
fn touchy() -> BreakerOptions {
    BreakerOptions { consecutive_failures: Some(1), ..BreakerOptions::default() }
}

fn round_robin() -> Box<dyn LbPolicy> {
    Box::new(RoundRobin::round_robin(SubchannelIds::default(), Duration::from_millis(250), 0.0))
}

impl Bench {
    fn new(endpoints: u8, child: Box<dyn LbPolicy>) -> Self {
        let policy = CircuitBreaking::new(touchy(), child);
        let address = |number| Address::Inet(([10, 0, 0, number], 1).into());
        let mut bench =
            Self { policy, endpoints: of_each((1..=endpoints).map(address)), state: State::Idle, picker: None };
        let listed = bench.endpoints.clone();
        bench.told(|policy, actions| policy.on_endpoints(at(0), listed, actions));
        bench
    }

    /// round_robin, connected to all of them.
    fn connected(endpoints: u8) -> Self {
        let mut bench = Self::new(endpoints, round_robin());
        for id in 1..=u64::from(endpoints) {
            bench.subchannel(0, id, State::Ready);
        }
        bench
    }

    fn told(&mut self, event: impl FnOnce(&mut CircuitBreaking, &mut Vec<LbAction>)) -> Vec<String> {
        let mut actions = Vec::new();
        event(&mut self.policy, &mut actions);
        for action in &actions {
            if let LbAction::Publish(state, picker) = action {
                (self.state, self.picker) = (*state, Some(Rc::clone(picker)));
            }
        }
        actions.iter().map(word).collect()
    }

    fn subchannel(&mut self, now: u64, id: u64, state: State) -> Vec<String> {
        self.told(|policy, actions| policy.on_subchannel_state(at(now), SubchannelId::of(id), state, actions))
    }

    fn health(&mut self, now: u64, id: u64, health: Health) -> Vec<String> {
        self.told(|policy, actions| policy.on_health(at(now), SubchannelId::of(id), health, actions))
    }

    fn time(&mut self, now: u64) -> Vec<String> {
        self.told(|policy, actions| policy.on_time(at(now), actions))
    }

    /// A call at an endpoint, which are numbered from 1.
    fn enter(&self, endpoint: usize) -> InFlight {
        self.endpoints[endpoint - 1].tally().enter()
    }

    fn end(&self, now: u64, endpoint: usize, verdict: Verdict) -> bool {
        self.enter(endpoint).on_verdict(at(now), Some(verdict))
    }

    fn fails(&self, now: u64, endpoint: usize) {
        assert!(self.end(now, endpoint, Verdict::Failed(Code::Unavailable)), "that is news");
    }

    fn pick(&self) -> PickResult {
        self.picker.as_ref().expect("published").pick(&PickArgs::of_no_call())
    }

    /// The subchannels that are picked, in order.
    fn picked(&self) -> Vec<u64> {
        let pick = || if let PickResult::Complete(id) = self.pick() { Some(id.number()) } else { None };
        let mut picked: Vec<u64> = (0..20).filter_map(|_| pick()).collect();
        picked.sort_unstable();
        picked.dedup();
        picked
    }
}

#[test]
fn an_endpoint_whose_breaker_opens_is_left_to_the_others_and_stays_connected() {
    let mut bench = Bench::connected(3);
    assert_eq!(bench.picked(), [1, 2, 3]);
    bench.fails(7, 2);
    let told = bench.time(7);
    assert_eq!(told[0], "10.0.0.2:1: the circuit breaker has opened: 1 failure in a row, the last UNAVAILABLE");
    assert!(told[1..].iter().all(|action| action.starts_with("READY pick")), "{told:?}");
    assert_eq!(bench.picked(), [1, 3]);
    assert_eq!(bench.policy.next_deadline(), Some(at(12)));
}

#[test]
fn the_next_call_after_the_open_time_probes_and_its_success_brings_the_endpoint_back() {
    let mut bench = Bench::connected(2);
    bench.fails(7, 2);
    bench.time(7);
    assert_eq!(bench.time(12)[0], "10.0.0.2:1: the circuit breaker is half-open: calls probe");
    assert_eq!(bench.pick(), PickResult::Complete(SubchannelId::of(2)), "before it is anybody's turn");
    let probe = bench.enter(2);
    assert_eq!(bench.picked(), [1], "one probes");
    assert!(probe.on_verdict(at(13), Some(Verdict::Succeeded)));
    assert_eq!(bench.time(13)[0], "10.0.0.2:1: the circuit breaker has closed: its probes succeeded");
    assert_eq!(bench.picked(), [1, 2]);
    assert_eq!(bench.policy.open_breakers(), []);
}

#[test]
fn a_probe_that_fails_leaves_the_endpoint_out_again() {
    let mut bench = Bench::connected(2);
    bench.fails(7, 2);
    bench.time(7);
    bench.time(12);
    bench.fails(14, 2);
    bench.time(14);
    assert_eq!(bench.picked(), [1]);
    assert_eq!(bench.policy.next_deadline(), Some(at(19)));
}

/// As with a probe whose caller loses interest, or whose connection ends before it is sent.
#[test]
fn a_probe_that_comes_to_nothing_leaves_its_place_to_another() {
    let mut bench = Bench::connected(1);
    bench.fails(7, 1);
    bench.time(7);
    bench.time(12);
    drop(bench.enter(1));
    assert_eq!(bench.picked(), [1]);
    let probe = bench.enter(1);
    assert_eq!(bench.picked(), [0; 0]);
    assert!(probe.on_verdict(at(13), None), "calls that wait are to be told");
    assert_eq!(bench.time(13), ["TRANSIENT_FAILURE pick 1"]);
}

#[test]
fn when_all_breakers_are_open_calls_fail_and_those_that_are_open_can_be_told() {
    let mut bench = Bench::connected(2);
    bench.fails(7, 1);
    bench.time(7);
    bench.fails(8, 2);
    bench.time(8);
    assert_eq!((bench.state, bench.pick()), (State::TransientFailure, PickResult::Fail(Lack::Breaker)));
    let why = "1 failure in a row, the last UNAVAILABLE";
    let open = |address: &str, since, probe_at| OpenBreaker {
        address: address.into(),
        since: at(since),
        why: why.into(),
        probe_at,
    };
    let wanted = [open("10.0.0.1:1", 7, Some(at(12))), open("10.0.0.2:1", 8, Some(at(13)))];
    assert_eq!(bench.policy.open_breakers(), wanted);
    bench.time(12);
    assert_eq!(bench.policy.open_breakers()[0].probe_at, None);
    assert_eq!((bench.state, bench.picked()), (State::TransientFailure, vec![1]));
    bench.end(12, 1, Verdict::Succeeded);
    bench.time(12);
    assert_eq!((bench.state, bench.picked()), (State::Ready, vec![1]));
}

#[test]
fn calls_wait_for_an_endpoint_that_is_being_connected_while_the_breakers_of_the_others_are_open() {
    let mut bench = Bench::new(2, round_robin());
    bench.subchannel(0, 1, State::Ready);
    bench.fails(7, 1);
    bench.time(7);
    assert_eq!((bench.state, bench.pick()), (State::Connecting, PickResult::Queue));
    bench.subchannel(8, 2, State::TransientFailure);
    assert_eq!((bench.state, bench.pick()), (State::TransientFailure, PickResult::Fail(Lack::Breaker)));
}

/// [LB-21]: pick_first does not leave its only choice; a breaker lets nothing through all the same.
#[test]
fn with_pick_first_calls_fail_while_the_breaker_of_its_address_is_open() {
    let child = PickFirst::new(SubchannelIds::default(), Duration::from_millis(250));
    let mut bench = Bench::new(1, Box::new(child));
    bench.subchannel(0, 1, State::Ready);
    bench.fails(7, 1);
    bench.time(7);
    assert_eq!((bench.state, bench.pick()), (State::TransientFailure, PickResult::Fail(Lack::Breaker)));
    bench.time(12);
    assert_eq!(bench.pick(), PickResult::Complete(SubchannelId::of(1)));
    bench.end(12, 1, Verdict::Succeeded);
    bench.time(12);
    assert_eq!((bench.state, bench.picked()), (State::Ready, vec![1]));
}

#[test]
fn an_endpoint_that_connects_anew_has_the_breaker_it_had() {
    let mut bench = Bench::connected(2);
    bench.fails(7, 2);
    bench.time(7);
    bench.subchannel(8, 2, State::Idle);
    bench.subchannel(9, 2, State::Ready);
    assert_eq!(bench.picked(), [1]);
    // As when a service config brings another policy.
    bench.policy = CircuitBreaking::new(touchy(), round_robin());
    let listed = bench.endpoints.clone();
    bench.told(|policy, actions| policy.on_endpoints(at(10), listed, actions));
    bench.subchannel(10, 1, State::Ready);
    bench.subchannel(10, 2, State::Ready);
    assert_eq!(bench.picked(), [1]);
}

/// Ejected once, it must not be brought back by the breaker's end, nor by the ejection's end while the breaker is open.
#[test]
fn outlier_detection_inside_and_the_breaker_each_hold_an_endpoint_back() {
    let rule = FailurePercentageEjection { threshold: 0, minimum_hosts: 1, request_volume: 1, ..Default::default() };
    let options =
        OutlierOptions { failure_percentage: Some(rule), max_ejection_percent: 100, ..OutlierOptions::default() };
    let child = OutlierDetection::new(options, round_robin(), Random::new(1));
    let mut bench = Bench::new(2, Box::new(child));
    bench.subchannel(0, 1, State::Ready);
    bench.subchannel(0, 2, State::Ready);
    bench.enter(2).on_ended(false);
    bench.fails(1, 2);
    bench.time(1);
    bench.time(10);
    // The breaker closes while it is ejected, until the first look after 40 s.
    bench.end(10, 2, Verdict::Succeeded);
    bench.time(10);
    assert_eq!(bench.policy.open_breakers(), []);
    assert_eq!(bench.picked(), [1]);
    // And opens, and stays so beyond the ejection's end.
    bench.fails(49, 2);
    for now in [49, 50] {
        bench.time(now);
        assert_eq!(bench.picked(), [1], "at {now} s");
    }
    bench.time(54);
    bench.end(54, 2, Verdict::Succeeded);
    bench.time(54);
    assert_eq!(bench.picked(), [1, 2]);
}

#[test]
fn a_call_that_asks_again_probes_only_where_nobody_else_would_do() {
    let mut bench = Bench::connected(2);
    bench.fails(7, 2);
    bench.time(7);
    bench.time(12);
    let again = |bench: &Bench, numbers: &[u64]| {
        let would_go_to = |id: SubchannelId| numbers.contains(&id.number());
        let call = PickArgs { would_go_to: Some(&would_go_to), ..PickArgs::of_no_call() };
        bench.picker.as_ref().expect("published").pick(&call)
    };
    let at = |number| PickResult::Complete(SubchannelId::of(number));
    assert_eq!(bench.pick(), at(2), "the first time it probes");
    assert_eq!(again(&bench, &[1]), at(1));
    assert_eq!(again(&bench, &[1, 2]), at(1));
    assert_eq!(again(&bench, &[2]), at(2));
}

/// [LB-26]: the policy inside counts it as failed before and after, and shows nothing new.
#[test]
fn no_call_probes_an_endpoint_that_has_lost_its_connection_until_it_has_another_one() {
    let mut bench = Bench::connected(2);
    bench.fails(7, 2);
    bench.time(7);
    bench.time(12);
    assert_eq!(bench.pick(), PickResult::Complete(SubchannelId::of(2)));
    bench.subchannel(13, 2, State::Idle);
    assert_eq!(bench.picked(), [1]);
    bench.subchannel(14, 2, State::Ready);
    assert_eq!(bench.pick(), PickResult::Complete(SubchannelId::of(2)));
}

/// [LB-120]
#[test]
fn no_call_probes_an_endpoint_whose_server_has_not_said_that_it_is_healthy() {
    let mut bench = Bench::connected(2);
    bench.fails(7, 2);
    bench.time(7);
    bench.health(8, 2, Health::Unhealthy);
    bench.time(12);
    assert_eq!(bench.picked(), [1]);
    bench.health(13, 2, Health::Unknown);
    assert_eq!(bench.picked(), [1]);
    bench.health(14, 2, Health::Healthy);
    assert_eq!(bench.pick(), PickResult::Complete(SubchannelId::of(2)));
    bench.health(15, 2, Health::Unhealthy);
    assert_eq!(bench.picked(), [1]);
}
