//! Worlds made by chance: servers, faults, names, options and callers, all from one seed.
//!
//! For a while everything that can go wrong does; then all is healed, and after a bound the channel must serve every call again.

mod backoff;
mod callers;
mod faults;
mod keepalive;
mod shape;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::time::Duration;

use super::calls::Plan;
use super::channels::address;
use super::server::Server;
use super::world::World;
use crate::runtime::Driver;
use crate::status::Code;
use shape::Shape;

/// The story of the world that this seed makes.
async fn story(world: World) {
    let random = world.driver().random();
    let shape = Rc::new(Shape::new(&random));
    world.driver().journal().note(format_args!("{shape:?}"));
    world.lets_run(shape.most_runs);
    let servers: Vec<Server> = (1..=shape.servers)
        .map(|number| {
            world.driver().network().set_path(&address(number), shape::path(&random));
            world.server(&address(number), shape::script(&random))
        })
        .collect();
    world.name_is(1..=shape.servers);
    let channels: Vec<_> = (0..shape.channels).map(|_| world.channel(&shape.target, &shape.options)).collect();
    let servers = Rc::new(servers);
    for _ in 0..shape.faults {
        world.driver().spawn(faults::fault(world.clone(), Rc::clone(&shape), Rc::clone(&servers), random.fork()));
    }
    for channel in &channels {
        for _ in 0..shape.callers {
            let caller = callers::caller(world.clone(), Rc::clone(&shape), channel.clone(), random.fork());
            world.driver().spawn(caller);
        }
    }
    world.sleep(shape.length).await;
    faults::heal(&world, &shape, &servers);
    for channel in &channels {
        recover(&world, &shape, channel).await;
    }
    backoff::check(&world, &shape);
    keepalive::check(&world, &shape);
}

/// As many calls in a row show that a channel serves again.
const PROOFS: usize = 5;

/// Calls until the bound is over; from then on each must succeed.
async fn recover(world: &World, shape: &Shape, channel: &crate::engine::Channel) {
    let until = world.driver().now() + shape.recovery;
    let plan = Plan { timeout: Some(Duration::from_secs(20)), ..Plan::default() };
    while world.driver().now() < until {
        // Not waited for: what waits for nothing must not keep others from being tried.
        world.call(channel, plan);
        world.sleep((shape.recovery / 50).max(Duration::from_secs(2))).await;
    }
    for _ in 0..PROOFS {
        let call = world.call(channel, plan);
        let end = call.end().await;
        if end.code != Code::Ok {
            let (id, bound, text) = (call.id, shape.recovery, end.text);
            world.wrong(format_args!("{bound:?} after the last fault call {id} failed {:?}: {text}", end.code));
        }
        world.sleep(Duration::from_secs(1)).await;
    }
}
