//! What travels beside the messages: metadata both ways, and the headers a request carries by itself.

use std::sync::Arc;

use linkspan_core::{CallOptions, Channel, Code, Credentials, Metadata};

use crate::peer::client::{call, call_with, channel, channel_with, failure, options, response};
use crate::peer::run;
use crate::peer::server::Server;

fn metadata(entries: &[(&str, &'static [u8])]) -> Metadata {
    let mut metadata = Metadata::new();
    for (key, value) in entries {
        metadata.append(key, *value).expect("good metadata");
    }
    metadata
}

fn values<'a>(metadata: &'a Metadata, key: &str) -> Vec<&'a [u8]> {
    metadata.iter().filter(|(name, _)| *name == key).map(|(_, value)| &**value).collect()
}

/// [WIRE-50], [WIRE-60], [WIRE-61]
#[test]
fn metadata_reaches_the_server_in_order_and_bytes_go_as_unpadded_base64() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let metadata = metadata(&[("x-text", b"one"), ("x-bytes-bin", &[0, 255, 16, 1]), ("x-text", b"two, three")]);
        let call = call_with(&channel, "", CallOptions { metadata, ..CallOptions::default() });
        let request = server.accept().await.request().await;
        assert_eq!(request.header("x-text"), ["one", "two, three"]);
        assert_eq!(request.header("x-bytes-bin"), ["AP8QAQ"]);
        call.abort();
    });
}

/// [WIRE-62], [WIRE-63]
#[test]
fn metadata_comes_back_initial_and_trailing_with_bytes_decoded_whatever_their_form() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let call = call(&channel);
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        let mut answer = request.start_with(
            200,
            &[
                ("content-type", "application/grpc+proto"),
                ("x-text", "one"),
                ("x-text", "two, three"),
                ("x-bytes-bin", "AP8QAQ==,AQ"),
                ("x-bytes-bin", "Ag=="),
            ],
        );
        answer.message(b"");
        answer.end_with(&[("grpc-status", "0"), ("x-end", "over"), ("x-end-bin", "/w")]);
        let response = response(call).await;
        assert_eq!(values(&response.initial, "x-text"), [&b"one"[..], b"two, three"]);
        assert_eq!(values(&response.initial, "x-bytes-bin"), [&[0, 255, 16, 1][..], &[1], &[2]]);
        assert_eq!(response.initial.len(), 5, "library headers are not metadata: {:?}", response.initial);
        assert_eq!(values(&response.trailing, "x-end"), [b"over"]);
        assert_eq!(values(&response.trailing, "x-end-bin"), [[255]]);
        assert_eq!(response.trailing.len(), 2, "{:?}", response.trailing);
    });
}

/// [WIRE-64]
#[test]
fn bytes_that_are_not_base64_end_the_call_and_name_the_key() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let call = call(&channel);
        let mut connection = server.accept().await;
        let mut request = connection.request().await;
        let _answer = request.start_with(200, &[("content-type", "application/grpc"), ("x-bytes-bin", "%%%")]);
        let failure = failure(call, Code::Internal).await;
        assert!(failure.status().message().contains("\"x-bytes-bin\""), "{failure}");
    });
}

/// [WIRE-54], [WIRE-55], [WIRE-56]
#[test]
fn library_headers_among_the_metadata_never_replace_the_engines_own() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let metadata = metadata(&[
            ("te", b"gzip"),
            ("content-type", b"text/plain"),
            ("user-agent", b"forged"),
            ("grpc-timeout", b"1n"),
            ("grpc-encoding", b"gzip"),
            ("connection", b"close"),
            ("x-kept", b"yes"),
        ]);
        let call = call_with(&channel, "", CallOptions { metadata, ..CallOptions::default() });
        let request = server.accept().await.request().await;
        assert_eq!(request.header("te"), ["trailers"]);
        assert_eq!(request.header("content-type"), ["application/grpc"]);
        assert!(!request.header("user-agent").contains(&"forged"));
        for absent in ["grpc-timeout", "grpc-encoding", "connection"] {
            assert!(request.header(absent).is_empty(), "{absent}");
        }
        assert_eq!(request.header("x-kept"), ["yes"]);
        call.abort();
    });
}

/// [WIRE-81], [WIRE-80]
#[test]
fn a_request_names_method_authority_and_user_agent() {
    run(async {
        let server = Server::start();
        let channel = channel_with(
            &server.address(),
            &[("grpc.primary_user_agent", "first/1".into()), ("grpc.secondary_user_agent", "last/2".into())],
        );
        let call = call(&channel);
        let request = server.accept().await.request().await;
        assert_eq!(request.head.method, "POST");
        assert_eq!(request.head.uri.path(), "/test.Service/Method");
        assert_eq!(request.head.uri.scheme_str(), Some("http"));
        assert_eq!(request.head.uri.authority().expect("an authority").as_str(), server.address());
        let own = format!("grpc-rust-linkspan/{} (linux)", linkspan_core::VERSION);
        assert_eq!(request.header("user-agent"), [format!("first/1 {own} last/2")]);
        call.abort();
    });
}

/// [WIRE-25]
#[test]
fn the_authority_is_the_calls_or_else_the_options() {
    run(async {
        let server = Server::start();
        let options = options(&[("grpc.default_authority", "of.the.channel".into())]);
        let target = format!("ipv4:{}", server.address());
        let channel = Channel::new(&target, &Credentials::insecure(), &options).expect("a channel");
        assert_eq!(channel.authority(), "of.the.channel");
        let by_channel = call(&channel);
        let mut connection = server.accept().await;
        let request = connection.request().await;
        assert_eq!(request.head.uri.authority().expect("an authority"), "of.the.channel");

        let authority = Some(Arc::from("of.the.call:99"));
        let by_call = call_with(&channel, "", CallOptions { authority, ..CallOptions::default() });
        let request = connection.request().await;
        assert_eq!(request.head.uri.authority().expect("an authority"), "of.the.call:99");
        by_channel.abort();
        by_call.abort();
    });
}

/// [WIRE-73]: the server would cut it off, with others' calls.
#[test]
fn metadata_larger_than_the_server_takes_is_not_sent_and_the_connection_goes_on() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        let first = call(&channel);
        let mut builder = h2::server::Builder::new();
        builder.max_header_list_size(1_000);
        let mut connection = server.accept_with(&builder).await;
        connection.request().await.answer(b"");
        response(first).await;
        let large = CallOptions { metadata: metadata(&[("x-text", &[b'x'; 1_000])]), ..CallOptions::default() };
        let failed = failure(call_with(&channel, "", large), Code::ResourceExhausted).await;
        let text = failed.status().message();
        assert!(
            text.starts_with("metadata to send is larger than the server takes (") && text.contains(" vs. 1000)"),
            "{text}"
        );
        assert_eq!(failed.end().sent, linkspan_core::Sent::NotSent);
        let small = CallOptions { metadata: metadata(&[("x-text", &[b'x'; 100])]), ..CallOptions::default() };
        let next = call_with(&channel, "", small);
        connection.request().await.answer(b"next");
        assert_eq!(response(next).await.message, "next");
        assert_eq!(channel.metrics().connect_attempts, 1);
    });
}
