//! Arguments and foreign code that once unwound into the engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use linkspan_core::{
    CallOptions, Channel, ChannelOptions, Code, Credentials, Engine, EngineOptions, Metadata, Sent, set_logger,
};

use crate::own_process::alone;
use crate::peer::client::{call, call_with, channel, failure, response};
use crate::peer::server::{ReservedPort, Server};
use crate::peer::{GUARD, run};

#[test]
fn the_longest_grace_there_is_harms_no_call_of_this_or_another_channel() {
    run(async {
        let engine = Engine::new(EngineOptions::default()).expect("an engine");
        let server = Server::start();
        let target = format!("ipv4:{}", server.address());
        let open =
            || Channel::on(&engine, &target, &Credentials::insecure(), &ChannelOptions::new()).expect("a channel");
        let (closed, other) = (open(), open());
        let calls = [call(&closed), call(&other)];
        let mut connections = [server.accept().await, server.accept().await];
        let requests = [connections[0].request().await, connections[1].request().await];
        closed.close(Some(Duration::MAX));
        engine.shutdown(Some(Duration::MAX));
        requests.into_iter().for_each(|request| request.answer(b"finished"));
        for call in calls {
            assert_eq!(response(call).await.message, "finished");
        }
        let joined = tokio::task::spawn_blocking(move || engine.join(Some(GUARD)));
        assert!(joined.await.expect("no panic"));
    });
}

#[test]
fn more_metadata_than_can_be_sent_fails_the_call_alone() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let mut metadata = Metadata::new();
        for number in 0..25_000 {
            metadata.append(&format!("k{number}"), "v").expect("good metadata");
        }
        let too_much = call_with(&channel, "", CallOptions { metadata, ..CallOptions::default() });
        let mut connection = server.accept().await;
        let failure = failure(too_much, Code::ResourceExhausted).await;
        assert_eq!(failure.end().sent, Sent::NotSent);
        assert!(failure.status().message().contains("25000 metadata entries"), "{failure}");

        let next = call(&channel);
        connection.request().await.answer(b"next");
        assert_eq!(response(next).await.message, "next");
    });
}

#[test]
fn a_logger_that_always_panics_harms_no_call() {
    alone("panics::a_logger_that_always_panics_harms_no_call", "", || {
        let lines = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&lines);
        set_logger(Some(Box::new(move |_, _, _| {
            counted.fetch_add(1, Relaxed);
            panic!("a host's mistake");
        })));
        run(async {
            let server = Server::start();
            let port = ReservedPort::new();
            let channels = [channel(&server.address()), channel(&port.address())];
            let [answered, refused] = channels.each_ref().map(call);
            let mut connection = server.accept().await;
            connection.request().await.answer(b"answered");
            assert_eq!(response(answered).await.message, "answered");
            failure(refused, Code::Unavailable).await;
            assert!(lines.load(Relaxed) > 0);
            assert!(!Engine::shared().is_shut_down());
        });
    });
}
