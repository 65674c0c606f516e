//! Servers that are replaced while calls run.

use std::time::Duration;

use super::every_seed;
use crate::channel::options::Preset;
use crate::runtime::Driver;
use crate::simulation::calls::Plan;
use crate::simulation::channels::{NAMED, address};
use crate::simulation::options::options;
use crate::simulation::server::{Script, Server};
use crate::simulation::world::World;

const SECOND: Duration = Duration::from_secs(1);
const SERVERS: u8 = 3;

/// Five minutes, of which a build that is not optimized plays little.
const LENGTH: Duration = Duration::from_secs(if cfg!(debug_assertions) { 12 } else { 300 });

/// Calls at 500 a second, with a server restarted every ten seconds; no call may fail.
fn no_call_fails(preset: Preset, script: &Script) {
    let script = script.clone();
    every_seed(1, move |world: World| {
        let script = script.clone();
        async move {
            let servers: Vec<Server> =
                (1..=SERVERS).map(|number| world.server(&address(number), script.clone())).collect();
            world.name_is(1..=SERVERS);
            let channel = world.channel(NAMED, &options(preset, []));
            world.must_succeed(&channel, Plan::default()).await;
            let deployed = world.clone();
            world.driver().spawn(async move {
                for server in servers.iter().cycle() {
                    deployed.sleep(SECOND * 5).await;
                    server.stop_gracefully(SECOND).await;
                    deployed.sleep(SECOND * 4).await;
                    server.restart();
                }
            });
            let calls = world.steady_calls(&channel, 500, LENGTH, Plan::default()).await;
            world.all_succeed(&calls).await;
        }
    });
}

#[test]
fn no_call_fails_while_servers_are_restarted_in_turn() {
    no_call_fails(Preset::Resilient, &Script::default());
}

#[test]
fn no_call_fails_while_servers_are_restarted_in_turn_under_the_grpc_preset() {
    no_call_fails(Preset::Grpc, &Script::default());
}

/// [CONN-80], [CONN-81]
#[test]
fn no_call_fails_while_servers_end_their_connections_every_five_seconds_besides() {
    let script = Script { max_age: Some((SECOND * 5, Some(SECOND * 5))), ..Script::default() };
    no_call_fails(Preset::Resilient, &script);
}
