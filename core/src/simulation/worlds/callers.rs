//! Who makes calls while things go wrong.

use std::rc::Rc;
use std::time::Duration;

use super::shape::Shape;
use crate::engine::Channel;
use crate::runtime::Driver;
use crate::runtime::simulated::Random;
use crate::simulation::calls::Plan;
use crate::simulation::world::World;

/// What the journal says when a caller forgets the backoff.
pub(super) const RESET: &str = "the backoff is reset";

/// Makes calls of every kind, one after the other or many at once, until the faults end.
pub(super) async fn caller(world: World, shape: Rc<Shape>, channel: Channel, random: Random) {
    let over = world.driver().now() + shape.length;
    loop {
        let pause = shape.pause.mul_f64(2.0 * random.unit());
        world.sleep(pause).await;
        if world.driver().now() >= over {
            return;
        }
        let burst = if random.percent(5) { 10 } else { 1 };
        for _ in 0..burst {
            // The call before may have been waited for.
            if world.driver().now() >= over {
                return;
            }
            let call = world.call(&channel, plan(&random));
            if random.percent(10) {
                let after = random.between(Duration::ZERO, Duration::from_secs(2));
                let caller = world.clone();
                world.driver().spawn(async move {
                    caller.sleep(after).await;
                    call.cancel(caller.driver().now());
                });
            } else if random.percent(30) {
                call.end().await;
            }
        }
        if random.percent(1) {
            world.driver().journal().note(RESET);
            channel.reset_connect_backoff();
        }
    }
}

fn plan(random: &Random) -> Plan {
    let milliseconds = |number| Some(Duration::from_millis(number));
    Plan {
        timeout: random.one_of(&[
            milliseconds(50),
            milliseconds(500),
            milliseconds(2_000),
            milliseconds(10_000),
            milliseconds(30_000),
            None,
        ]),
        wait_for_ready: random.percent(30),
        size: random.one_of(&[8, 8, 100, 100, 100, 1_000, 5_000, 50_000]),
        messages: random.percent(20).then(|| 1 + u32::try_from(random.below(5)).unwrap_or(0)),
        no_retry: random.percent(10),
        idempotent: random.percent(10),
        key: random.percent(50).then(|| u8::try_from(random.below(20)).unwrap_or(0)),
    }
}
