//! Messages that are not what their prefix says, or never end.

use std::io::Write as _;

use linkspan_core::{CallOptions, Code};

use crate::attacker::*;
use crate::peer::client::{METHOD, call_with};
use crate::peer::server::{Server, flagged};
use crate::siege::{BOUND, Fate, attacks, bounded, code_while_heard, endure, target_with};

const CANCEL: u32 = 8;
const OK: &[(&str, &str)] = &[("grpc-status", "0")];

fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(message).expect("written");
    encoder.finish().expect("finished")
}

fn zlib(message: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(message).expect("written");
    encoder.finish().expect("finished")
}

/// Headers that name an encoding, and the beginning of a compressed message.
fn compressed_as(stream: u32, encoding: &str, message: &[u8]) -> Vec<u8> {
    let message = flagged(1, message);
    let frames = message.chunks(16_384).flat_map(|piece| data(stream, piece));
    [start_with(stream, "grpc-encoding", encoding), frames.collect()].concat()
}

/// 200 MB of nothing in 200 kB, which is less than the stream's window: flush points make one stream of the same block again and again.
fn bomb() -> Vec<u8> {
    let mut deflate = flate2::Compress::new(flate2::Compression::best(), true);
    let (zeros, mut bytes) = (vec![0; 1 << 20], Vec::with_capacity(4_096));
    deflate.compress_vec(&zeros, &mut bytes, flate2::FlushCompress::Full).expect("compressed");
    let begin = bytes.len();
    deflate.compress_vec(&zeros, &mut bytes, flate2::FlushCompress::Full).expect("compressed");
    let block = bytes[begin..].to_vec();
    for _ in 0..198 {
        bytes.extend_from_slice(&block);
    }
    bytes
}

attacks! {
    /// [WIRE-93]
    a_message_of_four_gigabytes: ResourceExhausted, Reset(CANCEL), |stream| [start(stream), data(stream, &[0, 0xff, 0xff, 0xff, 0xff])].concat();
    /// [WIRE-93], [WIRE-100], [WIRE-104], [WIRE-105]
    a_message_one_byte_above_the_limit: ResourceExhausted, Reset(CANCEL), |stream| [start(stream), data(stream, &[0, 0, 0x40, 0, 1])].concat();
    /// [WIRE-94]
    a_flag_that_does_not_exist: Internal, Reset(CANCEL), |stream| [start(stream), data(stream, &[7, 0, 0, 0, 0])].concat();
    /// [WIRE-119]
    a_compressed_message_without_an_encoding: Internal, Reset(CANCEL), |stream| [start(stream), data(stream, &[1, 0, 0, 0, 0])].concat();
    /// [WIRE-119]
    a_compressed_message_of_no_encoding: Internal, Reset(CANCEL), |stream| compressed_as(stream, "identity", b"plain");
    /// [WIRE-118]
    a_message_compressed_with_what_nobody_knows: Internal, Reset(CANCEL), |stream| compressed_as(stream, "snappy", b"?");
    /// [WIRE-118]
    an_encoding_with_no_text_as_its_name: Internal, Reset(CANCEL), |stream| {
        [start_with(stream, "grpc-encoding", [0xff, 0xfe]), data(stream, &[1, 0, 0, 0, 0])].concat()
    };
    /// [WIRE-103]
    a_message_that_decompresses_to_a_thousand_times_as_much: ResourceExhausted, Reset(CANCEL), |stream| compressed_as(stream, "deflate", &bomb());
    /// [WIRE-103]
    a_message_that_decompresses_to_one_byte_above_the_limit: ResourceExhausted, Reset(CANCEL), |stream| {
        compressed_as(stream, "gzip", &gzip(&vec![0; (4 << 20) + 1]))
    };
    /// [WIRE-103]
    a_limit_passed_by_several_members_together: ResourceExhausted, Reset(CANCEL), |stream| {
        compressed_as(stream, "gzip", &gzip(&vec![0; 1 << 20]).repeat(5))
    };
    /// [WIRE-93], [WIRE-103]: what is announced is looked at before what it holds.
    a_compressed_message_that_is_too_large_as_it_is: ResourceExhausted, Reset(CANCEL), |stream| {
        [start_with(stream, "grpc-encoding", "gzip"), data(stream, &[1, 0, 0x40, 0, 1])].concat()
    };
    /// [WIRE-121]
    a_compressed_message_of_nothing: Internal, Reset(CANCEL), |stream| compressed_as(stream, "gzip", b"");
    /// [WIRE-121]
    what_is_no_compression_at_all: Internal, Reset(CANCEL), |stream| compressed_as(stream, "gzip", b"plain text, as it was");
    /// [WIRE-121]
    another_compression_than_was_named: Internal, Reset(CANCEL), |stream| compressed_as(stream, "gzip", &zlib(b"message"));
    /// [WIRE-121]
    compressed_data_without_its_end: Internal, Reset(CANCEL), |stream| {
        let whole = gzip(b"message");
        compressed_as(stream, "gzip", &whole[..whole.len() - 1])
    };
    /// [WIRE-121]
    compressed_data_with_another_sum: Internal, Reset(CANCEL), |stream| {
        let mut wrong = zlib(b"message");
        *wrong.last_mut().expect("a sum") ^= 1;
        compressed_as(stream, "deflate", &wrong)
    };
    /// [WIRE-121]
    something_behind_compressed_data: Internal, Reset(CANCEL), |stream| compressed_as(stream, "deflate", &[zlib(b"message"), vec![0]].concat());
    /// [WIRE-121]: a name without an end, and members without number that hold nothing before something that is none.
    a_head_without_an_end: Internal, Reset(CANCEL), |stream| {
        compressed_as(stream, "gzip", &[&[0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 0xff][..], &[b'n'; 100_000]].concat())
    };
    /// [WIRE-121]
    members_without_number_that_hold_nothing: Internal, Reset(CANCEL), |stream| compressed_as(stream, "gzip", &[gzip(b"").repeat(10_000), vec![0]].concat());
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
