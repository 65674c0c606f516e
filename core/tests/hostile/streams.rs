//! Frames on streams they cannot belong to, or in an order no stream has.

use linkspan_core::Code;

use crate::attacker::*;
use crate::peer::client::{call, response};
use crate::peer::server::Server;
use crate::siege::{BOUND, Fate, attacks, bounded, code_of, endure, is_served_anew, target};

const PROTOCOL_ERROR: u32 = 1;
const STREAM_CLOSED: u32 = 5;
/// Odd, and higher than any stream the client has opened.
const UNOPENED: u32 = 99;
const EVEN: u32 = 2;

attacks! {
    headers_on_no_stream: Internal, GoAway(PROTOCOL_ERROR), |_| start(0);
    data_on_no_stream: Internal, GoAway(PROTOCOL_ERROR), |_| data(0, b"x");
    a_reset_of_no_stream: Internal, GoAway(PROTOCOL_ERROR), |_| reset(0, 8);
    headers_on_a_stream_that_was_not_opened: Internal, GoAway(PROTOCOL_ERROR), |_| start(UNOPENED);
    data_on_a_stream_that_was_not_opened: Internal, GoAway(PROTOCOL_ERROR), |_| data(UNOPENED, b"x");
    a_reset_of_a_stream_that_was_not_opened: Internal, GoAway(PROTOCOL_ERROR), |_| reset(UNOPENED, 8);
    a_window_for_a_stream_that_was_not_opened: Internal, GoAway(PROTOCOL_ERROR), |_| window_update(UNOPENED, 1);
    headers_on_a_stream_of_the_servers_own: Internal, GoAway(PROTOCOL_ERROR), |_| start(EVEN);
    data_on_a_stream_of_the_servers_own: Internal, GoAway(PROTOCOL_ERROR), |_| data(EVEN, b"x");
    a_reset_of_a_stream_of_the_servers_own: Internal, GoAway(PROTOCOL_ERROR), |_| reset(EVEN, 8);
    /// [WIRE-4]
    a_push: Internal, GoAway(PROTOCOL_ERROR), |stream| frame(PUSH_PROMISE, END_HEADERS, stream, &[&EVEN.to_be_bytes()[..], &[0x82, 0x84, 0x86]].concat());
    /// [WIRE-4]
    a_push_on_a_stream_that_was_not_opened: Internal, GoAway(PROTOCOL_ERROR), |_| frame(PUSH_PROMISE, END_HEADERS, UNOPENED, &EVEN.to_be_bytes());
    /// [WIRE-159]
    data_before_headers: Internal, GoAway(PROTOCOL_ERROR), |stream| message(stream, b"early");
    /// [WIRE-156]
    a_second_block_of_headers: Internal, Reset(PROTOCOL_ERROR), |stream| [start(stream), start(stream)].concat();
}

/// What comes for a stream that is over and forgotten is answered with a reset; the connection and its calls go on.
#[test]
fn frames_for_a_stream_that_is_over() {
    let late: [fn(u32) -> Vec<u8>; 3] =
        [|stream| message(stream, b"late"), start, |stream| trailers(stream, &[("grpc-status", "13")])];
    for frames in late {
        bounded(BOUND, async {
            let server = Server::start();
            let channel = target(&server);
            let over = call(&channel);
            let mut attacker = Attacker::greet(&server).await;
            let stream = attacker.request().await;
            attacker.say(&answer(stream, b"")).await;
            response(over).await;

            let next = call(&channel);
            let next_stream = attacker.request().await;
            attacker.say(&[frames(stream), answer(next_stream, b"next")].concat()).await;
            assert_eq!(response(next).await.message, "next");
            attacker.settle().await;
            assert_eq!((attacker.heard.resets.get(&stream), attacker.heard.goaway), (Some(&STREAM_CLOSED), None));
        });
    }
}

/// A server that resets every stream as soon as it is opened, faster than anybody could use them.
#[test]
fn rapid_resets() {
    bounded(BOUND, async {
        let server = Server::start();
        let channel = target(&server);
        let first = call(&channel);
        let mut attacker = Attacker::greet(&server).await;
        let stream = attacker.request().await;
        attacker.say(&reset(stream, 8)).await;
        assert_eq!(code_of(first).await.0, Code::Cancelled);
        for _ in 0..20 {
            let calls: Vec<_> = (0..100).map(|_| call(&channel)).collect();
            for _ in 0..100 {
                let stream = attacker.request().await;
                attacker.say(&reset(stream, 8)).await;
            }
            for call in calls {
                assert_eq!(code_of(call).await.0, Code::Cancelled);
            }
        }
        let next = call(&channel);
        let stream = attacker.request().await;
        attacker.say(&answer(stream, b"next")).await;
        assert_eq!(response(next).await.message, "next");
        assert_eq!(channel.metrics().connect_attempts, 1);
    });
}

/// [RETRY-3]
#[test]
fn a_server_that_refuses_every_stream() {
    bounded(BOUND, async {
        let server = Server::start();
        let channel = target(&server);
        let refused: Vec<_> = (0..200).map(|_| call(&channel)).collect();
        let mut attacker = Attacker::greet(&server).await;
        for _ in 0..400 {
            let stream = attacker.request().await;
            attacker.say(&reset(stream, 7)).await;
        }
        for call in refused {
            assert_eq!(code_of(call).await.0, Code::Unavailable);
        }
        assert_eq!(channel.metrics().retries, 200, "one more attempt each, and no more");
    });
}

/// Broken headers on the highest stream there is leave the connection without ids for streams of our own ([WIRE-199]).
#[test]
fn broken_headers_on_the_highest_stream() {
    bounded(BOUND, async {
        let server = Server::start();
        let channel = target(&server);
        let running = call(&channel);
        let mut attacker = Attacker::greet(&server).await;
        let stream = attacker.request().await;
        let broken = block(&[(":status", "200"), ("connection", "close")]);
        attacker.say(&headers_of((1 << 31) - 1, &broken, 0)).await;
        attacker.settle().await;
        attacker.say(&answer(stream, b"running")).await;
        assert_eq!(response(running).await.message, "running");
        is_served_anew(&server, &channel).await;
    });
}

/// Each is answered with a reset, for a stream that never was.
#[test]
fn broken_headers_on_ever_new_streams() {
    bounded(
        2 * BOUND,
        endure(Code::Ok, Fate::GoesOn, async |attacker, stream| {
            let broken = block(&[(":status", "200"), ("connection", "close")]);
            for id in (1_001..200_001).step_by(2_000) {
                let many: Vec<u8> = (id..id + 2_000).step_by(2).flat_map(|id| headers_of(id, &broken, 0)).collect();
                attacker.say(&many).await;
            }
            attacker.say(&answer(stream, b"")).await;
        }),
    );
}
