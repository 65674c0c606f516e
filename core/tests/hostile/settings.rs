//! Settings no server should have, and settings that change all the time.

use linkspan_core::{CallOptions, Code, State};

use crate::attacker::*;
use crate::peer::client::{becomes, call, call_with, response};
use crate::peer::server::Server;
use crate::siege::{BOUND, attacks, bounded, call_until_deadline, code_of, code_while_heard, target};

const HEADER_TABLE_SIZE: u16 = 1;
const ENABLE_PUSH: u16 = 2;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const MAX_HEADER_LIST_SIZE: u16 = 6;

const PROTOCOL_ERROR: u32 = 1;

fn settings(of: &[(u16, u32)]) -> Vec<u8> {
    let entries: Vec<u8> = of.iter().flat_map(|(id, value)| setting(*id, *value)).collect();
    frame(SETTINGS, 0, 0, &entries)
}

attacks! {
    /// [WIRE-8]
    a_push_setting_that_is_neither_yes_nor_no: Internal, GoAway(PROTOCOL_ERROR), |_| settings(&[(ENABLE_PUSH, 2)]);
    /// [WIRE-8]
    a_window_beyond_the_largest: Internal, GoAway(PROTOCOL_ERROR), |_| settings(&[(INITIAL_WINDOW_SIZE, 1 << 31)]);
    /// [WIRE-8]
    a_frame_size_below_the_smallest: Internal, GoAway(PROTOCOL_ERROR), |_| settings(&[(MAX_FRAME_SIZE, 16_383)]);
    /// [WIRE-8]
    a_frame_size_beyond_the_largest: Internal, GoAway(PROTOCOL_ERROR), |_| settings(&[(MAX_FRAME_SIZE, 1 << 24)]);
    /// [WIRE-8]
    every_number_that_no_setting_has: Ok, GoesOn, |stream| [settings(&[(0, 1), (7, 2), (9, 3), (0xfe03, 1), (0xffff, u32::MAX)]), answer(stream, b"")].concat();
    one_setting_said_with_two_values: Ok, GoesOn, |stream| [settings(&[(INITIAL_WINDOW_SIZE, 0), (INITIAL_WINDOW_SIZE, 70_000)]), answer(stream, b"")].concat();
}

/// A channel whose server has these settings, and the server's side.
async fn connected(server: &Server, of: &[(u16, u32)]) -> (linkspan_core::Channel, Attacker) {
    let channel = target(server);
    channel.state(true);
    let mut attacker = Attacker::accept(server).await;
    attacker.say(&[settings(of), frame(SETTINGS, ACK, 0, &[])].concat()).await;
    becomes(&channel, State::Ready).await;
    (channel, attacker)
}

/// [CONN-136]
#[test]
fn no_streams_at_all() {
    bounded(BOUND, async {
        let server = Server::start();
        let (channel, mut attacker) = connected(&server, &[(MAX_CONCURRENT_STREAMS, 0)]).await;
        let call = call_until_deadline(&channel);
        let (code, text) = code_while_heard(call, &mut attacker).await;
        assert_eq!(code, Code::DeadlineExceeded, "{text}");
        assert!(text.ends_with("; not sent"), "{text}");
        assert_eq!(attacker.heard.count(HEADERS), 0);
    });
}

/// What the client keeps to write shorter headers is its own choice, whatever it may keep.
#[test]
fn a_header_table_as_large_as_can_be_said() {
    bounded(BOUND, async {
        let server = Server::start();
        let (channel, mut attacker) = connected(&server, &[(HEADER_TABLE_SIZE, u32::MAX)]).await;
        for number in 0..2_000 {
            let mut metadata = linkspan_core::Metadata::new();
            metadata.append("x-a", format!("{number:04000}")).expect("valid");
            let call = call_with(&channel, "", CallOptions { metadata, ..CallOptions::default() });
            let stream = attacker.request().await;
            attacker.say(&answer(stream, b"")).await;
            response(call).await;
        }
    });
}

/// [WIRE-225]
#[test]
fn frames_as_large_as_can_be_said() {
    bounded(24 << 20, async {
        let server = Server::start();
        let large = [(MAX_FRAME_SIZE, (1 << 24) - 1), (INITIAL_WINDOW_SIZE, (1 << 31) - 1)];
        let (channel, mut attacker) = connected(&server, &large).await;
        attacker.say(&window_update(0, 1 << 30)).await;
        let call = call_with(&channel, vec![b'x'; 3 << 20], CallOptions::default());
        let stream = attacker.request().await;
        attacker.say(&answer(stream, b"large")).await;
        assert_eq!(response(call).await.message, "large");
    });
}

/// [WIRE-225]
#[test]
fn a_window_that_never_opens() {
    bounded(BOUND, async {
        let server = Server::start();
        let (channel, mut attacker) = connected(&server, &[(INITIAL_WINDOW_SIZE, 0)]).await;
        let (code, text) = code_while_heard(call_until_deadline(&channel), &mut attacker).await;
        assert_eq!(code, Code::DeadlineExceeded, "{text}");
        assert_eq!((attacker.heard.count(HEADERS), attacker.heard.count(DATA)), (1, 0));
    });
}

/// [WIRE-209]
#[test]
fn a_window_that_opens_and_closes_all_the_time() {
    bounded(BOUND, async {
        let server = Server::start();
        let (channel, mut attacker) = connected(&server, &[]).await;
        let call = call_with(&channel, vec![b'x'; 200_000], CallOptions::default());
        attacker.hear(|heard| heard.count(DATA) > 3).await;
        let flip = [settings(&[(INITIAL_WINDOW_SIZE, (1 << 31) - 1)]), settings(&[(INITIAL_WINDOW_SIZE, 0)])].concat();
        attacker.say_often(&flip, 20_000).await;
        attacker.say(&[settings(&[(INITIAL_WINDOW_SIZE, 300_000)]), window_update(0, 300_000)].concat()).await;
        let stream = attacker.request().await;
        attacker.say(&answer(stream, b"through")).await;
        assert_eq!(response(call).await.message, "through");
    });
}

#[test]
fn settings_of_ours_that_are_never_acknowledged() {
    bounded(BOUND, async {
        let server = Server::start();
        let channel = target(&server);
        let mut running = call(&channel);
        let mut attacker = Attacker::accept(&server).await;
        attacker.say(&settings(&[])).await;
        for text in ["first", "second"] {
            let stream = attacker.request().await;
            attacker.say(&answer(stream, text.as_bytes())).await;
            assert_eq!(response(running).await.message, text);
            running = call(&channel);
        }
    });
}

/// [WIRE-73]: nothing is sent to it, and its connection stays.
#[test]
fn headers_the_server_says_it_takes_none_of() {
    bounded(BOUND, async {
        let server = Server::start();
        let (channel, _attacker) = connected(&server, &[(MAX_HEADER_LIST_SIZE, 0)]).await;
        for _ in 0..2 {
            let (code, text) = code_of(call(&channel)).await;
            assert_eq!(code, Code::ResourceExhausted, "{text}");
            assert!(text.contains("not sent"), "{text}");
        }
        assert_eq!(channel.metrics().connections.len(), 1);
    });
}

/// The limit is the last of many settings.
#[test]
fn a_stream_limit_at_the_end_of_a_long_frame() {
    bounded(BOUND, async {
        let server = Server::start();
        let mut many: Vec<_> = (0x1000..0x1000 + 2_000).map(|id| (id, 1)).collect();
        many.push((MAX_CONCURRENT_STREAMS, 1));
        let (channel, mut attacker) = connected(&server, &many).await;
        let calls = [call(&channel), call(&channel)];
        assert_eq!(channel.metrics().connections[0].stream_limit, Some(1));
        for call in calls {
            let stream = attacker.request().await;
            attacker.say(&answer(stream, b"")).await;
            assert_eq!(code_of(call).await.0, Code::Ok);
        }
    });
}
