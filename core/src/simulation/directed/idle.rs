//! Channels that nobody uses ([CONN-10] to [CONN-16]).

use std::time::Duration;

use super::every_seed;
use crate::channel::options::Preset;
use crate::simulation::calls::Plan;
use crate::simulation::channels::{NAMED, address, listed};
use crate::simulation::options::options;
use crate::simulation::server::Script;
use crate::simulation::world::World;
use crate::state::State;

const SECOND: Duration = Duration::from_secs(1);

/// [CONN-10], [CONN-12], [CONN-15]
#[test]
fn a_channel_without_calls_goes_idle_in_time_and_the_next_call_wakes_it() {
    for preset in [Preset::Grpc, Preset::Resilient] {
        every_seed(20, move |world: World| async move {
            let server = world.server(&address(1), Script::default());
            world.name_is([1]);
            let channel = world.channel(NAMED, &options(preset, [("grpc.client_idle_timeout_ms", 5_000.into())]));
            for _ in 0..3 {
                let end = world.must_succeed(&channel, Plan::default()).await;
                world.sleep(SECOND * 20).await;
                let events = channel.events(0);
                let last = events.last().expect("it changed");
                if last.to != State::Idle {
                    world.wrong(format_args!("the channel is {} after 20 s without calls", last.to));
                }
                let after = last.at.saturating_sub(end.at.since_start());
                if !(SECOND * 5..SECOND * 5 + Duration::from_millis(10)).contains(&after) {
                    world.wrong(format_args!("it went idle {after:?} after the last call"));
                }
                if server.connections() > 0 || world.driver().network().engine_sockets() > 0 {
                    world.wrong("its connection is still open");
                }
            }
        });
    }
}

/// [CONN-12]: a call that waits keeps the channel from going idle.
#[test]
fn a_channel_with_a_call_does_not_go_idle() {
    every_seed(10, |world: World| async move {
        let server = world.server(&address(1), Script::default());
        server.change(|script| script.answers.never = 100);
        world.name_is([1]);
        let options = options(Preset::Grpc, [("grpc.client_idle_timeout_ms", 1_000.into())]);
        let channel = world.channel(NAMED, &options);
        let call = world.call(&channel, Plan { timeout: Some(SECOND * 30), ..Plan::default() });
        let end = call.end().await;
        if end.at.since(call.started) != SECOND * 30 {
            world.wrong(format_args!("it ended after {:?}: {}", end.at.since(call.started), end.text));
        }
        let went_idle =
            channel.events(0).iter().any(|event| event.to == State::Idle && event.at < end.at.since_start());
        if went_idle {
            world.wrong("the channel went idle under a call");
        }
    });
}

/// [CONN-58]: who calls again is not made to wait for what failed before the channel went idle.
#[test]
fn a_channel_that_went_idle_has_forgotten_its_backoff() {
    every_seed(20, |world: World| async move {
        let options = options(Preset::Grpc, [("grpc.client_idle_timeout_ms", 1_000.into())]);
        let channel = world.channel(&listed([1]), &options);
        let dials = || world.driver().network().dials();
        // The next wait is 20 s at least then.
        while dials().len() < 8 {
            world.call(&channel, Plan::default());
            world.sleep(SECOND / 2).await;
        }
        world.sleep(SECOND * 2).await;
        if channel.events(0).last().is_none_or(|event| event.to != State::Idle) {
            world.wrong("the channel is not idle");
        }
        let call = world.call(&channel, Plan { wait_for_ready: true, timeout: Some(SECOND * 3), ..Plan::default() });
        call.end().await;
        let anew: Vec<_> = dials()[8..].iter().map(|dial| dial.started).collect();
        let [first, second, ..] = anew[..] else {
            world.wrong(format_args!("only {} dials in 3 s", anew.len()));
            return;
        };
        if first != call.started {
            world.wrong(format_args!("it was dialed {:?} after the call", first.since(call.started)));
        }
        if !(SECOND.mul_f64(0.8)..=SECOND.mul_f64(1.2)).contains(&second.since(first)) {
            world.wrong(format_args!("the first wait was {:?}", second.since(first)));
        }
    });
}

/// Names are asked for again while the channel is used, and not when nobody uses it.
#[test]
fn a_name_is_asked_for_again_only_while_it_is_used() {
    every_seed(10, |world: World| async move {
        let _server = world.server(&address(1), Script::default());
        world.name_is([1]);
        let options = options(
            Preset::Resilient,
            [("linkspan.dns_refresh_ms", 10_000.into()), ("grpc.client_idle_timeout_ms", 30_000.into())],
        );
        let channel = world.channel(NAMED, &options);
        world.steady_calls(&channel, 1, SECOND * 100, Plan::default()).await;
        let asked = world.driver().network().lookups().len();
        if !(9..=12).contains(&asked) {
            world.wrong(format_args!("asked {asked} times in 100 s"));
        }
        world.sleep(SECOND * 1_000).await;
        let later = world.driver().network().lookups().len() - asked;
        if later > 4 {
            world.wrong(format_args!("asked {later} times with nobody there"));
        }
    });
}
