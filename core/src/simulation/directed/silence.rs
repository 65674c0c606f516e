//! Peers that say nothing any more, and how fast that is found.

use std::time::Duration;

use super::every_seed;
use crate::channel::options::Preset;
use crate::runtime::Driver;
use crate::runtime::simulated::Loss;
use crate::simulation::calls::Plan;
use crate::simulation::channels::{address, listed};
use crate::simulation::options::options;
use crate::simulation::server::{Script, Server};
use crate::simulation::world::World;
use crate::status::Code;

const SECOND: Duration = Duration::from_secs(1);

/// [CONN-90], [CONN-92]: with 10 s and 5 s within 15 s ± 10 %, whichever direction is silent.
#[test]
fn keepalive_finds_a_silent_peer_of_an_idle_connection_in_time() {
    for preset in [Preset::Grpc, Preset::Resilient] {
        every_seed(1_000, move |world: World| async move {
            let random = world.driver().random();
            let _server = world.server(&address(1), Script::default());
            let options = options(
                preset,
                [
                    ("grpc.keepalive_time_ms", 10_000.into()),
                    ("grpc.keepalive_timeout_ms", 5_000.into()),
                    ("grpc.keepalive_permit_without_calls", 1.into()),
                ],
            );
            let channel = world.channel(&listed([1]), &options);
            world.must_succeed(&channel, Plan::default()).await;
            world.sleep(random.between(Duration::ZERO, SECOND * 9)).await;
            // Its PING shows that it lives, and is the last it says.
            world.sleep(SECOND * 10).await;
            let (up, down) = random.one_of(&[(true, true), (true, false), (false, true)]);
            world.driver().network().forget_streams(&address(1), up, down);
            world.sleep(SECOND * 20).await;
            match world.driver().network().losses()[..] {
                [Loss { forgotten: lost, closed: Some(closed), .. }] => {
                    let after = closed.since(lost);
                    // Up to ten seconds may have passed since the last byte.
                    if !(Duration::from_millis(4_900)..=Duration::from_millis(16_500)).contains(&after) {
                        world.wrong(format_args!("it was found after {after:?}"));
                    }
                }
                ref losses => world.wrong(format_args!("it was not found: {losses:?}")),
            }
            world.must_succeed(&channel, Plan::default()).await;
        });
    }
}

/// [CONN-92]: counted from the last byte that was read, 15 s and not more.
#[test]
fn keepalive_takes_time_and_timeout_from_the_last_byte() {
    every_seed(100, |world: World| async move {
        let _server = world.server(&address(1), Script::default());
        let options = options(
            Preset::Grpc,
            [
                ("grpc.keepalive_time_ms", 10_000.into()),
                ("grpc.keepalive_timeout_ms", 5_000.into()),
                ("grpc.keepalive_permit_without_calls", 1.into()),
            ],
        );
        let channel = world.channel(&listed([1]), &options);
        let end = world.must_succeed(&channel, Plan::default()).await;
        // What crosses with the end of the call, an acknowledgement, may still come.
        world.sleep(Duration::from_millis(10)).await;
        world.driver().network().forget_streams(&address(1), true, true);
        world.sleep(SECOND * 20).await;
        let losses = world.driver().network().losses();
        let found = losses[0].closed.map(|closed| closed.since(end.at));
        let bounds = SECOND * 15..=SECOND * 15 + Duration::from_millis(10);
        if !found.is_some_and(|found| bounds.contains(&found)) {
            world.wrong(format_args!("it was found after {found:?}"));
        }
    });
}

/// Ten calls a second with two seconds each: none fails later than five seconds after the hole has opened.
#[test]
fn calls_find_a_forgotten_connection_within_seconds_without_keepalive() {
    for (up, down) in [(true, true), (true, false), (false, true)] {
        every_seed(50, move |world: World| async move {
            let _server = world.server(&address(1), Script::default());
            let channel = world.channel(&listed([1]), &options(Preset::Resilient, []));
            let plan = Plan { timeout: Some(SECOND * 2), ..Plan::default() };
            world.steady_calls(&channel, 10, world.driver().random().between(SECOND, SECOND * 5), plan).await;
            world.driver().network().forget_streams(&address(1), up, down);
            let hole = world.driver().now();
            let calls = world.steady_calls(&channel, 10, SECOND * 30, plan).await;
            for call in &calls {
                let end = call.end().await;
                if end.code != Code::Ok && end.at.since(hole) > SECOND * 5 {
                    let after = end.at.since(hole);
                    world.wrong(format_args!("call {} failed {after:?} after the hole opened: {}", call.id, end.text));
                }
            }
        });
    }
}

/// A connection that nobody used for long may have been forgotten; the first call after that must not pay for it.
#[test]
fn the_first_call_after_long_idleness_succeeds_although_the_connection_was_forgotten() {
    for preset in [Preset::Grpc, Preset::Resilient] {
        every_seed(50, move |world: World| async move {
            let _server = world.server(&address(1), Script::default());
            let channel = world.channel(&listed([1]), &options(preset, []));
            world.must_succeed(&channel, Plan::default()).await;
            world.sleep(SECOND * 400).await;
            world.driver().network().forget_streams(&address(1), true, true);
            world.must_succeed(&channel, Plan { timeout: Some(SECOND * 5), ..Plan::default() }).await;
        });
    }
}

/// Of several that were idle one was forgotten: a call that finds that out goes to another at once, and the others are kept.
#[test]
fn a_forgotten_connection_among_several_costs_a_call_no_time_and_no_other_connection() {
    for servers in [2, 4] {
        every_seed(50, move |world: World| async move {
            for number in 1..=servers {
                world.server(&address(number), Script::default());
            }
            let channel = world.channel(&listed(1..=servers), &options(Preset::Resilient, []));
            for _ in 0..servers * 4 {
                world.must_succeed(&channel, Plan::default()).await;
            }
            world.sleep(SECOND * 60).await;
            world.driver().network().forget_streams(&address(1), true, true);
            let connections = world.record().connections();
            for _ in 0..servers {
                world.must_succeed(&channel, Plan { timeout: Some(SECOND), ..Plan::default() }).await;
            }
            world.sleep(SECOND * 10).await;
            let again = world.record().connections() - connections;
            if again > 1 {
                world.wrong(format_args!("{again} connections were made anew, of one that was forgotten"));
            }
        });
    }
}

/// The process did not run for minutes, and what lies on the way has forgotten its streams meanwhile.
#[test]
fn the_first_call_after_a_freeze_of_the_process_succeeds() {
    for preset in [Preset::Grpc, Preset::Resilient] {
        every_seed(50, move |world: World| async move {
            let _server = world.server(&address(1), Script::default());
            let channel = world.channel(&listed([1]), &options(preset, []));
            world.steady_calls(&channel, 10, SECOND * 3, Plan::default()).await;
            world.driver().network().forget_streams(&address(1), true, true);
            world.freeze(SECOND * 300);
            world.must_succeed(&channel, Plan { timeout: Some(SECOND * 5), ..Plan::default() }).await;
        });
    }
}

/// Most servers, one beside the other in the list, are silent when calls come again after a rest: the first calls have each
/// connection checked, and while that lasts the next ones go past all that are.
#[test]
fn calls_pass_over_every_connection_that_is_in_doubt_however_many_stand_in_a_row() {
    const SERVERS: u8 = 60;
    const SILENT: std::ops::Range<usize> = 5..55;
    every_seed(10, |world: World| async move {
        let servers: Vec<Server> =
            (1..=SERVERS).map(|number| world.server(&address(number), Script::default())).collect();
        let channel = world.channel(&listed(1..=SERVERS), &options(Preset::Resilient, []));
        world.must_succeed(&channel, Plan::default()).await;
        world.sleep(SECOND * 60).await;
        servers[SILENT].iter().for_each(Server::freeze);
        let first: Vec<_> = (0..SERVERS).map(|_| world.call(&channel, Plan::default())).collect();
        world.sleep(SECOND / 5).await;
        let next = world.steady_calls(&channel, 1_000, SECOND / 5, Plan::default()).await;
        for call in &next {
            let end = call.end().await;
            let took = end.at.since(call.started);
            if end.code != Code::Ok || took > Duration::from_millis(50) {
                world.wrong(format_args!("call {} ended {:?} after {took:?}: {}", call.id, end.code, end.text));
            }
        }
        world.all_succeed(&first).await;
    });
}
