use std::cell::Cell;

use super::*;
use crate::policy::balancer::SubchannelId;
use crate::policy::balancer::tally::InFlight;

/// Endpoints numbered from 1 that have so many calls in flight.
fn ready(in_flight: &[usize]) -> (Vec<Ready>, Vec<InFlight>) {
    let mut guards = Vec::new();
    let mut endpoints = Vec::new();
    for (place, count) in in_flight.iter().enumerate() {
        let tally = Rc::<Tally>::default();
        guards.extend((0..*count).map(|_| tally.enter()));
        endpoints.push(Ready { id: SubchannelId::of(place as u64 + 1), tally, kept: () });
    }
    (endpoints, guards)
}

/// What is picked when these endpoints are drawn.
fn picked(picker: &dyn Picker, endpoints: usize, drawn: &[usize]) -> u64 {
    let next = Cell::new(0);
    let random_unit = || {
        let draw = drawn[next.replace(next.get() + 1)];
        (draw as f64 + 0.5) / endpoints as f64
    };
    let PickResult::Complete(id) = picker.pick(&PickArgs { random_unit: &random_unit, ..PickArgs::of_no_call() })
    else {
        panic!("none")
    };
    assert_eq!(next.get(), drawn.len(), "draws");
    id.number()
}

/// [LB-56]
#[test]
fn of_those_drawn_the_one_with_fewest_calls_is_picked_and_of_equals_the_first() {
    let (ready, _guards) = ready(&[3, 1, 2, 1]);
    let picker = Fewest { choices: 2 }.picker(Time::ZERO, &ready);
    for (drawn, expected) in [([0, 1], 2), ([1, 0], 2), ([0, 2], 3), ([1, 3], 2), ([3, 1], 4), ([0, 0], 1)] {
        assert_eq!(picked(&*picker, 4, &drawn), expected, "{drawn:?}");
    }
    let picker = Fewest { choices: 3 }.picker(Time::ZERO, &ready);
    assert_eq!(picked(&*picker, 4, &[0, 2, 1]), 2);
}

/// [LB-55]
#[test]
fn more_than_ten_choices_are_ten() {
    let mut policy = LeastRequest::least_request(
        SubchannelIds::default(),
        Duration::from_millis(250),
        LeastRequestConfig { choice_count: 50 },
    );
    let (ready, _guards) = ready(&[0, 0]);
    assert_eq!(picked(&*policy.picker(&ready), 2, &[1; 10]), 2);
}

/// [LB-57]
#[test]
fn a_pick_sees_calls_that_began_since_the_picker_was_made() {
    let (ready, _guards) = ready(&[0, 0]);
    let picker = Fewest { choices: 2 }.picker(Time::ZERO, &ready);
    assert_eq!(picked(&*picker, 2, &[0, 1]), 1);
    let running = ready[0].tally.enter();
    assert_eq!(picked(&*picker, 2, &[0, 1]), 2);
    drop(running);
    assert_eq!(picked(&*picker, 2, &[0, 1]), 1);
}

/// As when the others have as many calls as they may.
#[test]
fn a_call_that_asks_again_goes_to_the_least_loaded_of_those_that_would_do_whoever_is_drawn() {
    let (ready, _guards) = ready(&[0, 2, 1, 5]);
    let picker = Fewest { choices: 2 }.picker(Time::ZERO, &ready);
    for (would_do, expected) in [(&[2, 3, 4][..], 3), (&[4], 4), (&[1], 1), (&[], 1)] {
        let would_go_to = |id: SubchannelId| would_do.contains(&id.number());
        // The first is drawn each time.
        let call = PickArgs { would_go_to: Some(&would_go_to), ..PickArgs::of_no_call() };
        assert_eq!(picker.pick(&call), PickResult::Complete(SubchannelId::of(expected)), "{would_do:?}");
    }
}
