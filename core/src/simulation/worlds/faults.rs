//! What goes wrong, and how it is made good again.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::shape::Shape;
use crate::runtime::Driver;
use crate::runtime::simulated::{Answer, Path, Random, Reach};
use crate::simulation::channels::{address, ip};
use crate::simulation::server::{Answers, Server};
use crate::simulation::world::World;

/// One fault at some time, for some time.
pub(super) async fn fault(world: World, shape: Rc<Shape>, servers: Rc<Vec<Server>>, random: Random) {
    let over = world.driver().now() + shape.length;
    world.sleep(shape.length.mul_f64(random.unit())).await;
    // Later than it was meant, when the process froze meanwhile.
    let left = over.since(world.driver().now());
    if left.is_zero() {
        return;
    }
    let length = random.between(Duration::from_millis(10), Duration::from_secs(30)).min(left);
    let server = &servers[usize::try_from(random.below(servers.len() as u64)).unwrap_or(0)];
    let network = world.driver().network();
    let note = |what: &str| world.driver().journal().note(format_args!("{what} {} for {length:?}", server.address()));
    match random.below(16) {
        0 | 1 => {
            server.kill();
            world.sleep(length).await;
            server.restart();
        }
        2 | 3 => {
            server.stop_gracefully(random.between(Duration::ZERO, Duration::from_secs(5)).min(left)).await;
            world.sleep(length.min(left / 2)).await;
            server.restart();
        }
        4 => {
            server.power_off();
            world.sleep(length).await;
            server.restart();
        }
        5 => {
            server.freeze();
            world.sleep(length).await;
            server.thaw();
        }
        6 => {
            note("nothing passes to");
            network.set_reach(server.address(), Reach::Dropped);
            world.sleep(length).await;
            network.set_reach(server.address(), Reach::Open);
        }
        7 => {
            note("nothing leads to");
            network.set_reach(server.address(), Reach::Unreachable);
            world.sleep(length).await;
            network.set_reach(server.address(), Reach::Open);
        }
        8 => {
            let (up, down) = random.one_of(&[(true, true), (true, true), (true, false), (false, true)]);
            world.driver().journal().note(format_args!("streams to {} are forgotten: {up} {down}", server.address()));
            network.forget_streams(server.address(), up, down);
        }
        9 => server.say_goodbye(),
        10 => server.cut(),
        11 => {
            for limit in [random.below(3), 50] {
                server.set_max_streams(u32::try_from(limit).unwrap_or(0));
                world.sleep(length).await;
            }
        }
        12 => {
            server.stop_listening();
            world.sleep(length).await;
            server.start();
        }
        13 => {
            note("SETTINGS come late from");
            server.change(|script| script.settings_after = Duration::from_secs(5));
            world.sleep(length).await;
            server.change(|script| script.settings_after = Duration::ZERO);
        }
        14 => {
            if random.percent(50) {
                // What lies on the way forgets what is silent for long.
                network.forget_streams(server.address(), true, true);
            }
            world.freeze(length);
        }
        _ => {
            world.answer(lie(&shape, &random));
            world.sleep(length).await;
            world.name_is(1..=shape.servers);
        }
    }
}

/// An answer that helps nobody, or only a little.
fn lie(shape: &Shape, random: &Random) -> Answer {
    let delay = random.one_of(&[Duration::ZERO, Duration::from_millis(50), Duration::from_secs(8)]);
    match random.below(4) {
        0 => Answer::failure(io::ErrorKind::Other, delay),
        1 => Answer::of([], delay),
        // Nobody is there: refused, and the other does not even say so.
        2 => Answer::of([ip(200), ip(201)], delay),
        _ => {
            let first = 1 + u8::try_from(random.below(u64::from(shape.servers))).unwrap_or(0);
            Answer::of((first..=shape.servers).map(ip), delay)
        }
    }
}

/// Makes everything good, whatever it was.
pub(super) fn heal(world: &World, shape: &Shape, servers: &[Server]) {
    world.driver().journal().note("everything is healed");
    for server in servers {
        server.restart();
        server.change(|script| {
            script.settings_after = Duration::ZERO;
            script.answers = Answers::default();
        });
        server.set_max_streams(100);
        world.driver().network().set_path(server.address(), Path::default());
    }
    // Nobody answers there, as before.
    world.driver().network().set_reach(&address(201), Reach::Dropped);
    world.name_is(1..=shape.servers);
}
