//! Flow control that overflows, or is not kept.

use linkspan_core::{CallOptions, Channel, Code, OptionValue, StreamCall};

use crate::attacker::*;
use crate::peer::client::{METHOD, response};
use crate::peer::server::Server;
use crate::siege::{BOUND, Fate, attacks, bounded, endure, is_served_anew, target_with};

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const MOST: u32 = (1 << 31) - 1;
const INITIAL_WINDOW_SIZE: u16 = 4;

attacks! {
    /// [WIRE-208]
    a_window_of_the_connection_that_grows_by_nothing: Internal, GoAway(PROTOCOL_ERROR), |_| window_update(0, 0);
    /// [WIRE-208]
    a_window_of_the_stream_that_grows_by_nothing: Internal, GoAway(PROTOCOL_ERROR), |stream| window_update(stream, 0);
    /// [WIRE-208]
    a_window_of_the_connection_beyond_the_largest: Internal, GoAway(FLOW_CONTROL_ERROR), |_| window_update(0, MOST);
}

/// A call whose request is still open, and its stream at the server.
async fn open_call(server: &Server, set: &[(&str, OptionValue)]) -> (Channel, StreamCall, Attacker, u32) {
    let channel = target_with(server, set);
    let call = channel.stream(METHOD, CallOptions::default()).expect("a call");
    let mut attacker = Attacker::greet(server).await;
    attacker.hear(|heard| heard.count(HEADERS) > 0).await;
    (channel, call, attacker, 1)
}

async fn code_of_open(call: &mut StreamCall) -> Code {
    while let Some(_message) = match call.message().await {
        Ok(message) => message,
        Err(failure) => return failure.code(),
    } {}
    Code::Ok
}

/// [WIRE-208], [WIRE-209]
#[test]
fn a_window_of_a_stream_beyond_the_largest() {
    let by_update: fn(u32) -> Vec<u8> = |stream| window_update(stream, MOST);
    let by_settings: fn(u32) -> Vec<u8> = |stream| {
        let lift = frame(SETTINGS, 0, 0, &setting(INITIAL_WINDOW_SIZE, 65_536));
        [window_update(stream, MOST - 65_535), lift].concat()
    };
    for (bytes, ends_connection) in [(by_update, false), (by_settings, true)] {
        bounded(BOUND, async {
            let server = Server::start();
            let (channel, mut call, mut attacker, stream) = open_call(&server, &[]).await;
            attacker.say(&bytes(stream)).await;
            assert_eq!(code_of_open(&mut call).await, Code::Internal);
            if ends_connection {
                assert_eq!(attacker.closed_by_client().await, Some(FLOW_CONTROL_ERROR));
                is_served_anew(&server, &channel).await;
            } else {
                attacker.hear(|heard| heard.resets.contains_key(&stream)).await;
                assert_eq!(attacker.heard.resets[&stream], FLOW_CONTROL_ERROR);
            }
        });
    }
}

/// [WIRE-220], [WIRE-223]
#[test]
fn data_beyond_the_window_of_the_connection() {
    bounded(BOUND, async {
        let server = Server::start();
        let windows =
            [("linkspan.connection_window_bytes", 65_535.into()), ("linkspan.stream_window_bytes", (1 << 20).into())];
        let (channel, mut call, mut attacker, stream) = open_call(&server, &windows).await;
        attacker.say(&start(stream)).await;
        // The client waits for the rest of a message nobody asks for, so it gives nothing back.
        attacker.say(&message(stream, &[0; 16_000]).repeat(5)).await;
        assert_eq!(attacker.closed_by_client().await, Some(FLOW_CONTROL_ERROR));
        assert_eq!(code_of_open(&mut call).await, Code::Internal);
        is_served_anew(&server, &channel).await;
    });
}

/// [WIRE-223]
#[test]
fn data_beyond_the_window_of_a_stream() {
    bounded(BOUND, async {
        let server = Server::start();
        let (channel, mut call, mut attacker, stream) =
            open_call(&server, &[("linkspan.stream_window_bytes", 65_535.into())]).await;
        attacker.say(&start(stream)).await;
        attacker.say(&message(stream, &[0; 16_000]).repeat(500)).await;
        attacker.hear(|heard| heard.resets.contains_key(&stream)).await;
        assert_eq!(attacker.heard.resets[&stream], FLOW_CONTROL_ERROR);
        assert_eq!(code_of_open(&mut call).await, Code::Internal);

        let next = crate::peer::client::call(&channel);
        let stream = attacker.request().await;
        attacker.say(&answer(stream, b"next")).await;
        assert_eq!(response(next).await.message, "next");
    });
}

/// [WIRE-220], [WIRE-222]
#[test]
fn an_endless_stream_to_a_reader_that_does_not_read() {
    bounded(BOUND, async {
        let server = Server::start();
        let (_channel, mut call, mut attacker, stream) = open_call(&server, &[]).await;
        attacker.say(&start(stream)).await;
        // Byte by byte, as far as the window goes.
        attacker.say_often(&data(stream, &[0]), 256 << 10).await;
        attacker.settle().await;
        assert_eq!(attacker.heard.count(WINDOW_UPDATE), 1, "of the connection, at its start");
        for _ in 0..(256 << 10) / 5 {
            assert_eq!(call.message().await.expect("a message").expect("empty"), "");
        }
        // What was read is given back.
        attacker.hear(|heard| heard.count(WINDOW_UPDATE) > 1).await;
    });
}

/// [WIRE-220], [WIRE-223]
#[test]
fn data_beyond_the_window_of_the_stream_does_not_reach_the_message() {
    bounded(
        BOUND,
        endure(Code::ResourceExhausted, Fate::GoesOn, async |attacker, stream| {
            attacker.say(&start(stream)).await;
            // Larger than the largest message: refused at its prefix, and all that follows is thrown away.
            attacker.say(&data(stream, &[0, 0x7f, 0xff, 0xff, 0xff])).await;
            attacker.say_often(&data(stream, &[0; 16_384]), 500).await;
        }),
    );
}
