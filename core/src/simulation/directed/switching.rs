//! Configs that change while calls run.

use std::rc::Rc;
use std::time::Duration;

use super::every_seed;
use crate::channel::options::{ChannelOptions, Preset};
use crate::runtime::Driver;
use crate::runtime::simulated::Reach;
use crate::simulation::calls::{Call, Plan};
use crate::simulation::channels::address;
use crate::simulation::hosted::servers;
use crate::simulation::options::options;
use crate::simulation::server::{Script, Server};
use crate::simulation::world::World;
use crate::status::Code;

const SECOND: Duration = Duration::from_secs(1);

const PICK_FIRST: &str = r#"{"loadBalancingConfig": [{"pick_first": {}}]}"#;
const ROUND_ROBIN: &str = r#"{"loadBalancingConfig": [{"round_robin": {}}]}"#;
const LEAST_REQUEST: &str = r#"{"loadBalancingConfig": [{"least_request_experimental": {"choiceCount": 3}}]}"#;
const OUTLIERS: &str =
    r#"{"loadBalancingConfig": [{"outlier_detection_experimental": {"childPolicy": [{"round_robin": {}}]}}]}"#;

fn grpc() -> ChannelOptions {
    options(Preset::Grpc, [])
}

/// A config that says this of every method.
fn methods(fields: &str) -> String {
    format!(r#"{{"methodConfig": [{{"name": [{{}}], {fields}}}]}}"#)
}

/// [LB-5]
#[test]
fn no_call_is_lost_while_policies_and_endpoints_change_under_them() {
    every_seed(100, |world: World| async move {
        let _servers: Vec<Server> = (1..=4).map(|number| world.server(&address(number), Script::default())).collect();
        let told = world.told();
        let channel = world.told_channel(&told, grpc());
        let first = world.call(&channel, Plan::default());
        world.sleep(Duration::from_millis(10)).await;
        let (changing, random) = (world.clone(), world.driver().random());
        world.driver().spawn(async move {
            let configs = [PICK_FIRST, ROUND_ROBIN, LEAST_REQUEST, OUTLIERS];
            loop {
                let config = random.one_of(&configs);
                // One server at least stays, so that there is always one to call.
                let last = random.one_of(&[1, 2, 3, 4]);
                if !told.says(servers(1..=last, Some(config))) {
                    return;
                }
                changing.sleep(random.between(Duration::ZERO, SECOND)).await;
            }
        });
        let calls = world.steady_calls(&channel, 100, SECOND * 20, Plan::default()).await;
        world.all_succeed(&[&[first], &calls[..]].concat()).await;
    });
}

/// [LB-5]: none of the new policy's servers is there; it takes over with its failure, and only then do calls fail.
#[test]
fn the_old_policy_serves_for_as_long_as_the_new_one_dials() {
    every_seed(10, |world: World| async move {
        let _server = world.server(&address(1), Script::default());
        let told = world.told();
        let channel = world.told_channel(&told, grpc());
        let first = world.call(&channel, Plan::default());
        world.sleep(Duration::from_millis(10)).await;
        told.says(servers([1], Some(PICK_FIRST)));
        world.all_succeed(&[first]).await;
        // Nobody answers there: the dial takes its twenty seconds.
        world.driver().network().set_reach(&address(9), Reach::Dropped);
        told.says(servers([9], Some(ROUND_ROBIN)));
        let calls = world.steady_calls(&channel, 10, SECOND * 19, Plan::default()).await;
        world.all_succeed(&calls).await;
        world.sleep(SECOND * 3).await;
        let late = world.call(&channel, Plan::default()).end().await;
        if late.code != Code::Unavailable {
            world.wrong(format_args!("a call of the new policy's ended {:?}: {}", late.code, late.text));
        }
    });
}

/// [SVC-10], [SC-20], [SC-25]: the timeout counts from the start of the call, and the config is there three seconds later.
#[test]
fn calls_that_wait_for_the_first_result_follow_its_config() {
    let patient = Plan { wait_for_ready: true, timeout: None, ..Plan::default() };
    for (plan, timeout, ends) in [
        (patient, "5s", 5),
        (patient, "2s", 3),
        (Plan { timeout: Some(SECOND), ..patient }, "5s", 1),
        (Plan { timeout: Some(SECOND * 4), ..patient }, "5s", 4),
        (Plan { messages: Some(1), ..patient }, "5s", 5),
    ] {
        every_seed(4, |world: World| async move {
            let told = world.told();
            let channel = world.told_channel(&told, grpc());
            let call = world.call(&channel, plan);
            world.sleep(SECOND * 3).await;
            told.says(servers([1], Some(&methods(&format!(r#""timeout": "{timeout}""#)))));
            let end = call.end().await;
            let took = end.at.since(call.started);
            if end.code != Code::DeadlineExceeded || took.abs_diff(SECOND * ends) > Duration::from_millis(1) {
                world.wrong(format_args!("{plan:?}, {timeout}: ended {:?} after {took:?}: {}", end.code, end.text));
            }
        });
    }
}

/// [SVC-9], [UPD-3]
#[test]
fn a_call_keeps_the_config_it_started_with_and_the_next_has_the_new_one() {
    every_seed(4, |world: World| async move {
        let told = world.told();
        let channel = world.told_channel(&told, grpc());
        let patient = Plan { wait_for_ready: true, timeout: None, ..Plan::default() };
        let mut ends = Vec::new();
        for (timeout, wanted) in [("5s", 5), ("60s", 60), ("9s", 9)] {
            let call = world.call(&channel, patient);
            world.sleep(Duration::from_millis(1)).await;
            told.says(servers([1], Some(&methods(&format!(r#""timeout": "{timeout}""#)))));
            // Of the first the config is the first there is; the others find one when they start, and it is the one before.
            world.sleep(SECOND).await;
            ends.push((call, wanted));
        }
        let wanted = [5, 5, 60];
        for ((call, _), wanted) in ends.into_iter().zip(wanted) {
            let end = call.end().await;
            let took = end.at.since(call.started);
            if end.code != Code::DeadlineExceeded || took.abs_diff(SECOND * wanted) > Duration::from_millis(5) {
                world.wrong(format_args!("call {} ended {:?} after {took:?}, not {wanted} s", call.id, end.code));
            }
        }
    });
}

/// [SVC-3], [INV-3], [INV-4], [INV-10]
#[test]
fn a_wrong_config_at_first_is_a_failure_to_resolve_and_later_none_at_all() {
    every_seed(10, |world: World| async move {
        let _server = world.server(&address(1), Script::default());
        let told = world.told();
        let mut own = grpc();
        own.set("grpc.service_config", "{}").expect("a config");
        let channel = world.told_channel(&told, own);
        let failing = world.call(&channel, Plan::default());
        let waiting = world.call(&channel, Plan { wait_for_ready: true, ..Plan::default() });
        world.sleep(SECOND).await;
        told.says(servers([1], Some(r#"{"methodConfig": 5}"#)));
        let end = failing.end().await;
        let told_all =
            "the resolver of told:///servers failed: its service config cannot be used: methodConfig: 5 is not a list";
        if end.code != Code::Unavailable || !end.text.starts_with(told_all) {
            world.wrong(format_args!("a call ended {:?}: {}", end.code, end.text));
        }
        world.sleep(SECOND * 2).await;
        if told.asked().len() != 1 {
            world.wrong(format_args!("asked {} times in 2 s after a wrong config", told.asked().len()));
        }
        told.says(servers([1], Some(ROUND_ROBIN)));
        world.all_succeed(&[waiting]).await;
        told.says(servers([1], Some("no JSON")));
        world.must_succeed(&channel, Plan::default()).await;
        let changes = channel.events(0).len();
        world.sleep(SECOND * 5).await;
        if channel.events(0).len() != changes {
            world.wrong("a wrong config changed the channel's state");
        }
    });
}

/// [INV-8]: the application's config does not hold before there is a result, which may bring another; once it holds no failure ends it.
#[test]
fn while_nothing_was_found_calls_fail_unless_they_wait_and_later_failures_leave_the_config_in_place() {
    let patient = Plan { wait_for_ready: true, ..Plan::default() };
    every_seed(10, |world: World| async move {
        let told = world.told();
        let mut own = grpc();
        own.set("grpc.service_config", methods(r#""timeout": "2s""#).as_str()).expect("a config");
        let channel = world.told_channel(&told, own);
        let (failing, waiting) = (world.call(&channel, Plan::default()), world.call(&channel, patient));
        world.sleep(Duration::from_millis(1)).await;
        told.fails("the registry is down");
        let end = failing.end().await;
        let words = "the resolver of told:///servers failed: the registry is down";
        if end.code != Code::Unavailable || !end.text.starts_with(words) {
            world.wrong(format_args!("a call ended {:?}: {}", end.code, end.text));
        }
        let ends_after = |call: Rc<Call>, wanted| {
            let world = world.clone();
            async move {
                let end = call.end().await;
                let took = end.at.since(call.started);
                if end.code != Code::DeadlineExceeded || took.abs_diff(wanted) > Duration::from_millis(5) {
                    world.wrong(format_args!("ended {:?} after {took:?}, not {wanted:?}: {}", end.code, end.text));
                }
            }
        };
        world.sleep(SECOND * 3).await;
        told.says(servers([1], None));
        ends_after(waiting, SECOND * 3).await;
        ends_after(world.call(&channel, patient), SECOND * 2).await;
        told.fails("the registry is down again");
        ends_after(world.call(&channel, patient), SECOND * 2).await;
    });
}
