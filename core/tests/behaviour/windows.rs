//! Stream windows that grow with what the line holds.

use linkspan_core::{CallOptions, OptionValue};

use crate::peer::client::{call, call_with, channel_with, response};
use crate::peer::raw::{ACK, DATA, END_STREAM, HEADERS, PING, Peer, SETTINGS, WINDOW_UPDATE};
use crate::peer::run;
use crate::peer::server::Server;

const KIB: usize = 1 << 10;
/// The window a stream begins with.
const FIRST_WINDOW: usize = 256 * KIB;

async fn write_data(peer: &mut Peer, stream: u32, bytes: &[u8]) {
    for piece in bytes.chunks(16 * KIB) {
        peer.write_frame(DATA, 0, stream, piece).await;
    }
}

/// The parts of a response: half of the window and a little more, and then two thirds of it and a little more.
const FIRST: usize = 160 * KIB;
const SECOND: usize = 176 * KIB;

/// A response of one message, in two parts.
struct Response {
    first: Vec<u8>,
    second: Vec<u8>,
}

impl Response {
    fn new() -> Self {
        let size = u32::try_from(FIRST + SECOND - 5).expect("small").to_be_bytes();
        let mut first = vec![1; FIRST];
        first[..5].copy_from_slice(&[0, size[0], size[1], size[2], size[3]]);
        Self { first, second: vec![1; SECOND] }
    }
}

/// Waits until so much was given back that the second part fits; the payload of the PING that came meanwhile, if one came.
async fn window_given_back(peer: &mut Peer, stream: u32) -> Option<Vec<u8>> {
    let (mut given, mut ping) = (0, None);
    while FIRST_WINDOW + given < FIRST + SECOND {
        let frame = peer.frame().await.expect("open");
        match frame.kind {
            WINDOW_UPDATE if frame.stream == stream => {
                given += u32::from_be_bytes(frame.payload.try_into().expect("four bytes")) as usize;
            }
            PING => ping = Some(frame.payload),
            _ => {}
        }
    }
    ping
}

/// [WIRE-230], [WIRE-232]
#[test]
fn a_window_that_fills_within_a_round_trip_grows() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[]);
        let call = call(&channel);
        let mut peer = server.accept_raw().await;
        peer.greet().await;
        let stream = peer.request().await;
        peer.write_headers(stream, &[(":status", "200"), ("content-type", "application/grpc")], false).await;
        let message = Response::new();
        write_data(&mut peer, stream, &message.first).await;
        let ping = match window_given_back(&mut peer, stream).await {
            Some(ping) => ping,
            None => peer.frame_of(PING).await.payload,
        };
        write_data(&mut peer, stream, &message.second).await;
        peer.write_frame(PING, ACK, 0, &ping).await;
        let settings = peer.frame_of(SETTINGS).await;
        let settings = if settings.flags & ACK == 0 { settings } else { peer.frame_of(SETTINGS).await };
        // INITIAL_WINDOW_SIZE alone.
        assert_eq!(settings.payload[..2], [0, 4]);
        let window = u32::from_be_bytes(settings.payload[2..].try_into().expect("one setting")) as usize;
        assert!((2 * SECOND..=2 * (SECOND + FIRST - FIRST_WINDOW / 2)).contains(&window), "{window}");
        peer.write_frame(SETTINGS, ACK, 0, &[]).await;
        peer.write_headers(stream, &[("grpc-status", "0")], true).await;
        assert_eq!(response(call).await.message.len(), FIRST + SECOND - 5);
        assert_eq!(channel.metrics().keepalive_pings + channel.metrics().liveness_checks, 0);
    });
}

/// [WIRE-230]
#[test]
fn a_pinned_window_is_not_measured() {
    run(async {
        let server = Server::start();
        let pinned: (&str, OptionValue) = ("linkspan.max_stream_window_bytes", (FIRST_WINDOW as i64).into());
        let channel = channel_with(&server.address(), &[pinned]);
        let first = call(&channel);
        let mut peer = server.accept_raw().await;
        peer.greet().await;
        let stream = peer.request().await;
        peer.write_headers(stream, &[(":status", "200"), ("content-type", "application/grpc")], false).await;
        let message = Response::new();
        write_data(&mut peer, stream, &message.first).await;
        assert_eq!(window_given_back(&mut peer, stream).await, None);
        write_data(&mut peer, stream, &message.second).await;
        peer.write_headers(stream, &[("grpc-status", "0")], true).await;
        response(first).await;
        let second = call(&channel);
        // A PING would be on its way before this.
        loop {
            let frame = peer.frame().await.expect("open");
            assert_ne!(frame.kind, PING);
            if frame.kind == HEADERS {
                break;
            }
        }
        second.abort();
    });
}

/// [WIRE-231]
#[test]
fn small_answers_cost_no_ping() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[]);
        let mut first = Some(call(&channel));
        let mut peer = server.accept_raw().await;
        peer.greet().await;
        for _ in 0..100 {
            let call = first.take().unwrap_or_else(|| call_with(&channel, "hello", CallOptions::default()));
            let stream = loop {
                let frame = peer.frame().await.expect("open");
                assert_ne!(frame.kind, PING);
                if frame.kind == DATA && frame.flags & END_STREAM != 0 {
                    break frame.stream;
                }
            };
            peer.answer(stream, &[7; KIB]).await;
            response(call).await;
        }
    });
}
