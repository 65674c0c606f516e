//! Calls and engines that once waited for something that never came.

use std::fs::File;
use std::time::Duration;

use h2::server::Builder;
use linkspan_core::{
    CallOptions, CallRequest, Channel, ChannelOptions, Code, Credentials, Engine, EngineOptions, ErrorKind, Event,
};

use crate::own_process::alone;
use crate::peer::client::{METHOD, call, call_with, channel, channel_with, events, failure, response};
use crate::peer::server::{Connection, Server};
use crate::peer::{GUARD, TemporaryFolder, run};

/// More than the window of a stream nobody reads.
const LARGE: usize = 200_000;

fn streams(limit: u32) -> Builder {
    let mut builder = Builder::new();
    // Only the streams' own windows are to hold anything up.
    builder.max_concurrent_streams(limit).initial_connection_window_size(1 << 20);
    builder
}

/// A whole call, so that everything said before it has arrived.
async fn round_trip(channel: &Channel, connection: &mut Connection) {
    let call = call(channel);
    connection.request().await.answer(b"");
    response(call).await;
}

#[test]
fn an_engine_without_a_descriptor_for_its_loop_refuses_the_call_and_serves_the_next() {
    alone(
        "hangs::an_engine_without_a_descriptor_for_its_loop_refuses_the_call_and_serves_the_next",
        "ulimit -n 64;",
        || {
            let folder = TemporaryFolder::new();
            let target = format!("unix:{}", folder.path().join("nobody").display());
            let channel = Channel::new(&target, &Credentials::insecure(), &ChannelOptions::new()).expect("a channel");
            let held: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
            let (reply, _events) = events();
            let refused = channel.start_unary(CallRequest::new(METHOD), reply).expect_err("no descriptor is left");
            assert_eq!(refused.kind(), ErrorKind::System, "{refused}");

            drop(held);
            run(async {
                failure(call(&channel), Code::Unavailable).await;
                Engine::shared().shutdown(Some(Duration::ZERO));
                assert!(Engine::shared().join(Some(GUARD)));
            });
        },
    );
}

/// The server has said all it will and does not read on: what is left of each message must not keep its stream counting.
#[test]
fn calls_answered_before_their_messages_were_sent_leave_their_streams_to_the_next() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let early = || call_with(&channel, vec![b'x'; LARGE], CallOptions::default());
        let mut call = early();
        let mut connection = server.accept_with(&streams(1)).await;
        // Held, so that the server neither reads nor refuses what follows.
        let mut requests = Vec::new();
        for _ in 0..3 {
            let mut request = connection.request().await;
            request.answer_at_once(200, &[("content-type", "application/grpc"), ("grpc-status", "7")]);
            requests.push(request);
            failure(call, Code::PermissionDenied).await;
            call = early();
        }
        connection.request().await.answer(b"read no further");
        response(call).await;
        round_trip(&channel, &mut connection).await;
        assert_eq!(channel.metrics().connect_attempts, 1);
    });
}

/// The same when this side finds fault with the answer.
#[test]
fn a_call_that_fails_here_before_its_message_was_sent_leaves_its_stream_to_the_next() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let faulty = call_with(&channel, vec![b'x'; LARGE], CallOptions::default());
        let mut connection = server.accept_with(&streams(1)).await;
        // Held, as above.
        let mut request = connection.request().await;
        let mut answer = request.start();
        answer.message(b"one");
        answer.message(b"one too many");
        answer.end(0);
        failure(faulty, Code::Unimplemented).await;
        round_trip(&channel, &mut connection).await;
        assert_eq!(channel.metrics().connect_attempts, 1);
    });
}

#[test]
fn shutting_down_ends_calls_of_channels_that_are_gone_or_closed_without_a_limit() {
    run(async {
        for grace in [Duration::ZERO, Duration::from_millis(1)] {
            let engine = Engine::new(EngineOptions::default()).expect("an engine");
            let server = Server::start();
            let target = format!("ipv4:{}", server.address());
            let open =
                || Channel::on(&engine, &target, &Credentials::insecure(), &ChannelOptions::new()).expect("a channel");
            let (dropped, closed) = (open(), open());
            let mut calls = Vec::new();
            for channel in [&dropped, &closed] {
                let (reply, events) = events();
                channel.start_stream(CallRequest::new(METHOD), reply).expect("a call");
                let mut connection = server.accept().await;
                calls.push((events, connection.request().await, connection));
            }
            drop(dropped);
            closed.close(None);
            engine.shutdown(Some(grace));
            for (mut events, ..) in calls {
                assert!(matches!(events.next().await, Event::Status(end) if end.status.code() == Code::Cancelled));
            }
            let joined = tokio::task::spawn_blocking(move || engine.join(Some(GUARD)));
            assert!(joined.await.expect("no panic"));
        }
    });
}

#[test]
fn an_awaited_send_does_not_wait_for_a_server_that_ended_early() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[("linkspan.send_high_water_bytes", 1.into())]);
        let mut call = channel.stream(METHOD, CallOptions::default()).expect("a call");
        let mut connection = server.accept_with(&streams(100)).await;
        let mut request = connection.request().await;
        // More messages than are read ahead hold the status back.
        let wanted: Vec<_> = (0..40).map(|number| format!("message {number}")).collect();
        let mut answer = request.start();
        wanted.iter().for_each(|message| answer.message(message.as_bytes()));
        answer.end(9);
        round_trip(&channel, &mut connection).await;
        // The answer is out, so the reset does not overtake it.
        request.reset(h2::Reason::NO_ERROR);
        round_trip(&channel, &mut connection).await;

        for _ in 0..20 {
            call.send(vec![b'x'; LARGE]).await.expect("taken, and swallowed");
        }
        for wanted in wanted {
            assert_eq!(call.message().await.expect("a message").expect("one more"), wanted);
        }
        assert_eq!(call.message().await.expect_err("the status").code(), Code::FailedPrecondition);
    });
}
