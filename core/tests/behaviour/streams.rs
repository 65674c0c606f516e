//! Calls with streams: the order of their events, and their one end.

use h2::Reason;
use linkspan_core::{CallOptions, CallRequest, Channel, Code, Event, SendError};

use crate::peer::client::{Events, METHOD, call, channel, events, response};
use crate::peer::raw;
use crate::peer::run;
use crate::peer::server::Server;

async fn message(events: &mut Events) -> bytes::Bytes {
    match events.next().await {
        Event::Message(message) => message,
        other => panic!("a message was due, not {other:?}"),
    }
}

async fn status(mut events: Events) -> linkspan_core::CallEnd {
    let end = match events.next().await {
        Event::Status(end) => *end,
        other => panic!("the status was due, not {other:?}"),
    };
    events.are_over().await;
    end
}

fn stream(channel: &Channel) -> linkspan_core::StreamCall {
    channel.stream(METHOD, CallOptions::default()).expect("a call")
}

#[test]
fn messages_go_both_ways_in_order_and_the_call_ends_after_both_sides_closed() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let mut call = stream(&channel);
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        let mut answer = request.start_with(200, &[("content-type", "application/grpc"), ("x-initial", "a")]);
        assert_eq!(call.headers().await.expect("headers").get("x-initial").expect("there"), "a");
        for text in ["one", "two", "three"] {
            call.send(text).await.expect("taken");
            assert_eq!(request.message().await.expect("a message"), text);
            answer.message(text.to_uppercase().as_bytes());
            assert_eq!(call.message().await.expect("OK").expect("a message"), text.to_uppercase());
        }
        call.close_send();
        assert_eq!(request.message().await, None);
        answer.end_with(&[("grpc-status", "0"), ("x-trailing", "b")]);
        assert_eq!(call.message().await.expect("OK"), None);
        assert_eq!(call.message().await.expect("OK"), None, "told again");
        assert_eq!(call.end().expect("over").trailing.get("x-trailing").expect("there"), "b");
        let metrics = channel.metrics();
        assert_eq!((metrics.messages_sent, metrics.messages_received), (3, 3));
    });
}

/// [WIRE-130], [WIRE-131]
#[test]
fn a_stream_tells_headers_then_messages_then_one_status_and_then_nothing() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (reply, mut events) = events();
        let request = CallRequest { last: true, read_credit: 100, ..CallRequest::new(METHOD) };
        let handle = channel.start_stream(request, reply).expect("a call");
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        assert_eq!(request.message().await, None);
        let mut answer = request.start();
        let Event::Headers { peer, .. } = events.next().await else { panic!("headers come first") };
        assert_eq!(&*peer, server.address());
        for text in ["one", "", "three"] {
            answer.message(text.as_bytes());
            assert_eq!(message(&mut events).await, text);
        }
        answer.end_with(&[("grpc-status", "9"), ("grpc-message", "not now")]);
        let end = status(events).await;
        assert_eq!((end.status.code(), end.status.message()), (Code::FailedPrecondition, "not now"));
        assert!(handle.is_ended());
        assert!(matches!(handle.send("late".into(), false), Err(SendError::Ended)));
        handle.read(1);
    });
}

#[test]
fn unwanted_initial_metadata_is_not_told() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (reply, mut events) = events();
        let request = CallRequest { last: true, read_credit: 1, skip_initial: true, ..CallRequest::new(METHOD) };
        channel.start_stream(request, reply).expect("a call");
        let mut connection = server.accept().await;
        connection.request().await.answer(b"only this");
        assert_eq!(message(&mut events).await, "only this");
        assert!(status(events).await.status.is_ok());
    });
}

/// A stream that sends nothing half-closes with its headers, one with a last message with that.
/// [WIRE-20]
#[test]
fn the_half_close_travels_with_the_last_thing_sent() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (reply, _events) = events();
        channel.start_stream(CallRequest { last: true, ..CallRequest::new(METHOD) }, reply.clone()).expect("a call");
        let mut peer = server.accept_raw().await;
        peer.greet().await;
        let headers = peer.frame_of(raw::HEADERS).await;
        assert_eq!(headers.flags & raw::END_STREAM, raw::END_STREAM);

        let request = CallRequest { message: Some("ab".into()), last: true, ..CallRequest::new(METHOD) };
        channel.start_stream(request, reply).expect("a call");
        let headers = peer.frame_of(raw::HEADERS).await;
        assert_eq!(headers.flags & raw::END_STREAM, 0);
        let data = peer.frame_of(raw::DATA).await;
        assert_eq!((data.flags & raw::END_STREAM, data.payload), (raw::END_STREAM, b"\0\0\0\0\x02ab".to_vec()));
    });
}

/// [WIRE-176], [CAN-4]
#[test]
fn a_status_before_the_half_close_ends_the_call_and_frees_the_servers_stream() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (reply, mut events) = events();
        let handle = channel.start_stream(CallRequest::new(METHOD), reply).expect("a call");
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        let mut answer = request.start();
        answer.end_with(&[("grpc-status", "8"), ("grpc-message", "quota")]);
        assert!(matches!(events.next().await, Event::Headers { .. }));
        let end = status(events).await;
        assert_eq!((end.status.code(), end.status.message()), (Code::ResourceExhausted, "quota"));
        assert_eq!(answer.reset_by_client().await, Reason::NO_ERROR);
        assert!(matches!(handle.half_close(), Err(SendError::Ended)));
    });
}

#[test]
fn nothing_can_be_sent_after_the_half_close() {
    run(async {
        let channel = channel("127.0.0.1:1");
        let (reply, _events) = events();
        let handle = channel
            .start_stream(CallRequest { wait_for_ready: Some(true), ..CallRequest::new(METHOD) }, reply)
            .expect("a call");
        handle.half_close().expect("the first");
        assert!(matches!(handle.send("late".into(), false), Err(SendError::HalfClosed)));
        assert!(matches!(handle.half_close(), Err(SendError::HalfClosed)));
        handle.cancel(Code::Cancelled, "");
    });
}

/// [WIRE-157], [WIRE-158]
#[test]
fn a_stream_with_a_single_response_keeps_the_rule_of_unary_calls() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let mut connection = None;
        for (messages, code) in [(0, Code::Unimplemented), (1, Code::Ok), (2, Code::Unimplemented)] {
            let (reply, mut events) = events();
            let request = CallRequest { last: true, read_credit: 2, single_response: true, ..CallRequest::new(METHOD) };
            channel.start_stream(request, reply).expect("a call");
            if connection.is_none() {
                connection = Some(server.accept().await);
            }
            let mut request = connection.as_mut().expect("accepted").request().await;
            let mut answer = request.start();
            (0..messages).for_each(|_| answer.message(b"response"));
            answer.end(0);
            let end = loop {
                match events.next().await {
                    Event::Status(end) => break end,
                    Event::Headers { .. } | Event::Message(_) => {}
                    other => panic!("{other:?}"),
                }
            };
            assert_eq!(end.status.code(), code, "{messages} messages: {}", end.status);
        }
    });
}

/// [WIRE-224], [WIRE-225]
#[test]
fn messages_much_larger_than_all_windows_arrive_whole_both_ways() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let size = 3 << 20;
        let message: Vec<u8> = (0..size).map(|at: u32| (at % 251) as u8).collect();
        let sent = message.clone();
        let call = crate::peer::beside({
            let channel = channel.clone();
            async move { channel.unary(METHOD, sent, CallOptions::default()).await }
        });
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        let received = request.message().await.expect("a message");
        assert!(received == message);
        request.answer(&received);
        assert!(response(call).await.message == message);
    });
}

/// Calls do not wait for each other: a long one is not in the way of a short one.
#[test]
fn a_call_ends_while_an_older_stream_is_still_open() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let mut open = stream(&channel);
        let mut connection = server.accept().await;
        let mut open_request = connection.request().await;
        let short = call(&channel);
        connection.request().await.answer(b"short");
        assert_eq!(response(short).await.message, "short");
        open.close_send();
        open_request.start().end(0);
        assert_eq!(open.message().await.expect("OK"), None);
    });
}

#[test]
fn the_halves_of_a_stream_send_and_receive_at_the_same_time() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (mut sender, mut receiver) = stream(&channel).split();
        // More than may wait to be sent, and more messages than are read ahead.
        let sending = crate::peer::beside(async move {
            for _ in 0..200 {
                sender.send(vec![b'x'; 10_000]).await.expect("taken");
            }
            sender.close_send();
        });
        let receiving = crate::peer::beside(async move {
            let mut count = 0;
            while receiver.message().await.expect("OK").is_some() {
                count += 1;
            }
            count
        });
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        let mut answer = request.start();
        while let Some(message) = request.message().await {
            answer.message(&message);
        }
        answer.end(0);
        sending.await.expect("no panic");
        assert_eq!(receiving.await.expect("no panic"), 200);
    });
}

#[test]
fn a_sender_that_waits_for_room_is_told_the_end() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (mut sender, _receiver) = stream(&channel).split();
        let sending = crate::peer::beside(async move {
            loop {
                if let Err(refused) = sender.send(vec![b'x'; 100_000]).await {
                    return refused;
                }
            }
        });
        let mut connection = server.accept().await;
        // Nothing is read, so the window stays shut and the sender waits.
        let mut request = connection.request().await;
        request.reset(Reason::INTERNAL_ERROR);
        assert!(matches!(sending.await.expect("no panic"), SendError::Ended));
    });
}

#[test]
fn a_small_first_message_comes_with_the_headers_in_one_piece() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let mut call = stream(&channel);
        call.send("hello").await.expect("taken");
        let mut peer = server.accept_raw().await;
        peer.greet().await;
        peer.frame_of(raw::HEADERS).await;
        assert!(peer.has_more_at_once(), "the message was sent by itself");
    });
}

#[test]
fn a_dropped_sender_half_closes_and_a_dropped_call_is_cancelled_without() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (mut sender, mut receiver) = stream(&channel).split();
        sender.send("only").await.expect("taken");
        drop(sender);
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        assert_eq!(request.message().await.expect("a message"), "only");
        assert_eq!(request.message().await, None, "nothing follows");
        request.answer(b"done");
        assert_eq!(receiver.message().await.expect("OK").expect("a message"), "done");

        let dropped = stream(&channel);
        let mut request = connection.request().await;
        drop(dropped);
        assert_eq!(request.reset_by_client().await, Reason::CANCEL);
    });
}

#[test]
fn a_sender_whose_receiver_was_dropped_learns_of_the_end_whatever_the_server_still_sent() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (mut sender, receiver) = stream(&channel).split();
        drop(receiver);
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        let mut answer = request.start();
        for _ in 0..100 {
            answer.message(b"nobody reads this");
        }
        answer.end(0);
        while sender.send(vec![b'x'; 100]).await.is_ok() {
            tokio::task::yield_now().await;
        }
    });
}
