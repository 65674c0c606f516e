//! Limits that make calls wait or fail: the server's streams, the calls a channel lets wait.

use std::collections::VecDeque;
use std::time::Duration;

use linkspan_core::{CallOptions, Channel, Code, OptionValue, Sent, State, Timeout};

use crate::peer::client::{METHOD, becomes, call, call_with, channel, channel_with, failure, patient_call, response};
use crate::peer::raw::{ACK, SETTINGS};
use crate::peer::run;
use crate::peer::server::{ReservedPort, Server};

fn one_stream() -> h2::server::Builder {
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(1);
    builder
}

const ONE_CONNECTION: (&str, OptionValue) = ("linkspan.max_connections_per_subchannel", OptionValue::Int(1));

/// [CONN-120]
#[test]
fn a_server_that_allows_one_stream_gets_calls_one_after_the_other_and_all_succeed() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[ONE_CONNECTION]);
        let calls: Vec<_> = (0..10).map(|_| call(&channel)).collect();
        let mut connection = server.accept_with(&one_stream()).await;
        for _ in 0..10 {
            let request = connection.request().await;
            assert!(!connection.has_waiting_request(), "one at a time");
            let metrics = channel.metrics();
            let link = &metrics.connections[0];
            assert_eq!((link.streams_active, link.stream_limit), (1, Some(1)));
            request.answer(b"");
        }
        for call in calls {
            response(call).await;
        }
        let metrics = channel.metrics();
        assert_eq!((metrics.calls_succeeded, metrics.retries, metrics.connect_attempts), (10, 0, 1));
        assert_eq!(metrics.connections[0].streams_active, 0);
    });
}

/// [WIRE-244]
#[test]
fn a_deadline_that_passes_while_waiting_for_a_stream_says_so_and_leaves_its_place_to_the_next() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[ONE_CONNECTION]);
        let running = call(&channel);
        let mut connection = server.accept_with(&one_stream()).await;
        let request = connection.request().await;
        let timeout = Timeout::After(Duration::from_millis(50));
        let waiting = call_with(&channel, "", CallOptions { timeout, ..CallOptions::default() });
        let failure = failure(waiting, Code::DeadlineExceeded).await;
        let text = failure.status().message();
        assert!(text.starts_with("deadline exceeded; phase queue"), "{text}");
        let address = server.address();
        let waited_for = format!(
            "; waiting for a stream to {address}: 1 of 1 in use on 1 connection, 0 other calls waiting; not sent"
        );
        assert!(text.ends_with(&waited_for), "{text}");
        assert_eq!(failure.end().sent, Sent::NotSent);

        let next = call(&channel);
        request.answer(b"");
        connection.request().await.answer(b"next");
        response(running).await;
        assert_eq!(response(next).await.message, "next");
    });
}

#[test]
fn a_limit_the_server_raises_lets_waiting_calls_go() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let call = call(&channel);
        let mut peer = server.accept_raw().await;
        peer.read_preface().await;
        let limit_of = |limit: u8| [0, 3, 0, 0, 0, limit];
        peer.write_frame(SETTINGS, 0, 0, &limit_of(0)).await;
        becomes(&channel, State::Ready).await;
        assert!(!call.is_finished());
        peer.write_frame(SETTINGS, 0, 0, &limit_of(1)).await;
        let stream = peer.request().await;
        assert_eq!(channel.metrics().connections[0].stream_limit, Some(1));
        peer.answer(stream, b"").await;
        response(call).await;
    });
}

/// [CONN-24]
#[test]
fn more_waiting_calls_than_allowed_fail_at_once_and_those_before_go_on_waiting() {
    run(async {
        let port = ReservedPort::new();
        let channel = channel_with(
            &port.address(),
            &[("linkspan.max_queued_calls", 1.into()), ("grpc.testing.fixed_reconnect_backoff_ms", 1.into())],
        );
        let first = patient_call(&channel);
        becomes(&channel, State::TransientFailure).await;
        let failure = failure(patient_call(&channel), Code::ResourceExhausted).await;
        let text = failure.status().message();
        assert!(text.starts_with("1 call is waiting for a connection already (linkspan.max_queued_calls)"), "{text}");
        assert_eq!(channel.metrics().calls_queued, 1);

        let server = port.listen();
        let mut connection = server.accept().await;
        connection.request().await.answer(b"first");
        assert_eq!(response(first).await.message, "first");
        assert_eq!(channel.metrics().calls_queued, 0);
    });
}

/// The server has said all it will, the rest of the request is still here: the stream must not go on counting.
#[test]
fn a_call_answered_before_its_message_was_sent_leaves_its_stream_to_the_next() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        // More than the window of a stream nobody reads.
        let large = "x".repeat(200_000);
        let early = call_with(&channel, large, CallOptions::default());
        let mut connection = server.accept_with(&one_stream()).await;
        let mut request = connection.request().await;
        request.answer_at_once(200, &[("content-type", "application/grpc"), ("grpc-status", "8")]);
        failure(early, Code::ResourceExhausted).await;
        let next = call(&channel);
        connection.request().await.answer(b"next");
        assert_eq!(response(next).await.message, "next");
    });
}

/// As much as HTTP/2 takes at once is the limit, although no option sets one.
#[test]
fn a_message_larger_than_http_2_takes_is_refused_and_does_not_hang() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        // Never touched, so it is only addresses.
        let outcome = channel.unary(METHOD, vec![0; 1 << 31], CallOptions::default()).await;
        let failure = outcome.expect_err("too large");
        let failure = failure.rpc().expect("a call");
        assert_eq!((failure.code(), failure.end().sent), (Code::ResourceExhausted, Sent::NotSent));
        assert!(failure.status().message().contains("2147483648"), "{failure}");
    });
}

/// [WIRE-9]
#[test]
fn the_streams_that_are_open_and_the_servers_limit_are_shown() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let calls: Vec<_> = (0..3).map(|_| call(&channel)).collect();
        let mut peer = server.accept_raw().await;
        peer.read_preface().await;
        // MAX_CONCURRENT_STREAMS.
        peer.write_frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 2]).await;
        peer.write_frame(SETTINGS, ACK, 0, &[]).await;
        let (first, second) = (peer.request().await, peer.request().await);
        let shown = |channel: &Channel| {
            let connection = channel.metrics().connections.pop().expect("one");
            (connection.streams_active, connection.streams_total, connection.stream_limit)
        };
        assert_eq!(shown(&channel), (2, 2, Some(2)));
        peer.answer(first, b"1").await;
        let third = peer.request().await;
        assert_eq!(shown(&channel), (2, 3, Some(2)));
        for stream in [second, third] {
            peer.answer(stream, b"2").await;
        }
        for call in calls {
            response(call).await;
        }
        assert_eq!(shown(&channel), (0, 3, Some(2)));
    });
}

#[test]
fn a_hundred_callers_with_room_for_ten_are_ten_at_a_time_and_all_succeed() {
    for limit in ["linkspan.max_concurrent_requests", "linkspan.max_concurrent_requests_per_address"] {
        run(async {
            let server = Server::start();
            let channel = channel_with(&server.address(), &[(limit, 10.into())]);
            let calls: Vec<_> = (0..100).map(|_| call(&channel)).collect();
            let mut connection = server.accept().await;
            let mut running = VecDeque::new();
            for _ in 0..100 {
                running.push_back(connection.request().await);
                if running.len() == 10 {
                    assert!(!connection.has_waiting_request(), "ten at a time");
                    assert_eq!(channel.metrics().connections[0].streams_active, 10);
                    running.pop_front().expect("ten").answer(b"");
                }
            }
            for request in running {
                request.answer(b"");
            }
            for call in calls {
                response(call).await;
            }
        });
    }
}

#[test]
fn at_a_limit_a_deadline_says_what_the_call_waited_for_and_a_full_queue_how_many_wait() {
    run(async {
        let server = Server::start();
        let set = [("linkspan.max_concurrent_requests", 1.into()), ("linkspan.max_queued_calls", 1.into())];
        let channel = channel_with(&server.address(), &set);
        let running = call(&channel);
        let mut connection = server.accept().await;
        let request = connection.request().await;
        let timeout = Timeout::After(Duration::from_millis(500));
        let waiting = call_with(&channel, "", CallOptions { timeout, ..CallOptions::default() });
        let refused = failure(call(&channel), Code::ResourceExhausted).await;
        let reached = "limit reached: 1 of 1 calls in flight (linkspan.max_concurrent_requests)";
        let words =
            format!("{reached}, and 1 call is waiting already (linkspan.max_queued_calls); phase queue; not sent");
        assert_eq!(refused.status().message(), words);
        let late = failure(waiting, Code::DeadlineExceeded).await;
        let words = format!("deadline exceeded; phase queue; {reached}, 0 other calls waiting; not sent");
        assert_eq!(late.status().message(), words);
        let metrics = channel.metrics();
        assert_eq!((metrics.max_concurrent_requests, metrics.max_queued_calls), (Some(1), Some(1)));
        request.answer(b"");
        response(running).await;
    });
}
