//! Messages that are not what their prefix says, or never end.

use linkspan_core::{CallOptions, Code};

use crate::attacker::*;
use crate::peer::client::{METHOD, call_with};
use crate::peer::server::Server;
use crate::siege::{BOUND, Fate, attacks, bounded, code_while_heard, endure, target_with};

const CANCEL: u32 = 8;
const OK: &[(&str, &str)] = &[("grpc-status", "0")];

attacks! {
    /// [WIRE-93]
    a_message_of_four_gigabytes: ResourceExhausted, Reset(CANCEL), |stream| [start(stream), data(stream, &[0, 0xff, 0xff, 0xff, 0xff])].concat();
    /// [WIRE-93], [WIRE-100], [WIRE-104], [WIRE-105]
    a_message_one_byte_above_the_limit: ResourceExhausted, Reset(CANCEL), |stream| [start(stream), data(stream, &[0, 0, 0x40, 0, 1])].concat();
    /// [WIRE-94]
    a_flag_that_does_not_exist: Internal, Reset(CANCEL), |stream| [start(stream), data(stream, &[7, 0, 0, 0, 0])].concat();
    /// [WIRE-119]
    a_compressed_message_without_an_encoding: Internal, Reset(CANCEL), |stream| [start(stream), data(stream, &[1, 0, 0, 0, 0])].concat();
    /// [WIRE-95]
    an_end_inside_a_prefix: Internal, GoesOn, |stream| [start(stream), data(stream, &[0, 0, 0]), trailers(stream, OK)].concat();
    /// [WIRE-95]
    an_end_inside_a_message: Internal, GoesOn, |stream| [start(stream), data(stream, &[0, 0, 0, 0, 9, b'x']), trailers(stream, OK)].concat();
    /// [WIRE-95], [WIRE-132]
    an_end_of_the_stream_inside_a_message: Internal, GoesOn, |stream| [start(stream), frame(DATA, END_STREAM, stream, &[0, 0, 0, 0, 9, b'x'])].concat();
    /// [WIRE-152]
    an_end_of_the_stream_without_trailers: Internal, GoesOn, |stream| [start(stream), frame(DATA, END_STREAM, stream, &[0, 0, 0, 0, 0])].concat();
    /// [WIRE-157]
    no_message_where_one_is_due: Unimplemented, GoesOn, |stream| [start(stream), trailers(stream, OK)].concat();
    /// [WIRE-158]
    two_messages_where_one_is_due: Unimplemented, Reset(CANCEL), |stream| [start(stream), message(stream, b"one"), message(stream, b"two")].concat();
    /// [WIRE-158]
    endless_messages_where_one_is_due: Unimplemented, Reset(CANCEL), |stream| [start(stream), message(stream, b"again").repeat(20_000)].concat();
}

/// Byte by byte, and the last never comes.
#[test]
fn a_message_that_does_not_end() {
    bounded(
        BOUND,
        endure(Code::DeadlineExceeded, Fate::Reset(CANCEL), async |attacker, stream| {
            attacker.say(&[start(stream), data(stream, &[0, 0, 1, 0, 0])].concat()).await;
            attacker.say_often(&data(stream, b"x"), 0xffff).await;
        }),
    );
}

#[test]
fn a_stream_that_does_not_end() {
    bounded(
        BOUND,
        endure(Code::DeadlineExceeded, Fate::Reset(CANCEL), async |attacker, stream| {
            attacker.say(&[start(stream), message(stream, b"whole")].concat()).await;
        }),
    );
}

/// Without a limit on messages four gigabytes may come; what only was announced is not made room for.
#[test]
fn four_gigabytes_announced_to_a_call_without_a_limit() {
    bounded(BOUND, async {
        let server = Server::start();
        let channel = target_with(&server, &[("grpc.max_receive_message_length", (-1).into())]);
        let timeout = linkspan_core::Timeout::After(std::time::Duration::from_secs(1));
        let call = call_with(&channel, "", CallOptions { timeout, ..CallOptions::default() });
        let mut attacker = Attacker::greet(&server).await;
        let stream = attacker.request().await;
        attacker.say(&[start(stream), data(stream, &[0, 0xff, 0xff, 0xff, 0xff, b'x'])].concat()).await;
        assert_eq!(code_while_heard(call, &mut attacker).await.0, Code::DeadlineExceeded);
    });
}

/// [WIRE-177]: an endless stream whose reader has left is not kept, and the connection's window comes back.
#[test]
fn a_stream_that_goes_on_after_its_call_was_cancelled() {
    bounded(
        BOUND,
        endure(Code::Ok, Fate::GoesOn, async |attacker, victim| {
            attacker.say(&answer(victim, b"")).await;
        }),
    );
    bounded(BOUND, async {
        let server = Server::start();
        let channel = target_with(&server, &[]);
        let mut call = channel.stream(METHOD, CallOptions::default()).expect("a call");
        call.close_send();
        let mut attacker = Attacker::greet(&server).await;
        let stream = attacker.request().await;
        attacker.say(&[start(stream), message(stream, b"first")].concat()).await;
        assert_eq!(call.message().await.expect("OK").expect("a message"), "first");
        drop(call);
        attacker.hear(|heard| heard.resets.contains_key(&stream)).await;
        // Four times the connection's window, so that it must have come back; small frames, so that each would count.
        let before = attacker.heard.count(WINDOW_UPDATE);
        attacker.say_often(&data(stream, &[0; 16_384]), 4_096).await;
        attacker.say_often(&data(stream, b"x"), 100_000).await;
        attacker.settle().await;
        assert!(attacker.heard.count(WINDOW_UPDATE) > before);
        let next = crate::peer::client::call(&channel);
        let stream = attacker.request().await;
        attacker.say(&answer(stream, b"next")).await;
        assert_eq!(crate::peer::client::response(next).await.message, "next");
    });
}
