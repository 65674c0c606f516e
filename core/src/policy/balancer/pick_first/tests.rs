use super::*;
use crate::policy::balancer::endpoint::of_each;
use crate::policy::balancer::word;

const DELAY: Duration = Duration::from_millis(250);

fn at(milliseconds: u64) -> Time {
    Time::from_start(Duration::from_millis(milliseconds))
}

fn address(text: &str) -> Address {
    Address::Inet(text.parse().expect("address"))
}

/// Drives the policy and writes its actions down as short words.
struct Bench {
    policy: PickFirst,
}

impl Bench {
    fn new() -> Self {
        Self { policy: PickFirst::new(SubchannelIds::default(), DELAY) }
    }

    fn shuffling(unit: f64) -> Self {
        Self { policy: PickFirst::new(SubchannelIds::default(), DELAY).shuffled(Shuffle::new(unit)) }
    }

    fn told(&mut self, event: impl FnOnce(&mut PickFirst, &mut Vec<LbAction>)) -> Vec<String> {
        let mut actions = Vec::new();
        event(&mut self.policy, &mut actions);
        actions.iter().map(word).collect()
    }

    fn addresses(&mut self, now: u64, list: &[&str]) -> Vec<String> {
        let list = of_each(list.iter().map(|text| address(text)));
        self.told(|policy, actions| policy.on_endpoints(at(now), list, actions))
    }

    fn state(&mut self, now: u64, id: u64, state: State) -> Vec<String> {
        self.told(|policy, actions| policy.on_subchannel_state(at(now), SubchannelId::of(id), state, actions))
    }

    fn time(&mut self, now: u64) -> Vec<String> {
        self.told(|policy, actions| policy.on_time(at(now), actions))
    }

    fn exit_idle(&mut self, now: u64) -> Vec<String> {
        self.told(|policy, actions| policy.on_exit_idle(at(now), actions))
    }
}

/// Two addresses, the first being dialed.
fn dialing_first_of_two() -> Bench {
    let mut bench = Bench::new();
    let actions = bench.addresses(0, &["10.0.0.1:1", "10.0.0.2:1"]);
    assert_eq!(actions, ["create 1 10.0.0.1:1", "create 2 10.0.0.2:1", "CONNECTING queue", "connect 1"]);
    bench
}

fn connected_to_first_of_two() -> Bench {
    let mut bench = dialing_first_of_two();
    assert_eq!(bench.state(5, 1, State::Ready), ["remove 2", "READY pick 1"]);
    bench
}

fn failing_on_two() -> Bench {
    let mut bench = dialing_first_of_two();
    assert_eq!(bench.state(1, 1, State::TransientFailure), ["connect 2"]);
    assert_eq!(bench.state(2, 2, State::TransientFailure), ["re-resolve", "TRANSIENT_FAILURE fail"]);
    bench
}

/// [CONN-62]
#[test]
fn the_second_address_is_dialed_when_the_delay_is_over_and_the_first_goes_on() {
    let mut bench = dialing_first_of_two();
    assert_eq!(bench.policy.next_deadline(), Some(at(250)));
    assert!(bench.time(249).is_empty());
    assert_eq!(bench.time(250), ["connect 2"]);
    assert_eq!(bench.policy.next_deadline(), None);
}

/// [CONN-62]
#[test]
fn a_failed_attempt_starts_the_next_at_once() {
    let mut bench = dialing_first_of_two();
    assert_eq!(bench.state(10, 1, State::TransientFailure), ["connect 2"]);
}

/// [CONN-64]
#[test]
fn the_first_usable_address_wins_and_the_others_are_dropped() {
    let mut bench = dialing_first_of_two();
    bench.time(250);
    assert_eq!(bench.state(300, 2, State::Ready), ["remove 1", "READY pick 2"]);
}

/// [CONN-65]
#[test]
fn the_pass_is_over_only_when_every_address_has_failed() {
    let mut bench = dialing_first_of_two();
    bench.time(250);
    assert!(bench.state(260, 2, State::TransientFailure).is_empty(), "the first is still being dialed");
    assert_eq!(bench.state(270, 1, State::TransientFailure), ["re-resolve", "TRANSIENT_FAILURE fail"]);
}

/// [CONN-65], [CONN-66]
#[test]
fn an_address_whose_backoff_ends_during_the_pass_is_asked_for_when_the_pass_is_over() {
    let mut bench = dialing_first_of_two();
    bench.state(10, 1, State::TransientFailure);
    assert!(bench.state(1_000, 1, State::Idle).is_empty(), "its turn is over in this pass");
    assert_eq!(bench.state(1_100, 2, State::TransientFailure), ["re-resolve", "TRANSIENT_FAILURE fail", "connect 1"]);
}

/// [CONN-66], [CONN-67], [CONN-34]
#[test]
fn after_the_pass_each_address_is_dialed_as_its_backoff_ends_and_the_state_stays() {
    let mut bench = failing_on_two();
    assert_eq!(bench.state(1_000, 2, State::Idle), ["connect 2"]);
    assert_eq!(bench.state(1_001, 2, State::TransientFailure), ["TRANSIENT_FAILURE fail"]);
    assert_eq!(bench.state(1_002, 1, State::Idle), ["connect 1"]);
    assert_eq!(bench.state(1_003, 1, State::TransientFailure), ["re-resolve", "TRANSIENT_FAILURE fail"]);
}

/// [CONN-67], A62
#[test]
fn failing_goes_straight_to_ready() {
    let mut bench = failing_on_two();
    bench.state(1_000, 2, State::Idle);
    assert_eq!(bench.state(1_010, 2, State::Ready), ["remove 1", "READY pick 2"]);
}

/// [CONN-69]
#[test]
fn a_lost_connection_means_idle_until_a_call_comes_and_then_a_pass_from_the_first_address() {
    let mut bench = connected_to_first_of_two();
    assert_eq!(bench.state(1_000, 1, State::Idle), ["re-resolve", "IDLE queue"]);
    assert!(bench.time(5_000).is_empty());
    assert_eq!(bench.exit_idle(6_000), ["create 3 10.0.0.2:1", "CONNECTING queue", "connect 1"]);
}

/// [CONN-68]
#[test]
fn a_new_list_that_still_has_the_connected_address_changes_nothing() {
    let mut bench = connected_to_first_of_two();
    assert!(bench.addresses(10, &["10.0.0.9:1", "10.0.0.1:1"]).is_empty());
}

/// [LB-15]
#[test]
fn a_new_list_without_the_connected_address_drops_the_connection() {
    let mut bench = connected_to_first_of_two();
    assert_eq!(bench.addresses(10, &["10.0.0.9:1"]), ["remove 1", "IDLE queue"]);
}

/// [CONN-68]
#[test]
fn a_new_list_during_a_pass_starts_a_new_pass_and_keeps_known_subchannels() {
    let mut bench = dialing_first_of_two();
    let actions = bench.addresses(20, &["10.0.0.3:1", "10.0.0.1:1"]);
    assert_eq!(actions, ["create 3 10.0.0.3:1", "remove 2", "CONNECTING queue", "connect 3"]);
}

/// [LB-12], [CONN-75]
#[test]
fn a_list_for_an_idle_policy_is_only_remembered() {
    let mut bench = connected_to_first_of_two();
    bench.state(1_000, 1, State::Idle);
    assert!(bench.addresses(1_100, &["10.0.0.7:1"]).is_empty());
    assert_eq!(bench.exit_idle(1_200), ["create 3 10.0.0.7:1", "remove 1", "CONNECTING queue", "connect 3"]);
}

/// [LB-16]
#[test]
fn an_empty_list_fails_and_asks_again() {
    let mut bench = dialing_first_of_two();
    assert_eq!(bench.addresses(10, &[]), ["remove 1", "remove 2", "re-resolve", "TRANSIENT_FAILURE fail"]);
}

/// [CONN-67]: an update while failing starts a pass without leaving TRANSIENT_FAILURE.
#[test]
fn a_new_list_while_failing_starts_a_pass_and_stays_failing() {
    let mut bench = failing_on_two();
    assert_eq!(bench.addresses(500, &["10.0.0.3:1"]), ["create 3 10.0.0.3:1", "remove 1", "remove 2", "connect 3"]);
}

/// [CONN-63]
#[test]
fn an_address_in_backoff_is_skipped_in_a_pass_and_a_pass_that_dials_nothing_asks_for_nothing() {
    let mut bench = failing_on_two();
    assert_eq!(bench.addresses(500, &["10.0.0.1:1", "10.0.0.2:1"]), ["TRANSIENT_FAILURE fail"]);
}

/// [CONN-61], [LB-18]
#[test]
fn families_take_turns_and_duplicates_go() {
    let list = ["[::1]:1", "[::2]:1", "1.1.1.1:1", "[::1]:1", "2.2.2.2:1", "[::3]:1", "[::4]:1"];
    let ordered: Vec<_> = dialing_order(&of_each(list.iter().map(|text| address(text))))
        .iter()
        .map(|listed| listed.address.to_string())
        .collect();
    assert_eq!(ordered, ["[::1]:1", "1.1.1.1:1", "[::2]:1", "2.2.2.2:1", "[::3]:1", "[::4]:1"]);
}

/// [CONN-60]
#[test]
fn the_attempt_delay_is_clamped() {
    assert_eq!(
        PickFirst::new(SubchannelIds::default(), Duration::from_millis(1)).attempt_delay,
        Duration::from_millis(100)
    );
    assert_eq!(PickFirst::new(SubchannelIds::default(), Duration::from_secs(9)).attempt_delay, Duration::from_secs(2));
}

/// [CONN-130]
#[test]
fn a_connection_lost_while_another_is_dialed_starts_a_pass_over_all_addresses() {
    let mut bench = connected_to_first_of_two();
    let actions = bench.state(1_000, 1, State::Connecting);
    assert_eq!(actions, ["re-resolve", "create 3 10.0.0.2:1", "CONNECTING queue"]);
    assert_eq!(bench.time(1_250), ["connect 3"]);
    assert_eq!(bench.state(1_300, 1, State::Ready), ["remove 3", "READY pick 1"]);
}

/// [CONN-69]
#[test]
fn a_connection_lost_after_its_successor_failed_waits_for_a_call_and_starts_with_the_next_address() {
    let mut bench = connected_to_first_of_two();
    assert_eq!(bench.state(1_000, 1, State::TransientFailure), ["re-resolve", "IDLE queue"]);
    assert_eq!(bench.exit_idle(1_100), ["create 3 10.0.0.2:1", "CONNECTING queue", "connect 3"]);
}

/// [LB-13]
#[test]
fn shuffled_addresses_are_dialed_in_an_order_that_clients_differ_in() {
    let list = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1", "10.0.0.4:1"];
    let first = |number| {
        let mut bench = Bench::shuffling(f64::from(number) / 40.0);
        let actions = bench.addresses(0, &list);
        let mut created: Vec<_> =
            actions.iter().filter_map(|action| action.split(' ').nth(2)).map(str::to_owned).collect();
        let first = created[0].clone();
        created.sort();
        assert_eq!(created, list, "each once");
        first
    };
    let firsts: Vec<String> = (0..40).map(first).collect();
    for address in list {
        assert!(firsts.iter().any(|first| first == address), "{address}");
    }
}

/// [LB-13], [LB-15]
#[test]
fn a_shuffled_update_that_still_lists_the_selected_address_changes_nothing() {
    let mut bench = Bench::shuffling(0.5);
    let list = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"];
    bench.addresses(0, &list);
    bench.state(1, 1, State::Ready);
    for now in 2..10 {
        assert!(bench.addresses(now, &list).is_empty());
    }
}
