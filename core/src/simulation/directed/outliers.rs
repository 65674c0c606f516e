//! A server whose calls fail, among others whose calls do not.

use std::time::Duration;

use super::every_seed;
use crate::channel::options::Preset;
use crate::simulation::calls::Plan;
use crate::simulation::channels::{address, listed};
use crate::simulation::options::options;
use crate::simulation::server::{Answers, Script};
use crate::simulation::world::World;
use crate::status::Code;

const SECOND: Duration = Duration::from_secs(1);
const CONFIG: &str = r#"{"loadBalancingConfig": [{"outlier_detection_experimental": {
    "successRateEjection": {}, "childPolicy": [{"round_robin": {}}]
}}]}"#;

/// A50 with its defaults: looked at every ten seconds, ejected for 30 s and the second time for 60 s, and given a chance in between.
#[test]
fn a_server_that_fails_half_of_its_calls_is_ejected_longer_each_time_and_tried_in_between() {
    every_seed(5, |world: World| async move {
        for number in 1..=4 {
            world.server(&address(number), Script::default());
        }
        let answers = Answers { errors: 50, ..Answers::default() };
        world.server(&address(5), Script { answers, ..Script::default() });
        let channel = world.channel(&listed(1..=5), &options(Preset::Grpc, [("grpc.service_config", CONFIG.into())]));
        let calls = world.steady_calls(&channel, 100, SECOND * 125, Plan::default()).await;
        let mut failed = [0; 13];
        for call in &calls {
            let end = call.end().await;
            if end.code != Code::Ok {
                let tens = end.at.since(crate::time::Time::ZERO).as_secs() / 10;
                failed[usize::try_from(tens).expect("small")] += 1;
            }
        }
        // Ejected at 10 s until the first look after 40 s, at 50 s; then at 60 s until 130 s.
        for (tens, count) in failed.into_iter().enumerate() {
            let is_right = match tens {
                // A tenth of a thousand calls, give or take.
                0 | 5 => (50..=160).contains(&count),
                // Calls that were under way at the ejection.
                1 | 6 => count <= 2,
                _ => count == 0,
            };
            if !is_right {
                world.wrong(format_args!("{count} calls failed from {tens}0 s on: {failed:?}"));
            }
        }
    });
}
