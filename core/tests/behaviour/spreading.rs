//! Calls spread over several servers, and what becomes of them when one is lost.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use linkspan_core::{CallOptions, Channel, Code, Metadata, State};
use tokio::task::JoinHandle;

use crate::peer::client::{Unary, becomes, call, call_with, channel, channel_with, failure, response, time_passes};
use crate::peer::run;
use crate::peer::server::{ReservedPort, Server};

/// [LB-25], [LB-28], [CONN-76]
#[test]
fn every_server_gets_its_turn() {
    run(async {
        let servers = [Server::start(), Server::start()];
        let channel = channel(&format!("{},{}", servers[0].address(), servers[1].address()));
        channel.state(true);
        let mut connections = [servers[0].accept().await, servers[1].accept().await];
        while channel.metrics().connections.len() < 2 {
            tokio::task::yield_now().await;
        }
        for _ in 0..4 {
            let calls = [call(&channel), call(&channel)];
            for connection in &mut connections {
                connection.request().await.answer(b"");
            }
            for call in calls {
                response(call).await;
            }
        }
    });
}

/// [LB-27], [CONN-76]
#[test]
fn a_server_that_is_lost_is_dialed_again_without_a_call_and_the_other_serves() {
    run(async {
        let servers = [Server::start(), Server::start()];
        let channel = channel(&format!("{},{}", servers[0].address(), servers[1].address()));
        channel.state(true);
        let lost = servers[0].accept().await;
        let mut kept = servers[1].accept().await;
        while channel.metrics().connections.len() < 2 {
            tokio::task::yield_now().await;
        }
        drop(lost);
        let mut back = servers[0].accept_stream().await;
        for _ in 0..3 {
            let call = call(&channel);
            kept.request().await.answer(b"kept");
            assert_eq!(response(call).await.message, "kept");
        }
        assert_eq!(channel.state(false), State::Ready);
        tokio::io::AsyncWriteExt::shutdown(&mut back).await.expect("the end said");
    });
}

/// [RETRY-14]
#[test]
fn a_call_one_server_refused_is_made_again_at_the_other() {
    run(async {
        let servers = [Server::start(), Server::start()];
        let channel = channel(&format!("{},{}", servers[0].address(), servers[1].address()));
        channel.state(true);
        let mut refusing = servers[0].accept().await;
        let mut serving = servers[1].accept().await;
        while channel.metrics().connections.len() < 2 {
            tokio::task::yield_now().await;
        }
        let visits = crate::peer::beside(async move {
            loop {
                refusing.request().await.reset(h2::Reason::REFUSED_STREAM);
            }
        });
        for _ in 0..10 {
            let call = call(&channel);
            serving.request().await.answer(b"");
            response(call).await;
        }
        visits.abort();
        let retries = channel.metrics().retries;
        assert!((5..=10).contains(&retries), "no call is refused twice: {retries}");
    });
}

#[test]
fn channels_that_wait_for_the_same_address_go_together_once_one_got_through() {
    run(async {
        let server = Server::start();
        // Whoever is not told that the gate is open waits beyond the end of the test.
        let an_hour = [("linkspan.probe_interval_ms", 3_600_000.into())];
        let channels: Vec<_> = (0..20).map(|_| channel_with(&server.address(), &an_hour)).collect();
        let attempts = || channels.iter().map(|channel| channel.metrics().connect_attempts).sum::<u64>();
        for channel in &channels {
            channel.state(true);
        }
        for channel in &channels {
            becomes(channel, State::Connecting).await;
        }
        // The loop looks at its timers when nothing else is to be done, so all stand at the gate by then.
        time_passes(Duration::from_millis(1)).await;
        assert_eq!(attempts(), 1, "one probes, and the server has not greeted it");
        let visits = crate::peer::beside(async move {
            let mut connections = Vec::new();
            loop {
                connections.push(server.accept().await);
            }
        });
        for channel in &channels {
            becomes(channel, State::Ready).await;
        }
        visits.abort();
        assert_eq!(attempts(), 20);
    });
}

/// [LB-56], [LB-57]
#[test]
fn a_server_that_does_not_answer_gets_fewer_calls_by_least_request() {
    const CALLS: usize = 400;
    // Drawn twice it gets a call, as a quarter of them; this is six standard deviations more.
    const MOST: usize = 150;
    run(async {
        let servers = [Server::start(), Server::start()];
        let addresses = format!("{},{}", servers[0].address(), servers[1].address());
        let channel = channel_with(&addresses, &[("linkspan.lb_policy", "least_request".into())]);
        channel.state(true);
        let (mut quick, mut silent) = (servers[0].accept().await, servers[1].accept().await);
        while channel.metrics().connections.len() < 2 {
            tokio::task::yield_now().await;
        }
        let answering = crate::peer::beside(async move {
            loop {
                quick.request().await.answer(b"");
            }
        });
        let mut unanswered = Vec::new();
        for _ in 0..CALLS {
            let mut call = call(&channel);
            tokio::select! {
                request = silent.request() => unanswered.push((request, call)),
                answered = &mut call => assert!(answered.expect("no panic").is_ok()),
            }
        }
        answering.abort();
        assert!((1..=MOST).contains(&unanswered.len()), "{} of {CALLS}", unanswered.len());
    });
}

/// [LB-48], [LB-49]
#[test]
fn servers_get_calls_by_the_load_they_tell_whatever_the_status() {
    const CONFIG: &str = r#"{"loadBalancingConfig": [
        {"weighted_round_robin": {"blackoutPeriod": "0s", "weightUpdatePeriod": "0.1s"}}
    ]}"#;
    const TRAILER: &str = "endpoint-load-metrics-bin";
    // As protobuf has it: cpu_utilization is field 1, rps_fractional field 6, and both are doubles.
    let load = |utilization: f64| {
        let report = [&[0x09][..], &utilization.to_le_bytes(), &[0x31], &100_f64.to_le_bytes()].concat();
        STANDARD_NO_PAD.encode(report)
    };
    let (calm_load, busy_load) = (load(0.25), load(1.0));
    run(async {
        let servers = [Server::start(), Server::start()];
        let addresses = format!("{},{}", servers[0].address(), servers[1].address());
        let channel = channel_with(&addresses, &[("grpc.service_config", CONFIG.into())]);
        channel.state(true);
        let (mut calm, mut busy) = (servers[0].accept().await, servers[1].accept().await);
        while channel.metrics().connections.len() < 2 {
            tokio::task::yield_now().await;
        }
        // Until what was told has become weights.
        let mut served = [0, 0];
        while served != [40, 10] {
            served = [0, 0];
            for _ in 0..50 {
                let call = call(&channel);
                tokio::select! {
                    mut request = calm.request() => {
                        served[0] += 1;
                        let mut answer = request.start();
                        answer.message(b"");
                        answer.end_with(&[("grpc-status", "0"), (TRAILER, &calm_load)]);
                        response(call).await;
                    }
                    mut request = busy.request() => {
                        served[1] += 1;
                        let content_type = ("content-type", "application/grpc");
                        request.answer_at_once(200, &[content_type, ("grpc-status", "14"), (TRAILER, &busy_load)]);
                        failure(call, Code::Unavailable).await;
                    }
                }
            }
        }
    });
}

const RING_HASH: &str = r#"{"loadBalancingConfig": [{"ring_hash_experimental": {"requestHashHeader": "X-User"}}]}"#;

/// A server that answers each call with its name, and how many connections it was given.
fn named(server: Server, name: &'static str) -> (JoinHandle<()>, Rc<Cell<usize>>) {
    let accepted = Rc::<Cell<usize>>::default();
    let count = Rc::clone(&accepted);
    let serving = crate::peer::beside(async move {
        loop {
            let mut connection = server.accept().await;
            count.set(count.get() + 1);
            crate::peer::beside(async move {
                loop {
                    connection.request().await.answer(name.as_bytes());
                }
            });
        }
    });
    (serving, accepted)
}

fn call_of(channel: &Channel, user: &str) -> JoinHandle<Unary> {
    let mut metadata = Metadata::new();
    metadata.append("x-user", user.to_owned()).expect("good metadata");
    call_with(channel, "", CallOptions { metadata, ..CallOptions::default() })
}

/// [LB-62], [LB-63], [LB-66]
#[test]
fn calls_with_the_same_header_go_to_the_same_server_and_others_are_spread() {
    run(calls_keep_their_servers(RING_HASH));
}

/// [LB-8], [LB-110]
#[test]
fn what_calls_ask_of_a_ring_gets_through_the_policies_around_it() {
    run(calls_keep_their_servers(
        r#"{"loadBalancingConfig": [{"random_subsetting_experimental": {"subsetSize": 3, "childPolicy": [
            {"outlier_detection_experimental": {"childPolicy": [
                {"ring_hash_experimental": {"requestHashHeader": "x-user"}}
            ]}}
        ]}}]}"#,
    ));
}

async fn calls_keep_their_servers(config: &str) {
    let servers = [Server::start(), Server::start(), Server::start()];
    let addresses = servers.each_ref().map(Server::address).join(",");
    let servers: Vec<_> = servers.into_iter().zip(["a", "b", "c"]).map(|(server, name)| named(server, name)).collect();
    let channel = channel_with(&addresses, &[("grpc.service_config", config.into())]);
    let first = response(call_of(&channel, "0")).await.message;
    assert_eq!(servers.iter().map(|(_, accepted)| accepted.get()).sum::<usize>(), 1, "one server is called");
    // So many that no server is left without, whatever the ports make of the ring.
    let mut homes = vec![first];
    for user in 1..60 {
        homes.push(response(call_of(&channel, &user.to_string())).await.message);
    }
    for (user, home) in homes.iter().enumerate() {
        assert_eq!(response(call_of(&channel, &user.to_string())).await.message, *home, "user {user}");
    }
    assert_eq!(homes.iter().collect::<BTreeSet<_>>().len(), 3);
    assert!(servers.iter().all(|(_, accepted)| accepted.get() == 1));
    servers.iter().for_each(|(serving, _)| serving.abort());
}

/// [LB-63]
#[test]
fn a_call_fails_at_once_where_the_ring_has_no_header_to_go_by() {
    run(async {
        let server = Server::start();
        let config = r#"{"loadBalancingConfig": [{"ring_hash_experimental": {}}]}"#;
        let channel = channel_with(&server.address(), &[("grpc.service_config", config.into())]);
        let failed = failure(call_of(&channel, "0"), Code::Internal).await;
        assert!(failed.to_string().contains("requestHashHeader"), "{failed}");
        assert!(!server.has_waiting_connection());
    });
}

/// [LB-64]
#[test]
fn a_call_fails_when_no_server_of_the_ring_can_be_reached() {
    run(async {
        let ports = [ReservedPort::new(), ReservedPort::new()];
        let addresses = ports.each_ref().map(ReservedPort::address).join(",");
        let channel = channel_with(&addresses, &[("grpc.service_config", RING_HASH.into())]);
        let failed = failure(call_of(&channel, "0"), Code::Unavailable).await;
        let words = "ring hash cannot find a connected endpoint; last failure: 127.0.0.1:";
        assert!(failed.to_string().contains(words), "{failed}");
    });
}

/// A117
#[test]
fn a_ring_that_is_asked_to_connect_connects_one_server() {
    run(async {
        let servers = [Server::start(), Server::start(), Server::start()];
        let addresses = servers.each_ref().map(Server::address).join(",");
        let servers: Vec<_> = servers.into_iter().map(|server| named(server, "")).collect();
        let channel = channel_with(&addresses, &[("grpc.service_config", RING_HASH.into())]);
        channel.state(true);
        becomes(&channel, State::Ready).await;
        assert_eq!(channel.metrics().connect_attempts, 1);
        servers.iter().for_each(|(serving, _)| serving.abort());
    });
}
