//! Connections the client replaces by itself, the new one before the old one goes.

use std::time::Duration;

use super::every_seed;
use crate::channel::options::{OptionValue, Preset};
use crate::runtime::Driver;
use crate::simulation::calls::Plan;
use crate::simulation::channels::{NAMED, address};
use crate::simulation::options::options;
use crate::simulation::server::Script;
use crate::simulation::world::World;
use crate::state::State;

const SECOND: Duration = Duration::from_secs(1);

/// Two minutes, of which a build that is not optimized plays a quarter.
const LENGTH: Duration = Duration::from_secs(if cfg!(debug_assertions) { 30 } else { 120 });

/// Runs calls for so long; none may fail, the channel never leaves READY, and about so many connections are made.
fn connections_are_replaced(key: &'static str, value: i64, seconds_each: usize) {
    let expected = LENGTH.as_secs() as usize / seconds_each;
    let expected = expected * 4 / 5..=expected * 6 / 5 + 2;
    for preset in [Preset::Grpc, Preset::Resilient] {
        let expected = expected.clone();
        every_seed(5, move |world: World| {
            let expected = expected.clone();
            async move {
                let server = world.server(&address(1), Script::default());
                world.name_is([1]);
                let channel = world.channel(NAMED, &options(preset, [(key, OptionValue::Int(value))]));
                world.must_succeed(&channel, Plan::default()).await;
                let calls = world.steady_calls(&channel, 50, LENGTH, Plan::default()).await;
                world.all_succeed(&calls).await;
                let connections = world.record().connections();
                if !expected.contains(&connections) {
                    world.wrong(format_args!("{connections} connections"));
                }
                world.sleep(SECOND).await;
                if server.connections() > 2 {
                    world.wrong(format_args!("{} connections are left open", server.connections()));
                }
                let left = channel.events(0).iter().filter(|event| event.from == State::Ready).count();
                if left > 0 {
                    world.wrong(format_args!("the channel left READY {left} times"));
                }
                if world.driver().now() < crate::time::Time::ZERO + LENGTH {
                    world.wrong("it was over too soon");
                }
            }
        });
    }
}

#[test]
fn a_connection_that_is_old_is_replaced_and_no_call_fails() {
    connections_are_replaced("linkspan.max_connection_age_ms", 5_000, 5);
}

#[test]
fn a_connection_that_has_carried_its_share_is_replaced_and_no_call_fails() {
    connections_are_replaced("linkspan.max_requests_per_connection", 200, 4);
}
