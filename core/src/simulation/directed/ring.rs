//! Calls with the same key, among servers that come and go.

use std::collections::BTreeMap;
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
const CONFIG: &str = r#"{"loadBalancingConfig": [{"ring_hash_experimental": {"requestHashHeader": "x-key"}}]}"#;
const KEYS: u8 = 40;
const SERVERS: u8 = 10;

/// Where each key's calls go.
type Homes = BTreeMap<u8, String>;

impl World {
    /// One call for each key; none may fail.
    async fn homes(&self, channel: &Channel) -> Homes {
        let mut homes = Homes::new();
        for key in 0..KEYS {
            let end = self.must_succeed(channel, Plan { key: Some(key), ..Plan::default() }).await;
            homes.insert(key, end.peer.as_deref().unwrap_or_default().to_owned());
        }
        homes
    }

    /// Each key's calls go where they went, but for those where `may_move` says so of the old home and the new.
    fn must_stay(&self, before: &Homes, after: &Homes, when: &str, may_move: impl Fn(&str, &str) -> bool) {
        for (key, home) in before {
            let new = &after[key];
            if home != new && !may_move(home, new) {
                self.wrong(format_args!("{when}, calls with key {key} go to {new}, no more to {home}"));
            }
        }
    }

    fn ten_servers(&self) -> Vec<Server> {
        self.name_is(1..=SERVERS);
        (1..=SERVERS).map(|number| self.server(&address(number), Script::default())).collect()
    }
}

fn is(server: u8, peer: &str) -> bool {
    peer.contains(&address(server).to_string())
}

/// [LB-64], [LB-66]: its own calls go to the next server meanwhile, and come back.
#[test]
fn calls_with_a_key_stay_on_their_server_while_others_die_and_come_back() {
    every_seed(20, |world: World| async move {
        let servers = world.ten_servers();
        let options = options(Preset::Resilient, [("grpc.service_config", CONFIG.into())]);
        let channel = world.channel(NAMED, &options);
        let home = world.homes(&channel).await;
        let distinct = |homes: &Homes| homes.values().collect::<std::collections::BTreeSet<_>>().len();
        if world.record().connections() != distinct(&home) {
            let connections = world.record().connections();
            world.wrong(format_args!("{connections} connections were made for {} servers", distinct(&home)));
        }
        for (number, server) in (1..).zip(&servers) {
            server.kill();
            world.sleep(SECOND / 10).await;
            let meanwhile = world.homes(&channel).await;
            world.must_stay(&home, &meanwhile, "while another server is away", |old, _| is(number, old));
            server.restart();
            // It is found again by itself, where it was missed.
            world.sleep(SECOND * 2).await;
            let back = world.homes(&channel).await;
            world.must_stay(&home, &back, "when all are there again", |_, _| false);
        }
    });
}

/// [LB-61], [LB-69]: who comes takes some keys over, and the others keep theirs.
#[test]
fn calls_with_a_key_stay_on_their_server_while_others_are_replaced() {
    every_seed(20, |world: World| async move {
        let mut servers = world.ten_servers();
        let set = [
            ("grpc.service_config", CONFIG.into()),
            ("linkspan.dns_refresh_ms", 1_000.into()),
            ("grpc.dns_min_time_between_resolutions_ms", 1_000.into()),
        ];
        let channel = world.channel(NAMED, &options(Preset::Resilient, set));
        let mut home = world.homes(&channel).await;
        for gone in 1..=SERVERS {
            let comes = gone + SERVERS;
            servers.push(world.server(&address(comes), Script::default()));
            world.name_is(gone + 1..=comes);
            // The name is asked for again because calls are made.
            world.steady_calls(&channel, 10, SECOND * 3, Plan::default()).await;
            let new = world.homes(&channel).await;
            world.must_stay(&home, &new, "after a replacement", |old, new| is(gone, old) || is(comes, new));
            let stayed = home.iter().filter(|(key, server)| new[key] == **server).count();
            if stayed < usize::from(KEYS) / 2 {
                world.wrong(format_args!("only {stayed} of {KEYS} keys stayed"));
            }
            if new.values().any(|server| is(gone, server)) {
                world.wrong(format_args!("calls still go to server {gone}"));
            }
            home = new;
        }
    });
}
