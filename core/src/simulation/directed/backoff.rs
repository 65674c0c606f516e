//! Waits between connects: bounds, and chance.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use super::each_of;
use crate::channel::options::Preset;
use crate::simulation::calls::Plan;
use crate::simulation::channels::{address, listed};
use crate::simulation::options::options;
use crate::simulation::world::World;
use crate::status::Code;

/// [CONN-50]: clients that lost the same server must not come back in step.
#[test]
fn the_first_wait_is_a_second_more_or_less_and_differs_from_channel_to_channel() {
    let waits = Rc::new(RefCell::new(Vec::new()));
    let seen = Rc::clone(&waits);
    each_of(200, move |world: World| {
        let seen = Rc::clone(&seen);
        async move {
            let channel = world.channel(&listed([1]), &options(Preset::Grpc, []));
            let plan = Plan { wait_for_ready: true, timeout: Some(Duration::from_secs(3)), ..Plan::default() };
            let end = world.call(&channel, plan).end().await;
            assert_eq!(end.code, Code::DeadlineExceeded);
            let dials = world.driver().network().dials();
            assert_eq!(dials[0].address, address(1));
            seen.borrow_mut().push(dials[1].started.since(dials[0].started).as_secs_f64());
        }
    });
    let waits = waits.take();
    let (least, most) =
        waits.iter().fold((f64::MAX, 0.0_f64), |(least, most), wait| (least.min(*wait), most.max(*wait)));
    assert!((0.8..0.85).contains(&least), "{least}");
    assert!((1.15..1.2).contains(&most), "{most}");
    let mut different = waits;
    different.sort_by(f64::total_cmp);
    different.dedup();
    assert!(different.len() > 190, "only {} of 200 differ", different.len());
}
