//! Servers that are asked for their health.

use std::time::Duration;

use super::every_seed;
use crate::channel::options::{ChannelOptions, OptionValue, Preset};
use crate::runtime::Driver;
use crate::simulation::calls::Plan;
use crate::simulation::channels::{address, listed};
use crate::simulation::hosted;
use crate::simulation::options::options;
use crate::simulation::server::{Answers, Script, Server, Tells};
use crate::simulation::world::World;
use crate::state::State;
use crate::status::Code;
use crate::time::Time;

const SECOND: Duration = Duration::from_secs(1);
/// More than a question and its answer take.
const ROUND_TRIP: Duration = Duration::from_millis(100);

const CONFIG: &str = r#"{"healthCheckConfig": {"serviceName": "svc"}}"#;
const SERVING: Tells = Tells::Status(1);
const NOT_SERVING: Tells = Tells::Status(2);

/// Both presets, each server being asked for the health of "svc".
fn asking<const N: usize>(preset: Preset, more: [(&str, OptionValue); N]) -> ChannelOptions {
    let mut options = options(preset, [("grpc.service_config", CONFIG.into())]);
    let all = [("linkspan.lb_policy", OptionValue::from("round_robin"))].into_iter().chain(more);
    all.for_each(|(key, value)| options.set(key, value).expect(key));
    options
}

fn in_both_presets<F: Future<Output = ()> + 'static>(story: impl Fn(World, Preset) -> F + Copy + 'static) {
    for preset in [Preset::Grpc, Preset::Resilient] {
        every_seed(10, move |world: World| story(world, preset));
    }
}

fn servers(world: &World, tell: &[Tells]) -> Vec<Server> {
    let server = |(number, tells): (u8, &Tells)| {
        // Whoever calls one that is not healthy sees it.
        let errors = if matches!(tells, Tells::Status(1) | Tells::Never) { 0 } else { 100 };
        let answers = Answers { errors, ..Answers::default() };
        world.server(&address(number), Script { tells: *tells, answers, ..Script::default() })
    };
    (1..).zip(tell).map(server).collect()
}

/// [LB-121], [LB-127], [HC-7], [HC-33]
#[test]
fn servers_that_are_not_healthy_get_no_calls_and_stay_connected() {
    in_both_presets(|world, preset| async move {
        let silent = Tells::Nothing;
        let others =
            [SERVING, NOT_SERVING, Tells::Status(0), Tells::Status(3), Tells::Status(77), Tells::End(13), silent];
        let servers = servers(&world, &others);
        let channel = world.channel(&listed(1..=7), &asking(preset, []));
        let calls = world.steady_calls(&channel, 20, SECOND * 10, Plan::default()).await;
        world.all_succeed(&calls).await;
        if servers.iter().any(|server| server.connections() != 1) || world.record().connections() != 7 {
            world.wrong("one is not connected, or was connected anew");
        }
        servers[1].change(|script| script.answers.errors = 0);
        servers[1].tells(SERVING);
        world.sleep(ROUND_TRIP).await;
        servers[0].tells(NOT_SERVING);
        world.sleep(ROUND_TRIP).await;
        servers[0].change(|script| script.answers.errors = 100);
        let calls = world.steady_calls(&channel, 20, SECOND * 10, Plan::default()).await;
        world.all_succeed(&calls).await;
    });
}

/// [LB-121]
#[test]
fn with_no_healthy_server_calls_fail_with_what_servers_say_and_recover_within_a_round_trip() {
    in_both_presets(|world, preset| async move {
        let servers = servers(&world, &[NOT_SERVING, Tells::Status(3)]);
        let channel = world.channel(&listed(1..=2), &asking(preset, []));
        let end = world.call(&channel, Plan::default()).end().await;
        let said = [
            "no address that is connected is healthy; phase connect",
            "; 10.0.0.1:50051 says NOT_SERVING for \"svc\"",
            "; 10.0.0.2:50051 says SERVICE_UNKNOWN for \"svc\"",
            "; not sent",
        ];
        if end.code != Code::Unavailable || said.iter().any(|words| !end.text.contains(words)) {
            world.wrong(format_args!("{:?}: {}", end.code, end.text));
        }
        let waiting = world.call(&channel, Plan { wait_for_ready: true, ..Plan::default() });
        world.sleep(SECOND).await;
        servers[1].change(|script| script.answers.errors = 0);
        servers[1].tells(SERVING);
        let healthy_at = world.driver().now();
        let end = waiting.end().await;
        if end.code != Code::Ok || end.at.since(healthy_at) > ROUND_TRIP {
            world.wrong(format_args!("{:?} after {:?}: {}", end.code, end.at.since(healthy_at), end.text));
        }
        // Never usable before its server has said so ([LB-21]).
        let told: Vec<String> = channel.events(0).iter().map(ToString::to_string).collect();
        let to_ready = "TRANSIENT_FAILURE → READY: 10.0.0.2:50051 says SERVING for \"svc\" [10.0.0.2:50051]";
        let of_ready: Vec<&String> = told.iter().filter(|event| event.contains("→ READY")).collect();
        if of_ready != [to_ready] {
            world.wrong(format_args!("{told:?}"));
        }
    });
}

/// [LB-21], [LB-121], [HC-5]
#[test]
fn calls_wait_while_no_server_has_said_anything_and_tell_for_what() {
    in_both_presets(|world, preset| async move {
        let servers = servers(&world, &[Tells::Nothing]);
        let channel = world.channel(&listed([1]), &asking(preset, []));
        let end = world.call(&channel, Plan { timeout: Some(SECOND), ..Plan::default() }).end().await;
        let words = "; 10.0.0.1:50051 has not said whether \"svc\" is healthy; not sent";
        if end.code != Code::DeadlineExceeded || !end.text.contains(words) || channel.state(false) != State::Connecting
        {
            world.wrong(format_args!("{:?}: {}", end.code, end.text));
        }
        servers[0].change(|script| script.answers.errors = 0);
        servers[0].tells(SERVING);
        world.must_succeed(&channel, Plan::default()).await;
    });
}

/// [LB-122], [HC-8]
#[test]
fn servers_that_do_not_tell_are_used_and_asked_once() {
    in_both_presets(|world, preset| async move {
        servers(&world, &[Tells::Never, Tells::Never]);
        let channel = world.channel(&listed(1..=2), &asking(preset, []));
        let calls = world.steady_calls(&channel, 10, SECOND * 60, Plan::default()).await;
        world.all_succeed(&calls).await;
        if world.record().watches().len() != 2 {
            world.wrong(format_args!("asked {} times", world.record().watches().len()));
        }
    });
}

/// Seconds between one question and the next.
fn gaps(watches: &[Time]) -> Vec<f64> {
    watches.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64()).collect()
}

/// [LB-123], [HC-9], [HC-10]
#[test]
fn a_watch_that_ends_unanswered_is_opened_again_after_longer_and_longer_waits() {
    in_both_presets(|world, preset| async move {
        let servers = servers(&world, &[Tells::End(14)]);
        let channel = world.channel(&listed([1]), &asking(preset, []));
        let end = world.call(&channel, Plan::default()).end().await;
        if end.code != Code::Unavailable || !end.text.contains("does not say whether \"svc\" is healthy: UNAVAILABLE") {
            world.wrong(format_args!("{:?}: {}", end.code, end.text));
        }
        world.sleep(SECOND * 14).await;
        let asked = gaps(&world.record().watches());
        let waits = [1.0, 1.6, 2.56, 4.096];
        let are_right = asked.iter().zip(waits).all(|(gap, wait)| (wait * 0.8..wait * 1.2 + 0.1).contains(gap));
        if !are_right || !(4..=5).contains(&asked.len()) {
            world.wrong(format_args!("{asked:?}"));
        }
        servers[0].change(|script| script.answers.errors = 0);
        servers[0].tells(SERVING);
        world.must_succeed(&channel, Plan { wait_for_ready: true, ..Plan::default() }).await;
        // After an answer it is asked at once ([LB-123]).
        world.sleep(SECOND * 2).await;
        let before = world.record().watches().len();
        servers[0].tells(Tells::End(14));
        world.sleep(ROUND_TRIP).await;
        if world.record().watches().len() != before + 1 {
            world.wrong(format_args!("asked {} times more", world.record().watches().len() - before));
        }
    });
}

#[test]
fn a_server_that_answers_and_ends_every_watch_is_asked_once_a_second_at_most() {
    in_both_presets(|world, preset| async move {
        servers(&world, &[Tells::StatusAndEnd(1)]);
        let channel = world.channel(&listed([1]), &asking(preset, []));
        channel.state(true);
        world.sleep(SECOND * 20).await;
        let asked = world.record().watches().len();
        if !(15..=28).contains(&asked) {
            world.wrong(format_args!("asked {asked} times in 20 s"));
        }
    });
}

/// [LB-126]
#[test]
fn a_connection_that_takes_over_is_asked_and_the_channel_never_leaves_ready() {
    in_both_presets(|world, preset| async move {
        let servers = servers(&world, &[SERVING]);
        let age = ("linkspan.max_connection_age_ms", 2_000.into());
        let channel = world.channel(&listed([1]), &asking(preset, [age]));
        world.must_succeed(&channel, Plan::default()).await;
        let calls = world.steady_calls(&channel, 20, SECOND * 20, Plan::default()).await;
        world.all_succeed(&calls).await;
        let left = channel.events(0).iter().filter(|event| event.from == State::Ready).count();
        let (asked, connections) = (world.record().watches().len(), world.record().connections());
        if left > 0 || asked < 8 || asked.abs_diff(connections) > 1 {
            world.wrong(format_args!("READY left {left} times, asked {asked} times on {connections} connections"));
        }
        // A connection on which only a Watch ran is let go at once.
        world.sleep(ROUND_TRIP).await;
        if servers[0].connections() > 2 {
            world.wrong(format_args!("{} connections are left", servers[0].connections()));
        }
        servers[0].tells(NOT_SERVING);
        world.sleep(ROUND_TRIP).await;
        if channel.state(false) != State::TransientFailure {
            world.wrong("the newest connection is not asked");
        }
    });
}

/// [LB-126]
#[test]
fn the_next_connection_is_asked_when_the_server_ends_the_one_that_was() {
    in_both_presets(|world, preset| async move {
        let servers = servers(&world, &[SERVING]);
        let two = ("linkspan.connections_per_subchannel", 2.into());
        let mut options = options(preset, [two, ("grpc.service_config", CONFIG.into())]);
        options.set("linkspan.lb_policy", "round_robin").expect("a policy");
        let channel = world.channel(&listed([1]), &options);
        world.must_succeed(&channel, Plan::default()).await;
        world.sleep(SECOND).await;
        if (world.record().watches().len(), servers[0].connections()) != (1, 2) {
            world.wrong("one of two connections is asked");
        }
        for restarts in 1..=3 {
            servers[0].say_goodbye();
            world.sleep(SECOND * 3).await;
            world.must_succeed(&channel, Plan::default()).await;
            // The goodbye went to both, so one new one or two are asked.
            let asked = world.record().watches().len();
            if asked <= restarts || servers[0].connections() != 2 {
                world.wrong(format_args!("asked {asked} times, {} connections", servers[0].connections()));
            }
        }
    });
}

/// [LB-26], [LB-121]
#[test]
fn a_server_that_was_not_healthy_counts_as_failed_until_it_says_that_it_is() {
    in_both_presets(|world, preset| async move {
        let servers = servers(&world, &[NOT_SERVING]);
        let channel = world.channel(&listed([1]), &asking(preset, []));
        world.call(&channel, Plan::default()).end().await;
        servers[0].tells(Tells::Nothing);
        servers[0].cut();
        world.sleep(SECOND * 3).await;
        if channel.state(false) != State::TransientFailure || world.record().connections() < 2 {
            world.wrong(format_args!("{:?}", channel.state(false)));
        }
        servers[0].change(|script| script.answers.errors = 0);
        servers[0].tells(SERVING);
        world.must_succeed(&channel, Plan { wait_for_ready: true, ..Plan::default() }).await;
    });
}

/// [CONN-82]
#[test]
fn a_server_that_answers_nothing_but_the_watch_before_it_goes_is_not_dialed_without_a_pause() {
    in_both_presets(|world, preset| async move {
        let servers = servers(&world, &[SERVING]);
        let channel = world.channel(&listed([1]), &asking(preset, []));
        channel.state(true);
        for _ in 0..200 {
            servers[0].cut();
            world.sleep(ROUND_TRIP / 2).await;
        }
        let (asked, connections) = (world.record().watches().len(), world.record().connections());
        if !(8..=16).contains(&connections) || asked < 8 {
            world.wrong(format_args!("{connections} connections in ten seconds, asked {asked} times"));
        }
    });
}

/// [LB-85], [LB-121], [HC-32]
#[test]
fn outlier_detection_leaves_out_whoever_fails_calls_and_whoever_is_not_healthy() {
    const OUTLIERS: &str = r#"{"healthCheckConfig": {"serviceName": "svc"}, "loadBalancingConfig": [
        {"outlier_detection_experimental": {"interval": "1s", "baseEjectionTime": "3s", "maxEjectionPercent": 100,
        "failurePercentageEjection": {"threshold": 50, "minimumHosts": 2, "requestVolume": 2},
        "childPolicy": [{"round_robin": {}}]}}
    ]}"#;
    in_both_presets(|world, preset| async move {
        let servers = servers(&world, &[SERVING, SERVING, NOT_SERVING]);
        servers[1].change(|script| script.answers.errors = 100);
        let channel = world.channel(&listed(1..=3), &options(preset, [("grpc.service_config", OUTLIERS.into())]));
        let calls = world.steady_calls(&channel, 20, SECOND * 2, Plan::default()).await;
        let mut failed = 0;
        for call in calls {
            failed += u32::from(call.end().await.code != Code::Ok);
        }
        if failed == 0 {
            world.wrong("the second one was never used");
        }
        // It is ejected, and says before that is over that it is not healthy.
        servers[1].tells(NOT_SERVING);
        let calls = world.steady_calls(&channel, 20, SECOND * 10, Plan::default()).await;
        world.all_succeed(&calls).await;
    });
}

fn round_robin_asking(service: &str) -> String {
    let asking = |name: &str| format!(r#""healthCheckConfig": {{"serviceName": "{name}"}}, "#);
    let health = Some(service).filter(|name| !name.is_empty()).map(asking).unwrap_or_default();
    format!(r#"{{{health}"loadBalancingConfig": [{{"round_robin": {{}}}}]}}"#)
}

/// [UPD-02], [LB-120], [HC-16]
#[test]
fn a_config_that_names_another_service_has_it_asked_for_and_one_that_names_none_uses_every_server() {
    in_both_presets(|world, preset| async move {
        let servers = servers(&world, &[SERVING]);
        let told = world.told();
        let channel = world.told_channel(&told, options(preset, []));
        let says = |config: &str| told.says(hosted::servers([1], Some(config)));
        let first = world.call(&channel, Plan::default());
        world.sleep(ROUND_TRIP).await;
        for (number, service) in ["a", "b", "c"].into_iter().enumerate() {
            says(&round_robin_asking(service));
            world.sleep(ROUND_TRIP).await;
            if world.record().watches().len() != number + 1 {
                world.wrong(format_args!("asked {} times", world.record().watches().len()));
            }
        }
        world.all_succeed(&[first]).await;
        let left = channel.events(0).iter().filter(|event| event.from == State::Ready).count();
        servers[0].tells(NOT_SERVING);
        world.sleep(ROUND_TRIP).await;
        let end = world.call(&channel, Plan::default()).end().await;
        if left > 0 || !end.text.contains("says NOT_SERVING for \"c\"") {
            world.wrong(format_args!("READY left {left} times; {}", end.text));
        }
        says(&round_robin_asking(""));
        world.sleep(ROUND_TRIP).await;
        world.must_succeed(&channel, Plan::default()).await;
        // In use is in use, until its server says otherwise.
        says(&round_robin_asking("d"));
        world.sleep(ROUND_TRIP).await;
        let end = world.call(&channel, Plan::default()).end().await;
        let told: Vec<String> = channel.events(0).iter().map(ToString::to_string).collect();
        let last = "READY → TRANSIENT_FAILURE: 10.0.0.1:50051 says NOT_SERVING for \"d\" [10.0.0.1:50051]";
        if end.code != Code::Unavailable || told.last().is_none_or(|event| event != last) {
            world.wrong(format_args!("{:?}: {told:?}", end.code));
        }
    });
}

/// [LB-120], [HC-3]
#[test]
fn every_policy_that_spreads_calls_goes_by_health() {
    for policy in [
        r#"{"round_robin": {}}"#,
        r#"{"least_request_experimental": {}}"#,
        r#"{"weighted_round_robin": {}}"#,
        r#"{"ring_hash_experimental": {"requestHashHeader": "user"}}"#,
        r#"{"random_subsetting_experimental": {"subsetSize": 1, "childPolicy": [{"round_robin": {}}]}}"#,
        r#"{"outlier_detection_experimental": {"childPolicy": [{"round_robin": {}}]}}"#,
    ] {
        in_both_presets(move |world, preset| async move {
            servers(&world, &[NOT_SERVING]);
            let config =
                format!(r#"{{"healthCheckConfig": {{"serviceName": "svc"}}, "loadBalancingConfig": [{policy}]}}"#);
            let channel =
                world.channel(&listed([1]), &options(preset, [("grpc.service_config", config.as_str().into())]));
            let end = world.call(&channel, Plan::default()).end().await;
            if end.code != Code::Unavailable || !end.text.contains("says NOT_SERVING for \"svc\"") {
                world.wrong(format_args!("{policy}: {:?}: {}", end.code, end.text));
            }
        });
    }
}

/// [LB-120], [HC-1], [HC-2], [HC-3], [HC-31]
#[test]
fn nobody_is_asked_by_pick_first_nor_where_it_is_inhibited_nor_without_a_name() {
    in_both_presets(|world, preset| async move {
        world.server(&address(1), Script { tells: NOT_SERVING, ..Script::default() });
        let config = |text: &str| ("grpc.service_config", OptionValue::from(text));
        let pick_first =
            r#"{"healthCheckConfig": {"serviceName": "svc"}, "loadBalancingConfig": [{"pick_first": {}}]}"#;
        let wrapped = r#"{"healthCheckConfig": {"serviceName": "svc"}, "loadBalancingConfig": [
            {"outlier_detection_experimental": {"childPolicy": [{"pick_first": {}}]}}]}"#;
        let all = [
            options(preset, [config(pick_first)]),
            options(preset, [config(wrapped)]),
            options(preset, [config(r#"{"healthCheckConfig": {}}"#)]),
            asking(preset, [("grpc.inhibit_health_checking", true.into())]),
        ];
        for options in all {
            let channel = world.channel(&listed([1]), &options);
            world.must_succeed(&channel, Plan::default()).await;
        }
        if !world.record().watches().is_empty() {
            world.wrong("one was asked");
        }
        let whole_server =
            r#"{"healthCheckConfig": {"serviceName": ""}, "loadBalancingConfig": [{"round_robin": {}}]}"#;
        let whole_server = options(preset, [config(whole_server)]);
        let channel = world.channel(&listed([1]), &whole_server);
        let end = world.call(&channel, Plan::default()).end().await;
        if !end.text.contains("says NOT_SERVING for \"\"") {
            world.wrong(end.text);
        }
    });
}

/// [LB-125], [CONN-10], [HC-14], [HC-18]
#[test]
fn a_watch_is_a_stream_of_its_connection_and_no_call_of_its_channel() {
    in_both_presets(|world, preset| async move {
        let servers = servers(&world, &[SERVING]);
        servers[0].change(|script| script.max_streams = Some(2));
        let one =
            [("linkspan.max_connections_per_subchannel", 1.into()), ("grpc.client_idle_timeout_ms", 5_000.into())];
        let channel = world.channel(&listed([1]), &asking(preset, one));
        world.must_succeed(&channel, Plan::default()).await;
        let shown = |channel: &crate::engine::Channel| {
            let metrics = channel.metrics();
            let streams = metrics.connections.iter().map(|one| (one.streams_active, one.stream_limit)).collect();
            (metrics.calls_started, metrics.calls_in_flight, streams)
        };
        let wanted: (_, _, Vec<_>) = (1, 0, vec![(1, Some(2))]);
        if shown(&channel) != wanted {
            world.wrong(format_args!("{:?}", shown(&channel)));
        }
        servers[0].change(|script| script.answers.after = (SECOND, SECOND));
        let calls: Vec<_> = (0..3).map(|_| world.call(&channel, Plan::default())).collect();
        world.sleep(ROUND_TRIP).await;
        if channel.metrics().calls_queued != 2 {
            world.wrong(format_args!("{} calls wait, one at a time having room", channel.metrics().calls_queued));
        }
        world.all_succeed(&calls).await;
        world.sleep(SECOND * 7).await;
        if channel.state(false) != State::Idle || servers[0].connections() > 0 {
            world.wrong(format_args!("{:?}, {} connections", channel.state(false), servers[0].connections()));
        }
        world.must_succeed(&channel, Plan::default()).await;
    });
}

/// [LB-125]
#[test]
fn a_watch_waits_for_a_server_that_allows_no_stream_yet() {
    in_both_presets(|world, preset| async move {
        let servers = servers(&world, &[SERVING]);
        servers[0].change(|script| script.max_streams = Some(0));
        let channel = world.channel(&listed([1]), &asking(preset, []));
        channel.state(true);
        world.sleep(SECOND).await;
        if channel.state(false) != State::Connecting || !world.record().watches().is_empty() {
            world.wrong(format_args!("{:?}", channel.state(false)));
        }
        servers[0].set_max_streams(2);
        world.must_succeed(&channel, Plan { timeout: Some(ROUND_TRIP), ..Plan::default() }).await;
    });
}

#[test]
fn a_connection_without_calls_is_checked_before_it_is_used_although_a_watch_runs() {
    in_both_presets(|world, preset| async move {
        let servers = servers(&world, &[SERVING, SERVING]);
        let channel = world.channel(&listed(1..=2), &asking(preset, []));
        world.must_succeed(&channel, Plan::default()).await;
        world.sleep(SECOND * 40).await;
        servers[0].freeze();
        let calls: Vec<_> = (0..4).map(|_| world.call(&channel, Plan::default())).collect();
        world.all_succeed(&calls).await;
        let checks = channel.metrics().liveness_checks;
        if checks == 0 {
            world.wrong("none was checked");
        }
        servers[0].thaw();
    });
}
