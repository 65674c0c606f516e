//! GOAWAY as no server should say it.

use linkspan_core::Code;

use crate::attacker::*;
use crate::peer::client::{patient_call, response};
use crate::peer::server::Server;
use crate::siege::{BOUND, Fate, attacks, bounded, code_of, endure, target};

const PROTOCOL_ERROR: u32 = 1;
const MOST: u32 = (1 << 31) - 1;

/// Lets the call and its sibling finish.
fn finished(stream: u32) -> Vec<u8> {
    [answer(stream, b""), reset(stream + 2, 2)].concat()
}

attacks! {
    /// [WIRE-193]
    a_last_stream_that_grows: Internal, GoAway(PROTOCOL_ERROR), |stream| [goaway(stream + 2, 0, b""), goaway(stream + 4, 0, b"")].concat();
    a_goaway_on_a_stream: Internal, GoAway(PROTOCOL_ERROR), |stream| frame(GOAWAY, 0, stream, &[0, 0, 0, 9, 0, 0, 0, 0]);
    /// [WIRE-193]
    a_last_stream_that_is_the_servers_own: Unavailable, Over, |stream| goaway(stream + 3, 0, b"");
    /// [WIRE-193], [WIRE-194]
    a_last_stream_that_shrinks_step_by_step: Ok, Over, |stream| [(stream + 2..1_000).step_by(2).rev().flat_map(|last| goaway(last, 0, b"")).collect(), finished(stream)].concat();
    /// [CONN-84], [WIRE-195]
    an_error_nobody_knows: Ok, Over, |stream| [goaway(MOST, 0xdead, b"?"), finished(stream)].concat();
    /// [WIRE-196]
    a_text_that_is_none: Ok, Over, |stream| [goaway(MOST, 0, &[0xff, 0, 0x1b, b'[', 0x80]), finished(stream)].concat();
}

/// [CONN-80], [WIRE-194]
#[test]
fn a_goaway_for_all_and_then_the_true_one_with_a_ping_between() {
    bounded(
        BOUND,
        endure(Code::Ok, Fate::Over, async |attacker, stream| {
            attacker.say(&goaway(MOST, 0, b"graceful")).await;
            attacker.settle().await;
            attacker.say(&[goaway(stream + 2, 0, b"max_age"), finished(stream)].concat()).await;
        }),
    );
}

/// [RETRY-3], [WIRE-191]: two refusals are enough, whoever they come from.
#[test]
fn a_server_that_sends_everybody_away() {
    bounded(BOUND, async {
        let server = Server::start();
        let channel = target(&server);
        for _ in 0..5 {
            let refused = patient_call(&channel);
            for _ in 0..2 {
                let mut attacker = Attacker::greet(&server).await;
                attacker.request().await;
                attacker.say(&goaway(0, 0, &[b'x'; 16_000])).await;
                attacker.closed_by_client().await;
            }
            let (code, text) = code_of(refused).await;
            assert_eq!(code, Code::Unavailable);
            assert!(text.len() < 2_000, "{} bytes of text", text.len());
        }
        let next = patient_call(&channel);
        let mut attacker = Attacker::greet(&server).await;
        let stream = attacker.request().await;
        attacker.say(&answer(stream, b"next")).await;
        assert_eq!(response(next).await.message, "next");
    });
}
