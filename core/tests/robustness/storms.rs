//! Things a server can do that must not set off more of the same.

use std::rc::Rc;

use linkspan_core::{Code, State};

use crate::peer::client::{becomes, call, channel, channel_with, failure, patient_call, response};
use crate::peer::raw::SETTINGS;
use crate::peer::server::Server;
use crate::peer::{beside, run};

/// [CONN-82], [CONN-25], [RETRY-2], [TRANS-02]
#[test]
fn a_server_that_closes_each_connection_before_a_call_gets_through_is_not_dialed_without_a_pause() {
    run(async {
        let server = Rc::new(Server::start());
        let channel = channel_with(&server.address(), &[("grpc.testing.fixed_reconnect_backoff_ms", 3_600_000.into())]);
        let call = patient_call(&channel);
        let (door, visitor) = (Rc::clone(&server), channel.clone());
        let visits = beside(async move {
            loop {
                let mut peer = door.accept_raw().await;
                peer.read_preface().await;
                // MAX_CONCURRENT_STREAMS 0: the call waits on a connection that is ready.
                peer.write_frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 0]).await;
                becomes(&visitor, State::Ready).await;
            }
        });
        becomes(&channel, State::TransientFailure).await;
        visits.abort();
        // Two; more only if this process stood still for so long that a connection seemed to last.
        let attempts = channel.metrics().connect_attempts;
        assert!(attempts < 10, "dialed {attempts} times");

        assert!(!call.is_finished());
        channel.reset_connect_backoff();
        let mut connection = server.accept().await;
        connection.request().await.answer(b"at last");
        assert_eq!(response(call).await.message, "at last");
    });
}

/// The HTTP/2 library counts the streams it resets over the whole life of a connection, and by itself gives up at 1024.
#[test]
fn a_thousand_broken_answers_do_not_cost_the_calls_that_run_beside_them() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let running = call(&channel);
        let mut peer = server.accept_raw().await;
        peer.greet().await;
        let stream = peer.request().await;
        for _ in 0..1_100 {
            let broken = call(&channel);
            let stream = peer.request().await;
            // HTTP/2 knows no such header.
            peer.write_headers(stream, &[(":status", "200"), ("connection", "close")], false).await;
            failure(broken, Code::Internal).await;
        }
        peer.answer(stream, b"still here").await;
        assert_eq!(response(running).await.message, "still here");
        assert_eq!(channel.metrics().connect_attempts, 1);
    });
}
