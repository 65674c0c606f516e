//! Connections that another one takes over from: the new one is there before the old one takes no more calls.

use linkspan_core::State;

use crate::peer::client::{becomes, call, channel_with, patient_call, response};
use crate::peer::run;
use crate::peer::server::Server;

#[test]
fn a_connection_that_carried_its_calls_serves_on_until_the_next_is_usable_and_then_finishes_its_streams() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[("linkspan.max_requests_per_connection", 2.into())]);
        let running = call(&channel);
        let mut first = server.accept().await;
        let open = first.request().await;
        let last = call(&channel);
        first.request().await.answer(b"first");
        response(last).await;

        // The successor is dialed, and nobody has greeted it yet.
        let successor = server.accept_stream().await;
        let meanwhile = call(&channel);
        first.request().await.answer(b"meanwhile");
        assert_eq!(response(meanwhile).await.message, "meanwhile");

        let mut second = crate::peer::server::Connection::serve(successor, &h2::server::Builder::new()).await;
        while channel.metrics().connections.iter().filter(|connection| connection.state == "ready").count() != 1
            || channel.metrics().connections.len() != 2
        {
            tokio::task::yield_now().await;
        }
        let new = call(&channel);
        second.request().await.answer(b"second");
        assert_eq!(response(new).await.message, "second");

        open.answer(b"finished");
        assert_eq!(response(running).await.message, "finished");
        first.closed_by_client().await;
        let changes: Vec<_> = channel.events(0).iter().map(|event| event.to).collect();
        assert_eq!(changes, [State::Connecting, State::Ready], "nobody outside noticed");
    });
}

#[test]
fn a_successor_that_cannot_be_had_costs_nothing() {
    run(async {
        let server = Server::start();
        let address = server.address();
        let channel = channel_with(&address, &[("linkspan.max_requests_per_connection", 1.into())]);
        let first = call(&channel);
        let mut connection = server.accept().await;
        connection.request().await.answer(b"one");
        response(first).await;
        // It answers in another protocol.
        let mut wrong = server.accept_raw().await;
        wrong.write(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        while channel.metrics().connect_failures == 0 {
            tokio::task::yield_now().await;
        }
        let second = call(&channel);
        connection.request().await.answer(b"two");
        assert_eq!(response(second).await.message, "two");
        assert_eq!(channel.state(false), State::Ready);
    });
}

/// [CONN-10], [CONN-15], [CONN-6]
#[test]
fn a_channel_nobody_uses_closes_its_connection_and_the_next_call_connects_again() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[("grpc.client_idle_timeout_ms", 1_000.into())]);
        let first = call(&channel);
        let mut connection = server.accept().await;
        connection.request().await.answer(b"first");
        response(first).await;
        becomes(&channel, State::Idle).await;
        let last = channel.events(0).last().map(ToString::to_string).expect("an event");
        assert_eq!(last, "READY → IDLE: no call was made for 1.0 s");
        connection.closed_by_client().await;

        let second = patient_call(&channel);
        let mut connection = server.accept().await;
        connection.request().await.answer(b"second");
        assert_eq!(response(second).await.message, "second");
    });
}
