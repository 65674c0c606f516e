//! Closing a channel, and letting go of it.

use std::time::Duration;

use h2::Reason;
use linkspan_core::{CallError, CallOptions, CallRequest, Code, ErrorKind, Event, Sent, State};

use crate::peer::client::{METHOD, Unary, becomes, call, channel, events, failure, response, told};
use crate::peer::raw;
use crate::peer::run;
use crate::peer::server::Server;

fn is_refused_as_closed(outcome: Unary) -> bool {
    matches!(outcome, Err(CallError::Refused(error)) if error.kind() == ErrorKind::Closed)
}

/// [CONN-150], [CONN-152], [CONN-154]
#[test]
fn closing_lets_running_calls_finish_and_ends_waiting_ones_at_once() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let mut builder = h2::server::Builder::new();
        builder.max_concurrent_streams(1);
        let running = call(&channel);
        let mut connection = server.accept_with(&builder).await;
        let request = connection.request().await;
        let waiting = call(&channel);
        // The waiting call is the engine's once this one after it has ended.
        call_that_is_cancelled(&channel).await;

        channel.close(None);
        assert_eq!(channel.state(false), State::Shutdown);
        assert!(channel.is_closed());
        let failure = failure(waiting, Code::Unavailable).await;
        assert!(failure.status().message().starts_with("channel closed; "), "{failure}");
        assert_eq!(failure.end().sent, Sent::NotSent);
        assert!(!running.is_finished());

        request.answer(b"finished");
        assert_eq!(response(running).await.message, "finished");
        connection.closed_by_client().await;
        assert_eq!(told(&channel).last().expect("an event"), "READY → SHUTDOWN: the channel was closed");
    });
}

async fn call_that_is_cancelled(channel: &linkspan_core::Channel) {
    let (reply, mut events) = events();
    let handle = channel.start_unary(CallRequest::new(METHOD), reply).expect("a call");
    handle.cancel(Code::Cancelled, "");
    events.next().await;
}

/// [CONN-154]
#[test]
fn closing_while_connecting_ends_calls_and_gives_the_dial_up() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let waiting = call(&channel);
        let peer = server.accept_raw().await;
        channel.close(None);
        failure(waiting, Code::Unavailable).await;
        peer.closed_by_client().await;
        assert_eq!(channel.events(0).last().expect("an event").to, State::Shutdown);
    });
}

/// [CONN-152], [CAN-5]
#[test]
fn closing_at_once_cancels_running_calls_and_tells_the_server() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let running = call(&channel);
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        channel.close(Some(Duration::ZERO));
        let failure = failure(running, Code::Cancelled).await;
        assert!(failure.status().message().starts_with("channel closed while the call was running; "), "{failure}");
        assert_eq!(request.reset_by_client().await, Reason::CANCEL);
        connection.closed_by_client().await;
    });
}

/// [CONN-152]
#[test]
fn calls_left_when_the_grace_is_over_are_cancelled_and_a_shorter_grace_may_follow() {
    run(async {
        let server = Server::start();
        for graces in [&[Some(Duration::from_millis(50))][..], &[None, Some(Duration::ZERO)]] {
            let channel = channel(&server.address());
            let running = call(&channel);
            let mut connection = server.accept().await;
            let _request = connection.request().await;
            for grace in graces {
                channel.close(*grace);
            }
            failure(running, Code::Cancelled).await;
        }
    });
}

/// [CONN-2], [CONN-150], [CAN-5]
#[test]
fn a_closed_channel_refuses_everything_and_stays_closed() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        channel.close(None);
        channel.close(None);
        assert!(is_refused_as_closed(channel.unary(METHOD, "", CallOptions::default()).await));
        let refused = channel.stream(METHOD, CallOptions::default()).expect_err("closed");
        assert_eq!(refused.kind(), ErrorKind::Closed);
        let (reply, events) = events();
        assert!(channel.start_unary(CallRequest::new(METHOD), reply).is_err());
        events.are_over().await;

        assert_eq!(channel.state(true), State::Shutdown);
        channel.reset_connect_backoff();
        assert_eq!(channel.state(false), State::Shutdown);
        assert_eq!(channel.metrics().connect_attempts, 0);
        assert!(!server.has_waiting_connection());
    });
}

/// [CONN-153], [WIRE-198]
#[test]
fn a_closed_channel_says_goodbye_before_it_closes_its_connection() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        channel.state(true);
        let mut peer = server.accept_raw().await;
        peer.greet().await;
        becomes(&channel, State::Ready).await;
        channel.close(None);
        let goaway = peer.frame_of(raw::GOAWAY).await;
        assert_eq!(goaway.payload[..8], [0; 8], "NO_ERROR, no stream of the server's");
        peer.closed_by_client().await;
    });
}

#[test]
fn letting_go_of_the_last_handle_lets_running_calls_finish_and_then_closes_the_connection() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (reply, mut ended) = events();
        channel.start_unary(CallRequest::new(METHOD), reply.clone()).expect("a call");
        let mut connection = server.accept().await;
        let request = connection.request().await;
        let clone = channel.clone();
        drop(channel);
        clone.start_unary(CallRequest::new(METHOD), reply).expect("clones are the same channel");
        let other_request = connection.request().await;
        drop(clone);
        for request in [request, other_request] {
            request.answer(b"finished");
            let Event::Unary(end) = ended.next().await else { panic!("another event") };
            assert_eq!(end.message.expect("a message"), "finished");
        }
        connection.closed_by_client().await;
        ended.are_over().await;
    });
}

#[test]
fn a_watch_does_not_keep_a_channel_and_ends_with_it() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        channel.state(true);
        let connection = server.accept().await;
        becomes(&channel, State::Ready).await;
        let (reply, mut watched) = events();
        channel.watch(State::Ready, None, reply).expect("a watch");
        drop(channel);
        assert!(matches!(watched.next().await, Event::Connectivity { state: State::Shutdown, timed_out: false }));
        watched.are_over().await;
        connection.closed_by_client().await;
    });
}

#[test]
fn the_longest_grace_there_is_is_as_good_as_none() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let running = call(&channel);
        let mut connection = server.accept().await;
        let request = connection.request().await;
        channel.close(Some(Duration::MAX));
        request.answer(b"finished");
        assert_eq!(response(running).await.message, "finished");
        connection.closed_by_client().await;
    });
}
