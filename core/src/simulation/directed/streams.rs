//! More calls than a server allows streams on one connection.

use std::rc::Rc;
use std::time::Duration;

use super::every_seed;
use crate::channel::options::{ChannelOptions, OptionValue, Preset};
use crate::engine::Channel;
use crate::runtime::Driver;
use crate::simulation::calls::{Call, Plan};
use crate::simulation::channels::{NAMED, address, listed};
use crate::simulation::hosted::servers;
use crate::simulation::options::options;
use crate::simulation::server::{Answers, Script, Server};
use crate::simulation::world::World;
use crate::status::Code;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const LIMIT: u32 = 100;
const CALLS: usize = 250;
const PATIENCE: Plan = Plan { timeout: Some(Duration::from_secs(60)), ..Plan::NONE };

fn answers_after(length: Duration) -> Answers {
    Answers { after: (length, length), ..Answers::default() }
}

/// A server that allows a hundred streams and answers after six seconds.
fn slow_server(world: &World) -> Server {
    let script = Script { max_streams: Some(LIMIT), answers: answers_after(SECOND * 6), ..Script::default() };
    world.server(&address(1), script)
}

fn many_calls(world: &World, channel: &Channel, plan: Plan) -> Vec<Rc<Call>> {
    (0..CALLS).map(|_| world.call(channel, plan)).collect()
}

/// What a channel shows: calls that wait, and streams in use of those allowed.
fn shown(channel: &Channel) -> (u64, u64, u64) {
    let metrics = channel.metrics();
    let in_use = metrics.connections.iter().map(|connection| connection.streams_active).sum();
    let limit = metrics.connections.iter().filter_map(|connection| connection.stream_limit).sum();
    (metrics.calls_queued, in_use, limit)
}

/// [CONN-120] to [CONN-126], [CONN-131], [CONN-133], [MCS-1], [MCS-2], [MCS-4]
#[test]
fn calls_above_the_limit_get_further_connections_and_those_go_when_they_are_not_used() {
    every_seed(10, |world: World| async move {
        let server = slow_server(&world);
        let shrink = ("linkspan.connection_shrink_after_ms", 10_000.into());
        let channel = world.channel(&listed([1]), &options(Preset::Resilient, [shrink]));
        let calls = many_calls(&world, &channel, PATIENCE);
        world.sleep(SECOND).await;
        if (shown(&channel), server.connections()) != ((0, 250, 300), 3) {
            world.wrong(format_args!("{:?} on {} connections", shown(&channel), server.connections()));
        }
        server.change(|script| script.answers = answers_after(MILLISECOND));
        let end = world.must_succeed(&channel, PATIENCE).await;
        let took = end.at.since(crate::time::Time::ZERO + SECOND);
        if took > MILLISECOND * 50 {
            world.wrong(format_args!("a small call took {took:?} beside the others"));
        }
        world.all_succeed(&calls).await;
        if world.driver().now().since_start() > SECOND * 7 {
            world.wrong("calls waited for others");
        }
        world.sleep(SECOND * 21).await;
        if (shown(&channel), server.connections()) != ((0, 0, 100), 1) {
            world.wrong(format_args!("{:?} on {} connections", shown(&channel), server.connections()));
        }
        world.must_succeed(&channel, PATIENCE).await;
    });
}

/// It is looked at while a stream is open, and next when that has just ended.
#[test]
fn a_further_connection_stays_for_as_long_as_it_was_told_after_its_last_stream() {
    every_seed(10, |world: World| async move {
        let server = slow_server(&world);
        let shrink = ("linkspan.connection_shrink_after_ms", 4_000.into());
        let channel = world.channel(&listed([1]), &options(Preset::Resilient, [shrink]));
        world.all_succeed(&many_calls(&world, &channel, PATIENCE)).await;
        for (rest, connections) in [(MILLISECOND * 3_900, 3), (MILLISECOND * 4_200, 1)] {
            world.sleep(rest).await;
            if server.connections() != connections {
                let now = world.driver().now().since_start();
                world.wrong(format_args!("{} connections after {now:?}, not {connections}", server.connections()));
            }
        }
    });
}

/// [CONN-120], [WIRE-244]
#[test]
fn without_further_connections_calls_wait_in_their_order_and_their_deadlines_say_for_what() {
    every_seed(10, |world: World| async move {
        let server = slow_server(&world);
        let channel = world.channel(&listed([1]), &options(Preset::Grpc, []));
        let calls = many_calls(&world, &channel, Plan { timeout: Some(SECOND * 10), ..PATIENCE });
        world.sleep(SECOND).await;
        if (shown(&channel), server.connections()) != ((150, 100, 100), 1) {
            world.wrong(format_args!("{:?} on {} connections", shown(&channel), server.connections()));
        }
        for (number, call) in calls.iter().enumerate() {
            let end = call.end().await;
            let is_right = match number {
                0..100 => end.code == Code::Ok && end.at.since_start() < SECOND * 7,
                // Their streams open after six seconds, and the answers would come two too late.
                100..200 => end.code == Code::DeadlineExceeded && end.text.contains("phase wait; on 10.0.0.1:50051"),
                _ => {
                    let what = "phase queue; waiting for a stream to 10.0.0.1:50051: 100 of 100 in use on 1 connection";
                    end.code == Code::DeadlineExceeded && end.text.contains(what) && end.text.ends_with("not sent")
                }
            };
            if !is_right {
                world.wrong(format_args!("call {number} ended {end:?}"));
            }
        }
        if server.connections() != 1 {
            world.wrong("another connection was opened");
        }
    });
}

/// [CONN-121], [CONN-124], [MCS-2], [MCS-3]
#[test]
fn no_more_connections_are_opened_than_are_allowed_and_what_is_too_much_waits() {
    every_seed(10, |world: World| async move {
        let server = slow_server(&world);
        let config = OptionValue::from(r#"{"connectionScaling": {"maxConnectionsPerSubchannel": 2}}"#);
        let channel = world.channel(&listed([1]), &options(Preset::Grpc, [("grpc.service_config", config)]));
        let calls = many_calls(&world, &channel, PATIENCE);
        world.sleep(SECOND).await;
        if (shown(&channel), server.connections()) != ((50, 200, 200), 2) {
            world.wrong(format_args!("{:?} on {} connections", shown(&channel), server.connections()));
        }
        world.all_succeed(&calls).await;
        let took = world.driver().now().since_start();
        if !(SECOND * 12..SECOND * 13).contains(&took) {
            world.wrong(format_args!("it took {took:?}"));
        }
    });
}

/// [CONN-122], [CONN-126], [MCS-5]
#[test]
fn a_bound_that_is_raised_is_for_the_calls_that_wait_already() {
    every_seed(10, |world: World| async move {
        let server = slow_server(&world);
        server.change(|script| script.answers = answers_after(SECOND * 600));
        let told = world.told();
        let channel = world.told_channel(&told, options(Preset::Grpc, []));
        let calls: Vec<_> = (0..150).map(|_| world.call(&channel, Plan { timeout: None, ..PATIENCE })).collect();
        world.sleep(SECOND).await;
        told.says(servers([1], None));
        world.sleep(SECOND).await;
        if shown(&channel) != (50, 100, 100) {
            world.wrong(format_args!("{:?}", shown(&channel)));
        }
        told.says(servers([1], Some(r#"{"connectionScaling": {"maxConnectionsPerSubchannel": 2}}"#)));
        world.sleep(SECOND).await;
        if shown(&channel) != (0, 150, 200) {
            world.wrong(format_args!("{:?}", shown(&channel)));
        }
        world.all_succeed(&calls).await;
    });
}

/// [SC-27]: one where the config says nothing; up to the cap as soon as it says more, and no connection goes because it says less.
#[test]
fn a_config_that_changes_lets_calls_that_wait_have_connections_and_takes_none_from_those_that_run() {
    every_seed(10, |world: World| async move {
        let server = slow_server(&world);
        let told = world.told();
        let cap = ("grpc.max_connections_per_subchannel_cap", 2.into());
        let channel = world.told_channel(&told, options(Preset::Grpc, [cap]));
        let calls = many_calls(&world, &channel, PATIENCE);
        let by_config = |most: u32| format!(r#"{{"connectionScaling": {{"maxConnectionsPerSubchannel": {most}}}}}"#);
        world.sleep(MILLISECOND).await;
        for (config, wanted) in [
            ("{}".to_owned(), ((150, 100, 100), 1)),
            (by_config(3), ((50, 200, 200), 2)),
            (by_config(1), ((50, 200, 200), 2)),
        ] {
            told.says(servers([1], Some(&config)));
            world.sleep(SECOND).await;
            if (shown(&channel), server.connections()) != wanted {
                world.wrong(format_args!("{config}: {:?}, {} connections", shown(&channel), server.connections()));
            }
        }
        world.all_succeed(&calls).await;
        if world.record().connections() != 2 {
            world.wrong(format_args!("{} connections were made", world.record().connections()));
        }
    });
}

/// [MCS-6]
/// [CONN-127]: nothing of them was sent.
#[test]
fn calls_that_wait_when_every_connection_is_lost_are_made_on_the_next() {
    every_seed(10, |world: World| async move {
        let server = slow_server(&world);
        let config = OptionValue::from(r#"{"connectionScaling": {"maxConnectionsPerSubchannel": 2}}"#);
        let channel = world.channel(&listed([1]), &options(Preset::Resilient, [("grpc.service_config", config)]));
        let calls = many_calls(&world, &channel, PATIENCE);
        world.sleep(SECOND).await;
        server.cut();
        for (number, call) in calls.iter().enumerate() {
            let end = call.end().await;
            let wanted = if number < 200 { Code::Unavailable } else { Code::Ok };
            if end.code != wanted {
                world.wrong(format_args!("call {number} ended {end:?}"));
            }
        }
    });
}

/// [CONN-132], [TRANS-15]
#[test]
fn a_limit_that_falls_below_what_runs_lets_it_run_and_the_next_waits() {
    every_seed(10, |world: World| async move {
        let server = slow_server(&world);
        let channel = world.channel(&listed([1]), &options(Preset::Grpc, []));
        let running: Vec<_> = (0..20).map(|_| world.call(&channel, PATIENCE)).collect();
        world.sleep(SECOND).await;
        server.set_max_streams(10);
        world.sleep(SECOND).await;
        let waiting = world.call(&channel, PATIENCE);
        world.sleep(SECOND).await;
        if shown(&channel) != (1, 20, 10) {
            world.wrong(format_args!("{:?}", shown(&channel)));
        }
        world.all_succeed(&running).await;
        let end = waiting.end().await;
        if end.code != Code::Ok || end.at.since_start() < SECOND * 12 {
            world.wrong(format_args!("it did not wait: {end:?}"));
        }
    });
}

/// Calls are given to the connection with the fewest, and one that is lost is made good.
#[test]
fn a_fixed_number_of_connections_is_kept_and_shares_the_calls() {
    every_seed(10, |world: World| async move {
        let server = slow_server(&world);
        let four = ("linkspan.connections_per_subchannel", 4.into());
        let channel = world.channel(&listed([1]), &options(Preset::Resilient, [four]));
        for _ in 0..2 {
            server.change(|script| script.answers = answers_after(MILLISECOND));
            world.must_succeed(&channel, Plan { wait_for_ready: true, ..PATIENCE }).await;
            world.sleep(SECOND * 5).await;
            server.change(|script| script.answers = answers_after(SECOND * 6));
            let calls: Vec<_> = (0..40).map(|_| world.call(&channel, PATIENCE)).collect();
            world.sleep(SECOND).await;
            let used: Vec<_> =
                channel.metrics().connections.iter().map(|connection| connection.streams_active).collect();
            if used != [10, 10, 10, 10] {
                world.wrong(format_args!("{used:?}"));
            }
            world.all_succeed(&calls).await;
            server.cut();
            world.sleep(SECOND).await;
        }
    });
}

/// A balancer may have given each connection another server, of which calls are to find all.
#[test]
fn calls_that_never_meet_are_shared_by_the_connections_that_are_kept() {
    every_seed(10, |world: World| async move {
        let _server = world.server(&address(1), Script::default());
        let four = ("linkspan.connections_per_subchannel", 4.into());
        let channel = world.channel(&listed([1]), &options(Preset::Resilient, [four]));
        world.must_succeed(&channel, PATIENCE).await;
        world.sleep(SECOND).await;
        for _ in 0..40 {
            world.must_succeed(&channel, PATIENCE).await;
        }
        let mut used: Vec<_> =
            channel.metrics().connections.iter().map(|connection| connection.streams_total).collect();
        used.sort_unstable();
        if used != [10, 10, 10, 11] {
            world.wrong(format_args!("{used:?}"));
        }
    });
}

/// [CONN-122], [CONN-128]
#[test]
fn a_single_address_has_two_connections_and_one_of_them_goes_when_there_are_more_addresses() {
    every_seed(10, |world: World| async move {
        let servers = [1, 2].map(|number| world.server(&address(number), Script::default()));
        world.name_is([1]);
        let mut options = ChannelOptions::new();
        options.set_preset(Preset::Resilient);
        options.set("linkspan.connection_shrink_after_ms", 5_000).expect("in range");
        let channel = world.channel(NAMED, &options);
        world.must_succeed(&channel, PATIENCE).await;
        world.sleep(SECOND).await;
        let connections = || [servers[0].connections(), servers[1].connections()];
        if connections() != [2, 0] {
            world.wrong(format_args!("{:?} for one address", connections()));
        }
        world.name_is([1, 2]);
        let calls = world.steady_calls(&channel, 2, SECOND * 60, PATIENCE).await;
        world.all_succeed(&calls).await;
        if connections() != [1, 1] {
            world.wrong(format_args!("{:?} for two addresses", connections()));
        }
    });
}
