//! Warnings a host's logger gets: of connections that are pinged more than is good, of settings without effect, of servers that do not tell their
//! health. The logger is the process's, so each has its own.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use linkspan_core::{
    Channel, ChannelOptions, Credentials, LogLevel, OptionValue, Resolver, ResolverFactory, ResolverSender,
    ResolverTarget, ResolverUpdate, State, set_logger,
};

use crate::own_process::alone;
use crate::peer::client::{becomes, call, channel_with, response};
use crate::peer::server::Server;
use crate::peer::{GUARD, run};

/// GOAWAY's largest last stream: every stream so far may finish.
const ALL_STREAMS: u32 = (1 << 31) - 1;

/// The warnings as they come.
fn warnings() -> Receiver<String> {
    let (sender, warnings) = sync_channel(100);
    set_logger(Some(Box::new(move |level, _, text| {
        if level <= LogLevel::Warn {
            sender.send(text.to_owned()).expect("the test reads along");
        }
    })));
    warnings
}

fn pinging(server: &Server, time: i32, set: &[(&str, OptionValue)]) -> Channel {
    let time = ("grpc.keepalive_time_ms", time.into());
    channel_with(&server.address(), &[&[time], set].concat())
}

/// [CONN-95]
#[test]
fn a_server_that_complains_of_pings_gets_half_as_many_on_the_next_connection() {
    alone("warnings::a_server_that_complains_of_pings_gets_half_as_many_on_the_next_connection", "", || {
        let warned = warnings();
        run(async {
            let server = Server::start();
            let channel = pinging(&server, 30_000, &[]);
            for doubled in [60_000, 120_000] {
                let call = call(&channel);
                let mut peer = server.accept_raw().await;
                peer.greet().await;
                let stream = peer.request().await;
                peer.answer(stream, b"").await;
                response(call).await;
                // The second says what the first said, and is one complaint with it.
                peer.write_goaway(ALL_STREAMS, 11, "too_many_pings").await;
                peer.write_goaway(stream, 11, "too_many_pings").await;
                peer.closed_by_client().await;
                let line = warned.recv_timeout(GUARD).expect("a warning");
                let target = format!("channel {} ipv4:{}: connection ", channel.id(), server.address());
                assert!(line.starts_with(&target), "{line}");
                let words = format!(
                    ": the server says too_many_pings; new connections are pinged after {doubled} ms of silence"
                );
                assert!(line.ends_with(&words), "{line}");
            }
            assert!(warned.try_recv().is_err());
        });
    });
}

/// [CONN-94]
#[test]
fn a_keepalive_time_below_the_least_is_told_once_and_so_is_a_lowered_least() {
    alone("warnings::a_keepalive_time_below_the_least_is_told_once_and_so_is_a_lowered_least", "", || {
        let warned = warnings();
        run(async {
            let server = Server::start();
            let _first = pinging(&server, 30_000, &[]);
            assert!(warned.try_recv().is_err());
            let _clamped = [1_000, 2_000].map(|time| pinging(&server, time, &[]));
            let told: Vec<_> = warned.try_iter().collect();
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].contains("1000 ms") && told[0].contains("it is 10000 ms"), "{told:?}");
            let _lifted = [5, 6].map(|least| pinging(&server, 7, &[("linkspan.keepalive_min_time_ms", least.into())]));
            let told: Vec<_> = warned.try_iter().collect();
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].contains("linkspan.keepalive_min_time_ms"), "{told:?}");
        });
    });
}

/// Wherever in the config it stands, and by whichever channel.
#[test]
fn reports_of_load_beside_calls_are_told_once_to_be_missing() {
    alone("warnings::reports_of_load_beside_calls_are_told_once_to_be_missing", "", || {
        const CONFIG: &str = r#"{"loadBalancingConfig": [{"outlier_detection": {"childPolicy": [
            {"weighted_round_robin": {"enableOobLoadReport": true}}
        ]}}]}"#;
        let warned = warnings();
        run(async {
            let server = Server::start();
            for is_told in [true, false] {
                let channel = channel_with(&server.address(), &[("grpc.service_config", CONFIG.into())]);
                let call = call(&channel);
                let mut connection = server.accept().await;
                connection.request().await.answer(b"");
                response(call).await;
                let told: Vec<_> = warned.try_iter().collect();
                assert_eq!(told.len(), usize::from(is_told), "{told:?}");
                assert!(told.iter().all(|line| line.contains("\"enableOobLoadReport\" has no effect")), "{told:?}");
            }
        });
    });
}

/// Hands out its sender.
struct Told(SyncSender<ResolverSender>);

impl ResolverFactory for Told {
    fn start(&self, _: &ResolverTarget, results: ResolverSender) -> Result<Box<dyn Resolver>, String> {
        struct Silent;
        impl Resolver for Silent {}

        self.0.send(results).map_err(|_| "the test is over".to_owned())?;
        Ok(Box::new(Silent))
    }
}

/// The policy that runs takes the new settings, and no other is made.
#[test]
fn reports_of_load_beside_calls_are_told_to_be_missing_when_a_later_config_asks_for_them() {
    alone(
        "warnings::reports_of_load_beside_calls_are_told_to_be_missing_when_a_later_config_asks_for_them",
        "",
        || {
            let warned = warnings();
            run(async {
                let server = Server::start();
                let (sender, started) = sync_channel(1);
                let mut options = ChannelOptions::new();
                options.add_resolver("told", Arc::new(Told(sender))).expect("a scheme");
                let channel = Channel::new("told:servers", &Credentials::insecure(), &options).expect("a channel");
                let call = call(&channel);
                let results = started.recv_timeout(GUARD).expect("it is started");
                let says = |wants: bool| {
                    let service_config = format!(
                        r#"{{"loadBalancingConfig": [{{"weighted_round_robin": {{"enableOobLoadReport": {wants}}}}}]}}"#
                    );
                    let endpoints = vec![vec![server.address().parse().expect("an address")]];
                    results.update(ResolverUpdate { endpoints, service_config: Some(service_config) });
                };
                says(false);
                let mut connection = server.accept().await;
                connection.request().await.answer(b"");
                response(call).await;
                assert!(warned.try_recv().is_err());
                says(true);
                let line = warned.recv_timeout(GUARD).expect("a warning");
                assert!(line.contains("\"enableOobLoadReport\" has no effect"), "{line}");
            });
        },
    );
}

/// [LB-122]
#[test]
fn a_server_that_does_not_tell_its_health_is_told_of_once_and_used() {
    alone("warnings::a_server_that_does_not_tell_its_health_is_told_of_once_and_used", "", || {
        let warned = warnings();
        run(async {
            let server = Server::start();
            let config =
                r#"{"healthCheckConfig": {"serviceName": "svc"}, "loadBalancingConfig": [{"round_robin": {}}]}"#;
            let channel = channel_with(&server.address(), &[("grpc.service_config", config.into())]);
            channel.state(true);
            let mut connection = server.accept().await;
            let trailers_only = [("content-type", "application/grpc"), ("grpc-status", "12")];
            connection.request().await.answer_at_once(200, &trailers_only);
            becomes(&channel, State::Ready).await;
            let served = call(&channel);
            connection.request().await.answer(b"");
            response(served).await;
            let address = server.address();
            let words = "has no /grpc.health.v1.Health/Watch; it is taken for healthy as long as it is connected";
            let told: Vec<_> = warned.try_iter().collect();
            let [line] = &told[..] else { panic!("{told:?}") };
            assert!(line.starts_with(&format!("channel {} ipv4:{address}: connection ", channel.id())), "{line}");
            assert!(line.ends_with(&format!(" {address}: the server {words}")), "{line}");
        });
    });
}
