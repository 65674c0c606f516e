//! What a server can make a client keep.

use std::time::Duration;

use linkspan_core::{CallOptions, Engine, EngineOptions};

use crate::own_process::alone;
use crate::peer::client::{call_with, channel_with, response};
use crate::peer::raw::{ACK, DATA, PING};
use crate::peer::server::{Server, frame};
use crate::peer::{GUARD, run};

/// The most memory this process ever had, in bytes, as the system tells.
fn peak() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes * 1_024
}

/// A frame on stream 1 or, of those that belong to none, on stream 0.
fn small(kind: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).expect("small");
    [&[0, 0, length, kind, 0, 0, 0, 0, stream], payload].concat()
}

#[test]
fn a_message_sent_in_single_bytes_arrives_and_holds_little_more_than_itself() {
    const LENGTH: usize = 1_000_000;
    alone("memory::a_message_sent_in_single_bytes_arrives_and_holds_little_more_than_itself", "", || {
        run(async {
            let server = Server::start();
            let window = [("linkspan.stream_window_bytes", (2 << 20).into())];
            let channel = channel_with(&server.address(), &window);
            let call = call_with(&channel, "", CallOptions::default());
            let mut peer = server.accept_raw().await;
            peer.greet().await;
            let stream = peer.request().await;
            assert_eq!(stream, 1);
            peer.write_headers(stream, &[(":status", "200"), ("content-type", "application/grpc")], false).await;
            let before = peak();
            let message: Vec<u8> = (0..=u8::MAX).cycle().take(LENGTH).collect();
            for bytes in frame(&message).chunks(2_000) {
                let mut frames: Vec<u8> = bytes.iter().flat_map(|byte| small(DATA, 1, &[*byte])).collect();
                // Answered once all before it was read: what is counted is what the call keeps, not what is on the way to it.
                frames.extend(small(PING, 0, &[0; 8]));
                peer.write(&frames).await;
                assert_eq!(peer.frame_of(PING).await.flags, ACK);
            }
            peer.write_headers(stream, &[("grpc-status", "0")], true).await;
            assert_eq!(response(call).await.message, message);
            // Each byte kept with a buffer of its own would be nearly fifty times the message.
            let grown = peak() - before;
            assert!(grown < 25 * LENGTH, "{grown} bytes more for a message of {LENGTH}");
        });
    });
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("a list of descriptors").count()
}

/// [CONN-155]
#[test]
fn an_engine_that_has_ended_keeps_no_descriptor() {
    alone("memory::an_engine_that_has_ended_keeps_no_descriptor", "", || {
        let live_and_die = || {
            let engine = Engine::new(EngineOptions::default()).expect("an engine");
            engine.run_on_loop(|_| async {}).expect("accepted");
            engine.shutdown(Some(Duration::ZERO));
            assert!(engine.join(Some(GUARD)));
        };
        live_and_die();
        let before = open_files();
        (0..20).for_each(|_| live_and_die());
        assert_eq!(open_files(), before);
    });
}
