//! What is told of an end is what happened.

use linkspan_core::{CallRequest, Code, Event, State};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::peer::client::{METHOD, becomes, call, channel, events, failure, pick_first_channel, told};
use crate::peer::raw::GOAWAY;
use crate::peer::server::Server;
use crate::peer::{beside, run};

/// Connects to a server that says these bytes and the end in one piece, and returns what the call is told.
async fn text_of_a_call_to_a_server_that_says(bytes: &'static [u8]) -> String {
    let server = Server::start();
    let channel = channel(&server.address());
    let call = call(&channel);
    let _visits = beside(async move {
        loop {
            let mut stream = server.accept_stream().await;
            socket2::SockRef::from(&stream).set_tcp_cork(true).expect("held back until the end");
            stream.write_all(bytes).await.expect("written");
            stream.shutdown().await.expect("ended");
            // Read to the end, so that the system does not make a reset of it.
            stream.read_to_end(&mut Vec::new()).await.expect("the client's end");
        }
    });
    failure(call, Code::Unavailable).await.status().message().to_owned()
}

#[test]
fn settings_that_came_together_with_the_end_have_come() {
    run(async {
        let text = text_of_a_call_to_a_server_that_says(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
        assert!(text.contains("closed by the server"), "{text}");
        assert!(!text.contains("SETTINGS"), "{text}");
    });
}

#[test]
fn a_goaway_that_came_together_with_the_settings_is_named() {
    run(async {
        const SETTINGS_AND_GOAWAY: &[u8] =
            &[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 8, GOAWAY, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let text = text_of_a_call_to_a_server_that_says(SETTINGS_AND_GOAWAY).await;
        assert!(text.contains("GOAWAY NO_ERROR"), "{text}");
        assert!(!text.contains("SETTINGS") && !text.contains("closed by this side"), "{text}");
    });
}

#[test]
fn a_connection_ended_for_a_broken_rule_is_not_told_as_closed_by_this_side() {
    const WINDOW_UPDATE: u8 = 8;
    run(async {
        let server = Server::start();
        let channel = pick_first_channel(&server.address());
        let call = call(&channel);
        let mut peer = server.accept_raw().await;
        peer.greet().await;
        peer.request().await;
        // A window may not grow by nothing.
        peer.write_frame(WINDOW_UPDATE, 0, 0, &[0; 4]).await;
        peer.closed_by_client().await;
        failure(call, Code::Internal).await;
        becomes(&channel, State::Idle).await;
        let told = told(&channel);
        let last = told.last().expect("a change");
        assert!(last.contains("the connection was lost: connection error"), "{told:?}");
        assert!(!last.contains("closed by this side"), "{told:?}");
    });
}

#[test]
fn calls_cancelled_with_ok_have_not_succeeded() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (reply, mut events) = events();
        let unary = channel.start_unary(CallRequest::new(METHOD), reply.clone()).expect("a call");
        let mut connection = server.accept().await;
        let _unary = connection.request().await;
        assert!(unary.cancel(Code::Ok, "well"));
        let Event::Unary(ended) = events.next().await else { panic!("another event") };
        assert_eq!(
            (ended.end.status.code(), ended.end.status.message(), ended.message),
            (Code::Cancelled, "well", None)
        );

        let stream = channel.start_stream(CallRequest::new(METHOD), reply).expect("a call");
        let _stream = connection.request().await;
        assert!(stream.cancel(Code::Ok, "well"));
        let Event::Status(ended) = events.next().await else { panic!("another event") };
        assert_eq!((ended.status.code(), ended.status.message()), (Code::Cancelled, "well"));
        assert_eq!(channel.metrics().calls_succeeded, 0);
    });
}
