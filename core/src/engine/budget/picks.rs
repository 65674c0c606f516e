//! What a pick costs between so many addresses: a pick must not know how many there are.

use std::rc::Rc;
use std::time::Duration;

use crate::address::Address;
use crate::load_report::LoadReport;
use crate::metadata::Metadata;
use crate::policy::balancer::endpoint::EndpointBook;
use crate::policy::balancer::least_request::{LeastRequest, LeastRequestConfig};
use crate::policy::balancer::round_robin::RoundRobin;
use crate::policy::balancer::weighted_round_robin::{WeightedRoundRobin, WeightedRoundRobinConfig};
use crate::policy::balancer::{LbAction, LbPolicy, PickArgs, PickResult, Picker, SubchannelIds};
use crate::random::Random;
use crate::runtime::environment;
use crate::state::State;
use crate::time::Time;

const DELAY: Duration = Duration::from_millis(250);

/// For each policy and number of addresses a program.
macro_rules! programs {
    ($($policy:ident: $($name:ident $addresses:literal),*;)*) => {
        $(mod $policy {
            $(#[test]
            fn $name() {
                super::picks(super::$policy, $addresses);
            })*
        })*
    };
}

programs! {
    round_robin: of_1 1, of_10 10, of_100 100, of_1000 1000;
    least_request: of_1 1, of_10 10, of_100 100, of_1000 1000;
    weighted_round_robin: of_1 1, of_10 10, of_100 100, of_1000 1000;
}

fn round_robin(ids: SubchannelIds) -> Box<dyn LbPolicy> {
    Box::new(RoundRobin::round_robin(ids, DELAY, 0.0))
}

fn least_request(ids: SubchannelIds) -> Box<dyn LbPolicy> {
    Box::new(LeastRequest::least_request(ids, DELAY, LeastRequestConfig::default()))
}

fn weighted_round_robin(ids: SubchannelIds) -> Box<dyn LbPolicy> {
    let config = WeightedRoundRobinConfig { blackout_period: Duration::ZERO, ..WeightedRoundRobinConfig::default() };
    Box::new(WeightedRoundRobin::weighted_round_robin(ids, DELAY, 0.0, config))
}

fn picks(policy: fn(SubchannelIds) -> Box<dyn LbPolicy>, addresses: u16) {
    let picker = connected(policy(SubchannelIds::default()), addresses);
    let (random, metadata) = (Random::new(1), Metadata::new());
    let random_unit = || random.unit();
    let args =
        PickArgs { random_unit: &random_unit, metadata: &metadata, connection_wanted: &|| (), would_go_to: None };
    for _ in 0..environment::budget_calls().unwrap_or(100) {
        assert!(matches!(picker.pick(&args), PickResult::Complete(_)));
    }
}

/// The picker once all of so many addresses are connected, and have reported ten different loads.
fn connected(mut policy: Box<dyn LbPolicy>, addresses: u16) -> Rc<dyn Picker> {
    let address = |number: u16| Address::Inet(([10, 0, 0, 1], number + 1).into());
    let endpoints = EndpointBook::default().on_listed((0..addresses).map(|number| Box::from([address(number)])));
    let mut actions = Vec::new();
    policy.on_endpoints(Time::ZERO, endpoints.clone(), &mut actions);
    for (number, endpoint) in (1..=10).cycle().zip(&endpoints) {
        if let Some(listener) = endpoint.tally().enter().load_listener() {
            let report =
                LoadReport { queries_per_second: f64::from(number), cpu_utilization: 1.0, ..LoadReport::default() };
            listener.on_report(Time::ZERO, &report);
        }
    }
    let mut picker = None;
    for action in std::mem::take(&mut actions) {
        if let LbAction::Create(id, ..) = action {
            policy.on_subchannel_state(Time::ZERO, id, State::Ready, &mut actions);
        }
    }
    for action in actions {
        if let LbAction::Publish(State::Ready, published) = action {
            picker = Some(published);
        }
    }
    picker.expect("published")
}
