use super::*;
use crate::address::Address;
use crate::load_report::LoadReport;
use crate::policy::balancer::endpoint::{Endpoint, EndpointBook};
use crate::policy::balancer::{LbAction, LbPolicy, SubchannelId, word};
use crate::state::State;

/// The policy over endpoints whose addresses, and at first whose subchannels, are numbered from 1.
struct Bench {
    policy: WeightedRoundRobin,
    book: EndpointBook,
    endpoints: Vec<Endpoint>,
    picker: Option<Rc<dyn Picker>>,
}

fn at(milliseconds: u64) -> Time {
    Time::from_start(Duration::from_millis(milliseconds))
}

/// Weights count as soon as they are reported.
fn without_blackout() -> WeightedRoundRobinConfig {
    WeightedRoundRobinConfig { blackout_period: Duration::ZERO, ..WeightedRoundRobinConfig::default() }
}

impl Bench {
    fn dialing(config: WeightedRoundRobinConfig, endpoints: u8, unit: f64) -> Self {
        let delay = Duration::from_millis(250);
        let policy = WeightedRoundRobin::weighted_round_robin(SubchannelIds::default(), delay, unit, config);
        let mut bench = Self { policy, book: EndpointBook::default(), endpoints: Vec::new(), picker: None };
        bench.listed(0, 1..=endpoints);
        bench
    }

    /// All are READY.
    fn new(config: WeightedRoundRobinConfig, endpoints: u8) -> Self {
        let mut bench = Self::dialing(config, endpoints, 0.0);
        for id in 1..=u64::from(endpoints) {
            bench.state(0, id, State::Ready);
        }
        bench
    }

    fn told(&mut self, event: impl FnOnce(&mut WeightedRoundRobin, &mut Vec<LbAction>)) -> Vec<String> {
        let mut actions = Vec::new();
        event(&mut self.policy, &mut actions);
        for action in &actions {
            if let LbAction::Publish(_, picker) = action {
                self.picker = Some(Rc::clone(picker));
            }
        }
        actions.iter().map(word).collect()
    }

    fn listed(&mut self, now: u64, numbers: impl IntoIterator<Item = u8>) -> Vec<String> {
        let address = |number| Address::Inet(([10, 0, 0, number], 1).into());
        self.endpoints = self.book.on_listed(numbers.into_iter().map(|number| Box::from([address(number)])));
        let endpoints = self.endpoints.clone();
        self.told(|policy, actions| policy.on_endpoints(at(now), endpoints, actions))
    }

    fn state(&mut self, now: u64, id: u64, state: State) -> Vec<String> {
        self.told(|policy, actions| policy.on_subchannel_state(at(now), SubchannelId::of(id), state, actions))
    }

    /// What is due is done, and shows nothing new.
    fn time(&mut self, now: u64) {
        assert!(self.told(|policy, actions| policy.on_time(at(now), actions)).is_empty());
    }

    /// A call at the endpoint in this place of the list, from 1 on, reports this weight. Whether that is news.
    fn report(&self, now: u64, place: usize, weight: f64) -> bool {
        let report = LoadReport { queries_per_second: weight, cpu_utilization: 1.0, ..LoadReport::default() };
        let call = self.endpoints[place - 1].tally().enter();
        call.load_listener().expect("reports are wanted").on_report(at(now), &report)
    }

    /// When it wants to be asked again, in milliseconds.
    fn deadline(&self) -> Option<u128> {
        self.policy.next_deadline().map(|at| at.since_start().as_millis())
    }

    /// How many of so many calls are given to each subchannel, by its number from 1 on.
    fn spread<const N: usize>(&self, calls: usize) -> [usize; N] {
        let picker = self.picker.as_ref().expect("published");
        let mut counts = [0; N];
        for _ in 0..calls {
            let PickResult::Complete(id) = picker.pick(&PickArgs::of_no_call()) else { panic!("none") };
            counts[usize::try_from(id.number()).expect("small") - 1] += 1;
        }
        counts
    }

    /// Whether calls are spread like this, give or take what rounding does.
    fn is_spread<const N: usize>(&self, expected: [usize; N]) {
        let counts = self.spread::<N>(expected.iter().sum());
        let is_near = counts.iter().zip(expected).all(|(count, expected)| count.abs_diff(expected) <= 2);
        assert!(is_near, "{counts:?}, not {expected:?}");
    }
}

/// [LB-45], [LB-48]
#[test]
fn calls_follow_the_weights_that_are_reported_from_the_next_update_on() {
    let mut bench = Bench::new(without_blackout(), 3);
    bench.is_spread([100, 100, 100]);
    for (place, weight) in [(1, 100.0), (2, 200.0), (3, 300.0)] {
        bench.report(200, place, weight);
    }
    bench.time(999);
    bench.is_spread([100, 100, 100]);
    bench.time(1_000);
    bench.is_spread([1_667, 3_333, 5_000]);
    bench.report(1_500, 3, 100.0);
    bench.time(2_000);
    bench.is_spread([2_500, 5_000, 2_500]);
}

/// [LB-46], [LB-47]
#[test]
fn calls_are_spread_evenly_while_fewer_than_two_weights_are_known() {
    let mut bench = Bench::new(without_blackout(), 3);
    bench.report(100, 1, 1.0);
    bench.time(1_000);
    bench.is_spread([100, 100, 100]);
    bench.report(1_100, 2, 3.0);
    bench.time(2_000);
    // The one that says nothing gets the mean of 1 and 3.
    bench.is_spread([100, 300, 200]);
}

/// [LB-43], [LB-45]
#[test]
fn a_weight_counts_once_its_blackout_is_over_and_until_it_expires_also_if_nothing_more_is_reported() {
    let mut bench = Bench::new(WeightedRoundRobinConfig::default(), 2);
    bench.report(300, 1, 100.0);
    bench.report(700, 2, 300.0);
    bench.time(1_000);
    assert_eq!(bench.deadline(), Some(10_300));
    bench.time(10_300);
    // Not more often than once in a second.
    assert_eq!(bench.deadline(), Some(11_300));
    bench.is_spread([100, 100]);
    bench.time(11_300);
    bench.is_spread([100, 300]);
    assert_eq!(bench.deadline(), Some(180_300));
    bench.time(180_300);
    bench.is_spread([100, 100]);
    assert_eq!(bench.deadline(), Some(181_300));
    bench.time(181_300);
    assert_eq!(bench.deadline(), None);
}

/// [LB-45]
#[test]
fn a_policy_that_is_told_nothing_wants_no_time() {
    let mut bench = Bench::new(without_blackout(), 2);
    assert_eq!(bench.deadline(), None);
    assert!(bench.report(5_000, 1, 100.0), "the first report after a while is news");
    assert_eq!(bench.deadline(), Some(1_000), "and is due at once");
    assert!(!bench.report(5_000, 2, 100.0));
    bench.time(5_000);
    assert!(bench.report(5_001, 1, 100.0));
    for report in 2..500 {
        assert!(!bench.report(5_000 + report, 1, 100.0));
    }
    assert_eq!(bench.deadline(), Some(6_000));
    bench.time(6_000);
    assert_eq!(bench.deadline(), Some(185_000), "when the other one's weight expires");
}

/// [LB-44], [LB-45]
#[test]
fn weights_survive_a_new_list_and_the_picker_for_it_knows_them_at_once() {
    let mut bench = Bench::new(without_blackout(), 3);
    for (place, weight) in [(1, 100.0), (2, 200.0), (3, 300.0)] {
        bench.report(100, place, weight);
    }
    bench.listed(200, [3, 4, 1]);
    bench.is_spread([100, 0, 300]);
    bench.state(300, 4, State::Ready);
    bench.is_spread([100, 0, 300, 200]);
}

/// [LB-5], [LB-44]
#[test]
fn new_settings_keep_the_weights_and_hold_from_the_list_that_follows_on() {
    let mut bench = Bench::new(WeightedRoundRobinConfig::default(), 2);
    bench.report(100, 1, 100.0);
    bench.report(100, 2, 300.0);
    bench.time(1_000);
    bench.is_spread([100, 100]);
    let config = BalancingConfig::WeightedRoundRobin(without_blackout());
    bench.told(|policy, actions| {
        assert!(policy.on_config(at(1_100), &config, 0.0, actions));
        assert!(!policy.on_config(at(1_100), &BalancingConfig::RoundRobin, 0.0, actions), "another policy's");
    });
    bench.listed(1_100, [1, 2]);
    bench.is_spread([100, 300]);
}

/// [LB-44]
#[test]
fn an_endpoint_that_was_away_is_a_new_one() {
    let mut bench = Bench::new(without_blackout(), 3);
    for place in 1..=3 {
        bench.report(100, place, if place == 3 { 100.0 } else { 300.0 });
    }
    bench.listed(200, [1, 2]);
    bench.listed(300, [1, 2, 3]);
    bench.state(300, 4, State::Ready);
    bench.is_spread([100, 100, 0, 100]);
}

/// [LB-45]
#[test]
fn only_ready_endpoints_have_turns_and_their_weights_count_at_once() {
    let mut bench = Bench::new(without_blackout(), 3);
    for (place, weight) in [(1, 100.0), (2, 200.0), (3, 300.0)] {
        bench.report(100, place, weight);
    }
    bench.state(200, 3, State::Idle);
    bench.is_spread([100, 200, 0]);
    bench.state(300, 1, State::Idle);
    bench.is_spread([0, 100, 0]);
}

/// [LB-42]
#[test]
fn an_endpoint_that_was_lost_has_no_weight_until_it_has_reported_for_the_blackout_again() {
    let mut bench = Bench::new(WeightedRoundRobinConfig::default(), 3);
    let report = |bench: &Bench, now| {
        for (place, weight) in [(1, 100.0), (2, 200.0), (3, 300.0)] {
            bench.report(now, place, weight);
        }
    };
    report(&bench, 0);
    report(&bench, 20_000);
    bench.time(20_000);
    bench.is_spread([100, 200, 300]);
    bench.state(20_500, 3, State::Idle);
    bench.state(21_000, 3, State::Ready);
    // The mean of the others.
    bench.is_spread([200, 400, 300]);
    report(&bench, 21_500);
    bench.time(31_000);
    bench.is_spread([200, 400, 300]);
    assert_eq!(bench.deadline(), Some(32_000));
    bench.time(32_000);
    bench.is_spread([100, 200, 300]);
}

/// [LB-48]
#[test]
fn turns_go_on_from_picker_to_picker() {
    let mut bench = Bench::new(without_blackout(), 3);
    let mut counts = [0; 3];
    for round in 0..9 {
        bench.listed(round, [1, 2, 3]);
        for (count, picked) in counts.iter_mut().zip(bench.spread::<3>(1)) {
            *count += picked;
        }
    }
    assert_eq!(counts, [3, 3, 3]);
}

/// [LB-48]
#[test]
fn clients_begin_with_different_endpoints() {
    let first = |unit| {
        let mut bench = Bench::dialing(without_blackout(), 3, unit);
        for id in 1..=3 {
            bench.state(0, id, State::Ready);
        }
        bench.spread::<3>(1)
    };
    let firsts: std::collections::BTreeSet<_> = (0..32_u8).map(|part| first(f64::from(part) / 32.0)).collect();
    assert_eq!(firsts.len(), 3);
}

#[test]
fn nobody_reads_the_reports_of_an_endpoint_that_is_not_listed_any_more() {
    let mut bench = Bench::new(without_blackout(), 2);
    let call = bench.endpoints[1].tally().enter();
    assert!(call.load_listener().is_some());
    bench.listed(100, [1]);
    assert!(call.load_listener().is_none());
}

#[test]
fn a_policy_whose_picker_is_not_used_any_more_wants_no_time() {
    let mut bench = Bench::new(without_blackout(), 2);
    bench.report(100, 1, 100.0);
    assert!(bench.deadline().is_some());
    bench.picker = None;
    assert_eq!(bench.deadline(), None);
}

/// [LB-51]
#[test]
fn the_channels_state_is_that_of_round_robin() {
    let mut bench = Bench::dialing(without_blackout(), 2, 0.0);
    assert_eq!(bench.state(0, 1, State::TransientFailure), ["re-resolve", "CONNECTING queue"]);
    assert_eq!(bench.state(0, 2, State::TransientFailure), ["re-resolve", "TRANSIENT_FAILURE fail"]);
    assert_eq!(bench.state(0, 1, State::Idle), ["connect 1"]);
    assert_eq!(bench.state(0, 1, State::Ready), ["READY pick 1"]);
    assert_eq!(bench.state(0, 1, State::Idle), ["re-resolve", "connect 1", "CONNECTING queue"]);
}

/// As when the others have as many calls as they may.
#[test]
fn calls_that_ask_again_go_by_weight_to_those_that_would_do_and_to_the_last_one_however_light_it_is() {
    let tally = Rc::<Tally>::default();
    let kept = ByWeight::new(without_blackout(), 0).on_listed(&tally);
    let ready = |number| Ready { id: SubchannelId::of(number), tally: Rc::clone(&tally), kept: Rc::clone(&kept) };
    let stride = RefCell::new(Stride::of(&[Some(100.0), Some(1.0), Some(50.0)]));
    let picker = ByWeightPicker { ready: (1..=3).map(ready).collect(), stride, sequence: Rc::default() };
    for would_do in 1..=3 {
        let would_go_to = |id: SubchannelId| id.number() == would_do;
        let call = PickArgs { would_go_to: Some(&would_go_to), ..PickArgs::of_no_call() };
        for _ in 0..50 {
            assert_eq!(picker.pick(&call), PickResult::Complete(SubchannelId::of(would_do)));
        }
    }
    let nobody = PickArgs { would_go_to: Some(&|_| false), ..PickArgs::of_no_call() };
    assert!(matches!(picker.pick(&nobody), PickResult::Complete(_)));
}
