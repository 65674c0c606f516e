//! Servers that let go of a connection or of a stream: what was not processed is tried again unseen, the rest goes on.

use h2::server::Builder;
use linkspan_core::{CallOptions, CallRequest, Channel, Code, Event, Sent, State};
use tokio::task::JoinHandle;

use crate::peer::client::{
    METHOD, Unary, becomes, call, channel, channel_with, events, failure, pick_first_channel, response, told,
};
use crate::peer::raw::{ACK, GOAWAY, PING, Peer, RST_STREAM};
use crate::peer::server::Server;
use crate::peer::{beside, run};

/// GOAWAY's largest last stream: every stream so far may finish.
const ALL_STREAMS: u32 = (1 << 31) - 1;

/// A call on the channel's first connection, that connection, and the call's stream.
async fn running_call(server: &Server, channel: &Channel) -> (JoinHandle<Unary>, Peer, u32) {
    let call = call(channel);
    let mut peer = server.accept_raw().await;
    peer.greet().await;
    let stream = peer.request().await;
    (call, peer, stream)
}

/// [WIRE-190], [WIRE-192], [CONN-33], [CONN-81], [TRANS-13]
#[test]
fn a_goaway_lets_the_running_call_finish_and_sends_new_ones_to_a_new_connection() {
    run(async {
        let server = Server::start();
        let channel = pick_first_channel(&server.address());
        let running = call(&channel);
        let mut first = server.accept().await;
        let request = first.request().await;
        first.shut_down_gracefully();
        becomes(&channel, State::Idle).await;
        assert!(!running.is_finished());
        let draining = channel.metrics().connections;
        assert_eq!((draining[0].state, draining[0].goaway_code), ("draining", Some(0)));

        let new = call(&channel);
        let mut second = server.accept().await;
        second.request().await.answer(b"new");
        assert_eq!(response(new).await.message, "new");
        assert!(!running.is_finished());

        request.answer(b"finished");
        assert_eq!(response(running).await.message, "finished");
        // [WIRE-197]
        first.closed_by_client().await;
        assert_eq!(channel.state(false), State::Ready);
    });
}

/// [WIRE-196], [CONN-83]
#[test]
fn the_words_of_a_goaway_are_told_with_the_change() {
    run(async {
        let server = Server::start();
        let channel = pick_first_channel(&server.address());
        channel.state(true);
        let mut peer = server.accept_raw().await;
        peer.greet().await;
        becomes(&channel, State::Ready).await;
        peer.write_goaway(ALL_STREAMS, 11, "too_many_pings").await;
        becomes(&channel, State::Idle).await;
        let last = told(&channel).pop().expect("an event");
        let address = server.address();
        assert_eq!(
            last,
            format!("READY → IDLE: the server sent GOAWAY ENHANCE_YOUR_CALM \"too_many_pings\" [{address}]")
        );
        peer.closed_by_client().await;
        assert_eq!(channel.metrics().connections.len(), 0);
    });
}

/// [WIRE-191], [RETRY-3], [RETRY-4]
#[test]
fn a_call_the_goaway_excludes_is_made_again_unseen_on_a_new_connection() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let call = call(&channel);
        let mut first = server.accept_raw().await;
        first.greet().await;
        first.request().await;
        first.write_goaway(0, 0, "max_age").await;

        let mut second = server.accept().await;
        let mut request = second.request().await;
        assert_eq!(request.message().await.expect("a message"), "hello");
        request.answer(b"second");
        assert_eq!(response(call).await.message, "second");
        let metrics = channel.metrics();
        assert_eq!((metrics.retries, metrics.calls_started, metrics.calls_failed), (1, 1, 0));
    });
}

/// [WIRE-191], [RETRY-3]
#[test]
fn a_call_two_goaways_exclude_fails_and_says_that_it_was_not_processed() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[("linkspan.preset", "grpc".into())]);
        let call = call(&channel);
        for _ in 0..2 {
            let mut peer = server.accept_raw().await;
            peer.greet().await;
            peer.request().await;
            peer.write_goaway(0, 0, "max_age").await;
        }
        let failure = failure(call, Code::Unavailable).await;
        let text = failure.status().message();
        assert!(text.starts_with("the server did not process the call: GOAWAY NO_ERROR \"max_age\"; "), "{text}");
        assert!(text.ends_with("; not processed by the server"), "{text}");
        assert_eq!(failure.end().sent, Sent::Refused);
        assert_eq!(channel.metrics().retries, 1);
    });
}

/// [WIRE-165], [RETRY-3]
#[test]
fn a_refused_stream_is_opened_again_unseen_once() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[("linkspan.preset", "grpc".into())]);
        let twice = call(&channel);
        let mut connection = server.accept().await;
        connection.request().await.reset(h2::Reason::REFUSED_STREAM);
        connection.request().await.answer(b"again");
        assert_eq!(response(twice).await.message, "again");

        let thrice = call(&channel);
        for _ in 0..2 {
            connection.request().await.reset(h2::Reason::REFUSED_STREAM);
        }
        let failure = failure(thrice, Code::Unavailable).await;
        assert!(failure.status().message().contains("REFUSED_STREAM"), "{failure}");
        assert_eq!(failure.end().sent, Sent::Refused);
        assert!(!connection.has_waiting_request());
        assert_eq!(channel.metrics().retries, 2);
        assert_eq!(channel.metrics().connect_attempts, 1);
    });
}

/// [RETRY-3]
#[test]
fn a_refused_stream_is_opened_again_five_times_by_the_resilient_set() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let patient = call(&channel);
        let mut connection = server.accept().await;
        for _ in 0..5 {
            connection.request().await.reset(h2::Reason::REFUSED_STREAM);
        }
        connection.request().await.answer(b"at last");
        assert_eq!(response(patient).await.message, "at last");
        assert_eq!(channel.metrics().retries, 5);
    });
}

#[test]
fn refused_calls_are_made_again_within_the_channels_budget() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[("linkspan.retry_budget", "1, 0".into())]);
        let first = call(&channel);
        let mut connection = server.accept().await;
        for _ in 0..2 {
            connection.request().await.reset(h2::Reason::REFUSED_STREAM);
        }
        failure(first, Code::Unavailable).await;
        assert_eq!(channel.metrics().retries, 1, "one call earns one");
        assert!(!connection.has_waiting_request());
    });
}

/// [RETRY-3]
#[test]
fn a_refused_call_with_streams_is_made_again_with_the_messages_it_had_sent() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (reply, mut events) = events();
        let handle = channel.start_stream(CallRequest::new(METHOD), reply).expect("a call");
        handle.send("one".into(), false).expect("room");
        let mut connection = server.accept().await;
        let mut refused = connection.request().await;
        assert_eq!(refused.message().await.expect("a message"), "one");
        refused.reset(h2::Reason::REFUSED_STREAM);

        let mut again = connection.request().await;
        handle.send("two".into(), true).expect("room");
        for wanted in ["one", "two"] {
            assert_eq!(again.message().await.expect("a message"), wanted);
        }
        assert_eq!(again.message().await, None);
        again.start().end(0);
        let Event::Headers { .. } = events.next().await else { panic!("another event") };
        loop {
            match events.next().await {
                Event::Writable => {}
                Event::Status(end) => break assert!(end.status.is_ok(), "{:?}", end.status),
                other => panic!("{other:?}"),
            }
        }
        events.are_over().await;
        assert_eq!(channel.metrics().retries, 1);
    });
}

/// A message that waits for the server's window when its attempt is refused takes no room of those after it.
#[test]
fn a_refused_call_with_a_message_on_its_way_takes_further_messages_when_it_is_made_again() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[("linkspan.send_high_water_bytes", 1_024.into())]);
        let mut call = channel.stream(METHOD, CallOptions::default()).expect("a call");
        let sender = beside(async move {
            for _ in 0..5 {
                call.send(vec![b'x'; 1_000]).await.expect("room, in the end");
            }
            call.close_send();
            call
        });
        // The first goes with the headers, the second waits.
        let mut connection = server.accept_with(Builder::new().initial_window_size(64)).await;
        connection.request().await.reset(h2::Reason::REFUSED_STREAM);

        let mut again = connection.request().await;
        for _ in 0..5 {
            assert_eq!(again.message().await.expect("a message").len(), 1_000);
        }
        assert_eq!(again.message().await, None);
        again.start().end(0);
        let mut call = sender.await.expect("no panic");
        assert_eq!(call.message().await.expect("OK"), None);
    });
}

/// [TRANS-11]: what was sent is not kept beyond a bound, so such a call cannot be made again; its caller is told that it may be.
#[test]
fn a_refused_call_that_sent_much_ends_unavailable_and_says_that_it_was_not_processed() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (reply, mut events) = events();
        let message = vec![0; 300 << 10];
        let request = CallRequest { last: true, message: Some(message.into()), ..CallRequest::new(METHOD) };
        channel.start_stream(request, reply).expect("a call");
        let mut connection = server.accept().await;
        let mut refused = connection.request().await;
        refused.message().await.expect("a message");
        refused.reset(h2::Reason::REFUSED_STREAM);
        let Event::Status(end) = events.next().await else { panic!("another event") };
        assert_eq!((end.status.code(), end.sent), (Code::Unavailable, Sent::Refused));
        events.are_over().await;
    });
}

/// [WIRE-191], [WIRE-192]
#[test]
fn a_goaway_parts_the_calls_it_includes_from_those_it_does_not() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (included, mut first, included_stream) = running_call(&server, &channel).await;
        let excluded = call(&channel);
        let excluded_stream = first.request().await;
        assert!(included_stream < excluded_stream);
        first.write_goaway(included_stream, 0, "").await;

        let mut second = server.accept().await;
        second.request().await.answer(b"on the second");
        assert_eq!(response(excluded).await.message, "on the second");
        first.answer(included_stream, b"on the first").await;
        assert_eq!(response(included).await.message, "on the first");
        first.closed_by_client().await;
    });
}

/// The server looked at the call when it answered; to make it again would be to make it twice.
#[test]
fn a_stream_refused_after_its_headers_is_not_made_again() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (call, mut peer, stream) = running_call(&server, &channel).await;
        peer.write_headers(stream, &[(":status", "200"), ("content-type", "application/grpc")], false).await;
        peer.write_frame(RST_STREAM, 0, stream, &7_u32.to_be_bytes()).await;
        failure(call, Code::Unavailable).await;
        assert_eq!(channel.metrics().retries, 0);
    });
}

/// [CONN-80], [WIRE-194]
#[test]
fn a_graceful_end_in_two_goaways_with_a_ping_between_is_one_event_and_the_call_finishes() {
    run(async {
        let server = Server::start();
        let channel = pick_first_channel(&server.address());
        let (running, mut peer, stream) = running_call(&server, &channel).await;
        peer.write_goaway(ALL_STREAMS, 0, "max_age").await;
        peer.write_frame(PING, 0, 0, &[1, 2, 3, 4, 5, 6, 7, 8]).await;
        // [WIRE-205]
        let answer = peer.frame_of(PING).await;
        assert_eq!((answer.flags, answer.payload), (ACK, vec![1, 2, 3, 4, 5, 6, 7, 8]));
        becomes(&channel, State::Idle).await;
        peer.write_goaway(stream, 0, "max_age").await;
        peer.answer(stream, b"finished").await;
        assert_eq!(response(running).await.message, "finished");
        peer.closed_by_client().await;
        let told = told(&channel);
        assert_eq!(told.iter().filter(|event| event.contains("GOAWAY")).count(), 1, "{told:?}");
        assert_eq!(channel.metrics().retries, 0);
    });
}

/// [CONN-84], [WIRE-195], [TRANS-14]
#[test]
fn a_goaway_with_an_error_lets_the_calls_it_includes_finish_too() {
    run(async {
        let server = Server::start();
        let channel = pick_first_channel(&server.address());
        let (running, mut peer, stream) = running_call(&server, &channel).await;
        peer.write_goaway(stream, 2, "something broke").await;
        becomes(&channel, State::Idle).await;
        let last = told(&channel).pop().expect("an event");
        assert!(last.contains("the server sent GOAWAY INTERNAL_ERROR \"something broke\""), "{last}");
        peer.answer(stream, b"finished").await;
        assert_eq!(response(running).await.message, "finished");
        peer.closed_by_client().await;
    });
}

/// [CONN-84], [WIRE-195]
#[test]
fn a_call_on_a_connection_that_closes_after_a_goaway_with_an_error_ends_unavailable_and_says_both() {
    run(async {
        let server = Server::start();
        let channel = pick_first_channel(&server.address());
        let (running, mut peer, stream) = running_call(&server, &channel).await;
        peer.write_goaway(stream, 11, "too_many_pings").await;
        peer.stop_sending().await;
        let failure = failure(running, Code::Unavailable).await;
        let text = failure.status().message();
        let wanted = "connection lost: closed by the server, after GOAWAY ENHANCE_YOUR_CALM \"too_many_pings\"; ";
        assert!(text.starts_with(wanted), "{text}");
    });
}

/// [CONN-85]
#[test]
fn several_connections_drain_at_once_each_with_its_own_streams() {
    run(async {
        let server = Server::start();
        let channel = pick_first_channel(&server.address());
        let (mut draining, mut running) = (Vec::new(), Vec::new());
        for _ in 0..3 {
            // One that is answered, so that the connection was worth dialing ([CONN-82]).
            let answered = call(&channel);
            let mut peer = server.accept_raw().await;
            peer.greet().await;
            let stream = peer.request().await;
            peer.answer(stream, b"answered").await;
            response(answered).await;
            running.push(call(&channel));
            let stream = peer.request().await;
            peer.write_goaway(stream, 0, "").await;
            becomes(&channel, State::Idle).await;
            draining.push((peer, stream));
        }
        let shown = channel.metrics().connections;
        assert!(shown.iter().all(|one| (one.state, one.streams_active) == ("draining", 1)), "{shown:?}");
        assert_eq!(shown.len(), 3);
        for ((mut peer, stream), call) in draining.into_iter().zip(running).rev() {
            peer.answer(stream, b"finished").await;
            assert_eq!(response(call).await.message, "finished");
            peer.closed_by_client().await;
        }
    });
}

/// [WIRE-193]
#[test]
fn a_last_stream_that_grows_or_is_none_of_ours_ends_the_connection() {
    run(async {
        for (last_streams, code) in [(&[1, 3][..], Code::Internal), (&[2], Code::Unavailable)] {
            let server = Server::start();
            let channel = pick_first_channel(&server.address());
            let running = call(&channel);
            let mut peer = server.accept_raw().await;
            peer.greet().await;
            assert_eq!(peer.request().await, 1);
            for last_stream in last_streams {
                peer.write_goaway(*last_stream, 0, "").await;
            }
            failure(running, code).await;
            if code == Code::Internal {
                let goaway = peer.frame_of(GOAWAY).await;
                assert_eq!(goaway.payload[4..8], [0, 0, 0, 1], "PROTOCOL_ERROR");
            }
            peer.closed_by_client().await;
        }
    });
}
