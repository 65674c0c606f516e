//! Compressed messages, both ways: who asks for it, what says so, and when nothing is compressed after all.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use linkspan_core::{
    CallOptions, CallRequest, Channel, Code, Compression, OptionValue, Reply, RpcError, StreamCall, UnaryResponse,
};

use crate::peer::client::{METHOD, call, call_with, channel, channel_with, events, failure, response};
use crate::peer::run;
use crate::peer::server::{Connection, Request, Server, flagged};

const GZIP: CallOptionsOf = CallOptionsOf(Some(Compression::Gzip));
const NOTHING: CallOptionsOf = CallOptionsOf(None);

/// What a call says of compression.
#[derive(Clone, Copy)]
struct CallOptionsOf(Option<Compression>);

impl CallOptionsOf {
    fn options(self) -> CallOptions {
        CallOptions { compression: self.0, ..CallOptions::default() }
    }
}

fn by_default(compression: i64) -> [(&'static str, OptionValue); 1] {
    [("grpc.default_compression_algorithm", compression.into())]
}

/// What no encoder leaves as it is.
const TEXT: &[u8] = &[b'x'; 1_000];

fn gzip(message: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(message).expect("written");
    encoder.finish().expect("finished")
}

fn zlib(message: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(message).expect("written");
    encoder.finish().expect("finished")
}

/// What a server reads of a request's next message: whether it was compressed, and what it says.
async fn read(request: &mut Request) -> (bool, Vec<u8>) {
    let (flag, message) = request.flagged_message().await.expect("a message");
    let mut plain = Vec::new();
    match (flag, request.header("grpc-encoding").as_slice()) {
        (0, _) => plain.extend_from_slice(&message),
        (1, ["gzip"]) => {
            flate2::read::GzDecoder::new(&message[..]).read_to_end(&mut plain).expect("gzip");
        }
        (1, ["deflate"]) => {
            flate2::read::ZlibDecoder::new(&message[..]).read_to_end(&mut plain).expect("zlib");
        }
        other => panic!("{other:?}"),
    }
    (flag == 1, plain)
}

fn answer_with(mut request: Request, headers: &[(&str, &str)], flag: u8, message: &[u8]) {
    let mut answer = request.start_with(200, &[&[("content-type", "application/grpc")], headers].concat());
    answer.data(flagged(flag, message), false);
    answer.end(0);
}

/// A call with this text, and its request.
async fn asked(
    channel: &Channel,
    connection: &mut Connection,
    options: CallOptionsOf,
) -> (tokio::task::JoinHandle<crate::peer::client::Unary>, Request) {
    let call = call_with(channel, TEXT, options.options());
    (call, connection.request().await)
}

/// [WIRE-110], [WIRE-111], [WIRE-112], [WIRE-116]
#[test]
fn a_call_compresses_as_it_says_else_as_its_channel_does_and_always_tells_what_it_reads() {
    let table = [
        (0, None, None),
        (0, Some(Compression::Gzip), Some("gzip")),
        (1, None, Some("deflate")),
        (2, None, Some("gzip")),
        (2, Some(Compression::Deflate), Some("deflate")),
        (2, Some(Compression::Identity), None),
    ];
    for (of_channel, of_call, encoding) in table {
        run(async move {
            let server = Server::start();
            let channel = channel_with(&server.address(), &by_default(of_channel));
            let call = call_with(&channel, TEXT, CallOptionsOf(of_call).options());
            let mut connection = server.accept().await;
            let mut request = connection.request().await;
            assert_eq!(request.header("grpc-encoding"), encoding.into_iter().collect::<Vec<_>>());
            assert_eq!(request.header("grpc-accept-encoding"), ["identity,deflate,gzip"]);
            assert_eq!(read(&mut request).await, (encoding.is_some(), TEXT.to_vec()));
            request.answer(b"plain");
            assert_eq!(response(call).await.message, "plain");
        });
    }
}

/// [WIRE-123]: what comes back has nothing to do with what was sent.
#[test]
fn a_response_may_be_compressed_otherwise_than_its_request_or_not_at_all() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let first = call_with(&channel, TEXT, GZIP.options());
        let mut connection = server.accept().await;
        let request = connection.request().await;
        answer_with(request, &[("grpc-encoding", "deflate")], 1, &zlib(b"zlib's"));
        let UnaryResponse { message, initial, .. } = response(first).await;
        assert_eq!(message, "zlib's");
        assert!(initial.is_empty(), "the library's own headers: {initial:?}");
        for (encoding, flag, sent) in
            [("gzip", 1, gzip(TEXT)), ("gzip", 0, TEXT.to_vec()), ("identity", 0, TEXT.to_vec())]
        {
            let (call, request) = asked(&channel, &mut connection, NOTHING).await;
            assert_eq!(request.header("grpc-encoding"), [""; 0]);
            answer_with(request, &[("grpc-encoding", encoding)], flag, &sent);
            assert_eq!(response(call).await.message, TEXT);
        }
    });
}

/// [WIRE-113], [WIRE-114], [WIRE-115]: the header stays, the flag says how it is with each message.
#[test]
fn of_a_stream_each_message_is_compressed_unless_its_sender_says_no_or_it_does_not_help() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let mut call: StreamCall = channel.stream(METHOD, GZIP.options()).expect("a call");
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        assert_eq!(request.header("grpc-encoding"), ["gzip"]);
        call.send(TEXT).await.expect("taken");
        call.send_uncompressed(TEXT).await.expect("taken");
        call.send("").await.expect("taken");
        call.send("short").await.expect("taken");
        call.send(TEXT).await.expect("taken");
        call.close_send();
        let wanted: [(bool, &[u8]); 5] = [(true, TEXT), (false, TEXT), (false, b""), (false, b"short"), (true, TEXT)];
        for (is_compressed, text) in wanted {
            assert_eq!(read(&mut request).await, (is_compressed, text.to_vec()));
        }
        assert!(request.flagged_message().await.is_none());
        let mut answer = request.start_with(200, &[("content-type", "application/grpc"), ("grpc-encoding", "gzip")]);
        for (flag, message) in [(1, gzip(TEXT)), (0, TEXT.to_vec()), (1, gzip(b"")), (0, Vec::new())] {
            answer.data(flagged(flag, &message), false);
        }
        answer.end(0);
        for wanted in [TEXT, TEXT, b"", b""] {
            assert_eq!(call.message().await.expect("OK").expect("a message"), wanted);
        }
        assert_eq!(call.message().await.expect("OK"), None);
    });
}

/// [WIRE-113]
#[test]
fn a_message_that_is_given_with_its_call_may_be_left_as_it_is_too() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &by_default(2));
        let request = |message_uncompressed| CallRequest {
            message: Some(Bytes::from_static(TEXT)),
            message_uncompressed,
            last: true,
            ..CallRequest::new(METHOD)
        };
        let (reply, mut told): (Reply, _) = events();
        let mut connection = None;
        for is_uncompressed in [true, false] {
            channel.start_unary(request(is_uncompressed), reply.clone()).expect("a call");
            channel.start_stream(request(is_uncompressed), reply.clone()).expect("a call");
            if connection.is_none() {
                connection = Some(server.accept().await);
            }
            for _ in 0..2 {
                let mut asked = connection.as_mut().expect("one").request().await;
                assert_eq!(asked.header("grpc-encoding"), ["gzip"]);
                assert_eq!(read(&mut asked).await, (!is_uncompressed, TEXT.to_vec()));
                asked.answer_at_once(200, &[("content-type", "application/grpc"), ("grpc-status", "5")]);
                told.next().await;
            }
        }
    });
}

/// [WIRE-116], [WIRE-117], [WIRE-122]
#[test]
fn a_server_that_cannot_read_it_is_believed_and_so_is_its_newest_word() {
    run(async {
        let server = Server::start();
        let channel = channel_with(&server.address(), &by_default(2));
        let refused = call_with(&channel, TEXT, CallOptions::default());
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        assert_eq!(request.header("grpc-encoding"), ["gzip"], "nobody knows yet");
        request.answer_at_once(
            200,
            &[
                ("content-type", "application/grpc"),
                ("grpc-status", "12"),
                ("grpc-message", "no gzip here"),
                ("grpc-accept-encoding", "identity, deflate"),
            ],
        );
        let failed = failure(refused, Code::Unimplemented).await;
        assert_eq!((failed.status().message(), failed.end().local), ("no gzip here", false));
        assert!(failed.end().trailing.is_empty());
        assert!(!connection.has_waiting_request(), "it is not sent again");

        let (plain, mut request) = asked(&channel, &mut connection, GZIP).await;
        assert_eq!(request.header("grpc-encoding"), [""; 0]);
        assert_eq!(read(&mut request).await, (false, TEXT.to_vec()));
        answer_with(request, &[("grpc-accept-encoding", "identity,deflate,gzip")], 0, b"learned");
        assert_eq!(response(plain).await.message, "learned");

        let (compressed, mut request) = asked(&channel, &mut connection, NOTHING).await;
        assert_eq!(read(&mut request).await, (true, TEXT.to_vec()));
        request.answer(b"");
        response(compressed).await;
    });
}

/// [WIRE-118], [WIRE-119], [WIRE-120]
#[test]
fn an_encoding_nobody_knows_matters_only_where_it_is_used() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let first = call(&channel);
        let mut connection = server.accept().await;
        answer_with(connection.request().await, &[("grpc-encoding", "snappy")], 0, b"plain");
        assert_eq!(response(first).await.message, "plain");
        let named = "the server sent a message compressed with \"snappy\", which was not offered to it";
        let unnamed = "the server sent a compressed message and did not say with what (grpc-encoding)";
        for (encoding, words) in [("snappy", named), ("identity", unnamed)] {
            let (call, request) = asked(&channel, &mut connection, NOTHING).await;
            answer_with(request, &[("grpc-encoding", encoding)], 1, b"?");
            let failed: RpcError = failure(call, Code::Internal).await;
            assert!(failed.status().message().starts_with(words), "{failed}");
        }
    });
}

/// [WIRE-103], [SC-24]
#[test]
fn limits_are_for_what_is_sent_as_it_is_sent_and_for_what_is_received_both_ways() {
    run(async {
        let server = Server::start();
        let limited = [("grpc.max_send_message_length", 500.into()), ("grpc.max_receive_message_length", 500.into())];
        let channel = channel_with(&server.address(), &limited);
        let refused = failure(call_with(&channel, TEXT, NOTHING.options()), Code::ResourceExhausted).await;
        assert!(refused.status().message().contains("1000 vs. 500"), "{refused}");
        let small = call_with(&channel, TEXT, GZIP.options());
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        assert_eq!(read(&mut request).await, (true, TEXT.to_vec()));
        answer_with(request, &[("grpc-encoding", "gzip")], 1, &gzip(&TEXT[..500]));
        assert_eq!(response(small).await.message, TEXT[..500]);
        let (bomb, request) = asked(&channel, &mut connection, GZIP).await;
        answer_with(request, &[("grpc-encoding", "gzip")], 1, &gzip(&TEXT[..501]));
        let failed = failure(bomb, Code::ResourceExhausted).await;
        assert!(
            failed.status().message().starts_with("received message decompresses to more than max (500)"),
            "{failed}"
        );
        let (large, mut request) = asked(&channel, &mut connection, GZIP).await;
        let mut answer = request.start_with(200, &[("content-type", "application/grpc"), ("grpc-encoding", "gzip")]);
        // Nothing of it comes.
        answer.data(vec![1, 0, 0, 1, 0xf5], false);
        let failed = failure(large, Code::ResourceExhausted).await;
        assert!(failed.status().message().starts_with("received message larger than max (501 vs. 500)"), "{failed}");
    });
}

#[test]
fn what_is_turned_off_is_neither_sent_nor_offered_nor_read() {
    let off = |key: &'static str, value: i64| [(key, value.into()), by_default(2)[0].clone()];
    let table = [
        (off("grpc.compression_enabled_algorithms_bitset", 0b011), "identity,deflate", false),
        (off("grpc.per_message_compression", 0), "identity,deflate,gzip", false),
        (off("grpc.per_message_decompression", 0), "identity", true),
        (off("grpc.default_compression_level", 3), "identity,deflate,gzip", true),
    ];
    for (set, offered, is_sent) in table {
        run(async move {
            let server = Server::start();
            let channel = channel_with(&server.address(), &set);
            let mut connection = None;
            for of_call in [NOTHING, GZIP] {
                let call = call_with(&channel, TEXT, of_call.options());
                if connection.is_none() {
                    connection = Some(server.accept().await);
                }
                let mut request = connection.as_mut().expect("one").request().await;
                assert_eq!(request.header("grpc-accept-encoding"), [offered]);
                assert_eq!(read(&mut request).await, (is_sent, TEXT.to_vec()), "{set:?}");
                answer_with(request, &[("grpc-encoding", "gzip")], 1, &gzip(b"gzip's"));
                match offered.contains("gzip") {
                    true => assert_eq!(response(call).await.message, "gzip's"),
                    false => drop(failure(call, Code::Internal).await),
                }
            }
        });
    }
}

/// [INT-02], [BUF-03]: the same bytes, compressed once, also where the server has said meanwhile that it reads something else.
#[test]
fn a_call_that_is_made_again_is_compressed_as_it_was() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let mut call = channel.stream(METHOD, GZIP.options()).expect("a call");
        for _ in 0..3 {
            call.send(TEXT).await.expect("taken");
        }
        call.close_send();
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        for _ in 0..2 {
            assert_eq!(read(&mut request).await, (true, TEXT.to_vec()));
        }
        let other = crate::peer::client::call(&channel);
        answer_with(connection.request().await, &[("grpc-accept-encoding", "identity")], 0, b"");
        response(other).await;
        request.reset(h2::Reason::REFUSED_STREAM);
        let mut request = connection.request().await;
        assert_eq!(request.header("grpc-encoding"), ["gzip"]);
        for _ in 0..3 {
            assert_eq!(read(&mut request).await, (true, TEXT.to_vec()));
        }
        request.answer(b"at last");
        assert_eq!(call.message().await.expect("OK").expect("a message"), "at last");
    });
}

/// More than a part at a time goes through a coder.
#[test]
fn large_messages_come_whole_both_ways() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let large: Vec<u8> = (0..3_000_000_u32).map(|at| (at / 7) as u8).collect();
        let call = call_with(&channel, large.clone(), GZIP.options());
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        assert!(read(&mut request).await == (true, large.clone()));
        answer_with(request, &[("grpc-encoding", "gzip")], 1, &gzip(&large));
        assert!(response(call).await.message == large);
    });
}
