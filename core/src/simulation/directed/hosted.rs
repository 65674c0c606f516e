//! Resolvers of the host's own: well-behaved ones, and all others.

use std::time::Duration;

use super::every_seed;
use crate::channel::options::{ChannelOptions, Preset};
use crate::resolver::results::ResolverUpdate;
use crate::simulation::calls::Plan;
use crate::simulation::channels::address;
use crate::simulation::hosted::{Conduct, servers};
use crate::simulation::options::options;
use crate::simulation::server::Script;
use crate::simulation::world::World;
use crate::state::State;
use crate::status::Code;
use crate::time::Time;

const SECOND: Duration = Duration::from_secs(1);

const PATIENT: Plan = Plan { timeout: Some(Duration::from_secs(20)), wait_for_ready: true, ..Plan::NONE };

fn grpc() -> ChannelOptions {
    options(Preset::Grpc, [])
}

/// How long after the other each of these was.
fn between(times: &[Time]) -> Vec<f64> {
    times.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64()).collect()
}

/// [NAME-24], [NAME-40], [NAME-42]
#[test]
fn a_resolver_is_started_at_first_need_and_what_it_says_unasked_is_followed() {
    every_seed(10, |world: World| async move {
        let (one, _two) = (world.server(&address(1), Script::default()), world.server(&address(2), Script::default()));
        let told = world.told();
        let channel = world.told_channel(&told, grpc());
        world.sleep(SECOND * 10).await;
        if !told.starts().is_empty() {
            world.wrong("started before there was a call");
        }
        let first = world.call(&channel, Plan::default());
        world.sleep(SECOND).await;
        told.says(servers([1], None));
        world.all_succeed(&[first]).await;
        if channel.authority() != "servers" {
            world.wrong(format_args!("the authority is {}", channel.authority()));
        }
        // Of what comes at once the last counts.
        for numbers in [&[3_u8][..], &[4], &[2]] {
            told.says(servers(numbers.iter().copied(), None));
        }
        world.sleep(SECOND).await;
        one.power_off();
        world.must_succeed(&channel, Plan::default()).await;
        if told.starts().len() != 1 || !told.asked().is_empty() {
            world.wrong(format_args!("started {} times, asked {}", told.starts().len(), told.asked().len()));
        }
    });
}

/// [NAME-50]
#[test]
fn a_resolver_is_asked_when_a_connection_is_lost() {
    every_seed(10, |world: World| async move {
        let server = world.server(&address(1), Script::default());
        let told = world.told();
        told.does(Conduct::Says(Ok(servers([1], None))));
        let channel = world.told_channel(&told, grpc());
        for losses in 1..=3 {
            world.must_succeed(&channel, Plan::default()).await;
            server.cut();
            world.sleep(SECOND).await;
            if told.asked().len() != losses {
                world.wrong(format_args!("asked {} times after {losses} losses", told.asked().len()));
            }
        }
    });
}

/// [NAME-44], [NAME-46], [WFR-4]
#[test]
fn an_error_ends_calls_at_first_and_changes_nothing_later() {
    every_seed(10, |world: World| async move {
        let _server = world.server(&address(1), Script::default());
        let told = world.told();
        told.does(Conduct::Says(Err("the registry is down".to_owned())));
        let channel = world.told_channel(&told, grpc());
        let end = world.call(&channel, Plan::default()).end().await;
        let wanted = "the resolver of told:///servers failed: the registry is down";
        if end.code != Code::Unavailable || !end.text.starts_with(wanted) {
            world.wrong(format_args!("a call ended {:?}: {}", end.code, end.text));
        }
        let _ = world.call(&channel, PATIENT).end().await;
        let mut expected = 1.0;
        for waited in between(&[told.starts(), told.asked()].concat()) {
            if !(expected * 0.8..expected * 1.2 + 0.1).contains(&waited) {
                world.wrong(format_args!("asked again after {waited} s, where {expected} s was the backoff"));
            }
            expected *= 1.6;
        }
        told.does(Conduct::Says(Ok(servers([1], None))));
        world.must_succeed(&channel, PATIENT).await;
        told.does(Conduct::Waits);
        told.fails("the registry is down again");
        let calls = world.steady_calls(&channel, 10, SECOND * 5, Plan::default()).await;
        world.all_succeed(&calls).await;
    });
}

/// [NAME-45]: else a resolver that answers at once would be asked without end.
#[test]
fn a_result_without_endpoints_is_asked_about_again_after_a_backoff() {
    every_seed(10, |world: World| async move {
        let told = world.told();
        told.does(Conduct::Says(Ok(ResolverUpdate::default())));
        let channel = world.told_channel(&told, grpc());
        let end = world.call(&channel, Plan::default()).end().await;
        let wanted = "the resolver of told:///servers failed: it found no endpoints";
        if end.code != Code::Unavailable || !end.text.starts_with(wanted) {
            world.wrong(format_args!("a call ended {:?}: {}", end.code, end.text));
        }
        let _ = world.call(&channel, PATIENT).end().await;
        let asked = told.asked().len();
        if !(4..=7).contains(&asked) {
            world.wrong(format_args!("asked {asked} times in 20 s"));
        }
    });
}

/// [NAME-44]
#[test]
fn a_resolver_that_breaks_is_an_error_with_a_text_and_another_one_is_started() {
    let table = [
        (Conduct::RefusesToStart, "no agent is there"),
        (Conduct::PanicsAtStart, "it panicked when it was started"),
        (Conduct::EndsAtOnce, "it ended without having said anything"),
    ];
    for (conduct, why) in table {
        every_seed(4, |world: World| {
            let conduct = conduct.clone();
            async move {
                let _server = world.server(&address(1), Script::default());
                let told = world.told();
                told.does(conduct);
                let channel = world.told_channel(&told, grpc());
                let end = world.call(&channel, Plan::default()).end().await;
                if end.code != Code::Unavailable
                    || !end.text.starts_with(&format!("the resolver of told:///servers failed: {why}"))
                {
                    world.wrong(format_args!("a call ended {:?}: {}", end.code, end.text));
                }
                told.does(Conduct::Says(Ok(servers([1], None))));
                world.must_succeed(&channel, PATIENT).await;
                let starts = between(&told.starts());
                if starts.len() != 1 || !(0.8..1.3).contains(&starts[0]) {
                    world.wrong(format_args!("started again after {starts:?} s"));
                }
            }
        });
    }
}

/// [NAME-46]
#[test]
fn a_resolver_that_panics_when_it_is_asked_leaves_what_it_has_said() {
    every_seed(4, |world: World| async move {
        let server = world.server(&address(1), Script::default());
        let told = world.told();
        told.does(Conduct::PanicsWhenAsked);
        let channel = world.told_channel(&told, grpc());
        let first = world.call(&channel, Plan::default());
        world.sleep(SECOND).await;
        told.says(servers([1], None));
        world.all_succeed(&[first]).await;
        server.cut();
        world.sleep(SECOND).await;
        world.must_succeed(&channel, Plan::default()).await;
        world.sleep(SECOND * 60).await;
        if told.starts().len() != 2 || told.dropped() != 1 {
            world.wrong(format_args!("{} were started and {} dropped", told.starts().len(), told.dropped()));
        }
    });
}

/// [NAME-43]: one that has said all it has to say is another one's beginning, and beginnings are limited.
#[test]
fn a_resolver_that_is_done_leaves_its_result_and_another_one_is_started_when_more_is_wanted() {
    every_seed(10, |world: World| async move {
        let server = world.server(&address(1), Script::default());
        let told = world.told();
        told.does(Conduct::SaysOnce(servers([1], None)));
        let channel = world.told_channel(&told, grpc());
        world.must_succeed(&channel, Plan::default()).await;
        world.sleep(SECOND * 100).await;
        if told.starts().len() != 1 {
            world.wrong(format_args!("{} were started while all was well", told.starts().len()));
        }
        for _ in 0..10 {
            server.cut();
            world.sleep(SECOND).await;
            world.must_succeed(&channel, Plan::default()).await;
        }
        world.sleep(SECOND * 60).await;
        let starts = between(&told.starts());
        if starts.len() != 2 || !(100.0..101.1).contains(&starts[0]) || !(30.0..30.1).contains(&starts[1]) {
            world.wrong(format_args!("started again after {starts:?} s"));
        }
        told.ends();
    });
}

/// [NAME-51]
#[test]
fn a_resolver_is_dropped_when_the_channel_goes_idle_and_when_it_is_closed() {
    every_seed(10, |world: World| async move {
        let _server = world.server(&address(1), Script::default());
        let told = world.told();
        let idle = options(Preset::Grpc, [("grpc.client_idle_timeout_ms", 1_000.into())]);
        let channel = world.told_channel(&told, idle);
        told.does(Conduct::Says(Ok(servers([1], None))));
        for rounds in 1..=2 {
            world.must_succeed(&channel, Plan::default()).await;
            if told.starts().len() != rounds || told.dropped() != rounds - 1 {
                world.wrong(format_args!("{} started, {} dropped in use", told.starts().len(), told.dropped()));
            }
            world.sleep(SECOND * 5).await;
            let now = channel.events(0).last().map(|event| event.to);
            if now != Some(State::Idle) || told.dropped() != rounds || told.says(servers([1], None)) {
                world.wrong(format_args!("{now:?} with {} dropped", told.dropped()));
            }
        }
        world.must_succeed(&channel, Plan::default()).await;
        channel.close(None);
        world.sleep(SECOND).await;
        if told.dropped() != 3 || told.says(servers([1], None)) {
            world.wrong(format_args!("{} dropped after the channel was closed", told.dropped()));
        }
    });
}

/// [NAME-82], [NAME-83]: one connection for both addresses of an endpoint, and the other address when the first is gone.
#[test]
fn an_endpoint_with_two_addresses_has_one_connection() {
    every_seed(10, |world: World| async move {
        let (one, two) = (world.server(&address(1), Script::default()), world.server(&address(2), Script::default()));
        let told = world.told();
        let mut both = servers([1, 2], Some(r#"{"loadBalancingConfig": [{"round_robin": {}}]}"#));
        both.endpoints = vec![both.endpoints.concat()];
        told.does(Conduct::Says(Ok(both.clone())));
        let channel = world.told_channel(&told, grpc());
        world.must_succeed(&channel, Plan::default()).await;
        world.sleep(SECOND).await;
        if world.record().connections() != 1 {
            world.wrong(format_args!("{} connections to one endpoint", world.record().connections()));
        }
        // The same endpoint, its addresses in another order.
        both.endpoints[0].reverse();
        told.says(both);
        world.sleep(SECOND).await;
        world.must_succeed(&channel, Plan::default()).await;
        if world.record().connections() != 1 {
            world.wrong("another order made another connection");
        }
        one.kill();
        world.sleep(SECOND).await;
        world.must_succeed(&channel, PATIENT).await;
        drop(two);
    });
}
