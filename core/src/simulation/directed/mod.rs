//! Worlds that show one promise each, in virtual time.

mod age;
mod backoff;
mod breakers;
mod churn;
mod configs;
mod deploys;
mod health;
mod hosted;
mod idle;
mod limits;
mod logging;
mod outliers;
mod pings;
mod resolving;
mod restart;
mod retries;
mod ring;
mod scaling;
mod silence;
mod streams;
mod switching;
mod weights;

use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use super::calls::{Call, End, Plan};
use super::world::World;
use crate::engine::Channel;
use crate::runtime::Driver;
use crate::status::Code;

/// Runs the same story with so many seeds; each must be right.
///
/// A build that is not optimized plays a few of them.
fn every_seed<F: Future<Output = ()> + 'static>(seeds: u64, story: impl Fn(World) -> F) {
    let seeds = if cfg!(debug_assertions) { seeds.div_ceil(25) } else { seeds };
    each_of(seeds, story);
}

/// In every build.
fn each_of<F: Future<Output = ()> + 'static>(seeds: u64, story: impl Fn(World) -> F) {
    (0..seeds).for_each(|seed| World::run(seed, &story).must_be_right());
}

impl World {
    /// A call that must succeed.
    async fn must_succeed(&self, channel: &Channel, plan: Plan) -> End {
        let call = self.call(channel, plan);
        let end = call.end().await;
        if end.code != Code::Ok {
            self.wrong(format_args!("call {} failed {:?}: {}", call.id, end.code, end.text));
        }
        end
    }

    /// Starts calls at a steady pace, whatever becomes of them.
    async fn steady_calls(&self, channel: &Channel, per_second: u32, length: Duration, plan: Plan) -> Vec<Rc<Call>> {
        let (pause, over) = (Duration::from_secs(1) / per_second, self.driver().now() + length);
        let mut calls = Vec::new();
        while self.driver().now() < over {
            calls.push(self.call(channel, plan));
            self.sleep(pause).await;
        }
        calls
    }

    /// Each of them must succeed.
    async fn all_succeed(&self, calls: &[Rc<Call>]) {
        for call in calls {
            let end = call.end().await;
            if end.code != Code::Ok {
                let at = call.started.since_start();
                self.wrong(format_args!("call {} of {at:?} failed {:?}: {}", call.id, end.code, end.text));
            }
        }
    }
}
