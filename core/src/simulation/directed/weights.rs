//! Servers that are not equally busy, and say so.

use std::time::Duration;

use super::every_seed;
use crate::channel::options::{ChannelOptions, Preset};
use crate::engine::Channel;
use crate::simulation::calls::Plan;
use crate::simulation::channels::{address, listed};
use crate::simulation::options::options;
use crate::simulation::server::{Answers, Load, Script, Server};
use crate::simulation::world::World;

const SECOND: Duration = Duration::from_secs(1);

/// A server whose weight is 100 calls in a second over its utilization.
fn busy(utilization: f64) -> Option<Load> {
    Some(Load { queries_per_second: 100.0, utilization })
}

/// A58's defaults, but for weights that expire sooner.
const CONFIG: &str = r#"{"loadBalancingConfig": [{"weighted_round_robin": {"weightExpirationPeriod": "20s"}}]}"#;

fn weighted() -> ChannelOptions {
    options(Preset::Grpc, [("grpc.service_config", CONFIG.into())])
}

impl World {
    fn busy_server(&self, number: u8, utilization: f64) -> Server {
        let answers = Answers { load: busy(utilization), ..Answers::default() };
        self.server(&address(number), Script { answers, ..Script::default() })
    }

    /// Makes a hundred calls in a second for so long, and checks how many of them each server gets, give or take a hundredth of all.
    async fn calls_are_spread<const N: usize>(
        &self,
        channel: &Channel,
        seconds: u32,
        servers: [&Server; N],
        expected: [usize; N],
    ) {
        let before = servers.map(Server::runs);
        let calls = self.steady_calls(channel, 100, SECOND * seconds, Plan::default()).await;
        self.all_succeed(&calls).await;
        let mut got = servers.map(Server::runs);
        got.iter_mut().zip(before).for_each(|(now, before)| *now -= before);
        if got.iter().zip(expected).any(|(got, expected)| got.abs_diff(expected) > calls.len() / 100) {
            self.wrong(format_args!("{} calls were spread {got:?}, not {expected:?}", calls.len()));
        }
    }

    /// As many calls until what servers say has become weights, whoever gets them.
    async fn calls_settle(&self, channel: &Channel, seconds: u32) {
        let calls = self.steady_calls(channel, 100, SECOND * seconds, Plan::default()).await;
        self.all_succeed(&calls).await;
    }
}

/// [LB-43], [LB-45], [LB-47], [LB-48], [LB-49]
#[test]
fn calls_follow_what_servers_say_of_their_load_after_the_blackout_and_as_long_as_they_say_it() {
    every_seed(10, |world: World| async move {
        let busy_servers = [(1, 0.2), (2, 0.4), (3, 0.8)].map(|(number, load)| world.busy_server(number, load));
        let [first, second, third] = &busy_servers;
        let servers = [first, second, third];
        let channel = world.channel(&listed(1..=3), &weighted());
        world.calls_are_spread(&channel, 9, servers, [300, 300, 300]).await;
        world.calls_settle(&channel, 3).await;
        world.calls_are_spread(&channel, 21, servers, [1_200, 600, 300]).await;
        // The first is as busy as the third now.
        first.change(|script| script.answers.load = busy(0.8));
        world.calls_settle(&channel, 2).await;
        world.calls_are_spread(&channel, 16, servers, [400, 800, 400]).await;
        first.change(|script| script.answers.load = None);
        world.calls_are_spread(&channel, 19, servers, [475, 950, 475]).await;
        // Who has said nothing for long gets the mean of the others: 187.5, of 250 and 125.
        world.calls_settle(&channel, 3).await;
        world.calls_are_spread(&channel, 18, servers, [600, 800, 400]).await;
    });
}

/// [LB-42], [LB-49]
#[test]
fn failed_calls_tell_load_too_and_a_server_that_comes_back_is_not_trusted_at_once() {
    every_seed(10, |world: World| async move {
        let (first, second) = (world.busy_server(1, 0.25), world.busy_server(2, 0.75));
        let servers = [&first, &second];
        let channel = world.channel(&listed(1..=2), &weighted());
        first.change(|script| script.answers.errors = 100);
        world.steady_calls(&channel, 100, SECOND * 12, Plan::default()).await;
        world.sleep(SECOND).await;
        first.change(|script| script.answers.errors = 0);
        world.calls_are_spread(&channel, 10, servers, [750, 250]).await;
        first.kill();
        first.restart();
        world.sleep(SECOND * 2).await;
        world.calls_are_spread(&channel, 9, servers, [450, 450]).await;
        world.calls_settle(&channel, 3).await;
        world.calls_are_spread(&channel, 10, servers, [750, 250]).await;
    });
}
