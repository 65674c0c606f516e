//! Servers that police pings ([CONN-110], [CONN-111]).

use std::time::Duration;

use super::every_seed;
use crate::channel::options::{OptionValue, Preset};
use crate::runtime::Driver;
use crate::simulation::calls::Plan;
use crate::simulation::channels::{NAMED, address, listed};
use crate::simulation::options::options;
use crate::simulation::server::Script;
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
            let options = options(
                Preset::Resilient,
                [
                    ("grpc.keepalive_time_ms", 1_000.into()),
                    ("grpc.keepalive_permit_without_calls", OptionValue::Int(without_calls)),
                ],
            );
            let channel = world.channel(&listed([1]), &options);
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

/// [CONN-95]: each connection of a quiet channel that a server ends for its pings doubles the time, so that they end.
#[test]
fn too_many_pings_doubles_the_time_until_the_server_is_content() {
    every_seed(10, |world: World| async move {
        let script = Script::default();
        world.server(
            &address(1),
            Script { answers: crate::simulation::server::Answers { never: 100, ..script.answers }, ..script },
        );
        let options = options(Preset::Grpc, [("grpc.keepalive_time_ms", 10_000.into())]);
        let channel = world.channel(&listed([1]), &options);
        for _ in 0..24 {
            world.call(&channel, Plan { timeout: Some(HOUR), ..Plan::default() }).end().await;
        }
        // 10, 20, 40, 80 and 160 s are punished by a server that wants 300.
        let punished = world.record().too_many_pings();
        if punished != 5 {
            world.wrong(format_args!("{punished} connections had too many pings"));
        }
    });
}
