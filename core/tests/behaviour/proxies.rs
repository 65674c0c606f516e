//! Channels that reach their servers through an HTTP proxy.

use linkspan_core::{CallOptions, Channel, Code, Credentials, ErrorKind, OptionValue};

use crate::peer::client::{call, call_with, failure, options, response, told};
use crate::peer::proxy::{Proxy, Rules};
use crate::peer::run;
use crate::peer::server::{Connection, Server};

/// A name that no resolver knows (RFC 6761 §6.4).
const NAME: &str = "svc.invalid:50051";
/// Of documentation (RFC 5737): unlike this machine's own addresses, no `no_proxy` of a developer's has it.
const ADDRESS: &str = "192.0.2.1:50051";

fn channel(target: &str, set: &[(&str, OptionValue)]) -> Channel {
    Channel::new(target, &Credentials::insecure(), &options(set)).expect("a channel")
}

fn through(url: &str) -> (&'static str, OptionValue) {
    ("grpc.http_proxy", url.into())
}

/// Answers the first call of the next connection.
async fn serve_one(server: &Server) -> Connection {
    let mut connection = server.accept().await;
    connection.request().await.answer(b"");
    connection
}

/// [CONN-170], [CONN-175], [CONN-178]
#[test]
fn a_name_that_only_the_proxy_knows_carries_calls() {
    run(async {
        let server = Server::start();
        let mut proxy = Proxy::to(NAME, &server.address()).await;
        let channel = channel(NAME, &[through(&proxy.url())]);
        let first = call(&channel);
        let mut connection = server.accept().await;
        let request = connection.request().await;
        assert_eq!(request.head.uri.authority().expect("an authority"), NAME);
        request.answer(b"through");
        let first = response(first).await;
        let address = format!("{NAME} via proxy {}", proxy.address());
        assert_eq!((&first.message[..], &*first.peer), (&b"through"[..], &*address));
        assert_eq!(proxy.request().await, format!("CONNECT {NAME} HTTP/1.1\r\nHost: {NAME}\r\n\r\n"));
        assert!(told(&channel).iter().any(|line| line.contains(&address)), "{:?}", told(&channel));
        // The tunnel stays.
        let second = call_with(&channel, vec![7; 1 << 20], CallOptions::default());
        let mut request = connection.request().await;
        let message = request.message().await.expect("a message");
        request.answer(&message);
        assert_eq!(response(second).await.message, vec![7; 1 << 20]);
        assert!(!proxy.has_waiting_request());
    });
}

/// [CONN-175]: the proxy's name is looked up as a server's would be.
#[test]
fn the_proxy_may_have_a_name() {
    run(async {
        let server = Server::start();
        let proxy = Proxy::to(NAME, &server.address()).await;
        let port = proxy.address().rsplit(':').next().expect("a port").to_owned();
        let set = [through(&format!("http://localhost:{port}")), ("linkspan.lb_policy", "pick_first".into())];
        let call = call(&channel(NAME, &set));
        let _connection = serve_one(&server).await;
        let address = format!("{NAME} via proxy {}", proxy.address());
        assert_eq!(&*response(call).await.peer, address);
    });
}

/// [CONN-175]
#[test]
fn a_proxy_whose_name_does_not_exist_is_told_to_be_the_proxy() {
    run(async {
        let channel = channel(NAME, &[through("http://user:secret@proxy.invalid:3128")]);
        let failure = failure(call(&channel), Code::Unavailable).await;
        let text = failure.status().message();
        assert!(text.contains("the proxy proxy.invalid:3128") && !text.contains("secret"), "{text}");
    });
}

/// [CONN-172], [CONN-176]
#[test]
fn a_proxy_that_wants_credentials_gets_them_and_nobody_else_sees_them() {
    run(async {
        let server = Server::start();
        let destinations = vec![(NAME.to_owned(), server.address())];
        let rules = Rules { destinations, credentials: Some("user:pass word"), ..Rules::default() };
        let proxy = Proxy::start(rules).await;
        let url = |user: &str| format!("http://{user}{}", proxy.address());
        for (user, hint) in [
            ("", "put them into its URL: \"http://user:password@host:port\""),
            ("user:wr0ng@", "it did not accept the user and password of its URL"),
        ] {
            let channel = channel(NAME, &[through(&url(user))]);
            let failure = failure(call(&channel), Code::Unavailable).await;
            let text = failure.status().message();
            let wanted = format!("{NAME} via proxy {}: the proxy refused CONNECT: 407", proxy.address());
            assert!(text.contains(&wanted) && text.contains(hint), "{text}");
            let everything = format!("{text} {:?} {:?}", told(&channel), channel.metrics());
            assert!(!everything.contains("wr0ng") && !everything.contains("dXNlcjp3"), "{everything}");
        }
        let call = call(&channel(NAME, &[through(&url("user:pass%20word@"))]));
        let _connection = serve_one(&server).await;
        response(call).await;
    });
}

/// [CONN-176]
#[test]
fn a_proxy_that_refuses_fails_the_attempt_and_is_asked_again_after_the_backoff() {
    run(async {
        let mut proxy = Proxy::start(Rules { refusal: Some("403 Forbidden"), ..Rules::default() }).await;
        let backoff = ("grpc.testing.fixed_reconnect_backoff_ms", 100.into());
        let channel = channel(NAME, &[through(&proxy.url()), backoff]);
        let failure = failure(call(&channel), Code::Unavailable).await;
        let text = failure.status().message();
        let wanted = format!("{NAME} via proxy {}: the proxy refused CONNECT: 403 Forbidden", proxy.address());
        assert!(text.contains(&wanted), "{text}");
        for _ in 0..3 {
            proxy.request().await;
        }
        assert!(channel.metrics().connect_failures >= 2);
    });
}

/// [CONN-174], [CONN-175]
#[test]
fn an_address_is_asked_for_as_it_is() {
    run(async {
        let server = Server::start();
        let mut proxy = Proxy::to(ADDRESS, &server.address()).await;
        let call = call(&channel(&format!("ipv4:{ADDRESS}"), &[through(&proxy.url())]));
        let _connection = serve_one(&server).await;
        response(call).await;
        let request = proxy.request().await;
        assert!(request.starts_with(&format!("CONNECT {ADDRESS} HTTP/1.1\r\n")), "{request}");
    });
}

/// [CONN-171]
#[test]
fn a_channel_with_the_switch_off_goes_straight_to_the_server() {
    run(async {
        let server = Server::start();
        let proxy = Proxy::start(Rules::default()).await;
        let set = [through(&proxy.url()), ("grpc.enable_http_proxy", false.into())];
        let call = call(&channel(&server.address(), &set));
        let _connection = serve_one(&server).await;
        assert_eq!(&*response(call).await.peer, server.address());
        assert!(!proxy.has_waiting_request());
    });
}

/// [CONN-179]
#[test]
fn addresses_that_are_listed_go_through_the_proxy_for_addresses() {
    run(async {
        let server = Server::start();
        let port = server.address().rsplit(':').next().expect("a port").to_owned();
        let proxy = Proxy::start(Rules::default()).await;
        let to = |networks: &str| {
            let set = [
                ("grpc.address_http_proxy", proxy.address().into()),
                ("grpc.address_http_proxy_enabled_addresses", networks.into()),
                ("linkspan.lb_policy", "pick_first".into()),
            ];
            channel(&format!("dns:///localhost:{port}"), &set)
        };
        for (networks, wanted) in [
            ("127.0.0.0/8", format!("{} via proxy {}", server.address(), proxy.address())),
            ("10.0.0.0/8", server.address()),
        ] {
            let call = call(&to(networks));
            let _connection = serve_one(&server).await;
            assert_eq!(&*response(call).await.peer, wanted);
        }
    });
}

/// [CONN-172]
#[test]
fn an_option_that_names_no_http_proxy_makes_no_channel() {
    let set = options(&[through("https://user:secret@proxy.invalid")]);
    let error = Channel::new(NAME, &Credentials::insecure(), &set).expect_err("no such proxies");
    assert_eq!(error.kind(), ErrorKind::BadOption);
    let wanted = "option \"grpc.http_proxy\" has the scheme https; only http proxies can be used";
    assert!(error.message().starts_with(wanted) && !error.message().contains("secret"), "{error}");
}
