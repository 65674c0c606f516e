//! Servers that make the client answer and do not read what it says ([WIRE-211]).

use linkspan_core::{CallOptions, Code, State, Timeout};

use crate::attacker::*;
use crate::peer::client::{METHOD, becomes, call_with};
use crate::peer::server::Server;
use crate::siege::{BOUND, bounded, code_of, is_served_anew, target};

/// The server says this again and again, and reads nothing, until the call's deadline is past. Nobody hangs, and nothing is kept.
fn deaf(bound: usize, what: impl Fn(u32) -> Vec<u8>) {
    bounded(bound, async {
        let server = Server::start();
        let channel = target(&server);
        let timeout = Timeout::After(std::time::Duration::from_secs(2));
        let call = call_with(&channel, "", CallOptions { timeout, ..CallOptions::default() });
        let mut attacker = Attacker::greet(&server).await;
        attacker.request().await;
        let flood = async {
            let mut round = 0;
            while !attacker.heard.is_closed {
                attacker.say_deaf(&what(round)).await;
                round += 1;
                // The call's own task must see its end.
                tokio::task::yield_now().await;
            }
            std::future::pending::<()>().await;
        };
        let (code, text) = tokio::select! {
            ended = code_of(call) => ended,
            () = flood => unreachable!("nothing comes of a pending future"),
        };
        assert!(matches!(code, Code::DeadlineExceeded | Code::Internal | Code::Unavailable), "{code:?}: {text}");
        attacker.hang_up().await;
        drop(attacker);
        becomes(&channel, State::Idle).await;
        is_served_anew(&server, &channel).await;
    });
}

#[test]
fn pings() {
    deaf(BOUND, |_| frame(PING, 0, 0, &[0; 8]).repeat(1_000));
}

#[test]
fn settings() {
    deaf(BOUND, |_| frame(SETTINGS, 0, 0, &[]).repeat(1_000));
}

/// Each is answered with a reset, and each reset waits with a stream of its own.
#[test]
fn broken_headers_on_ever_new_streams() {
    let broken = block(&[(":status", "200"), ("connection", "close")]);
    deaf(2 * BOUND, |round| {
        (0..1_000).flat_map(|number| headers_of(1_001 + 2_000 * (round % 100_000) + 2 * number, &broken, 0)).collect()
    });
}

/// Streams below the highest are taken for forgotten, and DATA for each is answered with a reset.
#[test]
fn data_for_streams_that_seem_to_have_been() {
    let broken = block(&[(":status", "200"), ("connection", "close")]);
    deaf(2 * BOUND, |round| match round {
        0 => headers_of((1 << 30) + 1, &broken, 0),
        _ => (0..1_000).flat_map(|number| data(1_001 + 2_000 * round + 2 * number, b"x")).collect(),
    });
}

/// Streams nobody reads, each full of the smallest frames: what is kept is what the windows allow, and the connection lives.
#[test]
fn many_streams_of_small_messages_to_readers_that_do_not_read() {
    const STREAMS: usize = 16;
    const MESSAGES: usize = 3_500;
    bounded(3 * BOUND, async {
        let server = Server::start();
        let channel = target(&server);
        let mut calls = Vec::new();
        for _ in 0..STREAMS {
            let call = channel.stream(METHOD, CallOptions::default()).expect("a call");
            call.close_send();
            calls.push(call);
        }
        let mut attacker = Attacker::greet(&server).await;
        let mut streams = Vec::new();
        for _ in 0..STREAMS {
            streams.push(attacker.request().await);
        }
        for stream in &streams {
            attacker.say(&start(*stream)).await;
            attacker.say_often(&message(*stream, &[7; 64]), MESSAGES).await;
            attacker.say(&trailers(*stream, &[("grpc-status", "0")])).await;
        }
        attacker.settle().await;
        assert_eq!(attacker.heard.goaway, None);
        let mut last = calls.pop().expect("one of them");
        for _ in 0..MESSAGES {
            assert_eq!(last.message().await.expect("OK").expect("a message").len(), 64);
        }
        assert_eq!(last.message().await.expect("OK"), None);
    });
}
