//! Servers that police pings ([CONN-110], [CONN-111]).

use std::time::Duration;

use super::every_seed;
use crate::channel::options::{ChannelOptions, OptionValue, Preset};
use crate::runtime::Driver;
use crate::simulation::calls::Plan;
use crate::simulation::channels::{NAMED, address, listed};
use crate::simulation::options::options;
use crate::simulation::server::{Policing, Script};
use crate::simulation::world::World;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// Hours of every rhythm of calls, with a quiet stream beside them.
#[test]
fn servers_with_their_defaults_never_find_our_defaults_too_many_pings() {
    for preset in [Preset::Grpc, Preset::Resilient] {
        every_seed(20, move |world: World| async move {
            let random = world.driver().random();
            for number in 1..=2 {
                world.server(&address(number), Script::default());
            }
            world.name_is(1..=2);
            let channel = world.channel(NAMED, &options(preset, []));
            let over = world.driver().now() + HOUR * 6;
            let never = world.server(&address(3), Script::default());
            never.change(|script| script.answers.never = 100);
            let quiet = world.channel(&listed([3]), &options(preset, []));
            while world.driver().now() < over {
                world.must_succeed(&channel, Plan::default()).await;
                // Its deadline passes in silence, which is evidence each time.
                world.call(&quiet, Plan { timeout: Some(SECOND), ..Plan::default() });
                let longest = random.one_of(&[SECOND, SECOND * 20, SECOND * 60, SECOND * 600]);
                world.sleep(random.between(Duration::ZERO, longest)).await;
            }
            let punished = world.record().too_many_pings();
            if punished > 0 {
                world.wrong(format_args!("{punished} connections had too many pings"));
            }
        });
    }
}

/// One second is asked for, and ten are the least: with calls that are answered a server has nothing to say.
#[test]
fn keepalive_of_one_second_is_raised_and_punished_once_at_most() {
    for without_calls in [0, 1] {
        every_seed(20, move |world: World| async move {
            let random = world.driver().random();
            world.server(&address(1), Script::default());
            let channel = world.channel(&listed([1]), &asked_for_a_second(Preset::Resilient, without_calls));
            let over = world.driver().now() + HOUR;
            while world.driver().now() < over {
                world.call(&channel, Plan::default());
                world.sleep(random.between(Duration::ZERO, SECOND * 40)).await;
            }
            let (pings, seconds) = (world.record().pings(), HOUR.as_secs());
            if pings as u64 > seconds / 10 + 10 {
                world.wrong(format_args!("{pings} pings in an hour"));
            }
            if world.record().too_many_pings() > 1 {
                world.wrong(format_args!("{} connections had too many pings", world.record().too_many_pings()));
            }
        });
    }
}

/// The same on a channel that is silent for a day, with a stream open and without: the complaint of one connection is enough.
#[test]
fn a_silent_channel_is_punished_once_for_a_keepalive_of_one_second() {
    for (without_calls, has_stream, complaints) in [(0, true, 1), (1, true, 1), (1, false, 1), (0, false, 0)] {
        every_seed(10, move |world: World| async move {
            let server = world.server(&address(1), Script::default());
            let channel = world.channel(&listed([1]), &asked_for_a_second(Preset::Resilient, without_calls));
            world.must_succeed(&channel, Plan::default()).await;
            server.change(|script| script.answers.never = 100);
            let over = world.driver().now() + HOUR * 24;
            while world.driver().now() < over {
                // One that is ended with its connection is followed by the next; whoever has none keeps the channel connected.
                match has_stream {
                    true => {
                        drop(world.call(&channel, Plan { timeout: Some(HOUR * 24), ..Plan::default() }).end().await)
                    }
                    false => world.sleep(SECOND * 60).await,
                }
            }
            let punished = world.record().too_many_pings();
            if punished != complaints {
                world.wrong(format_args!("{punished} connections had too many pings"));
            }
        });
    }
}

/// [CONN-95]: a server that wants an hour between two pings ends connections until the time has doubled often enough.
#[test]
fn too_many_pings_doubles_the_time_until_the_server_is_content() {
    every_seed(10, |world: World| async move {
        let policing = Policing { min_time: HOUR, ..Policing::default() };
        let server = world.server(&address(1), Script { policing: Some(policing), ..Script::default() });
        server.change(|script| script.answers.never = 100);
        let channel = world.channel(&listed([1]), &asked_for_a_second(Preset::Grpc, 0));
        for _ in 0..24 {
            world.call(&channel, Plan { timeout: Some(HOUR * 24), ..Plan::default() }).end().await;
        }
        // 10 s and what eight doublings make of it, 2560 s, are punished; 5120 s are not.
        let punished = world.record().too_many_pings();
        if punished != 9 {
            world.wrong(format_args!("{punished} connections had too many pings"));
        }
    });
}

fn asked_for_a_second(preset: Preset, without_calls: i64) -> ChannelOptions {
    options(
        preset,
        [
            ("grpc.keepalive_time_ms", 1_000.into()),
            ("grpc.keepalive_permit_without_calls", OptionValue::Int(without_calls)),
        ],
    )
}
