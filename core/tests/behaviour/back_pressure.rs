//! Nobody is made to hold more than agreed: slow readers stop servers, slow servers stop senders.

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use linkspan_core::{CallOptions, CallRequest, Channel, Code, Event, SendError};

use crate::peer::client::{Events, METHOD, call, call_with, channel, channel_with, events, response};
use crate::peer::raw::{ACK, DATA, END_STREAM, SETTINGS, WINDOW_UPDATE};
use crate::peer::server::{Connection, Server, frame};
use crate::peer::{beside, run};

/// RFC 9113 §6.9.2, and the smallest window an option may ask for.
const WINDOW: usize = 65_535;
/// A DATA frame is at most this long (RFC 9113 §4.2): what may be in the hands of the decoder beside a message.
const FRAME: usize = 16_384;
const MESSAGE: usize = 10_000;

/// Some calls there and back on the same connection: what the engine was going to do with other streams, it has done.
async fn round_trips(channel: &Channel, connection: &mut Connection) {
    for _ in 0..20 {
        let call = call(channel);
        connection.request().await.answer(b"");
        response(call).await;
    }
}

/// [WIRE-222]
#[test]
fn a_reader_without_credit_stops_a_server_that_would_send_for_ever_and_no_other_call() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[("linkspan.stream_window_bytes", 65_535.into())]);
        let (reply, mut events) = events();
        let request = CallRequest { last: true, read_credit: 0, ..CallRequest::new(METHOD) };
        let handle = channel.start_stream(request, reply).expect("a call");
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        let sent = Rc::new(Cell::new(0));
        let mut answer = request.start();
        let counter = Rc::clone(&sent);
        beside(async move {
            loop {
                let mut message = Bytes::from(frame(&[b'x'; MESSAGE]));
                while !message.is_empty() {
                    counter.set(counter.get() + answer.send_what_fits(&mut message).await);
                }
            }
        });
        assert!(matches!(events.next().await, Event::Headers { .. }));
        round_trips(&channel, &mut connection).await;
        // One message is read ahead of the credit.
        let most = |messages: usize| (messages + 1) * (MESSAGE + 5) + WINDOW + FRAME;
        assert!(sent.get() >= WINDOW, "the window was used: {}", sent.get());
        assert!(sent.get() <= most(0), "{}", sent.get());
        assert!(events.is_empty(), "no message without credit");

        handle.read(3);
        for _ in 0..3 {
            let Event::Message(message) = events.next().await else { panic!("another event") };
            assert_eq!(message.len(), MESSAGE);
        }
        round_trips(&channel, &mut connection).await;
        assert!(events.is_empty(), "no message beyond the credit");
        assert!(sent.get() <= most(3), "{}", sent.get());

        handle.cancel(Code::Cancelled, "enough");
        let Event::Status(end) = events.next().await else { panic!("another event") };
        assert_eq!(end.status.message(), "enough");
        events.are_over().await;
    });
}

#[test]
fn the_end_shows_without_credit_when_no_message_is_left() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let mut connection = None;
        for messages in [0, 1] {
            let (reply, mut events) = events();
            let handle =
                channel.start_stream(CallRequest { last: true, ..CallRequest::new(METHOD) }, reply).expect("a call");
            if connection.is_none() {
                connection = Some(server.accept().await);
            }
            let connection = connection.as_mut().expect("accepted");
            let mut request = connection.request().await;
            let mut answer = request.start();
            (0..messages).for_each(|_| answer.message(b"x"));
            answer.end(0);
            assert!(matches!(events.next().await, Event::Headers { .. }));
            round_trips(&channel, connection).await;
            if messages == 1 {
                assert!(events.is_empty(), "a message is left");
                handle.read(1);
                assert!(matches!(events.next().await, Event::Message(_)));
            }
            assert!(matches!(events.next().await, Event::Status(end) if end.status.is_ok()));
        }
    });
}

/// Sends until nothing more is taken and nothing moves; returns how many messages were taken.
async fn fill(
    handle: &linkspan_core::CallHandle,
    events: &mut Events,
    channel: &Channel,
    connection: &mut Connection,
) -> usize {
    let message = Bytes::from(vec![b'x'; MESSAGE]);
    let mut taken = 0;
    loop {
        match handle.send(message.clone(), false) {
            Ok(()) => taken += 1,
            Err(SendError::Full(back)) => {
                assert_eq!(back, message, "a refused message comes back");
                round_trips(channel, connection).await;
                if events.is_empty() {
                    return taken;
                }
                assert!(matches!(events.next().await, Event::Writable));
                assert!(events.is_empty(), "told once");
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_server_that_does_not_read_stops_the_sender_who_is_told_once_when_there_is_room() {
    run(async {
        let server = Server::start();
        let high_water = 30_000;
        let channel = channel_with(&server.address(), &[("linkspan.send_high_water_bytes", 30_000.into())]);
        let (reply, mut events) = events();
        let handle = channel.start_stream(CallRequest::new(METHOD), reply).expect("a call");
        // The connection's window is wide, so that it is this stream's that is full.
        let mut builder = h2::server::Builder::new();
        builder.initial_connection_window_size(1 << 20);
        let mut connection = server.accept_with(&builder).await;
        let mut request = connection.request().await;

        let taken = fill(&handle, &mut events, &channel, &mut connection).await;
        assert!(taken * MESSAGE >= WINDOW, "{taken} messages");
        assert!(taken * MESSAGE <= WINDOW + high_water + 2 * MESSAGE, "{taken} messages");
        assert!(matches!(handle.send("more".into(), false), Err(SendError::Full(_))));
        assert!(events.is_empty());

        for _ in 0..taken {
            assert_eq!(request.message().await.expect("a message").len(), MESSAGE);
        }
        assert!(matches!(events.next().await, Event::Writable));
        handle.send("the last".into(), true).expect("room");
        assert_eq!(request.message().await.expect("a message"), "the last");
        assert_eq!(request.message().await, None);
        request.start().end(0);
        assert!(matches!(events.next().await, Event::Headers { .. }));
        assert!(matches!(events.next().await, Event::Status(end) if end.status.is_ok()));
        events.are_over().await;
    });
}

#[test]
fn a_message_above_the_mark_is_taken_when_nothing_waits() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[("linkspan.send_high_water_bytes", 1.into())]);
        let (reply, _events) = events();
        let handle = channel.start_stream(CallRequest::new(METHOD), reply).expect("a call");
        handle.send(vec![b'x'; 1 << 20].into(), true).expect("one is always taken");
        let mut connection = server.accept().await;
        assert_eq!(connection.request().await.message().await.expect("a message").len(), 1 << 20);
    });
}

#[test]
fn an_awaited_send_waits_for_the_server_and_a_stalled_call_still_ends() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let mut call = channel.stream(METHOD, CallOptions::default()).expect("a call");
        let sender = beside(async move {
            for _ in 0..100 {
                if let Err(refused) = call.send(vec![b'x'; MESSAGE]).await {
                    return (call, Err(refused));
                }
            }
            (call, Ok(()))
        });
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        for _ in 0..5 {
            request.message().await.expect("a message");
        }
        assert!(!sender.is_finished());
        request.answer_at_once(
            200,
            &[("content-type", "application/grpc"), ("grpc-status", "8"), ("grpc-message", "no more")],
        );
        let (mut call, outcome) = sender.await.expect("no panic");
        assert!(matches!(outcome, Err(SendError::Ended)), "{outcome:?}");
        assert_eq!(call.message().await.expect_err("a failure").status().message(), "no more");
    });
}

/// Nothing will be sent any more, but who was told to wait is told when to go on.
#[test]
fn a_sender_who_waits_for_room_is_told_of_it_although_the_server_ended_early() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[("linkspan.send_high_water_bytes", 100_000.into())]);
        let (reply, mut events) = events();
        let handle = channel.start_stream(CallRequest::new(METHOD), reply).expect("a call");
        let mut builder = h2::server::Builder::new();
        builder.initial_connection_window_size(1 << 20);
        let mut connection = server.accept_with(&builder).await;
        let mut request = connection.request().await;
        // The first does not fit the window; the second alone is above the mark.
        handle.send(vec![b'x'; 70_000].into(), false).expect("room");
        handle.send(vec![b'x'; 200_000].into(), false).expect("room");
        assert!(matches!(handle.send("more".into(), false), Err(SendError::Full(_))));

        // The message is not read, so the status waits behind it.
        let mut answer = request.start();
        answer.message(b"unread");
        answer.end(0);
        assert!(matches!(events.next().await, Event::Headers { .. }));
        // The answer is out, so the reset does not overtake it.
        round_trips(&channel, &mut connection).await;
        request.reset(h2::Reason::NO_ERROR);
        assert!(matches!(events.next().await, Event::Writable));
        handle.send("swallowed".into(), false).expect("room");
        handle.read(1);
        assert!(matches!(events.next().await, Event::Message(_)));
        assert!(matches!(events.next().await, Event::Status(end) if end.status.is_ok()));
        events.are_over().await;
    });
}

/// [WIRE-225]
#[test]
fn a_call_whose_server_gives_its_stream_no_room_holds_up_no_other_call() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let stalled = call_with(&channel, vec![7; 1 << 20], CallOptions::default());
        let mut peer = server.accept_raw().await;
        peer.greet().await;
        // Room on the connection for everybody, and none on the stream beyond what it begins with.
        peer.write_frame(WINDOW_UPDATE, 0, 0, &(16_u32 << 20).to_be_bytes()).await;
        let mut room = 65_535;
        while room > 0 {
            room -= peer.frame_of(DATA).await.payload.len();
        }
        for _ in 0..10 {
            let call = call(&channel);
            let stream = peer.request().await;
            peer.answer(stream, b"passed").await;
            assert_eq!(response(call).await.message, "passed");
        }
        stalled.abort();
    });
}

/// [WIRE-225]
#[test]
fn a_small_call_passes_a_large_message_that_is_being_written() {
    const LARGE: usize = 48 << 20;
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let large = call_with(&channel, vec![7; LARGE], CallOptions::default());
        let mut peer = server.accept_raw().await;
        peer.read_preface().await;
        // INITIAL_WINDOW_SIZE, and as much for the connection: nothing but the socket holds anybody back.
        let most = (i32::MAX as u32).to_be_bytes();
        peer.write_frame(SETTINGS, 0, 0, &[&[0, 4], &most[..]].concat()).await;
        peer.write_frame(WINDOW_UPDATE, 0, 0, &(i32::MAX as u32 - 65_535).to_be_bytes()).await;
        peer.write_frame(SETTINGS, ACK, 0, &[]).await;
        let mut written = peer.frame_of(DATA).await.payload.len();
        let small = call(&channel);
        let passed = loop {
            let frame = peer.frame().await.expect("open");
            let is_small = frame.stream != 1 && frame.flags & END_STREAM != 0;
            match frame.kind {
                DATA if is_small => break frame.stream,
                DATA if frame.stream == 1 => written += frame.payload.len(),
                _ => {}
            }
        };
        assert!(written < LARGE, "{written} bytes went first");
        peer.answer(passed, b"passed").await;
        assert_eq!(response(small).await.message, "passed");
        large.abort();
    });
}
