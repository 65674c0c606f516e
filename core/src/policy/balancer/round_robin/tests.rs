use super::*;
use crate::address::Address;
use crate::policy::balancer::endpoint::of_each;
use crate::policy::balancer::{Health, LbAction, LbPolicy, word};
use crate::state::State;

const NOW: Time = Time::ZERO;
const DELAY: Duration = Duration::from_millis(250);

/// Drives the policy and writes its actions down as short words.
struct Bench {
    policy: RoundRobin,
}

impl Bench {
    fn new() -> Self {
        Self { policy: RoundRobin::round_robin(SubchannelIds::default(), DELAY, 0.0) }
    }

    fn told(&mut self, event: impl FnOnce(&mut RoundRobin, &mut Vec<LbAction>)) -> Vec<String> {
        let mut actions = Vec::new();
        event(&mut self.policy, &mut actions);
        actions.iter().map(word).collect()
    }

    fn addresses(&mut self, list: &[&str]) -> Vec<String> {
        let list = of_each(list.iter().map(|text| Address::Inet(text.parse().expect("address"))));
        self.told(|policy, actions| policy.on_endpoints(NOW, list, actions))
    }

    fn health(&mut self, id: u64, health: Health) -> Vec<String> {
        self.told(|policy, actions| policy.on_health(NOW, SubchannelId::of(id), health, actions))
    }

    fn state(&mut self, id: u64, state: State) -> Vec<String> {
        self.told(|policy, actions| policy.on_subchannel_state(NOW, SubchannelId::of(id), state, actions))
    }
}

const THREE: [&str; 3] = ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"];

fn dialing_three() -> Bench {
    let mut bench = Bench::new();
    let actions = bench.addresses(&THREE);
    assert_eq!(
        actions,
        [
            "create 1 10.0.0.1:1",
            "connect 1",
            "create 2 10.0.0.2:1",
            "connect 2",
            "create 3 10.0.0.3:1",
            "connect 3",
            "CONNECTING queue"
        ]
    );
    bench
}

/// The ids the newest picker gives, one after the other.
fn picks(bench: &mut Bench, count: usize) -> Vec<u64> {
    let mut actions = Vec::new();
    bench.policy.publish(NOW, &mut actions);
    let Some(LbAction::Publish(_, picker)) = actions.pop() else { panic!("nothing published") };
    let id = |pick| if let PickResult::Complete(id) = pick { id.number() } else { panic!("{pick:?}") };
    (0..count).map(|_| id(picker.pick(&PickArgs::of_no_call()))).collect()
}

/// [LB-25], [CONN-76]
#[test]
fn every_address_is_dialed_at_once_and_the_first_that_works_makes_the_channel_ready() {
    let mut bench = dialing_three();
    assert_eq!(bench.state(2, State::Ready), ["READY pick 2"]);
    assert_eq!(bench.state(1, State::TransientFailure), ["re-resolve", "READY pick 2"]);
}

/// [LB-28], [LB-32]
#[test]
fn ready_addresses_take_turns() {
    let mut bench = dialing_three();
    for id in 1..=3 {
        bench.state(id, State::Ready);
    }
    let picks = picks(&mut bench, 9);
    for round in picks.windows(3) {
        let mut round = round.to_vec();
        round.sort_unstable();
        assert_eq!(round, [1, 2, 3]);
    }
}

/// [LB-28]
#[test]
fn clients_begin_with_different_addresses() {
    let first = |unit| {
        let mut bench = Bench { policy: RoundRobin::round_robin(SubchannelIds::default(), DELAY, unit) };
        bench.addresses(&THREE);
        for id in 1..=3 {
            bench.state(id, State::Ready);
        }
        picks(&mut bench, 1)[0]
    };
    let firsts: std::collections::BTreeSet<u64> = (0..32_u8).map(|part| first(f64::from(part) / 32.0)).collect();
    assert_eq!(firsts.len(), 3);
}

/// [LB-27], [LB-31]
#[test]
fn a_lost_address_is_dialed_again_at_once_and_the_others_serve_meanwhile() {
    let mut bench = dialing_three();
    bench.state(1, State::Ready);
    bench.state(2, State::Ready);
    assert_eq!(bench.state(1, State::Idle), ["re-resolve", "connect 1", "READY pick 2"]);
    assert_eq!(bench.state(2, State::Idle), ["re-resolve", "connect 2", "CONNECTING queue"]);
}

/// [LB-26], [LB-27]
#[test]
fn an_address_that_failed_counts_as_failed_until_it_works() {
    let mut bench = dialing_three();
    for id in 1..=2 {
        assert_eq!(bench.state(id, State::TransientFailure), ["re-resolve", "CONNECTING queue"]);
    }
    assert_eq!(bench.state(3, State::TransientFailure), ["re-resolve", "TRANSIENT_FAILURE fail"]);
    assert_eq!(bench.state(1, State::Idle), ["connect 1"]);
    assert_eq!(bench.state(1, State::TransientFailure), ["re-resolve", "TRANSIENT_FAILURE fail"]);
    bench.state(1, State::Idle);
    assert_eq!(bench.state(1, State::Ready), ["READY pick 1"]);
}

/// [LB-21], [LB-121], [LB-127], [HC-30]
#[test]
fn an_address_whose_health_is_not_known_is_waited_for_and_one_that_is_not_healthy_has_failed() {
    let mut bench = dialing_three();
    for id in 1..=3 {
        assert!(bench.health(id, Health::Unknown).is_empty());
        assert_eq!(bench.state(id, State::Ready), ["CONNECTING queue"; 0], "nothing has changed yet");
    }
    assert_eq!(bench.health(1, Health::Healthy), ["READY pick 1"]);
    assert!(bench.health(1, Health::Healthy).is_empty());
    bench.health(2, Health::Unhealthy);
    assert_eq!(bench.health(1, Health::Unhealthy), ["CONNECTING queue"], "the third has said nothing");
    assert_eq!(bench.health(3, Health::Unhealthy), ["TRANSIENT_FAILURE unhealthy"]);
    assert_eq!(bench.health(2, Health::Healthy), ["READY pick 2"]);
}

/// [LB-26], [CONN-76]
#[test]
fn an_address_that_was_not_healthy_counts_as_failed_while_it_is_connected_anew_and_asked() {
    let mut bench = Bench::new();
    bench.addresses(&THREE[..1]);
    bench.health(1, Health::Unknown);
    bench.state(1, State::Ready);
    assert_eq!(bench.health(1, Health::Unhealthy), ["TRANSIENT_FAILURE unhealthy"]);
    assert!(bench.health(1, Health::Unknown).is_empty(), "it is connected");
    // What it lacks now is a connection.
    assert_eq!(bench.state(1, State::Idle), ["re-resolve", "connect 1", "TRANSIENT_FAILURE fail"]);
    bench.health(1, Health::Unknown);
    assert!(bench.state(1, State::Ready).is_empty());
    assert_eq!(bench.health(1, Health::Healthy), ["READY pick 1"]);
}

/// [LB-29], [NAME-84]
#[test]
fn a_new_list_keeps_what_it_shares_with_the_old_one() {
    let mut bench = dialing_three();
    for id in 1..=3 {
        bench.state(id, State::Ready);
    }
    let actions = bench.addresses(&["10.0.0.3:1", "10.0.0.4:1", "10.0.0.4:1", "10.0.0.1:1"]);
    assert_eq!(actions[..2], ["create 4 10.0.0.4:1", "connect 4"]);
    assert!(actions[2].starts_with("READY pick"), "{actions:?}");
    assert_eq!(actions[3..], ["remove 2"]);
    let mut serving = picks(&mut bench, 2);
    serving.sort_unstable();
    assert_eq!(serving, [1, 3]);
}

/// [LB-30]
#[test]
fn an_empty_list_is_a_failure_and_asks_again() {
    let mut bench = dialing_three();
    bench.state(1, State::Ready);
    let actions = bench.addresses(&[]);
    assert_eq!(actions, ["re-resolve", "TRANSIENT_FAILURE fail", "remove 1", "remove 2", "remove 3"]);
}

#[test]
fn news_of_a_dropped_address_are_nothing() {
    let mut bench = dialing_three();
    bench.addresses(&["10.0.0.1:1"]);
    assert!(bench.state(2, State::Ready).is_empty());
}

/// As when the others have as many calls as they may.
#[test]
fn calls_that_ask_again_go_in_turn_to_those_that_would_do() {
    let ids = [1, 2, 3, 4].map(SubchannelId::of);
    let picker = InTurnPicker { ready: ids.into(), next: Rc::default() };
    let would_go_to = |id: SubchannelId| id.number().is_multiple_of(2);
    let call = PickArgs { would_go_to: Some(&would_go_to), ..PickArgs::of_no_call() };
    let picked = [(); 4].map(|()| picker.pick(&call));
    assert_eq!(picked, [2, 4, 2, 4].map(|number| PickResult::Complete(SubchannelId::of(number))));
    let nobody = PickArgs { would_go_to: Some(&|_| false), ..PickArgs::of_no_call() };
    assert!(matches!(picker.pick(&nobody), PickResult::Complete(_)));
}
