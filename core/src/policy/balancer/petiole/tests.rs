use super::*;
use crate::address::Address;
use crate::policy::balancer::endpoint::of_each;
use crate::policy::balancer::least_request::{LeastRequest, LeastRequestConfig};
use crate::policy::balancer::round_robin::RoundRobin;
use crate::policy::balancer::weighted_round_robin::{WeightedRoundRobin, WeightedRoundRobinConfig};

const NOW: Time = Time::ZERO;
const DELAY: Duration = Duration::from_millis(250);
const ENDPOINTS: usize = 3;

/// What became of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Is {
    Dialed,
    Ready,
    /// It was READY, and its connection is lost.
    Lost,
    Failed,
    /// It has failed, and its backoff is over.
    DialedAgain,
}

impl Is {
    const ALL: [Self; 5] = [Self::Dialed, Self::Ready, Self::Lost, Self::Failed, Self::DialedAgain];

    fn by(self) -> &'static [State] {
        match self {
            Self::Dialed => &[State::Connecting],
            Self::Ready => &[State::Connecting, State::Ready],
            Self::Lost => &[State::Connecting, State::Ready, State::Idle],
            Self::Failed => &[State::Connecting, State::TransientFailure],
            Self::DialedAgain => &[State::Connecting, State::TransientFailure, State::Idle, State::Connecting],
        }
    }
}

/// What a policy shows once this has become of its endpoints.
fn shown<S: Spread>(mut policy: Petiole<S>, endpoints: [Is; ENDPOINTS]) -> State {
    let mut actions = Vec::new();
    let address = |number| Address::Inet(([10, 0, 0, number], 1).into());
    policy.on_endpoints(NOW, of_each([1, 2, 3].map(address)), &mut actions);
    for (id, is) in (1..).zip(endpoints) {
        for state in is.by() {
            policy.on_subchannel_state(NOW, SubchannelId::of(id), *state, &mut actions);
        }
    }
    let published = actions.iter().rev().find_map(|action| match action {
        LbAction::Publish(state, _) => Some(*state),
        _ => None,
    });
    published.expect("published")
}

/// [LB-10], [LB-27], [LB-51], [LB-59]: READY before CONNECTING before TRANSIENT_FAILURE; an endpoint that is IDLE is connected at once.
#[test]
fn a_policy_that_spreads_calls_is_what_the_best_of_its_endpoints_is() {
    let ids = SubchannelIds::default;
    for first in Is::ALL {
        for second in Is::ALL {
            for third in Is::ALL {
                let endpoints = [first, second, third];
                let wanted = if endpoints.contains(&Is::Ready) {
                    State::Ready
                } else if endpoints.contains(&Is::Dialed) || endpoints.contains(&Is::Lost) {
                    State::Connecting
                } else {
                    State::TransientFailure
                };
                let round_robin = RoundRobin::round_robin(ids(), DELAY, 0.0);
                let least_request = LeastRequest::least_request(ids(), DELAY, LeastRequestConfig::default());
                let config = WeightedRoundRobinConfig::default();
                let weighted = WeightedRoundRobin::weighted_round_robin(ids(), DELAY, 0.0, config);
                let shown =
                    [shown(round_robin, endpoints), shown(least_request, endpoints), shown(weighted, endpoints)];
                assert_eq!(shown, [wanted; 3], "{endpoints:?}");
            }
        }
    }
}
