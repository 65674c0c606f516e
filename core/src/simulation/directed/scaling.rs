//! A name whose addresses become more or fewer while nothing fails: a headless service of Kubernetes that is scaled.

use std::time::Duration;

use super::every_seed;
use crate::channel::options::Preset;
use crate::engine::Channel;
use crate::simulation::calls::Plan;
use crate::simulation::channels::{NAMED, address};
use crate::simulation::options::options;
use crate::simulation::server::{Script, Server};
use crate::simulation::world::World;

const SECOND: Duration = Duration::from_secs(1);
const CALLS_PER_SECOND: u32 = 50;
const FEW: u8 = 2;
const MANY: u8 = 10;
const LEFT: u8 = 3;

/// The name is asked for every 30 s, 10 % more or less, and what comes of it takes a moment.
const SETTLED_AFTER: Duration = Duration::from_secs(45);

impl World {
    fn scaled_servers(&self) -> Vec<Server> {
        (1..=MANY).map(|number| self.server(&address(number), Script::default())).collect()
    }

    /// Makes calls for so long, of which none may fail; how many of them each server got.
    async fn calls_of_each(&self, channel: &Channel, servers: &[Server], length: Duration) -> Vec<usize> {
        let before: Vec<usize> = servers.iter().map(Server::runs).collect();
        let calls = self.steady_calls(channel, CALLS_PER_SECOND, length, Plan::default()).await;
        self.all_succeed(&calls).await;
        servers.iter().zip(before).map(|(server, before)| server.runs() - before).collect()
    }

    /// So long that a change after it falls anywhere between two look-ups.
    fn some_time(&self) -> Duration {
        self.driver().random().between(SECOND, SECOND * 40)
    }
}

#[test]
fn calls_are_spread_evenly_within_45_s_of_new_addresses_although_nothing_fails() {
    every_seed(50, |world: World| async move {
        let servers = world.scaled_servers();
        world.name_is(1..=FEW);
        let channel = world.channel(NAMED, &options(Preset::Resilient, []));
        let at_first = world.calls_of_each(&channel, &servers, world.some_time()).await;
        if at_first[usize::from(FEW)..].iter().any(|calls| *calls > 0) {
            world.wrong(format_args!("servers that no address leads to got calls: {at_first:?}"));
        }
        world.name_is(1..=MANY);
        world.calls_of_each(&channel, &servers, SETTLED_AFTER).await;
        let spread = world.calls_of_each(&channel, &servers, SECOND * 20).await;
        let all: usize = spread.iter().sum();
        // 10 % of them, give or take 3.
        if spread.iter().any(|calls| !(all * 7 / 100..=all * 13 / 100).contains(calls)) {
            world.wrong(format_args!("{all} calls were spread {spread:?}"));
        }
        // Chance would be uneven: χ² with nine degrees of freedom is above 2 in all but 1 % of cases. Turns are even.
        let mean = all as f64 / f64::from(MANY);
        let unevenness: f64 = spread.iter().map(|calls| (*calls as f64 - mean).powi(2) / mean).sum();
        if unevenness > 1.0 {
            world.wrong(format_args!("χ² of {spread:?} is {unevenness:.2}"));
        }
        if world.record().connections() != usize::from(MANY) {
            world.wrong(format_args!("{} connections were made to {MANY} servers", world.record().connections()));
        }
    });
}

/// How servers whose addresses are gone stop.
#[derive(Clone, Copy, Debug)]
enum Stop {
    /// After so long, with a goodbye.
    Gracefully(Duration),
    /// Killed once everybody has had the time to see that their addresses are gone.
    Hard,
}

/// [LB-29]
#[test]
fn no_call_fails_when_addresses_vanish_and_their_servers_stop_later() {
    for stop in [Stop::Gracefully(Duration::ZERO), Stop::Gracefully(SECOND * 5), Stop::Hard] {
        every_seed(20, |world: World| async move {
            let servers = world.scaled_servers();
            world.name_is(1..=MANY);
            let channel = world.channel(NAMED, &options(Preset::Resilient, []));
            world.calls_of_each(&channel, &servers, world.some_time()).await;
            world.name_is(1..=LEFT);
            let (staying, going) = servers.split_at(usize::from(LEFT));
            if let Stop::Gracefully(after) = stop {
                world.calls_of_each(&channel, &servers, after).await;
                for server in going {
                    server.stop_gracefully(SECOND).await;
                }
            }
            world.calls_of_each(&channel, &servers, SETTLED_AFTER).await;
            let is_left = going.iter().any(|server| server.connections() > 0);
            if is_left || staying.iter().any(|server| server.connections() != 1) {
                let connections: Vec<usize> = servers.iter().map(Server::connections).collect();
                world.wrong(format_args!("{stop:?}: connections to each server: {connections:?}"));
            }
            if let Stop::Hard = stop {
                going.iter().for_each(Server::kill);
            }
            let spread = world.calls_of_each(&channel, &servers, SECOND * 10).await;
            let is_spread = spread.iter().enumerate().all(|(place, calls)| (*calls > 0) == (place < staying.len()));
            if !is_spread {
                world.wrong(format_args!("{stop:?}: calls were spread {spread:?}"));
            }
        });
    }
}
