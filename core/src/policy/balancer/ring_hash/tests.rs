use super::*;
use crate::address::Address;
use crate::metadata::Metadata;
use crate::policy::balancer::endpoint::EndpointBook;
use crate::policy::balancer::{PickArgs, word};

const NOW: Time = Time::ZERO;
const DELAY: Duration = Duration::from_millis(250);
const HEADER: &str = "x-key";

/// Drives the policy; its actions are written down as short words, what it publishes by its state alone.
struct Bench {
    policy: RingHash,
    book: EndpointBook,
    picker: Option<Rc<dyn Picker>>,
}

impl Bench {
    fn new() -> Self {
        let config = RingHashConfig { request_hash_header: Some(HEADER.into()), ..RingHashConfig::default() };
        let policy = RingHash::new(&config, 4_096, SubchannelIds::default(), DELAY, Random::new(1));
        Self { policy, book: EndpointBook::default(), picker: None }
    }

    fn told(&mut self, event: impl FnOnce(&mut RingHash, &mut Vec<LbAction>)) -> Vec<String> {
        let mut actions = Vec::new();
        event(&mut self.policy, &mut actions);
        let words = actions.iter().map(|action| match action {
            LbAction::Publish(state, picker) => {
                self.picker = Some(Rc::clone(picker));
                state.to_string()
            }
            action => word(action),
        });
        words.collect()
    }

    /// The last number of each address of each endpoint.
    fn endpoints(&mut self, list: &[&[u8]]) -> Vec<String> {
        let addresses = |numbers: &&[u8]| numbers.iter().map(|number| address(*number)).collect();
        let endpoints = self.book.on_listed(list.iter().map(addresses).collect::<Vec<_>>());
        self.told(|policy, actions| policy.on_endpoints(NOW, endpoints, actions))
    }

    fn state(&mut self, id: u64, state: State) -> Vec<String> {
        self.told(|policy, actions| policy.on_subchannel_state(NOW, SubchannelId::of(id), state, actions))
    }

    /// Picks for a call with this key; what it asked for follows.
    fn pick(&mut self, key: &str) -> (PickResult, Vec<String>) {
        let mut metadata = Metadata::new();
        metadata.append(HEADER, key.to_owned()).expect("valid");
        let picker = self.picker.clone().expect("published");
        let posted = std::cell::Cell::new(false);
        let connection_wanted = || posted.set(true);
        let call = PickArgs { metadata: &metadata, connection_wanted: &connection_wanted, ..PickArgs::of_no_call() };
        let picked = picker.pick(&call);
        let asked = if posted.get() { self.wanted() } else { Vec::new() };
        (picked, asked)
    }

    fn ring(&self) -> Rc<Ring> {
        self.policy.ring.clone().expect("endpoints were listed")
    }

    fn wanted(&mut self) -> Vec<String> {
        self.told(|policy, actions| policy.on_connection_wanted(NOW, actions))
    }

    /// Connects the endpoint that this key belongs to; which it is.
    fn connected_by(&mut self, key: &str) -> u64 {
        let (_, asked) = self.pick(key);
        let created = asked.iter().find_map(|word| word.strip_prefix("create ")?.split_once(' '));
        let id = created.expect("one is created").0.parse().expect("a number");
        self.state(id, State::Connecting);
        assert_eq!(self.state(id, State::Ready), ["READY"]);
        id
    }
}

fn address(number: u8) -> Address {
    Address::Inet(([10, 0, 0, number], 443).into())
}

/// How many words begin like this.
fn count(words: &[String], start: &str) -> usize {
    words.iter().filter(|word| word.starts_with(start)).count()
}

/// [LB-67]
#[test]
fn the_state_is_that_of_the_first_rule_that_fits() {
    use State::{Connecting as C, Idle as I, Ready as R, TransientFailure as F};
    let table: [(&[State], State); 18] = [
        // (1)
        (&[R], R),
        (&[F, F, R], R),
        (&[C, I, R], R),
        // (2)
        (&[F, F], F),
        (&[F, F, C], F),
        (&[F, F, I], F),
        // (3)
        (&[C], C),
        (&[C, I], C),
        (&[F, C], C),
        (&[F, C, I], C),
        // (4)
        (&[F, I], C),
        (&[I, F, I], C),
        // (5)
        (&[I], I),
        (&[I, I, I], I),
        // (6)
        (&[F], F),
        (&[], F),
        // No order.
        (&[R, F, F], R),
        (&[I, C], C),
    ];
    for (states, wanted) in table {
        assert_eq!(aggregated(states.iter().copied()), wanted, "{states:?}");
    }
}

/// [LB-66], [LB-8], [CONN-77]
#[test]
fn nothing_is_connected_before_a_call_is_for_it_and_many_calls_are_one_wish() {
    let mut bench = Bench::new();
    assert_eq!(bench.endpoints(&[&[1], &[2], &[3]]), ["IDLE"]);
    let picker = bench.picker.clone().expect("published");
    let mut metadata = Metadata::new();
    metadata.append(HEADER, "key").expect("valid");
    for _ in 0..100 {
        let call = PickArgs { metadata: &metadata, ..PickArgs::of_no_call() };
        assert_eq!(picker.pick(&call), PickResult::Queue);
    }
    let asked = bench.wanted();
    assert_eq!(
        (count(&asked, "create"), count(&asked, "connect"), count(&asked, "CONNECTING")),
        (1, 1, 1),
        "{asked:?}"
    );
    // From a picker that is out of date.
    picker.pick(&PickArgs { metadata: &metadata, ..PickArgs::of_no_call() });
    assert_eq!(bench.wanted(), [""; 0]);
    assert_eq!(bench.wanted(), [""; 0]);
}

/// [LB-62], [LB-64]
#[test]
fn each_key_has_its_endpoint_and_other_keys_others() {
    let mut bench = Bench::new();
    bench.endpoints(&[&[1], &[2], &[3]]);
    let first = bench.connected_by("0");
    let mut connected = vec![first];
    for key in 1..40 {
        match bench.pick(&key.to_string()) {
            (PickResult::Complete(id), asked) => {
                assert!(connected.contains(&id.number()) && asked.is_empty(), "{asked:?}");
            }
            (PickResult::Queue, asked) => {
                assert_eq!(count(&asked, "connect"), 1, "{asked:?}");
                let id = connected.len() as u64 + 1;
                bench.state(id, State::Ready);
                connected.push(id);
            }
            (PickResult::Fail(lack), _) => panic!("{lack:?}"),
        }
    }
    assert_eq!(connected.len(), 3);
    let again = |bench: &mut Bench| -> Vec<_> { (0..40).map(|key| bench.pick(&key.to_string()).0).collect() };
    assert_eq!(again(&mut bench), again(&mut bench));
}

/// [LB-64]
#[test]
fn a_connection_that_is_lost_waits_for_the_next_call_and_comes_back_for_it() {
    let mut bench = Bench::new();
    bench.endpoints(&[&[1], &[2]]);
    let id = bench.connected_by("key");
    assert_eq!(bench.state(id, State::Idle), ["re-resolve", "IDLE"]);
    let (picked, asked) = bench.pick("key");
    assert_eq!(picked, PickResult::Queue);
    assert_eq!(asked, ["CONNECTING".to_owned(), format!("connect {id}")].into_iter().rev().collect::<Vec<_>>());
    bench.state(id, State::Ready);
    assert_eq!(bench.pick("key").0, PickResult::Complete(SubchannelId::of(id)));
}

/// [LB-67], [LB-68]
#[test]
fn endpoints_are_tried_one_by_one_while_none_is_ready_and_one_has_failed() {
    let mut bench = Bench::new();
    bench.endpoints(&[&[1], &[2], &[3], &[4]]);
    bench.pick("key");
    for id in 1..=3 {
        let words = bench.state(id, State::TransientFailure);
        let state = if id == 1 { "CONNECTING" } else { "TRANSIENT_FAILURE" };
        assert_eq!((count(&words, "connect"), words.last().map(String::as_str)), (1, Some(state)), "{words:?}");
    }
    // The last has its turn already; there is nobody else to try.
    let words = bench.state(4, State::TransientFailure);
    assert_eq!((count(&words, "connect"), count(&words, "TRANSIENT")), (0, 1), "{words:?}");
    assert_eq!(bench.pick("key").0, PickResult::Fail(Lack::RingMember));
    // One that comes back is enough.
    bench.state(3, State::Idle);
    assert_eq!(bench.state(3, State::Ready), ["READY"]);
    assert_eq!(bench.pick("key").0, PickResult::Complete(SubchannelId::of(3)));
}

/// [LB-68], A117
#[test]
fn a_channel_that_is_asked_to_connect_connects_one_endpoint_and_clients_differ_in_which() {
    let mut first = [0; 3];
    for seed in 0..300 {
        let mut bench = Bench::new();
        bench.policy.random = Random::new(seed);
        bench.endpoints(&[&[1], &[2], &[3]]);
        let words = bench.told(|policy, actions| policy.on_exit_idle(NOW, actions));
        assert_eq!(words[1..], ["connect 1", "CONNECTING"]);
        let place = (1..=3).position(|number| words[0] == format!("create 1 {}", address(number)));
        first[place.expect("one of three")] += 1;
        assert_eq!(bench.told(|policy, actions| policy.on_exit_idle(NOW, actions)), [""; 0]);
    }
    assert!(first.iter().all(|count| (70..=130).contains(count)), "{first:?}");
}

/// [LB-69]
#[test]
fn an_endpoint_that_stays_keeps_its_connection_whatever_the_order_of_its_addresses() {
    let mut bench = Bench::new();
    bench.endpoints(&[&[1, 11], &[2]]);
    let id = bench.connected_by("key");
    let picked = |bench: &mut Bench| bench.pick("key").0 == PickResult::Complete(SubchannelId::of(id));
    // New neighbours, and the list in another order.
    assert_eq!(bench.endpoints(&[&[2], &[1, 11]]), ["READY"]);
    assert!(picked(&mut bench));
    // The first address says where an endpoint has its places, so the key may be another's now; the connection stays.
    let words = bench.endpoints(&[&[2], &[11, 1]]);
    assert_eq!(words, ["READY"]);
    let gone = if bench.policy.children[0].owns(SubchannelId::of(id)) { [&[11_u8, 1][..]] } else { [&[2][..]] };
    assert_eq!(bench.endpoints(&gone), ["IDLE".to_owned(), format!("remove {id}")]);
}

/// [LB-61], [LB-69]
#[test]
fn the_ring_follows_from_first_addresses_and_is_made_anew_when_they_change_only() {
    let mut bench = Bench::new();
    bench.endpoints(&[&[1, 11], &[2]]);
    let ring = bench.ring();
    bench.endpoints(&[&[1, 11], &[2]]);
    assert!(Rc::ptr_eq(&ring, &bench.ring()));
    bench.endpoints(&[&[11, 1], &[2]]);
    assert!(!Rc::ptr_eq(&ring, &bench.ring()));
    let firsts = |ring: &Ring| ring.members_from(0).take(50).collect::<Vec<_>>();
    assert_ne!(firsts(&ring), firsts(&bench.ring()));
}

#[test]
fn new_settings_are_taken_while_it_runs_and_cost_no_connection() {
    let mut bench = Bench::new();
    bench.endpoints(&[&[1], &[2]]);
    let id = bench.connected_by("key");
    assert_eq!(bench.ring().members_from(0).count(), 1_024);
    let sizes = RingSizes { min: 10, max: 20_000 };
    let config = RingHashConfig { sizes, request_hash_header: Some("x-other".into()) };
    let mut take = |config: &BalancingConfig| bench.policy.on_config(NOW, config, 0.0, &mut Vec::new());
    assert!(!take(&BalancingConfig::RoundRobin));
    assert!(take(&BalancingConfig::RingHash(config)));
    assert_eq!(bench.endpoints(&[&[1], &[2]]), ["READY"]);
    assert_eq!(bench.ring().members_from(0).count(), 10);
    assert_eq!(bench.policy.sizes, RingSizes { min: 10, max: 4_096 }, "the cap of the channel stays");
    // Its header is no longer the one that counts.
    let picks: std::collections::BTreeSet<_> = (0..20).map(|key| word_of(bench.pick(&key.to_string()).0)).collect();
    assert_eq!(picks, [format!("{id}")].into());
}

fn word_of(picked: PickResult) -> String {
    let PickResult::Complete(id) = picked else { return format!("{picked:?}") };
    id.number().to_string()
}

#[test]
fn an_empty_list_fails_calls_and_asks_for_another() {
    let mut bench = Bench::new();
    bench.endpoints(&[&[1]]);
    let id = bench.connected_by("key");
    assert_eq!(bench.endpoints(&[]), ["re-resolve".to_owned(), "TRANSIENT_FAILURE".into(), format!("remove {id}")]);
    assert_eq!(bench.pick("key").0, PickResult::Fail(Lack::Connection));
    assert_eq!(bench.endpoints(&[&[1]]), ["IDLE"]);
}

/// [LB-21]
#[test]
fn calls_go_on_to_the_next_endpoint_while_theirs_is_not_healthy() {
    let mut bench = Bench::new();
    bench.endpoints(&[&[1], &[2]]);
    let id = bench.connected_by("key");
    let told = |bench: &mut Bench, health| {
        bench.told(|policy, actions| policy.on_health(NOW, SubchannelId::of(id), health, actions))
    };
    let words = told(&mut bench, Health::Unhealthy);
    assert_eq!(words.last().map(String::as_str), Some("CONNECTING"), "{words:?}");
    assert_eq!(bench.state(2, State::Ready), ["READY"]);
    assert_eq!(bench.pick("key").0, PickResult::Complete(SubchannelId::of(2)));
    assert_eq!(told(&mut bench, Health::Healthy), ["READY"]);
    assert_eq!(bench.pick("key").0, PickResult::Complete(SubchannelId::of(id)));
}
