//! Servers that do not begin as a server of HTTP/2 does. The call fails, as nobody could be connected; the next good server is taken.

use std::rc::Rc;

use linkspan_core::Code;

use crate::attacker::*;
use crate::peer::beside;
use crate::peer::client::{call, patient_call, response};
use crate::peer::server::Server;
use crate::siege::{BOUND, bounded, code_of, target, target_with};

/// Every connection begins with these bytes, and ends after them if `hangs_up`. A call ends UNAVAILABLE, with a text that has these words.
fn begins(bytes: &[u8], hangs_up: bool, words: &str) {
    bounded(BOUND, async {
        let server = Rc::new(Server::start());
        let channel = target(&server);
        let failing = call(&channel);
        let (door, said) = (Rc::clone(&server), bytes.to_vec());
        let visits = beside(async move {
            loop {
                let mut attacker = Attacker::accept(&door).await;
                let said = said.clone();
                // Held until the client closes, or closed.
                beside(async move {
                    attacker.say(&said).await;
                    if hangs_up {
                        attacker.hang_up().await;
                    }
                    attacker.closed_by_client().await;
                });
            }
        });
        let (code, text) = code_of(failing).await;
        assert_eq!(code, Code::Unavailable, "{text}");
        assert!(text.contains(words), "{text}");
        visits.abort();

        let patient = patient_call(&channel);
        // Visits of the bad time may still be at the door.
        let mut connection = loop {
            let mut attacker = Attacker::greet(&server).await;
            attacker.hear(|heard| heard.has_request()).await;
            if !attacker.heard.is_closed {
                break attacker;
            }
        };
        let stream = connection.request().await;
        connection.say(&answer(stream, b"at last")).await;
        assert_eq!(response(patient).await.message, "at last");
    });
}

/// [WIRE-6]
#[test]
fn other_frames_before_settings() {
    let words = "did not begin with an HTTP/2 SETTINGS frame";
    for first in [
        frame(PING, 0, 0, &[0; 8]),
        frame(SETTINGS, ACK, 0, &[]),
        goaway(0, 0, b"max_age"),
        window_update(0, 1),
        frame(0xee, 0, 0, b"unknown"),
        start(1),
        frame(PING, 0, 0, &[0; 7]),
    ] {
        begins(&first, false, words);
    }
}

/// [WIRE-7], [WIRE-8]
#[test]
fn settings_no_server_may_begin_with() {
    for first in [
        frame(SETTINGS, 0, 0, &[0; 5]),
        frame(SETTINGS, 0, 1, &[]),
        frame(SETTINGS, 0, 0, &setting(2, 2)),
        frame(SETTINGS, 0, 0, &setting(4, 1 << 31)),
        frame(SETTINGS, 0, 0, &setting(5, 1)),
    ] {
        begins(&first, false, "");
    }
}

#[test]
fn settings_longer_than_any_frame_may_be() {
    begins(&[0xff, 0xff, 0xff, SETTINGS, 0, 0, 0, 0, 0], false, "frame");
}

/// [CONN-40]
#[test]
fn other_protocols() {
    begins(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n", true, "HTTP/1");
    begins(b"HTTP/1.1 426 Upgrade Required\r\n", false, "HTTP/1");
    begins(&[0x15, 3, 3, 0, 2, 2, 40], true, "TLS");
    begins(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3], false, "TLS");
    begins(b"SSH-2.0-OpenSSH_9.6\r\n", false, "");
    begins(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false, "");
    begins(b"220 mail.example.com ESMTP ready\r\n", false, "");
    begins(&[0; 9], false, "did not begin with an HTTP/2 SETTINGS frame");
}

/// Bytes as from a generator, the same in each run.
#[test]
fn garbage() {
    let mut state = 0x2545_f491_u32;
    for length in [1_usize, 8, 9, 10, 100, 5_000, 100_000] {
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_be_bytes()[0]
        };
        let bytes: Vec<u8> = (0..length).map(|_| next()).collect();
        begins(&bytes, true, "");
    }
}

#[test]
fn hanging_up_at_any_point_of_the_greeting() {
    let whole = frame(SETTINGS, 0, 0, &setting(3, 100));
    for length in [0, 1, 8, 9, 14] {
        begins(&whole[..length], true, "closed by the server");
    }
}

/// [CONN-40], [CONN-42], [WIRE-5]
#[test]
fn half_a_greeting_and_then_nothing() {
    bounded(BOUND, async {
        for said in [0, 5, 12] {
            let server = Server::start();
            let channel = target_with(&server, &[("linkspan.connect_timeout_ms", 200.into())]);
            let call = call(&channel);
            let mut attacker = Attacker::accept(&server).await;
            attacker.say(&frame(SETTINGS, 0, 0, &setting(3, 100))[..said]).await;
            attacker.closed_by_client().await;
            let (code, text) = code_of(call).await;
            assert_eq!(code, Code::Unavailable);
            assert!(text.contains("waiting for the server's HTTP/2 SETTINGS"), "{text}");
            assert_eq!(attacker.heard.count(HEADERS), 0);
        }
    });
}
