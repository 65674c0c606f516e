use super::*;
use crate::policy::balancer::ring_hash::ring::{Member, RingSizes};

/// Three endpoints, in the order in which the ring has them from the hash of "key" on, and a pick among them.
struct Bench {
    picker: RingPicker,
    wishes: [Rc<Cell<bool>>; 3],
    posted: Cell<u32>,
}

#[derive(Clone, Copy)]
enum Is {
    Ready,
    Idle,
    Connecting,
    Failed,
    Unhealthy,
}

const HEADER: &str = "x-key";

fn ring() -> Ring {
    let member = |key: &str| Member { key: key.into(), weight: 1 };
    Ring::new(&["a", "b", "c"].map(member), RingSizes { min: 64, max: 64 })
}

/// The members in the order in which they come first from this hash on.
fn order(hash: u64) -> Vec<usize> {
    let mut order = Vec::new();
    ring().members_from(hash).for_each(|member| {
        if !order.contains(&member) {
            order.push(member);
        }
    });
    order
}

fn headers(values: &[&'static str]) -> Metadata {
    let mut metadata = Metadata::new();
    for value in values {
        metadata.append(HEADER, *value).expect("valid");
        metadata.append("x-other", "other").expect("valid");
    }
    metadata
}

fn hash(text: &str) -> u64 {
    XxHash64::oneshot(SEED, text.as_bytes())
}

impl Bench {
    /// The endpoints are numbered 1, 2 and 3 as they come first from this hash on.
    fn from(hash: u64, states: [Is; 3]) -> Self {
        let wishes = <[Rc<Cell<bool>>; 3]>::default();
        let order = order(hash);
        let seen = (0..3).map(|member| {
            let turn = order.iter().position(|other| *other == member).expect("listed");
            match states[turn] {
                Is::Ready => Seen::Ready(SubchannelId::of(turn as u64 + 1)),
                Is::Idle => Seen::Idle(Rc::clone(&wishes[turn])),
                Is::Connecting => Seen::Connecting,
                Is::Failed => Seen::Failed(Lack::Connection),
                Is::Unhealthy => Seen::Failed(Lack::Health),
            }
        });
        let picker = RingPicker::new(Rc::new(ring()), seen.collect(), Some(HEADER.into()));
        Self { picker, wishes, posted: Cell::new(0) }
    }

    /// A pick in words, with the endpoints it asked for.
    fn pick(&self, metadata: &Metadata, unit: f64) -> String {
        self.posted.set(0);
        let connection_wanted = || self.posted.set(self.posted.get() + 1);
        let random_unit = || unit;
        let call =
            PickArgs { random_unit: &random_unit, metadata, connection_wanted: &connection_wanted, would_go_to: None };
        let mut words = match self.picker.pick(&call) {
            PickResult::Complete(id) => format!("to {}", id.number()),
            PickResult::Queue => "queue".into(),
            PickResult::Fail(lack) => format!("fail {lack:?}"),
        };
        let asked: Vec<usize> = (1..).zip(&self.wishes).filter(|(_, wish)| wish.take()).map(|(turn, _)| turn).collect();
        assert_eq!(asked.len(), self.posted.get() as usize, "a wish is posted");
        asked.iter().for_each(|turn| words += &format!(", connect {turn}"));
        words
    }
}

/// [LB-64]
#[test]
fn a_call_with_a_hash_goes_to_the_first_endpoint_that_has_not_failed_or_waits_for_it() {
    use Is::{Connecting, Failed, Idle, Ready, Unhealthy};
    let table = [
        ([Ready, Ready, Ready], "to 1"),
        ([Idle, Ready, Ready], "queue, connect 1"),
        ([Connecting, Ready, Idle], "queue"),
        ([Failed, Ready, Idle], "to 2"),
        ([Failed, Idle, Ready], "queue, connect 2"),
        ([Failed, Connecting, Ready], "queue"),
        ([Unhealthy, Failed, Ready], "to 3"),
        ([Failed, Unhealthy, Failed], "fail RingMember"),
        ([Unhealthy, Failed, Failed], "fail Health"),
    ];
    for (number, (states, wanted)) in table.into_iter().enumerate() {
        let bench = Bench::from(hash("key"), states);
        assert_eq!(bench.pick(&headers(&["key"]), 0.0), wanted, "row {number}");
    }
}

/// [LB-65]
#[test]
fn a_call_without_a_hash_goes_to_the_first_that_is_ready_and_connects_one_on_its_way() {
    use Is::{Connecting, Failed, Idle, Ready, Unhealthy};
    let table = [
        ([Ready, Idle, Idle], "to 1"),
        ([Idle, Ready, Idle], "to 2, connect 1"),
        ([Idle, Idle, Ready], "to 3, connect 1"),
        ([Idle, Connecting, Ready], "to 3"),
        ([Failed, Idle, Idle], "queue, connect 2"),
        ([Failed, Failed, Connecting], "queue"),
        ([Idle, Failed, Connecting], "queue"),
        ([Failed, Failed, Failed], "fail RingMember"),
        ([Unhealthy, Failed, Failed], "fail Health"),
    ];
    for unit in [0.0, 0.3, 0.999] {
        // What the fraction says, as a hash.
        let hash = random_hash(&PickArgs { random_unit: &|| unit, ..PickArgs::of_no_call() });
        for (number, (states, wanted)) in table.into_iter().enumerate() {
            let bench = Bench::from(hash, states);
            for metadata in [headers(&[]), headers(&[""])] {
                assert_eq!(bench.pick(&metadata, unit), wanted, "row {number}, {unit}");
            }
        }
    }
}

/// [LB-63]
#[test]
fn the_hash_is_that_of_the_headers_values_joined_by_commas() {
    let table: [(&[&'static str], Option<u64>); 6] = [
        (&["a"], Some(0xd24e_c4f1_a98c_6e5b)),
        (&["a", "b"], Some(hash("a,b"))),
        (&["", "b"], Some(hash(",b"))),
        (
            &["one value that is longer than a block", "another"],
            Some(hash("one value that is longer than a block,another")),
        ),
        (&[], None),
        (&[""], None),
    ];
    for (values, wanted) in table {
        assert_eq!(hash_of(HEADER, &headers(values)), wanted, "{values:?}");
    }
}

/// [LB-63]
#[test]
fn calls_fail_where_no_header_is_named() {
    let picker = RingPicker::new(Rc::new(ring()), [Seen::Connecting, Seen::Connecting, Seen::Connecting].into(), None);
    let call = PickArgs { metadata: &headers(&["key"]), ..PickArgs::of_no_call() };
    assert_eq!(picker.pick(&call), PickResult::Fail(Lack::RequestHash));
}

/// [LB-65]
#[test]
fn calls_without_a_hash_are_spread() {
    let bench = Bench::from(0, [Is::Ready; 3]);
    let mut counts = [0; 3];
    for number in 0..1_000 {
        let picked = bench.pick(&Metadata::new(), f64::from(number) / 1_000.0);
        let turn = ["to 1", "to 2", "to 3"].iter().position(|wanted| picked == *wanted).expect("one of three");
        counts[turn] += 1;
    }
    assert!(counts.iter().all(|count| *count > 150), "{counts:?}");
}

/// [LB-64], [LB-65]
#[test]
fn a_call_that_asks_again_is_told_the_same_by_its_hash_and_another_one_without_a_hash() {
    let bench = Bench::from(hash("key"), [Is::Ready; 3]);
    let third = |id: SubchannelId| id.number() == 3;
    let nobody = |_: SubchannelId| false;
    let with_hash = headers(&["key"]);
    let call = PickArgs { metadata: &with_hash, would_go_to: Some(&third), ..PickArgs::of_no_call() };
    assert_eq!(bench.picker.pick(&call), PickResult::Complete(SubchannelId::of(1)));
    let call = PickArgs { would_go_to: Some(&third), ..PickArgs::of_no_call() };
    assert_eq!(bench.picker.pick(&call), PickResult::Complete(SubchannelId::of(3)));
    let call = PickArgs { would_go_to: Some(&nobody), ..PickArgs::of_no_call() };
    assert!(matches!(bench.picker.pick(&call), PickResult::Complete(_)));
}
