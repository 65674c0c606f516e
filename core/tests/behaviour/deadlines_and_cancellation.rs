//! Calls that end because their time is over or because nobody wants them any more.

use std::time::Duration;

use h2::Reason;
use linkspan_core::{CallOptions, CallRequest, Code, Event, Reply, Sent, State, Timeout};

use crate::peer::client::{METHOD, becomes, call, call_with, channel, channel_with, events, failure, response};
use crate::peer::run;
use crate::peer::server::{Connection, Server};

/// Long enough for a request to reach a server that is connected already.
const SOON: Duration = Duration::from_millis(500);

fn in_time(timeout: Timeout) -> CallOptions {
    CallOptions { timeout, ..CallOptions::default() }
}

async fn connected(server: &Server, channel: &linkspan_core::Channel) -> Connection {
    channel.state(true);
    let connection = server.accept().await;
    becomes(channel, State::Ready).await;
    connection
}

/// [WIRE-42], [WIRE-44], [WIRE-170], [WIRE-175], [WIRE-45], [DL-4]
#[test]
fn a_silent_server_is_told_the_timeout_and_then_the_cancellation() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let mut connection = connected(&server, &channel).await;
        let call = call_with(&channel, "", in_time(Timeout::After(SOON)));
        let mut request = connection.request().await;
        let told = request.header("grpc-timeout")[0];
        let microseconds: u128 = told.strip_suffix('u').expect("microseconds fit in eight digits").parse().expect(told);
        assert!((1..=SOON.as_micros()).contains(&microseconds), "{told}");

        assert_eq!(request.reset_by_client().await, Reason::CANCEL);
        let failure = failure(call, Code::DeadlineExceeded).await;
        let text = failure.status().message();
        assert!(text.starts_with("deadline exceeded; phase wait; on 127.0.0.1:"), "{text}");
        assert!(text.ends_with("; sent"), "{text}");
        assert!(failure.end().elapsed >= SOON);
        assert_eq!(channel.metrics().by_code[4], 1);
    });
}

/// [WIRE-43], [DL-3]
#[test]
fn a_call_whose_deadline_is_past_sends_nothing_and_connects_nowhere() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let failure = failure(call_with(&channel, "", in_time(Timeout::AlreadyPast)), Code::DeadlineExceeded).await;
        assert_eq!(failure.end().sent, Sent::NotSent);
        assert_eq!(channel.metrics().connect_attempts, 0);
        assert_eq!(channel.state(false), State::Idle);
    });
}

/// [WIRE-41], [DL-1], [DL-9]
#[test]
fn the_channels_default_timeout_holds_unless_the_call_says_otherwise() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[("linkspan.default_timeout_ms", 60_000.into())]);
        let mut connection = connected(&server, &channel).await;
        let too_far = Timeout::After(Duration::MAX);
        for (timeout, headers) in [(Timeout::ChannelDefault, 1), (Timeout::None, 0), (too_far, 0)] {
            let call = call_with(&channel, "", in_time(timeout));
            let request = connection.request().await;
            assert_eq!(request.header("grpc-timeout").len(), headers, "{timeout:?}");
            request.answer(b"");
            response(call).await;
        }
    });
}

#[test]
fn the_channels_default_timeout_is_not_for_streams() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[("linkspan.default_timeout_ms", 60_000.into())]);
        let mut connection = connected(&server, &channel).await;
        for (timeout, headers) in [(Timeout::ChannelDefault, 0), (Timeout::After(SOON), 1)] {
            let call = channel.stream(METHOD, in_time(timeout)).expect("a call");
            let request = connection.request().await;
            assert_eq!(request.header("grpc-timeout").len(), headers, "{timeout:?}");
            drop(call);
        }
    });
}

/// [DL-5], [SC-20]
#[test]
fn a_deadline_that_the_caller_did_not_set_is_told_with_who_did() {
    run(async {
        let server = Server::start();
        let of_method = r#"{"methodConfig":[{"name":[{}],"timeout":"0.05s"}]}"#;
        let default = ("linkspan.default_timeout_ms", 60.into());
        let (of_channel, of_method) = (vec![default.clone()], vec![default, ("grpc.service_config", of_method.into())]);
        for (options, timeout, words) in [
            (&of_channel, Timeout::ChannelDefault, Some("the deadline was linkspan.default_timeout_ms, 60.0 ms; ")),
            (
                &of_method,
                Timeout::ChannelDefault,
                Some("the deadline was the service config's timeout for the method, 50.0 ms; "),
            ),
            (
                &of_method,
                Timeout::None,
                Some("the deadline was the service config's timeout for the method, 50.0 ms; "),
            ),
            (&of_channel, Timeout::After(Duration::from_millis(50)), None),
            (&of_method, Timeout::AlreadyPast, Some("the deadline was past when the call was made; ")),
        ] {
            let channel = channel_with(&server.address(), options);
            let text = failure(call_with(&channel, "", in_time(timeout)), Code::DeadlineExceeded).await.to_string();
            assert_eq!(text.contains("the deadline was"), words.is_some(), "{text}");
            assert!(text.contains(words.unwrap_or_default()), "{text}");
        }
    });
}

/// [WIRE-170], [WIRE-175], [CAN-1]
#[test]
fn a_cancelled_call_ends_with_the_code_and_text_it_was_given_and_the_server_is_told() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (reply, mut events) = events();
        let handle = channel.start_unary(CallRequest::new(METHOD), reply).expect("a call");
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        assert!(handle.cancel(Code::Aborted, "enough"));
        // [WIRE-243]: the first reason stands.
        handle.cancel(Code::Internal, "too late");
        let Event::Unary(ended) = events.next().await else { panic!("another event") };
        assert_eq!((ended.end.status.code(), ended.end.status.message()), (Code::Aborted, "enough"));
        assert!(ended.end.local);
        assert_eq!(request.reset_by_client().await, Reason::CANCEL);
        events.are_over().await;

        assert!(handle.is_ended());
        assert!(!handle.cancel(Code::Internal, "after the end"));
    });
}

/// [WIRE-175], [CAN-2]
#[test]
fn a_call_cancelled_while_it_waits_for_a_connection_never_reaches_the_server() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (reply, mut events) = events();
        let handle = channel.start_unary(CallRequest::new(METHOD), reply).expect("a call");
        let mut peer = server.accept_raw().await;
        peer.read_preface().await;
        handle.cancel(Code::Cancelled, "");
        let Event::Unary(ended) = events.next().await else { panic!("another event") };
        assert_eq!((ended.end.status.code(), ended.end.sent), (Code::Cancelled, Sent::NotSent));

        // The dial goes on, and the next call is the first stream.
        peer.write_frame(crate::peer::raw::SETTINGS, 0, 0, &[]).await;
        let next = call(&channel);
        let stream = peer.request().await;
        assert_eq!(stream, 1);
        peer.answer(stream, b"").await;
        response(next).await;
    });
}

/// [WIRE-175]
#[test]
fn dropping_the_future_of_a_unary_call_cancels_it() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let call = call(&channel);
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        call.abort();
        assert_eq!(request.reset_by_client().await, Reason::CANCEL);
    });
}

/// [WIRE-175]
#[test]
fn dropping_a_call_with_streams_cancels_it_and_dropping_a_handle_does_not() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let call = channel.stream(METHOD, CallOptions::default()).expect("a call");
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        drop(call);
        assert_eq!(request.reset_by_client().await, Reason::CANCEL);

        let (reply, mut events) = events();
        drop(channel.start_unary(CallRequest::new(METHOD), reply).expect("a call"));
        connection.request().await.answer(b"still here");
        let Event::Unary(ended) = events.next().await else { panic!("another event") };
        assert_eq!(ended.message.expect("a message"), "still here");
    });
}

#[test]
fn a_call_may_be_cancelled_and_others_started_from_inside_a_completion() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (reply, mut events) = events();
        let other = channel.start_unary(CallRequest::new(METHOD), reply).expect("a call");
        let (started, mut started_events) = crate::peer::client::events();
        let same = channel.clone();
        let from_inside = Reply::callback(move |_| {
            other.cancel(Code::Cancelled, "from inside");
            same.start_unary(CallRequest::new(METHOD), started.clone()).expect("a call");
        });
        let mut connection = server.accept().await;
        let _never_answered = connection.request().await;
        channel.start_unary(CallRequest::new(METHOD), from_inside).expect("a call");
        connection.request().await.answer(b"");
        let Event::Unary(cancelled) = events.next().await else { panic!("another event") };
        assert_eq!(cancelled.end.status.message(), "from inside");
        connection.request().await.answer(b"");
        let Event::Unary(ended) = started_events.next().await else { panic!("another event") };
        assert!(ended.end.status.is_ok());
    });
}

/// [WIRE-177]
#[test]
fn answers_that_come_too_late_for_thousands_of_cancelled_calls_do_not_cost_the_connection() {
    const CALLS: usize = 10_000;
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (reply, mut ends) = events();
        let handles: Vec<_> =
            (0..CALLS).map(|_| channel.start_unary(CallRequest::new(METHOD), reply.clone()).expect("a call")).collect();
        let mut peer = server.accept_raw().await;
        peer.greet().await;
        let mut streams = Vec::new();
        while streams.len() < CALLS {
            streams.push(peer.request().await);
        }
        for handle in handles {
            handle.cancel(Code::Cancelled, "");
        }
        for _ in 0..CALLS {
            ends.next().await;
        }
        let next = call(&channel);
        for stream in streams {
            peer.write_headers(stream, &[(":status", "200"), ("content-type", "application/grpc")], false).await;
        }
        let stream = peer.request().await;
        peer.answer(stream, b"still here").await;
        assert_eq!(response(next).await.message, "still here");
        assert_eq!(channel.metrics().connect_attempts, 1);
    });
}
