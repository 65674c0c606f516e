//! How calls end: by the server's word, or because the server broke a rule.

use h2::Reason;
use linkspan_core::{CallError, Channel, Code, Sent};

use crate::peer::client::{call, channel, channel_with, failure, response};
use crate::peer::run;
use crate::peer::server::{Connection, Request, Server, frame};

/// A channel with a call on it, and the call's request at the server.
async fn requested(channel: &Channel, server: &Server) -> (Call, Connection, Request) {
    let call = call(channel);
    let mut connection = server.accept().await;
    let request = connection.request().await;
    (call, connection, request)
}

type Call = tokio::task::JoinHandle<crate::peer::client::Unary>;

const GRPC: (&str, &str) = ("content-type", "application/grpc");

/// Makes a call whose answer is `answer`, and gives its failure, which must have this code.
async fn failed(code: Code, answer: impl FnOnce(&mut Request)) -> linkspan_core::RpcError {
    let server = Server::start();
    let channel = channel(&server.address());
    let (call, _connection, mut request) = requested(&channel, &server).await;
    answer(&mut request);
    failure(call, code).await
}

/// [WIRE-165]
#[test]
fn resets_become_the_status_the_protocol_says_and_name_the_code() {
    let table = [
        (Reason::NO_ERROR, Code::Internal, "NO_ERROR"),
        (Reason::PROTOCOL_ERROR, Code::Internal, "PROTOCOL_ERROR"),
        (Reason::INTERNAL_ERROR, Code::Internal, "INTERNAL_ERROR"),
        (Reason::CANCEL, Code::Cancelled, "CANCEL"),
        (Reason::ENHANCE_YOUR_CALM, Code::ResourceExhausted, "ENHANCE_YOUR_CALM"),
        (Reason::INADEQUATE_SECURITY, Code::PermissionDenied, "INADEQUATE_SECURITY"),
    ];
    run(async move {
        for (reason, code, name) in table {
            let failure = failed(code, |request| request.reset(reason)).await;
            let text = failure.status().message();
            assert!(text.starts_with(&format!("the server reset the stream with {name}; ")), "{text}");
            assert_eq!(failure.end().sent, Sent::Processed);
            assert!(failure.end().local);
        }
    });
}

/// [WIRE-133]
#[test]
fn a_status_without_headers_before_it_shows_its_metadata_as_trailing() {
    run(async {
        let failure = failed(Code::NotFound, |request| {
            request.answer_at_once(200, &[GRPC, ("grpc-status", "5"), ("grpc-message", "no such thing"), ("x-a", "b")]);
        })
        .await;
        assert_eq!(failure.status().message(), "no such thing");
        assert_eq!(failure.end().trail, "");
        assert!(!failure.end().local);
        assert_eq!(failure.initial(), None);
        assert_eq!(failure.end().trailing.get("x-a").expect("there"), "b");
        assert_eq!(failure.end().trailing.len(), 1);
    });
}

/// [WIRE-150], [WIRE-151]
#[test]
fn an_end_without_grpc_status_is_unknown() {
    run(async {
        let at_once = failed(Code::Unknown, |request| request.answer_at_once(200, &[GRPC])).await;
        assert!(at_once.status().message().contains("without a usable grpc-status"), "{at_once}");
        let in_trailers = failed(Code::Unknown, |request| {
            let mut answer = request.start();
            answer.message(b"");
            answer.end_with(&[("x-a", "b")]);
        })
        .await;
        assert!(in_trailers.status().message().contains("without a usable grpc-status"), "{in_trailers}");
    });
}

/// [WIRE-136], [WIRE-137]
#[test]
fn a_grpc_status_outside_the_range_is_unknown_and_keeps_number_and_text() {
    run(async {
        let status = |text| {
            failed(Code::Unknown, move |request| {
                request.answer_at_once(200, &[GRPC, ("grpc-status", text), ("grpc-message", "odd")]);
            })
        };
        let above = status("99").await;
        assert_eq!((above.status().raw_code(), above.status().message()), (99, "odd"));
        for malformed in ["-1", "five", ""] {
            let failure = status(malformed).await;
            assert!(failure.end().local);
            assert!(failure.status().message().contains(&format!("{malformed:?}")), "{failure}");
        }
    });
}

/// [WIRE-160], [WIRE-161]
#[test]
fn an_http_status_without_grpc_status_is_mapped_and_named() {
    let table =
        [(503, Code::Unavailable), (401, Code::Unauthenticated), (404, Code::Unimplemented), (500, Code::Unknown)];
    run(async move {
        for (http, code) in table {
            let failure = failed(code, |request| {
                request.answer_at_once(http, &[("content-type", "text/html")]);
            })
            .await;
            let text = failure.status().message();
            assert!(text.contains(&format!("HTTP {http} ")) && text.contains("\"text/html\""), "{text}");
        }
    });
}

/// [WIRE-161]: what it says in its body as well, as far as it has come and no further than a kilobyte.
#[test]
fn the_beginning_of_a_body_that_is_no_grpc_is_told_and_its_rest_is_not_waited_for() {
    run(async {
        for size in [20, 3_000] {
            let failure = failed(Code::Unavailable, |request| {
                let mut answer = request.start_with(502, &[("content-type", "text/html")]);
                answer.data("x".repeat(size), false);
            })
            .await;
            let text = failure.status().message();
            let told = format!("content-type \"text/html\", body \"{}\"; ", "x".repeat(size.min(1_024)));
            assert!(text.contains(&told), "{text}");
        }
    });
}

/// [WIRE-154]
#[test]
fn another_content_type_is_refused_although_http_says_200() {
    run(async {
        let failure = failed(Code::Unknown, |request| {
            let mut answer = request.start_with(200, &[("content-type", "text/html")]);
            answer.data("<html>", false);
        })
        .await;
        assert!(failure.status().message().contains("\"text/html\""), "{failure}");
        let similar = failed(Code::Unknown, |request| {
            request.start_with(200, &[("content-type", "application/grpc-web")]);
        });
        assert!(similar.await.status().message().contains("grpc-web"));
    });
}

/// [WIRE-153]
#[test]
fn a_grpc_status_wins_over_the_http_status() {
    run(async {
        let failure = failed(Code::Aborted, |request| {
            request.answer_at_once(503, &[GRPC, ("grpc-status", "10"), ("grpc-message", "lost")]);
        });
        assert_eq!(failure.await.status().message(), "lost");
    });
}

/// [WIRE-139], [WIRE-140]
#[test]
fn the_status_text_is_decoded_and_what_is_no_escape_stays() {
    run(async {
        let failure = failed(Code::Unknown, |request| {
            request.answer_at_once(200, &[GRPC, ("grpc-status", "2"), ("grpc-message", "%E2%98%BA 100% %zz")]);
        });
        assert_eq!(failure.await.status().message(), "\u{263a} 100% %zz");
    });
}

/// [WIRE-93]
#[test]
fn a_message_above_the_limit_is_refused_on_its_prefix_and_the_stream_is_cancelled() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[("grpc.max_receive_message_length", 10.into())]);
        let (call, _connection, mut request) = requested(&channel, &server).await;
        let mut answer = request.start();
        answer.data(vec![0, 0, 0, 0, 11], false);
        let failure = failure(call, Code::ResourceExhausted).await;
        assert!(failure.status().message().starts_with("received message larger than max (11 vs. 10); "), "{failure}");
        assert_eq!(answer.reset_by_client().await, Reason::CANCEL);
    });
}

#[test]
fn a_message_at_the_limit_is_received_and_a_call_may_set_a_smaller_limit() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[("grpc.max_receive_message_length", 10.into())]);
        let (call, mut connection, request) = requested(&channel, &server).await;
        request.answer(&[b'x'; 10]);
        assert_eq!(response(call).await.message.len(), 10);

        let options = linkspan_core::CallOptions { max_receive_bytes: Some(9), ..Default::default() };
        let limited = crate::peer::client::call_with(&channel, "", options);
        connection.request().await.answer(&[b'x'; 10]);
        let failure = failure(limited, Code::ResourceExhausted).await;
        assert!(failure.status().message().contains("(10 vs. 9)"), "{failure}");
    });
}

#[test]
fn a_message_too_large_to_send_ends_the_call_before_anybody_connects() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[("grpc.max_send_message_length", 4.into())]);
        let failure = failure(call(&channel), Code::ResourceExhausted).await;
        assert!(failure.status().message().starts_with("message to send is larger than max (5 vs. 4); "), "{failure}");
        assert_eq!(failure.end().sent, Sent::NotSent);
        assert_eq!(channel.metrics().connect_attempts, 0);
    });
}

/// [WIRE-119], [WIRE-94]
#[test]
fn a_compressed_flag_without_an_encoding_and_an_unknown_flag_are_internal() {
    run(async {
        for (flag, words) in [(1, "compressed message"), (2, "flag 2")] {
            let failure = failed(Code::Internal, |request| {
                let mut message = frame(b"abc");
                message[0] = flag;
                request.start().data(message, false);
            })
            .await;
            assert!(failure.status().message().contains(words), "{failure}");
        }
    });
}

/// [WIRE-95], [WIRE-152]
#[test]
fn an_end_inside_a_message_or_without_trailers_is_internal() {
    run(async {
        let inside = failed(Code::Internal, |request| {
            let mut answer = request.start();
            answer.data(frame(b"abcdef")[..7].to_vec(), false);
            answer.end(0);
        })
        .await;
        assert!(inside.status().message().contains("inside a message"), "{inside}");
        let without = failed(Code::Internal, |request| request.start().data(frame(b"abc"), true)).await;
        assert!(without.status().message().contains("without trailers"), "{without}");
    });
}

/// [WIRE-157], [WIRE-158]
#[test]
fn a_unary_call_with_no_response_or_with_two_is_unimplemented() {
    run(async {
        let none = failed(Code::Unimplemented, |request| request.start().end(0)).await;
        assert!(none.status().message().contains("no message"), "{none}");
        let at_once = failed(Code::Unimplemented, |request| {
            request.answer_at_once(200, &[GRPC, ("grpc-status", "0")]);
        });
        assert!(at_once.await.status().message().contains("no message"));

        let server = Server::start();
        let channel = channel(&server.address());
        let (call, _connection, mut request) = requested(&channel, &server).await;
        let mut answer = request.start();
        answer.message(b"one");
        answer.message(b"two");
        let two = failure(call, Code::Unimplemented).await;
        assert!(two.status().message().contains("second message"), "{two}");
        assert_eq!(answer.reset_by_client().await, Reason::CANCEL);
    });
}

/// A failure of the server's is told as it is also when no message came before it.
#[test]
fn a_status_other_than_ok_needs_no_message_and_one_that_came_is_dropped() {
    run(async {
        for sends_message in [false, true] {
            let failure = failed(Code::DataLoss, |request| {
                let mut answer = request.start_with(200, &[GRPC, ("x-initial", "a")]);
                if sends_message {
                    answer.message(b"dropped");
                }
                answer.end_with(&[("grpc-status", "15"), ("grpc-message", "gone")]);
            })
            .await;
            assert_eq!(failure.status().message(), "gone");
            assert_eq!(failure.initial().expect("there").get("x-initial").expect("there"), "a");
        }
    });
}

/// [WIRE-72]
#[test]
fn headers_above_the_limit_end_their_call_and_no_other() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &[("grpc.absolute_max_metadata_size", 1_000.into())]);
        let large = call(&channel);
        let mut connection = server.accept().await;
        let mut large_request = connection.request().await;
        let other = call(&channel);
        let other_request = connection.request().await;
        large_request.start_with(200, &[GRPC, ("x-large", &"x".repeat(2_000))]);
        let failure = failure(large, Code::ResourceExhausted).await;
        assert!(failure.status().message().starts_with("received metadata larger than max ("), "{failure}");
        other_request.answer(b"fine");
        assert_eq!(response(other).await.message, "fine");
    });
}

/// A request that is refused before it is a call has no status.
#[test]
fn a_malformed_request_is_refused_and_leaves_no_trace() {
    run(async {
        let channel = channel("127.0.0.1:1");
        for method in ["", "test.Service/Method", "/test.Service/Meth od", "/test?x"] {
            let outcome = channel.unary(method, "", linkspan_core::CallOptions::default()).await;
            let CallError::Refused(error) = outcome.expect_err("refused") else { panic!("a call was made") };
            assert_eq!(error.kind(), linkspan_core::ErrorKind::State);
            assert!(error.message().contains(&format!("{method:?}")), "{error}");
        }
        assert_eq!(channel.metrics().calls_started, 0);
    });
}
