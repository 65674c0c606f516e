//! What calls and channels do when there is no way to a server.

use linkspan_core::{CallOptions, Channel, ChannelOptions, Code, Credentials, Sent, State, Timeout};

use crate::peer::client::{becomes, call, call_with, channel, channel_with, failure, patient_call, response, told};
use crate::peer::raw::{self, SETTINGS};
use crate::peer::run;
use crate::peer::server::{ReservedPort, Server};

const FIXED_BACKOFF: &str = "grpc.testing.fixed_reconnect_backoff_ms";

/// [CONN-20], [CONN-26], [LB-20], [WFR-1]
#[test]
fn a_refused_call_fails_at_once_and_tells_address_cause_attempt_next_attempt_and_that_nothing_was_sent() {
    run(async {
        let port = ReservedPort::new();
        let address = port.address();
        let channel = channel(&address);
        let failure = failure(call(&channel), Code::Unavailable).await;
        let text = failure.status().message();
        let cause = format!("{address}: Connection refused (os error 111)");
        assert!(text.starts_with(&format!("failed to connect to all addresses; last error: {cause}; ")), "{text}");
        assert!(text.contains(&format!("; phase connect; tried {cause} after ")), "{text}");
        assert!(text.contains("; next attempt in "), "{text}");
        assert!(text.ends_with("; not sent"), "{text}");
        assert!(text.ends_with(&failure.end().trail), "{text}");
        assert_eq!(failure.end().sent, Sent::NotSent);
        assert!(failure.end().local);
        assert_eq!(failure.end().peer, None);

        assert_eq!(channel.state(false), State::TransientFailure);
        assert_eq!(
            told(&channel).last().expect("an event"),
            &format!("CONNECTING → TRANSIENT_FAILURE: Connection refused (os error 111) [{address}]")
        );
        let metrics = channel.metrics();
        assert_eq!((metrics.connect_attempts, metrics.connect_failures), (1, 1));
        assert_eq!(metrics.last_error, Some(cause));
        assert_eq!(metrics.by_code[14], 1);
    });
}

/// [CONN-20], [CONN-67], [LB-7], [LB-9], [LB-19], [WFR-2], [DL-10]
#[test]
fn a_call_that_waits_for_ready_waits_until_a_server_appears() {
    run(async {
        let port = ReservedPort::new();
        let channel = channel_with(&port.address(), &[(FIXED_BACKOFF, 1.into())]);
        let patient = patient_call(&channel);
        becomes(&channel, State::TransientFailure).await;
        // Whoever has seen the state is not queued.
        failure(call(&channel), Code::Unavailable).await;
        assert!(!patient.is_finished());
        let server = port.listen();
        let mut connection = server.accept().await;
        connection.request().await.answer(b"at last");
        assert_eq!(response(patient).await.message, "at last");
        // TRANSIENT_FAILURE is left for READY alone.
        let changes: Vec<_> = channel.events(0).iter().map(|event| event.to).collect();
        assert_eq!(changes, [State::Connecting, State::TransientFailure, State::Ready]);
    });
}

/// [CONN-52], [CONN-56]
#[test]
fn nobody_dials_before_the_backoff_is_over_and_a_reset_ends_it() {
    run(async {
        let port = ReservedPort::new();
        let an_hour = 3_600_000;
        let channel =
            channel_with(&port.address(), &[(FIXED_BACKOFF, an_hour.into()), ("linkspan.preset", "grpc".into())]);
        failure(call(&channel), Code::Unavailable).await;

        // The server is there now, and the backoff alone keeps calls from it.
        let server = port.listen();
        let text = failure(call(&channel), Code::Unavailable).await.status().message().to_owned();
        assert!(text.contains("; next attempt in 3"), "{text}");
        let patient = patient_call(&channel);
        assert_eq!(channel.metrics().connect_attempts, 1);
        assert!(!server.has_waiting_connection());

        channel.reset_connect_backoff();
        let mut connection = server.accept().await;
        connection.request().await.answer(b"");
        response(patient).await;
        assert_eq!(channel.metrics().connect_attempts, 2);
    });
}

/// [CONN-62]
#[test]
fn the_second_address_is_used_when_the_first_refuses() {
    run(async {
        let (port, server) = (ReservedPort::new(), Server::start());
        let channel = channel(&format!("{},{}", port.address(), server.address()));
        let call = call(&channel);
        let mut connection = server.accept().await;
        connection.request().await.answer(b"");
        assert_eq!(&*response(call).await.peer, server.address());
        let metrics = channel.metrics();
        assert_eq!((metrics.connect_attempts, metrics.connect_failures), (2, 1));
        let changes: Vec<_> = channel.events(0).iter().map(|event| event.to).collect();
        assert_eq!(changes, [State::Connecting, State::Ready]);
    });
}

/// [CONN-60], [CONN-64], [CONN-45], [LB-11]
#[test]
fn an_address_that_does_not_answer_does_not_hold_up_the_next_and_is_dropped_when_the_next_works() {
    run(async {
        let (silent, server) = (Server::start(), Server::start());
        let channel = channel_with(
            &format!("{},{}", silent.address(), server.address()),
            &[("grpc.happy_eyeballs_connection_attempt_delay_ms", 100.into())],
        );
        let call = call(&channel);
        let first = silent.accept_raw().await;
        let mut connection = server.accept().await;
        connection.request().await.answer(b"");
        assert_eq!(&*response(call).await.peer, server.address());
        // [CONN-35]
        first.closed_by_client().await;
    });
}

/// [CONN-65]
#[test]
fn when_all_addresses_refuse_the_text_names_them_all() {
    run(async {
        let ports = [ReservedPort::new(), ReservedPort::new()];
        let [first, second] = [ports[0].address(), ports[1].address()];
        let channel = channel(&format!("{first},{second}"));
        let failure = failure(call(&channel), Code::Unavailable).await;
        let text = failure.status().message();
        assert!(text.contains(&format!("last error: {second}: ")), "{text}");
        assert!(text.contains(&format!("; tried {first}: ")), "{text}");
        assert!(text.contains(&format!("; tried {second}: ")), "{text}");
    });
}

/// [CONN-40], [WIRE-6]
#[test]
fn a_server_that_speaks_http_1_is_named_as_such() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let call = call(&channel);
        let mut peer = server.accept_raw().await;
        peer.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n").await;
        let failure = failure(call, Code::Unavailable).await;
        assert!(failure.status().message().contains("the server answered in HTTP/1"), "{failure}");
        assert_eq!(failure.end().sent, Sent::NotSent);
    });
}

/// [WIRE-6]
#[test]
fn a_server_that_begins_with_another_frame_than_settings_is_not_used() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let call = call(&channel);
        let mut peer = server.accept_raw().await;
        peer.read_preface().await;
        peer.write_frame(raw::PING, 0, 0, &[0; 8]).await;
        let failure = failure(call, Code::Unavailable).await;
        assert!(failure.status().message().contains("did not begin with an HTTP/2 SETTINGS frame"), "{failure}");
        assert_eq!(channel.metrics().connect_failures, 1);
    });
}

/// [CONN-40], [CONN-41], [WIRE-5]
#[test]
fn a_server_that_sends_no_settings_times_out_and_the_text_names_what_was_waited_for() {
    run(async {
        let server = Server::start();
        let channel =
            channel_with(&server.address(), &[("linkspan.connect_timeout_ms", 50.into()), (FIXED_BACKOFF, 1.into())]);
        let call = call(&channel);
        let mut peer = server.accept_raw().await;
        peer.read_preface().await;
        let failure = failure(call, Code::Unavailable).await;
        let text = failure.status().message();
        assert!(text.contains("timed out after "), "{text}");
        assert!(text.contains(" s waiting for the server's HTTP/2 SETTINGS"), "{text}");
    });
}

/// [WIRE-5]
#[test]
fn no_request_is_sent_before_the_servers_settings_are_here() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let call = call(&channel);
        let mut peer = server.accept_raw().await;
        peer.read_preface().await;
        assert_eq!(channel.state(false), State::Connecting);
        // Answered only once the client has read what came before: whatever it wants to send early is here by then.
        peer.write_frame(SETTINGS, 0, 0, &[]).await;
        let mut before_acknowledgement = Vec::new();
        loop {
            let frame = peer.frame().await.expect("a frame");
            if frame.kind == SETTINGS && frame.flags & raw::ACK != 0 {
                break;
            }
            before_acknowledgement.push(frame.kind);
        }
        assert!(!before_acknowledgement.contains(&raw::HEADERS), "{before_acknowledgement:?}");
        let stream = peer.request().await;
        peer.answer(stream, b"").await;
        response(call).await;
    });
}

#[test]
fn a_server_that_closes_at_once_is_told_as_such() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let call = call(&channel);
        drop(server.accept_raw().await);
        let failure = failure(call, Code::Unavailable).await;
        assert!(failure.status().message().contains("before its HTTP/2 SETTINGS"), "{failure}");
    });
}

#[test]
fn a_missing_unix_socket_is_named() {
    run(async {
        let target = "unix:/linkspan-no-such-folder/socket";
        let channel = Channel::new(target, &Credentials::insecure(), &ChannelOptions::new()).expect("a channel");
        let failure = failure(call(&channel), Code::Unavailable).await;
        assert!(failure.status().message().contains("unix:/linkspan-no-such-folder/socket: No such file"), "{failure}");
    });
}

/// [WIRE-244], [DL-5]
#[test]
fn a_deadline_that_passes_while_connecting_tells_what_the_call_waited_for() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let timeout = Timeout::After(std::time::Duration::from_millis(100));
        let call = call_with(&channel, "", CallOptions { timeout, ..CallOptions::default() });
        let _silent = server.accept_raw().await;
        let failure = failure(call, Code::DeadlineExceeded).await;
        let text = failure.status().message();
        assert!(text.starts_with("deadline exceeded; phase connect; "), "{text}");
        assert!(text.contains(&server.address()), "{text}");
        assert!(text.ends_with("; not sent"), "{text}");
        assert_eq!(failure.end().sent, Sent::NotSent);
    });
}

/// [WIRE-244], [CONN-21]
#[test]
fn a_deadline_that_passes_while_waiting_for_ready_tells_the_last_connect_error() {
    run(async {
        let port = ReservedPort::new();
        let channel = channel(&port.address());
        let options = CallOptions {
            timeout: Timeout::After(std::time::Duration::from_millis(100)),
            wait_for_ready: Some(true),
            ..CallOptions::default()
        };
        let failure = failure(call_with(&channel, "", options), Code::DeadlineExceeded).await;
        let text = failure.status().message();
        assert!(text.contains(&format!("tried {}: Connection refused", port.address())), "{text}");
    });
}

/// [CONN-82]
#[test]
fn a_server_that_lets_everybody_in_and_out_again_is_not_dialed_without_a_pause() {
    run(async {
        let server = Server::start();
        let options = [(FIXED_BACKOFF, 3_600_000.into()), ("linkspan.max_connections_per_subchannel", 1.into())];
        let channel = channel_with(&server.address(), &options);
        let call = call(&channel);
        let visits = crate::peer::beside(async move {
            for visit in 1.. {
                let mut peer = server.accept_raw().await;
                assert!(visit <= 2, "dialed once more");
                peer.read_preface().await;
                // Usable, but not one stream is allowed; then gone, once the client has seen that.
                peer.write_frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 0]).await;
                while peer.frame_of(SETTINGS).await.flags & raw::ACK == 0 {}
            }
        });
        let failure = failure(call, Code::Unavailable).await;
        assert!(failure.status().message().contains("closed by the server"), "{failure}");
        assert!(!visits.is_finished());
        assert_eq!(channel.metrics().connect_attempts, 2);
        assert_eq!(channel.state(false), State::TransientFailure);
    });
}

/// [CONN-22]
#[test]
fn a_call_that_waits_for_ready_waits_through_a_name_that_cannot_be_resolved() {
    run(async {
        let channel = Channel::new("dns:///nobody.invalid:1", &Credentials::insecure(), &ChannelOptions::new())
            .expect("a channel");
        let failed = failure(call(&channel), Code::Unavailable).await;
        assert!(failed.status().message().starts_with("DNS resolution failed for nobody.invalid"), "{failed}");
        let timeout = Timeout::After(std::time::Duration::from_millis(100));
        let waiting = CallOptions { timeout, wait_for_ready: Some(true), ..CallOptions::default() };
        failure(call_with(&channel, "", waiting), Code::DeadlineExceeded).await;
    });
}
