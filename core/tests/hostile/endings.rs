//! Ends that say nothing, too much, or something else than they mean.

use linkspan_core::{CallOptions, Code};

use crate::attacker::*;
use crate::peer::client::{METHOD, call, response};
use crate::peer::server::Server;
use crate::siege::{BOUND, Fate, attacks, bounded, code_of, code_while_heard, endure, target, target_with};

const CANCEL: u32 = 8;
const PROTOCOL_ERROR: u32 = 1;
const OK: &[(&str, &str)] = &[("grpc-status", "0")];

/// A good answer but for these trailers.
fn ends_with(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    [start(stream), message(stream, b""), trailers(stream, fields)].concat()
}

/// An answer that is only its end.
fn ends_at_once(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    trailers(stream, &[&[(":status", "200"), ("content-type", "application/grpc")], fields].concat())
}

attacks! {
    /// [WIRE-137]
    a_status_that_is_no_number: Unknown, GoesOn, |stream| ends_with(stream, &[("grpc-status", "fine")]);
    /// [WIRE-137]
    a_status_below_zero: Unknown, GoesOn, |stream| ends_with(stream, &[("grpc-status", "-0")]);
    /// [WIRE-137]
    an_empty_status: Unknown, GoesOn, |stream| ends_with(stream, &[("grpc-status", "")]);
    /// [WIRE-137]
    a_status_of_a_thousand_digits: Unknown, GoesOn, |stream| ends_with(stream, &[("grpc-status", &"9".repeat(1_000))]);
    /// [WIRE-136]
    a_status_nobody_knows: Unknown, GoesOn, |stream| ends_with(stream, &[("grpc-status", "17")]);
    /// [WIRE-141]
    two_statuses_that_differ: Unknown, GoesOn, |stream| ends_with(stream, &[("grpc-status", "0"), ("grpc-status", "13")]);
    /// [WIRE-141]
    two_statuses_that_agree: NotFound, GoesOn, |stream| ends_with(stream, &[("grpc-status", "5"), ("grpc-status", "5")]);
    /// [WIRE-151]
    trailers_without_a_status: Unknown, GoesOn, |stream| ends_with(stream, &[("x-a", "b")]);
    trailers_without_a_field: Unknown, GoesOn, |stream| ends_with(stream, &[]);
    /// [WIRE-150]
    an_end_at_once_without_a_status: Unknown, GoesOn, |stream| ends_at_once(stream, &[]);
    /// A good status where a message is due ([WIRE-157]).
    an_end_at_once_that_says_all_is_well: Unimplemented, GoesOn, |stream| ends_at_once(stream, OK);
    /// [WIRE-156]
    trailers_that_do_not_end_the_stream: Internal, Reset(PROTOCOL_ERROR), |stream| [start(stream), message(stream, b""), headers_of(stream, &block(OK), 0)].concat();
    trailers_with_a_status_of_http: Ok, GoesOn, |stream| ends_with(stream, &[(":status", "500"), ("grpc-status", "0")]);
    /// [WIRE-140]
    a_text_that_is_all_escapes: NotFound, GoesOn, |stream| ends_with(stream, &[("grpc-status", "5"), ("grpc-message", &"%FF".repeat(5_000))]);
    /// [WIRE-72]
    a_text_of_a_megabyte: ResourceExhausted, GoesOn, |stream| ends_with(stream, &[("grpc-status", "5"), ("grpc-message", &"%41".repeat(340_000))]);
    /// [WIRE-155]
    switching_protocols: Ok, GoesOn, |stream| [headers_of(stream, &block(&[(":status", "101")]), 0), answer(stream, b"")].concat();
    /// [WIRE-155]
    an_informational_end: Internal, GoesOn, |stream| headers_of(stream, &block(&[(":status", "103")]), END_STREAM);
    /// [WIRE-155], [WIRE-162]
    an_informational_end_with_a_status: Internal, GoesOn, |stream| trailers(stream, &[(":status", "103"), ("grpc-status", "0")]);
    /// [WIRE-155]
    many_informational_headers: Ok, GoesOn, |stream| [headers_of(stream, &block(&[(":status", "100"), ("x-a", "b")]), 0).repeat(50), answer(stream, b"")].concat();
    /// [WIRE-160]
    an_http_error_with_a_body_that_does_not_end: Unavailable, Reset(CANCEL), |stream| [headers_of(stream, &block(&[(":status", "503"), ("content-type", "text/html")]), 0), data(stream, b"<html>")].concat();
}

/// [WIRE-165]
#[test]
fn resets_with_every_error_there_is_and_one_there_is_not() {
    const ERRORS: [(u32, Code); 14] = [
        (0, Code::Internal),
        (1, Code::Internal),
        (2, Code::Internal),
        (3, Code::Internal),
        (4, Code::Internal),
        (5, Code::Internal),
        (6, Code::Internal),
        (8, Code::Cancelled),
        (9, Code::Internal),
        (10, Code::Internal),
        (11, Code::ResourceExhausted),
        (12, Code::PermissionDenied),
        (13, Code::Internal),
        (u32::MAX, Code::Internal),
    ];
    for (error, code) in ERRORS {
        bounded(
            BOUND,
            endure(code, Fate::GoesOn, async |attacker, stream| {
                attacker.say(&reset(stream, error)).await;
            }),
        );
        // Inside a message it is the same; behind complete trailers it says nothing ([WIRE-167], [WIRE-168]).
        bounded(
            BOUND,
            endure(code, Fate::GoesOn, async |attacker, stream| {
                attacker.say(&[start(stream), data(stream, &[0, 0, 0]), reset(stream, error)].concat()).await;
            }),
        );
        bounded(
            BOUND,
            endure(Code::Ok, Fate::GoesOn, async |attacker, stream| {
                attacker.say(&[answer(stream, b""), reset(stream, error)].concat()).await;
            }),
        );
    }
}

/// [WIRE-140]: as much text as the largest limit lets through.
#[test]
fn a_text_of_escapes_as_long_as_may_be() {
    bounded(BOUND, async {
        let server = Server::start();
        let channel = target_with(&server, &[("grpc.absolute_max_metadata_size", (1 << 20).into())]);
        let call = call(&channel);
        let mut attacker = Attacker::greet(&server).await;
        let stream = attacker.request().await;
        let text = "%FF%e2%98%ba%".repeat(75_000);
        attacker.say(&ends_with(stream, &[("grpc-status", "5"), ("grpc-message", &text)])).await;
        let (code, text) = code_while_heard(call, &mut attacker).await;
        assert_eq!(code, Code::NotFound);
        assert!(text.starts_with("%FF☺%"), "{}", &text[..20]);
    });
}

/// Messages and messages, each good, and no end: the reader decides when it has had enough.
#[test]
fn trailers_that_never_come() {
    bounded(BOUND, async {
        let server = Server::start();
        let channel = target(&server);
        let mut stream_call = channel.stream(METHOD, CallOptions::default()).expect("a call");
        stream_call.close_send();
        let mut attacker = Attacker::greet(&server).await;
        let stream = attacker.request().await;
        attacker.say(&start(stream)).await;
        for _ in 0..200 {
            attacker.say(&message(stream, &[7; 1_000]).repeat(100)).await;
            for _ in 0..100 {
                assert_eq!(stream_call.message().await.expect("OK").expect("a message").len(), 1_000);
            }
        }
        drop(stream_call);
        attacker.hear(|heard| heard.resets.contains_key(&stream)).await;
        assert_eq!(attacker.heard.resets[&stream], CANCEL);
        let next = call(&channel);
        let stream = attacker.request().await;
        attacker.say(&answer(stream, b"next")).await;
        assert_eq!(response(next).await.message, "next");
    });
}

/// [WIRE-178]: a connection that ends in any place ends its calls UNAVAILABLE.
#[test]
fn hanging_up_at_any_point_of_an_answer() {
    let points: [fn(u32) -> Vec<u8>; 6] = [
        |_| Vec::new(),
        |stream| start(stream)[..5].to_vec(),
        |stream| start(stream)[..20].to_vec(),
        start,
        |stream| [start(stream), message(stream, b"half a message")[..15].to_vec()].concat(),
        |stream| [start(stream), message(stream, b"no trailers")].concat(),
    ];
    for bytes in points {
        bounded(
            BOUND,
            endure(Code::Unavailable, Fate::Over, async |attacker, stream| {
                attacker.say(&bytes(stream)).await;
                attacker.hang_up().await;
            }),
        );
    }
}

/// Half a frame and then silence: the call's deadline ends it.
#[test]
fn half_a_frame_and_then_nothing() {
    bounded(BOUND, async {
        let server = Server::start();
        let channel = target(&server);
        let call = crate::siege::call_until_deadline(&channel);
        let mut attacker = Attacker::greet(&server).await;
        let stream = attacker.request().await;
        attacker.say(&start(stream)[..12]).await;
        attacker.hear(|heard| heard.resets.contains_key(&stream)).await;
        assert_eq!(attacker.heard.resets[&stream], CANCEL);
        assert_eq!(code_of(call).await.0, Code::DeadlineExceeded);
    });
}
