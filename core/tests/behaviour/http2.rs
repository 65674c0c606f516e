//! Servers that break rules of HTTP/2 or use its rarer freedoms: what ends the call, what the whole connection. What the
//! HTTP/2 library decides here is listed in docs/h2-limits.md.

use linkspan_core::{CallOptions, CallRequest, Channel, Code, Event};

use crate::peer::client::{METHOD, Unary, call, channel, channel_with, events, failure, response};
use crate::peer::raw::{DATA, GOAWAY, HEADERS, Peer, RST_STREAM};
use crate::peer::run;
use crate::peer::server::{Server, frame};

const OK: [(&str, &str); 2] = [(":status", "200"), ("content-type", "application/grpc")];

/// A call and its stream at a server that may send anything.
async fn requested(server: &Server, channel: &Channel) -> (tokio::task::JoinHandle<Unary>, Peer, u32) {
    let call = call(channel);
    let mut peer = server.accept_raw().await;
    peer.greet().await;
    let stream = peer.request().await;
    (call, peer, stream)
}

/// [WIRE-156]
#[test]
fn a_second_block_of_headers_that_does_not_end_the_stream_ends_the_call_alone() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (broken, mut peer, stream) = requested(&server, &channel).await;
        peer.write_headers(stream, &OK, false).await;
        peer.write_headers(stream, &[("x-a", "b")], false).await;
        let failure = failure(broken, Code::Internal).await;
        assert!(failure.status().message().starts_with("the server broke a rule of HTTP/2: "), "{failure}");
        assert_eq!(peer.frame_of(RST_STREAM).await.payload, 1_u32.to_be_bytes(), "PROTOCOL_ERROR");

        let next = call(&channel);
        let stream = peer.request().await;
        peer.answer(stream, b"same connection").await;
        assert_eq!(response(next).await.message, "same connection");
    });
}

/// [WIRE-159]
#[test]
fn what_no_stream_can_explain_ends_the_connection_with_the_matching_goaway() {
    run(async {
        let too_long = vec![0; 20_000];
        let no_stream = 99;
        for (is_the_calls, payload, error) in
            [(true, &frame(b"DATA before headers")[..], 1_u32), (false, b"no such stream", 1), (true, &too_long, 6)]
        {
            let server = Server::start();
            let channel = channel(&server.address());
            let (broken, mut peer, stream) = requested(&server, &channel).await;
            peer.write_frame(DATA, 0, if is_the_calls { stream } else { no_stream }, payload).await;
            let failure = failure(broken, Code::Internal).await;
            assert!(failure.status().message().starts_with("the server broke a rule of HTTP/2: "), "{failure}");
            assert_eq!(peer.frame_of(GOAWAY).await.payload[4..8], error.to_be_bytes());
            peer.closed_by_client().await;
        }
    });
}

/// [WIRE-155]
#[test]
fn informational_headers_are_passed_over() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (call, mut peer, stream) = requested(&server, &channel).await;
        peer.write_headers(stream, &[(":status", "103"), ("link", "x")], false).await;
        peer.write_headers(stream, &[(":status", "100")], false).await;
        peer.answer(stream, b"final").await;
        let response = response(call).await;
        assert_eq!(response.message, "final");
        assert!(response.initial.is_empty(), "{:?}", response.initial);
    });
}

/// [WIRE-223]
#[test]
fn more_than_the_window_allows_ends_the_stream_with_a_flow_control_error() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[("linkspan.stream_window_bytes", 65_535.into())]);
        let (reply, mut events) = events();
        channel.start_stream(CallRequest { last: true, ..CallRequest::new(METHOD) }, reply).expect("a call");
        let mut peer = server.accept_raw().await;
        peer.greet().await;
        let stream = peer.request().await;
        peer.write_headers(stream, &OK, false).await;
        assert!(matches!(events.next().await, Event::Headers { .. }));
        // Nobody gives credit: one message is read ahead, the others are more than the window.
        for _ in 0..6 {
            peer.write_frame(DATA, 0, stream, &frame(&[0; 16_000])).await;
        }
        assert_eq!(peer.frame_of(RST_STREAM).await.payload, 3_u32.to_be_bytes(), "FLOW_CONTROL_ERROR");
    });
}

/// [WIRE-167], [WIRE-168]
#[test]
fn a_reset_after_complete_trailers_changes_nothing() {
    run(async {
        let server = Server::start();
        for reason in [0_u32, 2, 8] {
            let channel = channel(&server.address());
            let (call, mut peer, stream) = requested(&server, &channel).await;
            peer.answer(stream, b"whole").await;
            peer.write_frame(RST_STREAM, 0, stream, &reason.to_be_bytes()).await;
            assert_eq!(response(call).await.message, "whole", "reset with {reason}");
        }
    });
}

/// [WIRE-92]
#[test]
fn padded_and_empty_frames_are_fine() {
    run(async {
        const PADDED: u8 = 8;
        let server = Server::start();
        let channel = channel(&server.address());
        let (call, mut peer, stream) = requested(&server, &channel).await;
        peer.write_headers(stream, &OK, false).await;
        let message = frame(b"padded");
        peer.write_frame(DATA, 0, stream, &[]).await;
        peer.write_frame(DATA, PADDED, stream, &[&[3][..], &message[..4], &[0; 3]].concat()).await;
        peer.write_frame(DATA, PADDED, stream, &[&[200][..], &message[4..], &[0; 200]].concat()).await;
        peer.write_frame(DATA, PADDED, stream, &[0]).await;
        peer.write_headers(stream, &[("grpc-status", "0")], true).await;
        assert_eq!(response(call).await.message, "padded");
    });
}

/// [WIRE-91]
#[test]
fn a_message_may_come_byte_by_byte_and_many_in_one_frame() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let mut call = channel.stream(METHOD, CallOptions::default()).expect("a call");
        call.close_send();
        let mut peer = server.accept_raw().await;
        peer.greet().await;
        let stream = peer.request().await;
        peer.write_headers(stream, &OK, false).await;
        for byte in frame(b"slow") {
            peer.write_frame(DATA, 0, stream, &[byte]).await;
        }
        let many = [frame(b"one"), frame(b""), frame(b"three")].concat();
        peer.write_frame(DATA, 0, stream, &many).await;
        peer.write_headers(stream, &[("grpc-status", "0")], true).await;
        for wanted in ["slow", "one", "", "three"] {
            assert_eq!(call.message().await.expect("OK").expect("a message"), wanted);
        }
        assert_eq!(call.message().await.expect("OK"), None);
    });
}

/// [WIRE-175], [WIRE-177]
#[test]
fn what_still_comes_for_a_cancelled_stream_is_passed_over() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let (cancelled, mut peer, stream) = requested(&server, &channel).await;
        cancelled.abort();
        assert_eq!(peer.frame_of(RST_STREAM).await.payload, 8_u32.to_be_bytes(), "CANCEL");
        peer.answer(stream, b"too late").await;
        let next = call(&channel);
        assert_eq!(peer.frame_of(HEADERS).await.stream, stream + 2);
        peer.answer(stream + 2, b"in time").await;
        assert_eq!(response(next).await.message, "in time");
    });
}

/// [WIRE-72]
#[test]
fn headers_beyond_what_http_2_itself_takes_fail_the_call_alone() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let large = call(&channel);
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        let megabyte = "x".repeat(600_000);
        request.start_with(200, &[("x-a", &megabyte), ("x-b", &megabyte), ("content-type", "application/grpc")]);
        failure(large, Code::ResourceExhausted).await;
        let next = call(&channel);
        connection.request().await.answer(b"");
        response(next).await;
    });
}

/// A server that says more before it goes is still heard.
#[test]
fn a_message_before_a_reset_and_before_a_lost_connection_is_delivered() {
    run(async {
        for is_reset in [true, false] {
            let server = Server::start();
            let channel = channel(&server.address());
            let mut call = channel.stream(METHOD, CallOptions::default()).expect("a call");
            call.close_send();
            let mut peer = server.accept_raw().await;
            peer.greet().await;
            let stream = peer.request().await;
            peer.write_headers(stream, &OK, false).await;
            peer.write_frame(DATA, 0, stream, &frame(b"last words")).await;
            if is_reset {
                peer.write_frame(RST_STREAM, 0, stream, &2_u32.to_be_bytes()).await;
            } else {
                drop(peer);
            }
            assert_eq!(call.message().await.expect("a message").expect("a message"), "last words");
            call.message().await.expect_err("no status came");
        }
    });
}
