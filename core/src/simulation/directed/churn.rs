//! Many servers, of which every second a tenth is replaced by others at new addresses.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

use super::each_of;
use crate::address::Address;
use crate::channel::options::{OptionValue, Preset};
use crate::engine::Channel;
use crate::runtime::simulated::{Answer, Side};
use crate::runtime::{Driver, Task};
use crate::simulation::calls::Plan;
use crate::simulation::channels::NAMED;
use crate::simulation::options::options;
use crate::simulation::server::{Script, Server};
use crate::simulation::world::World;
use crate::time::Time;

const SECOND: Duration = Duration::from_secs(1);
/// How often it is counted what there is.
const LOOK: Duration = Duration::from_millis(50);
const SECONDS: u32 = 60;

/// A build that is not optimized plays with few.
const SERVERS: u16 = if cfg!(debug_assertions) { 60 } else { 1_000 };
const REPLACED: u16 = SERVERS / 10;
/// Calls get to every server within each second.
const CALLS_PER_SECOND: u32 = if cfg!(debug_assertions) { 60 } else { 1_000 };

/// The name is asked for every second, 10 % more or less, and a look-up that is under way brings what was so at its start.
const KNOWN_AFTER: Duration = Duration::from_millis(1_500);
/// Servers let their calls end for so long.
const GRACE: Duration = SECOND;

fn ip(number: u16) -> IpAddr {
    let [third, fourth] = number.to_be_bytes();
    IpAddr::V4(Ipv4Addr::new(10, 1, third, fourth))
}

/// The servers a name leads to, the oldest first.
struct Fleet {
    world: World,
    serving: RefCell<VecDeque<(u16, Server)>>,
    /// When those that went did so.
    gone: RefCell<BTreeMap<Address, Time>>,
}

impl Fleet {
    fn start(world: &World) -> Rc<Self> {
        let fleet = Self { world: world.clone(), serving: RefCell::default(), gone: RefCell::default() };
        (0..SERVERS).for_each(|_| fleet.add());
        fleet.tell();
        Rc::new(fleet)
    }

    /// A server at an address that nobody had before.
    fn add(&self) {
        let mut serving = self.serving.borrow_mut();
        let number = serving.back().map_or(1, |(last, _)| last + 1);
        let address = Address::Inet((ip(number), 50_051).into());
        serving.push_back((number, self.world.server(&address, Script::default())));
    }

    /// The oldest goes as a well-made server does, and nobody was told before.
    fn take_away(&self) {
        let (_, server) = self.serving.borrow_mut().pop_front().expect("there are servers");
        self.gone.borrow_mut().insert(server.address().clone(), self.world.driver().now());
        self.world.driver().spawn(async move { server.stop_gracefully(GRACE).await });
    }

    fn tell(&self) {
        let addresses = self.serving.borrow().iter().map(|(number, _)| ip(*number)).collect::<Vec<_>>();
        self.world.answer(Answer::of(addresses, Duration::from_millis(1)));
    }

    fn replace(&self) {
        for _ in 0..REPLACED {
            self.add();
            self.take_away();
        }
        self.tell();
    }

    /// What the engine has is no more than what there is, and what went a moment ago.
    fn look(&self, channel: &Channel) {
        let (engine, metrics) = (self.world.driver().alive(Side::Engine), channel.metrics());
        let number = |count| usize::try_from(count).expect("small");
        // Those that went in the last second, and in the one before while the name is asked for again.
        let most = usize::from(SERVERS + 2 * REPLACED);
        let counted = [
            ("subchannels", number(metrics.subchannels), usize::from(SERVERS)),
            ("sockets", self.world.driver().network().engine_sockets(), most),
            ("connections", metrics.connections.len(), most),
            // Of the loop, the channel and its look-up; and one for each dial or connection, and each call.
            ("tasks", engine.tasks(), 3 + most + number(metrics.calls_in_flight)),
            // There is always a server with a connection.
            ("queued calls", number(metrics.calls_queued), 0),
        ];
        for (what, count, most) in counted {
            if count > most {
                self.world.wrong(format_args!("{count} {what}, where {most} are enough"));
            }
        }
    }

    fn nobody_dials_who_is_gone(&self) {
        let gone = self.gone.borrow();
        for dial in self.world.driver().network().dials() {
            let late = gone.get(&dial.address).map(|at| dial.started.since(*at)).filter(|late| *late > KNOWN_AFTER);
            if let Some(late) = late {
                self.world.wrong(format_args!("{} was dialed {late:?} after it had gone", dial.address));
            }
        }
    }
}

fn no_call_fails(preset: Preset) {
    each_of(1, move |world: World| async move {
        let fleet = Fleet::start(&world);
        let set: [(&str, OptionValue); 3] = [
            ("linkspan.lb_policy", "round_robin".into()),
            ("linkspan.dns_refresh_ms", 1_000.into()),
            ("grpc.dns_min_time_between_resolutions_ms", 500.into()),
        ];
        let channel = world.channel(NAMED, &options(preset, set));
        world.must_succeed(&channel, Plan::default()).await;
        world.sleep(SECOND).await;
        let (replaced, looked_at) = (Rc::clone(&fleet), (Rc::clone(&fleet), channel.clone()));
        world.driver().spawn(async move {
            for _ in 0..SECONDS {
                replaced.replace();
                replaced.world.sleep(SECOND).await;
            }
        });
        let looking = world.driver().spawn(async move {
            let (fleet, channel) = looked_at;
            loop {
                fleet.look(&channel);
                fleet.world.sleep(LOOK).await;
            }
        });
        let calls = world.steady_calls(&channel, CALLS_PER_SECOND, SECOND * SECONDS, Plan::default()).await;
        world.all_succeed(&calls).await;
        world.sleep(KNOWN_AFTER + GRACE).await;
        looking.abort();
        fleet.nobody_dials_who_is_gone();
        let left = channel.metrics().connections.len();
        if left != usize::from(SERVERS) {
            world.wrong(format_args!("{left} connections to {SERVERS} servers"));
        }
    });
}

/// What is left at the end of a world is looked at in every world.
#[test]
fn no_call_fails_and_nothing_piles_up_while_every_second_a_tenth_of_many_servers_is_replaced() {
    no_call_fails(Preset::Resilient);
}

#[test]
fn no_call_fails_and_nothing_piles_up_under_the_grpc_preset_either() {
    no_call_fails(Preset::Grpc);
}
