//! A server that is away for a while, and how fast its callers find it again.

use std::time::Duration;

use super::every_seed;
use crate::channel::options::Preset;
use crate::runtime::Driver;
use crate::runtime::simulated::Dial;
use crate::simulation::calls::Plan;
use crate::simulation::channels::{NAMED, address, listed};
use crate::simulation::options::options;
use crate::simulation::server::Script;
use crate::simulation::world::World;
use crate::state::State;
use crate::status::Code;
use crate::time::Time;

const SECOND: Duration = Duration::from_secs(1);

/// Within 1.5 s of the server's return, however long it was away.
#[test]
fn the_first_good_call_comes_soon_after_the_server_is_back() {
    for outage in [10, 60] {
        every_seed(50, move |world: World| async move {
            let server = world.server(&address(1), Script::default());
            let channel = world.channel(&listed([1]), &options(Preset::Resilient, []));
            world.must_succeed(&channel, Plan::default()).await;
            server.kill();
            let plan = Plan { timeout: Some(SECOND * 2), ..Plan::default() };
            world.steady_calls(&channel, 10, SECOND * outage, plan).await;
            server.restart();
            let back = world.driver().now();
            let calls = world.steady_calls(&channel, 10, SECOND * 3, plan).await;
            let mut first_good = None;
            for call in &calls {
                let end = call.end().await;
                first_good = first_good.or((end.code == Code::Ok).then_some(end.at));
            }
            match first_good {
                Some(at) if at.since(back) <= Duration::from_millis(1_500) => {}
                Some(at) => world.wrong(format_args!("the first good call came after {:?}", at.since(back))),
                None => world.wrong("no call succeeded"),
            }
        });
    }
}

/// Fifty channels of one process dial a server that is away at most twice a second.
#[test]
fn many_channels_do_not_storm_a_server_that_is_away() {
    every_seed(5, |world: World| async move {
        let server = world.server(&address(1), Script::default());
        let channels: Vec<_> = (0..50).map(|_| world.channel(&listed([1]), &options(Preset::Resilient, []))).collect();
        for channel in &channels {
            world.must_succeed(channel, Plan::default()).await;
        }
        server.kill();
        let gone = world.driver().now();
        let plan = Plan { timeout: Some(SECOND * 2), ..Plan::default() };
        for turn in 0..600 {
            world.call(&channels[turn % channels.len()], plan);
            world.sleep(SECOND / 10).await;
        }
        server.restart();
        let back = world.driver().now();
        let away: Vec<Dial> = world.driver().network().dials();
        let away: Vec<Time> = away.iter().map(|dial| dial.started).filter(|at| (gone..back).contains(at)).collect();
        for (at, first) in away.iter().enumerate() {
            if away.get(at + 2).is_some_and(|third| third.since(*first) < SECOND - Duration::from_millis(1)) {
                world.wrong(format_args!("three connects within a second of {first:?}"));
            }
        }
        if away.len() < 60 {
            world.wrong(format_args!("only {} connects in a minute", away.len()));
        }
        // Each channel finds it again.
        world.sleep(SECOND * 2).await;
        for channel in &channels {
            world.must_succeed(channel, Plan { wait_for_ready: true, ..Plan::default() }).await;
        }
    });
}

/// The one address that worked leaves the list; the one that stays has failed before, and calls are told so at once.
#[test]
fn a_call_fails_at_once_when_only_addresses_that_failed_are_left() {
    every_seed(20, |world: World| async move {
        world.server(&address(1), Script::default()).kill();
        // It connects when the first has failed, and that is not tried again meanwhile.
        world.server(&address(2), Script { settings_after: SECOND, ..Script::default() });
        world.name_is(1..=2);
        let set = [
            ("linkspan.lb_policy", "round_robin".into()),
            ("linkspan.dns_refresh_ms", 30_000.into()),
            ("grpc.initial_reconnect_backoff_ms", 100_000.into()),
            ("grpc.max_reconnect_backoff_ms", 100_000.into()),
        ];
        let channel = world.channel(NAMED, &options(Preset::Grpc, set));
        world.must_succeed(&channel, Plan::default()).await;
        world.sleep(SECOND * 5).await;
        world.name_is(1..=1);
        while channel.state(false) != State::TransientFailure {
            // The channel asks again only while it is used.
            world.call(&channel, Plan { timeout: Some(SECOND), ..Plan::default() }).end().await;
            world.sleep(SECOND).await;
        }
        let started = world.driver().now();
        let end = world.call(&channel, Plan { timeout: Some(SECOND * 600), ..Plan::default() }).end().await;
        if end.code != Code::Unavailable || !end.text.contains("10.0.0.1") || end.at != started {
            world.wrong(format_args!("{:?} after {:?}: {}", end.code, end.at.since(started), end.text));
        }
    });
}
