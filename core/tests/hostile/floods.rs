//! More of what is allowed than anybody needs. None of it may add up in memory.

use linkspan_core::Code;

use crate::attacker::*;
use crate::siege::{BOUND, Fate, bounded, endure};

/// Frames per flood: kept, each would take a hundred bytes and more.
const MANY: usize = 200_000;

const ENHANCE_YOUR_CALM: u32 = 11;
const PROTOCOL_ERROR: u32 = 1;

/// After the flood the server answers as it should: the call is OK.
fn passes(times: usize, flood: impl FnOnce(u32) -> Vec<u8>) {
    bounded(
        BOUND,
        endure(Code::Ok, Fate::GoesOn, async |attacker, stream| {
            attacker.say_often(&flood(stream), times).await;
            attacker.say(&answer(stream, b"")).await;
        }),
    );
}

/// The same within the call's body.
fn passes_inside(times: usize, flood: impl FnOnce(u32) -> Vec<u8>) {
    bounded(
        BOUND,
        endure(Code::Ok, Fate::GoesOn, async |attacker, stream| {
            attacker.say(&start(stream)).await;
            attacker.say_often(&flood(stream), times).await;
            attacker.say(&[message(stream, b""), trailers(stream, &[("grpc-status", "0")])].concat()).await;
        }),
    );
}

/// The flood itself is too much.
fn is_cut_off(
    code: Code,
    goaway: u32,
    begin: impl FnOnce(u32) -> Vec<u8>,
    times: usize,
    flood: impl FnOnce(u32) -> Vec<u8>,
) {
    // The client may close before all was said; its words are then lost with what was on its way.
    bounded(
        BOUND,
        endure(code, Fate::Over, async |attacker, stream| {
            attacker.say(&begin(stream)).await;
            attacker.say_often(&flood(stream), times).await;
            let heard = attacker.closed_by_client().await;
            assert!(heard.is_none_or(|error| error == goaway), "{heard:?}");
        }),
    );
}

/// [WIRE-7], [WIRE-211]
#[test]
fn settings() {
    passes(MANY, |_| frame(SETTINGS, 0, 0, &[]));
}

/// [WIRE-8]
#[test]
fn settings_nobody_knows() {
    let unknown: Vec<u8> = (0x1000..0x1000 + 2_700).flat_map(|id| setting(id, 7)).collect();
    passes(1_000, |_| frame(SETTINGS, 0, 0, &unknown));
}

/// [WIRE-205], [WIRE-211]
#[test]
fn pings() {
    passes(MANY, |_| frame(PING, 0, 0, b"flooding"));
}

/// [WIRE-206]
#[test]
fn answers_to_pings_nobody_sent() {
    passes(MANY, |_| frame(PING, ACK, 0, b"flooding"));
}

/// [WIRE-210]
#[test]
fn priorities() {
    passes(MANY, |stream| frame(PRIORITY, 0, stream + 1_000, &[0; 5]));
}

/// [WIRE-210]
#[test]
fn unknown_frames_small_and_large() {
    passes(MANY, |_| frame(0xee, 0, 0, &[]));
    passes(2_000, |stream| frame(0xee, 0, stream, &[7; 16_384]));
}

#[test]
fn windows_of_a_connection_and_of_a_stream() {
    passes(MANY, |_| window_update(0, 1));
    passes(MANY, window_update_by_one);
    passes_inside(MANY, window_update_by_one);
}

fn window_update_by_one(stream: u32) -> Vec<u8> {
    window_update(stream, 1)
}

/// [WIRE-155]
#[test]
fn informational_headers() {
    passes(MANY, |stream| headers_of(stream, &block(&[(":status", "103")]), 0));
}

/// [WIRE-155]
#[test]
fn large_informational_headers() {
    let hints = "x".repeat(8_000);
    passes(4_000, |stream| headers_of(stream, &block(&[(":status", "103"), ("link", &hints)]), 0));
}

/// [WIRE-212]
#[test]
fn empty_data() {
    is_cut_off(Code::Internal, ENHANCE_YOUR_CALM, start, MANY, |stream| data(stream, b""));
}

/// [WIRE-212]
#[test]
fn data_that_is_all_padding() {
    is_cut_off(Code::Internal, ENHANCE_YOUR_CALM, start, MANY, |stream| frame(DATA, PADDED, stream, &[2, 0, 0]));
}

/// [WIRE-74], [WIRE-212]
#[test]
fn empty_continuations_that_never_end() {
    is_cut_off(
        Code::Internal,
        ENHANCE_YOUR_CALM,
        |stream| frame(HEADERS, 0, stream, &[0x88]),
        MANY,
        |stream| frame(CONTINUATION, 0, stream, &[]),
    );
}

/// [WIRE-72], [WIRE-74]
#[test]
fn large_continuations_that_never_end() {
    let fields = block(&[("x-a", &"x".repeat(100)), ("x-b", &"y".repeat(16_000))]);
    is_cut_off(
        Code::ResourceExhausted,
        ENHANCE_YOUR_CALM,
        |stream| frame(HEADERS, 0, stream, &[0x88]),
        MANY / 10,
        |stream| frame(CONTINUATION, 0, stream, &fields),
    );
}

/// A field whose end never comes, said a piece at a time.
#[test]
fn one_field_over_continuations_that_never_end() {
    is_cut_off(
        Code::ResourceExhausted,
        ENHANCE_YOUR_CALM,
        |stream| frame(HEADERS, 0, stream, &[&[0x88][..], &[0, 1, b'a', 0x7f, 0xff, 0xff, 0xff, 0x7f]].concat()),
        MANY / 10,
        |stream| frame(CONTINUATION, 0, stream, &[b'x'; 16_384]),
    );
}

#[test]
fn continuations_that_each_end_what_has_not_begun() {
    is_cut_off(
        Code::Internal,
        PROTOCOL_ERROR,
        |_| Vec::new(),
        MANY,
        |stream| frame(CONTINUATION, END_HEADERS, stream, &[]),
    );
}

/// A server may say the same GOAWAY as often as it likes; each has a text as long as a frame.
#[test]
fn goaways_with_long_texts() {
    bounded(
        BOUND,
        endure(Code::Ok, Fate::Over, async |attacker, stream| {
            attacker.say_often(&goaway(stream + 2, 0, &[b'x'; 16_000]), 2_000).await;
            // Both of the streams it lets finish.
            attacker.say(&[answer(stream, b""), trailers(stream + 2, &[(":status", "503")])].concat()).await;
        }),
    );
}

#[test]
fn resets_of_a_stream_that_is_over() {
    bounded(
        BOUND,
        endure(Code::Ok, Fate::GoesOn, async |attacker, stream| {
            attacker.say(&answer(stream, b"")).await;
            attacker.settle().await;
            attacker.say_often(&reset(stream, 8), MANY).await;
        }),
    );
}

/// [WIRE-177]
#[test]
fn data_for_a_stream_that_is_over() {
    bounded(
        BOUND,
        endure(Code::Ok, Fate::GoesOn, async |attacker, stream| {
            attacker.say(&answer(stream, b"")).await;
            attacker.settle().await;
            attacker.say_often(&data(stream, b"more"), MANY).await;
        }),
    );
}
