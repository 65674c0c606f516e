//! Keepalive on a real connection, with times so short that nobody waits. How long it takes is proven elsewhere, in virtual time.

use std::time::Duration;

use linkspan_core::{CallOptions, Channel, Code, OptionValue, State};

use crate::peer::client::{becomes, call, call_with, channel_with, failure, response, time_passes, told};
use crate::peer::raw::{ACK, DATA, HEADERS, PING, SETTINGS, WINDOW_UPDATE};
use crate::peer::run;
use crate::peer::server::Server;

fn channel(server: &Server, time: i32, set: &[(&str, OptionValue)]) -> Channel {
    let mut all = vec![
        ("linkspan.keepalive_min_time_ms", OptionValue::from(1)),
        ("grpc.keepalive_time_ms", time.into()),
        ("linkspan.lb_policy", "pick_first".into()),
    ];
    all.extend_from_slice(set);
    channel_with(&server.address(), &all)
}

/// [CONN-90], [CZ-06]
#[test]
fn a_silent_server_is_pinged_while_a_call_is_open_and_its_answer_keeps_the_call() {
    run(async {
        let server = Server::start();
        let channel = channel(&server, 20, &[]);
        let call = call(&channel);
        let mut peer = server.accept_raw().await;
        peer.greet().await;
        let stream = peer.request().await;
        for _ in 0..3 {
            let ping = peer.frame_of(PING).await;
            assert_eq!((ping.flags & ACK, ping.stream), (0, 0));
            peer.write_frame(PING, ACK, 0, &ping.payload).await;
        }
        peer.answer(stream, b"late").await;
        assert_eq!(response(call).await.message, "late");
        assert!(channel.metrics().keepalive_pings >= 3);
        let snapshot = channel.snapshot();
        let connection = &snapshot.subchannels[0].connections[0];
        assert!(connection.keepalive_pings >= 3 && connection.pings >= 3, "{connection:?}");
        assert!(connection.round_trip.is_some());
    });
}

/// [CONN-99]: the PING waits behind what the socket does not take, and its time goes on.
#[test]
fn a_server_that_takes_nothing_does_not_stop_the_timeout() {
    run(async {
        let server = Server::start();
        let channel = channel(&server, 20, &[("grpc.keepalive_timeout_ms", 20.into())]);
        // More than the sockets hold between them.
        let call = call_with(&channel, vec![7; 48 << 20], CallOptions::default());
        let mut peer = server.accept_raw().await;
        peer.read_preface().await;
        let most = (i32::MAX as u32).to_be_bytes();
        peer.write_frame(SETTINGS, 0, 0, &[&[0, 4], &most[..]].concat()).await;
        peer.write_frame(WINDOW_UPDATE, 0, 0, &(i32::MAX as u32 - 65_535).to_be_bytes()).await;
        // From here on it reads nothing.
        let failure = failure(call, Code::Unavailable).await;
        let text = failure.status().message();
        assert!(text.starts_with("connection lost: closed by keepalive: "), "{text}");
        drop(peer);
    });
}

/// [CONN-92], [WIRE-179]
#[test]
fn a_server_that_answers_no_ping_loses_its_calls_and_they_say_why() {
    run(async {
        let server = Server::start();
        let channel = channel(&server, 20, &[("grpc.keepalive_timeout_ms", 20.into())]);
        let call = call(&channel);
        let mut peer = server.accept_raw().await;
        peer.greet().await;
        peer.request().await;
        peer.frame_of(PING).await;
        let failure = failure(call, Code::Unavailable).await;
        let text = failure.status().message();
        assert!(text.starts_with("connection lost: closed by keepalive: nothing was read for "), "{text}");
        becomes(&channel, State::Idle).await;
        let last = told(&channel).pop().expect("an event");
        assert!(last.starts_with("READY → IDLE: the connection was lost: closed by keepalive: "), "{last}");
        peer.closed_by_client().await;
        let metrics = channel.metrics();
        assert_eq!((metrics.keepalive_pings, metrics.keepalives_failed, metrics.connections.len()), (1, 1, 0));
    });
}

/// [CONN-90]
#[test]
fn a_connection_without_calls_is_pinged_when_that_is_asked_for() {
    run(async {
        let server = Server::start();
        let channel = channel(&server, 20, &[("grpc.keepalive_permit_without_calls", true.into())]);
        channel.state(true);
        let mut peer = server.accept_raw().await;
        peer.greet().await;
        let ping = peer.frame_of(PING).await;
        peer.write_frame(PING, ACK, 0, &ping.payload).await;
        peer.frame_of(PING).await;
    });
}

/// [CONN-93]
#[test]
fn a_call_on_a_connection_that_was_silent_for_long_sends_a_ping_before_its_headers() {
    run(async {
        let server = Server::start();
        let channel = channel(&server, 5, &[]);
        channel.state(true);
        let mut peer = server.accept_raw().await;
        peer.greet().await;
        becomes(&channel, State::Ready).await;
        // Two empty frames have been read, and after that nothing for longer than the time.
        while channel.metrics().connections.first().is_none_or(|connection| connection.bytes_received < 18) {
            tokio::task::yield_now().await;
        }
        time_passes(Duration::from_millis(20)).await;
        assert_eq!(channel.metrics().keepalive_pings, 0);
        let call = call(&channel);
        let order = loop {
            let frame = peer.frame().await.expect("open");
            if matches!(frame.kind, PING | HEADERS) {
                break frame;
            }
        };
        assert_eq!((order.kind, order.flags), (PING, 0));
        peer.write_frame(PING, ACK, 0, &order.payload).await;
        let stream = peer.request().await;
        peer.answer(stream, b"alive").await;
        assert_eq!(response(call).await.message, "alive");
    });
}

/// [CONN-101], [CONN-102]
#[test]
fn keepalive_takes_a_ping_that_is_in_flight_already_for_its_own() {
    run(async {
        let server = Server::start();
        let channel = channel(&server, 50, &[("grpc.keepalive_timeout_ms", 50.into())]);
        let call = call(&channel);
        let mut peer = server.accept_raw().await;
        peer.greet().await;
        let stream = peer.request().await;
        peer.write_headers(stream, &[(":status", "200"), ("content-type", "application/grpc")], false).await;
        // The beginning of a message, and more than half of the window: its size is measured by a PING.
        peer.write_frame(DATA, 0, stream, &[0, 0, 16, 0, 0]).await;
        for _ in 0..10 {
            peer.write_frame(DATA, 0, stream, &[7; 16_384]).await;
        }
        peer.frame_of(PING).await;
        let failure = failure(call, Code::Unavailable).await;
        assert!(failure.status().message().contains("closed by keepalive"), "{failure}");
        assert_eq!(channel.metrics().keepalive_pings, 1);
        while let Some(frame) = peer.frame().await {
            assert_ne!(frame.kind, PING);
        }
    });
}
