//! Connections that are suspected to be dead, with times so short that nobody waits. How long it takes is proven elsewhere, in virtual
//! time.

use std::time::Duration;

use linkspan_core::{CallOptions, Channel, Code, OptionValue, State, Timeout};

use crate::peer::client::{Unary, becomes, call, call_with, channel_with, failure, response, time_passes, told};
use crate::peer::raw::{ACK, HEADERS, PING, Peer, SETTINGS};
use crate::peer::run;
use crate::peer::server::Server;

/// A call that has time enough to be sent, and no more.
fn hasty_call(channel: &Channel) -> tokio::task::JoinHandle<Unary> {
    let timeout = Timeout::After(Duration::from_millis(300));
    call_with(channel, "hello", CallOptions { timeout, ..CallOptions::default() })
}

/// A connected channel that has read all its server has written.
async fn connected(server: &Server, set: &[(&str, OptionValue)]) -> (Channel, Peer) {
    let all = [&[("linkspan.lb_policy", "pick_first".into())], set].concat();
    let channel = channel_with(&server.address(), &all);
    channel.state(true);
    let mut peer = server.accept_raw().await;
    peer.greet().await;
    // Two empty frames.
    while channel.metrics().connections.first().is_none_or(|connection| connection.bytes_received < 18) {
        tokio::task::yield_now().await;
    }
    becomes(&channel, State::Ready).await;
    (channel, peer)
}

/// The next PING or HEADERS.
async fn ping_or_headers(peer: &mut Peer) -> (u8, Vec<u8>) {
    loop {
        let frame = peer.frame().await.expect("open");
        if matches!(frame.kind, PING | HEADERS) {
            return (frame.kind, frame.payload);
        }
    }
}

fn streams_opened(channel: &Channel) -> u64 {
    channel.metrics().connections[0].streams_total
}

#[test]
fn after_a_deadline_in_silence_calls_wait_until_the_server_has_answered_a_ping() {
    run(async {
        let server = Server::start();
        let (channel, mut peer) = connected(&server, &[]).await;
        let hasty = hasty_call(&channel);
        peer.request().await;
        failure(hasty, Code::DeadlineExceeded).await;
        let ping = peer.frame_of(PING).await;
        let next = call(&channel);
        while channel.metrics().calls_started < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(streams_opened(&channel), 1);
        assert_eq!(channel.metrics().liveness_checks, 1);
        peer.write_frame(PING, ACK, 0, &ping.payload).await;
        let stream = peer.request().await;
        peer.answer(stream, b"alive").await;
        assert_eq!(response(next).await.message, "alive");
        assert_eq!(channel.metrics().connect_attempts, 1);
        // [CZ-06]
        let snapshot = channel.snapshot();
        let connection = &snapshot.subchannels[0].connections[0];
        assert_eq!((connection.pings, connection.keepalive_pings), (1, 0));
        assert!(connection.round_trip.is_some());
    });
}

/// [CONN-136]
#[test]
fn a_call_that_waited_in_silence_for_a_stream_has_the_connection_checked() {
    run(async {
        let server = Server::start();
        let (channel, mut peer) = connected(&server, &[]).await;
        peer.write_frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 0]).await;
        while channel.metrics().connections[0].stream_limit != Some(0) {
            tokio::task::yield_now().await;
        }
        let waiting = failure(hasty_call(&channel), Code::DeadlineExceeded).await;
        assert!(waiting.status().message().contains("; phase queue; "), "{waiting}");
        peer.frame_of(PING).await;
    });
}

#[test]
fn a_connection_that_answers_no_check_is_closed_and_its_calls_say_why() {
    run(async {
        let server = Server::start();
        let (channel, mut peer) = connected(&server, &[("linkspan.liveness_timeout_ms", 20.into())]).await;
        let patient = call(&channel);
        peer.request().await;
        let hasty = hasty_call(&channel);
        peer.request().await;
        failure(hasty, Code::DeadlineExceeded).await;
        let failure = failure(patient, Code::Unavailable).await;
        let text = failure.status().message();
        assert!(text.starts_with("connection lost: closed by liveness: nothing was read for "), "{text}");
        becomes(&channel, State::Idle).await;
        let last = told(&channel).pop().expect("an event");
        assert!(last.contains("the connection was lost: closed by liveness: nothing was read for "), "{last}");
        peer.closed_by_client().await;

        let next = call(&channel);
        let mut connection = server.accept().await;
        connection.request().await.answer(b"new");
        assert_eq!(response(next).await.message, "new");
    });
}

#[test]
fn a_connection_that_was_idle_for_long_is_checked_before_its_next_call() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[("linkspan.reuse_check_after_ms", 10.into())]);
        let first = call(&channel);
        let mut peer = server.accept_raw().await;
        peer.greet().await;
        let stream = peer.request().await;
        peer.answer(stream, b"first").await;
        response(first).await;
        time_passes(Duration::from_millis(20)).await;
        let second = call(&channel);
        let (kind, payload) = ping_or_headers(&mut peer).await;
        assert_eq!(kind, PING);
        assert_eq!(streams_opened(&channel), 1);
        peer.write_frame(PING, ACK, 0, &payload).await;
        let stream = peer.request().await;
        peer.answer(stream, b"second").await;
        assert_eq!(response(second).await.message, "second");
        assert_eq!(channel.metrics().liveness_checks, 1);
    });
}

#[test]
fn a_server_that_is_slow_but_not_silent_is_not_suspected() {
    run(async {
        let server = Server::start();
        let (channel, mut peer) = connected(&server, &[]).await;
        let slow = hasty_call(&channel);
        peer.request().await;
        peer.write_frame(PING, 0, 0, &[7; 8]).await;
        // Its answer says that the client has read it.
        peer.frame_of(PING).await;
        failure(slow, Code::DeadlineExceeded).await;
        let next = call(&channel);
        assert_eq!(ping_or_headers(&mut peer).await.0, HEADERS);
        assert_eq!(channel.metrics().liveness_checks, 0);
        next.abort();
    });
}

#[test]
fn liveness_that_is_turned_off_checks_nothing() {
    run(async {
        let server = Server::start();
        let (channel, mut peer) = connected(&server, &[("linkspan.liveness", false.into())]).await;
        let hasty = hasty_call(&channel);
        peer.request().await;
        failure(hasty, Code::DeadlineExceeded).await;
        let next = call(&channel);
        assert_eq!(ping_or_headers(&mut peer).await.0, HEADERS);
        assert_eq!(channel.metrics().liveness_checks, 0);
        next.abort();
    });
}

#[test]
fn a_connection_that_is_checked_is_passed_over_while_there_is_another() {
    run(async {
        let servers = [Server::start(), Server::start()];
        let channel = channel_with(&format!("{},{}", servers[0].address(), servers[1].address()), &[]);
        channel.state(true);
        let mut silent = servers[0].accept_raw().await;
        silent.greet().await;
        let mut other = servers[1].accept().await;
        while channel.metrics().connections.iter().filter(|one| one.bytes_received >= 18).count() < 2 {
            tokio::task::yield_now().await;
        }
        // One on each.
        let hasty = [hasty_call(&channel), hasty_call(&channel)];
        silent.request().await;
        other.request().await.answer(b"");
        for call in hasty {
            let _ = call.await.expect("no panic");
        }
        silent.frame_of(PING).await;
        for _ in 0..6 {
            let call = call(&channel);
            other.request().await.answer(b"other");
            assert_eq!(response(call).await.message, "other");
        }
    });
}
