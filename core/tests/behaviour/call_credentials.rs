//! Credentials of calls: plug-ins that answer at once, late, wrongly and never, and where what they give may be sent.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use h2::Reason;
use linkspan_core::{
    AuthContext, CallCredentials, CallError, CallOptions, CallRequest, Channel, ChannelOptions, Code, Credentials,
    Dialect, ErrorKind, Event, LocalConnection, Metadata, MetadataPlugin, MetadataReply, Roots, Sent, State, Timeout,
    TlsOptions,
};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::peer::client::{METHOD, Unary, becomes, call, call_with, channel, events, failure, options, response};
use crate::peer::server::{Connection, Server};
use crate::peer::{TemporaryFolder, run};

/// Answers with what a function does.
struct Does<F>(F);

impl<F: Fn(&AuthContext, MetadataReply) + Send + Sync> MetadataPlugin for Does<F> {
    fn metadata(&self, context: &AuthContext, reply: MetadataReply) {
        (self.0)(context, reply);
    }
}

fn does(what: impl Fn(&AuthContext, MetadataReply) + Send + Sync + 'static) -> CallCredentials {
    CallCredentials::plugin(Does(what))
}

fn entry(key: &str, value: impl Into<bytes::Bytes>) -> Metadata {
    let mut metadata = Metadata::new();
    metadata.append(key, value).expect("good metadata");
    metadata
}

fn gives(key: &'static str, value: &'static str) -> CallCredentials {
    does(move |_, reply| assert!(reply.give(entry(key, value))))
}

/// Credentials whose questions come out at the other end.
fn held() -> (CallCredentials, mpsc::UnboundedReceiver<(AuthContext, MetadataReply)>) {
    let (sender, asked) = mpsc::unbounded_channel();
    (does(move |context, reply| sender.send((context.clone(), reply)).expect("a test")), asked)
}

fn local() -> Credentials {
    Credentials::local(LocalConnection::Tcp)
}

/// A channel over loopback that may carry call credentials.
fn local_channel(server: &Server, credentials: &Credentials) -> Channel {
    let target = format!("ipv4:{}", server.address());
    Channel::new(&target, credentials, &ChannelOptions::new()).expect("a channel")
}

fn with(credentials: CallCredentials) -> CallOptions {
    CallOptions { credentials: Some(credentials), ..CallOptions::default() }
}

async fn connected(server: &Server, channel: &Channel) -> Connection {
    channel.state(true);
    let connection = server.accept().await;
    becomes(channel, State::Ready).await;
    connection
}

/// The text of a call that must fail locally with this code, with nothing sent.
async fn unsent(call: JoinHandle<Unary>, code: Code) -> String {
    let failure = failure(call, code).await;
    assert_eq!((failure.end().sent, failure.end().local), (Sent::NotSent, true));
    failure.status().message().to_owned()
}

#[test]
fn what_the_application_the_channel_and_the_call_bring_is_sent_in_this_order() {
    run(async {
        let server = Server::start();
        let credentials = local().with_call_credentials(gives("x-who", "channel")).expect("local");
        let credentials = credentials.with_call_credentials(CallCredentials::access_token("t").expect("good"));
        let channel = local_channel(&server, &credentials.expect("local"));
        let mut connection = connected(&server, &channel).await;
        let options = CallOptions { metadata: entry("x-who", "application"), ..with(gives("x-who", "call")) };
        let calling = call_with(&channel, "", options);
        let request = connection.request().await;
        assert_eq!(request.header("x-who"), ["application", "channel", "call"]);
        assert_eq!(request.header("authorization"), ["Bearer t"]);
        request.answer(b"");
        response(calling).await;
    });
}

#[test]
fn a_late_answer_from_another_thread_is_waited_for_and_the_plugin_is_told_who_is_called() {
    run(async {
        let server = Server::start();
        let (credentials, mut asked) = held();
        let channel = local_channel(&server, &local());
        let mut connection = connected(&server, &channel).await;
        let calling = call_with(&channel, "hello", with(credentials));
        let (context, reply) = asked.recv().await.expect("asked");
        assert_eq!(context.service_url(), format!("https://{}/test.Service", server.address()));
        assert_eq!((context.method(), context.method_name()), (METHOD, "Method"));
        // Others are not held up.
        let other = call(&channel);
        let request = connection.request().await;
        assert!(request.header("x-late").is_empty());
        request.answer(b"");
        response(other).await;
        std::thread::spawn(move || reply.give(entry("x-late", "it is"))).join().expect("no panic");
        let mut request = connection.request().await;
        assert_eq!(request.header("x-late"), ["it is"]);
        assert_eq!(request.message().await.expect("one"), "hello");
        request.answer(b"");
        response(calling).await;
    });
}

#[test]
fn the_authority_of_the_call_is_the_audience() {
    run(async {
        let server = Server::start();
        let (credentials, mut asked) = held();
        let channel = local_channel(&server, &local());
        let mut connection = connected(&server, &channel).await;
        let options = CallOptions { authority: Some("other.example:443".into()), ..with(credentials) };
        let calling = call_with(&channel, "", options);
        let (context, reply) = asked.recv().await.expect("asked");
        assert_eq!(context.service_url(), "https://other.example/test.Service");
        reply.give(Metadata::new());
        let request = connection.request().await;
        assert_eq!(request.head.uri.authority().expect("one").as_str(), "other.example:443");
        request.answer(b"");
        response(calling).await;
    });
}

/// [RETRY-3]
#[test]
fn each_attempt_asks_anew() {
    run(async {
        let server = Server::start();
        let attempts = AtomicUsize::new(0);
        let counts = does(move |_, reply| {
            let attempt = attempts.fetch_add(1, SeqCst).to_string();
            reply.give(entry("x-attempt", attempt));
        });
        let channel = local_channel(&server, &local().with_call_credentials(counts).expect("local"));
        let mut connection = connected(&server, &channel).await;
        let calling = call(&channel);
        for attempt in ["0", "1"] {
            let mut request = connection.request().await;
            assert_eq!(request.header("x-attempt"), [attempt]);
            request.reset(Reason::REFUSED_STREAM);
        }
        let request = connection.request().await;
        assert_eq!(request.header("x-attempt"), ["2"]);
        request.answer(b"");
        response(calling).await;
    });
}

#[test]
fn what_was_given_before_a_wait_for_a_connection_is_not_shown_after_it() {
    run(async {
        let server = Server::start();
        let (credentials, mut asked) = held();
        let channel = local_channel(&server, &local());
        let connection = connected(&server, &channel).await;
        let patient = CallOptions { wait_for_ready: Some(true), ..with(credentials) };
        let calling = call_with(&channel, "", patient);
        let (_, old) = asked.recv().await.expect("asked");
        let (reply, mut leaves_ready) = events();
        channel.watch(State::Ready, None, reply).expect("a watch");
        drop(connection);
        leaves_ready.next().await;
        old.give(entry("x-token", "old"));
        let mut connection = server.accept().await;
        let (_, new) = asked.recv().await.expect("asked again");
        new.give(entry("x-token", "new"));
        let request = connection.request().await;
        assert_eq!(request.header("x-token"), ["new"]);
        request.answer(b"");
        response(calling).await;
    });
}

#[test]
fn who_waits_for_credentials_does_not_hold_up_those_in_line_behind() {
    run(async {
        let server = Server::start();
        let (credentials, mut asked) = held();
        let target = format!("ipv4:{}", server.address());
        let set = [("linkspan.max_concurrent_requests_per_address", 2.into())];
        let channel = Channel::new(&target, &local(), &options(&set)).expect("a channel");
        let mut connection = connected(&server, &channel).await;
        let running = [call(&channel), call(&channel)];
        let requests = [connection.request().await, connection.request().await];
        // The loop takes them in this order.
        let (reply, mut held_up) = events();
        let request = CallRequest { credentials: Some(credentials), ..CallRequest::new(METHOD) };
        let _held_up = channel.start_unary(request, reply).expect("started");
        let (reply, mut behind) = events();
        let _behind = channel.start_unary(CallRequest::new(METHOD), reply).expect("started");
        for (request, call) in requests.into_iter().zip(running) {
            request.answer(b"");
            response(call).await;
        }
        let (_, question) = asked.recv().await.expect("asked");
        let request = connection.request().await;
        assert!(request.header("x-late").is_empty());
        request.answer(b"");
        assert!(matches!(behind.next().await, Event::Unary(_)));
        question.give(entry("x-late", "it is"));
        let request = connection.request().await;
        assert_eq!(request.header("x-late"), ["it is"]);
        request.answer(b"");
        assert!(matches!(held_up.next().await, Event::Unary(_)));
    });
}

#[test]
fn a_plugin_that_never_answers_costs_its_calls_their_deadline_and_hears_of_it() {
    run(async {
        let server = Server::start();
        let (credentials, mut asked) = held();
        let channel = local_channel(&server, &local());
        let connection = connected(&server, &channel).await;
        let options = CallOptions { timeout: Timeout::After(Duration::from_millis(300)), ..with(credentials) };
        let calling = call_with(&channel, "", options);
        let (_, reply) = asked.recv().await.expect("asked");
        let (sender, mut heard) = mpsc::unbounded_channel();
        reply.on_unwanted(move || sender.send(()).expect("a test"));
        let text = unsent(calling, Code::DeadlineExceeded).await;
        assert!(text.starts_with("deadline exceeded; phase credentials; "), "{text}");
        heard.recv().await.expect("told");
        assert!(!reply.is_wanted());
        assert!(!reply.give(entry("x-late", "too late")));
        assert!(!connection.has_waiting_request());
    });
}

#[test]
fn a_call_that_is_cancelled_or_whose_channel_is_closed_meanwhile_ends_at_once() {
    run(async {
        for by_channel in [false, true] {
            let server = Server::start();
            let (credentials, mut asked) = held();
            let channel = local_channel(&server, &local());
            let _connection = connected(&server, &channel).await;
            let (reply, mut events) = events();
            let request = CallRequest { credentials: Some(credentials), ..CallRequest::new(METHOD) };
            let call = channel.start_unary(request, reply).expect("started");
            let (_, waiting) = asked.recv().await.expect("asked");
            if by_channel {
                channel.close(Some(Duration::ZERO));
            } else {
                call.cancel(Code::Cancelled, "changed my mind");
            }
            let Event::Unary(end) = events.next().await else { panic!("not the end") };
            assert_eq!(end.end.sent, Sent::NotSent);
            let code = if by_channel { Code::Unavailable } else { Code::Cancelled };
            assert_eq!(end.end.status.code(), code, "{}", end.end.status);
            assert!(!waiting.give(Metadata::new()));
        }
    });
}

/// [A54-1], [A54-2], [WIRE-241]
#[test]
fn a_plugin_that_fails_lets_go_or_panics_fails_the_call_and_nothing_is_sent() {
    run(async {
        let server = Server::start();
        let channel = local_channel(&server, &local());
        let mut connection = connected(&server, &channel).await;
        let fails = |code| does(move |_, reply| assert!(reply.fail(code, "no token")));
        let words = "Getting metadata from plugin failed with error: ";
        for (credentials, code, wanted) in [
            (fails(Code::Unavailable), Code::Unavailable, format!("{words}no token; phase credentials; ")),
            (fails(Code::PermissionDenied), Code::PermissionDenied, format!("{words}no token; ")),
            (
                fails(Code::NotFound),
                Code::Internal,
                format!(
                    "Illegal status code from call credentials, a bug of their plug-in; original status: NOT_FOUND: {words}no token; "
                ),
            ),
            (
                does(|_, _| {}),
                Code::Unauthenticated,
                format!("{words}the plug-in let go of the call without an answer; "),
            ),
            (does(|_, _| panic!("on purpose")), Code::Unauthenticated, format!("{words}the plug-in panicked; ")),
        ] {
            let text = unsent(call_with(&channel, "", with(credentials)), code).await;
            assert!(text.starts_with(&wanted), "{text}");
            assert!(text.ends_with("; not sent"), "{text}");
        }
        assert!(!connection.has_waiting_request());
        let calling = call(&channel);
        connection.request().await.answer(b"");
        response(calling).await;
    });
}

#[test]
fn names_of_the_engines_own_headers_are_left_out_of_what_a_plugin_gives() {
    run(async {
        let server = Server::start();
        let channel = local_channel(&server, &local());
        let mut connection = connected(&server, &channel).await;
        let hostile = does(|_, reply| {
            let mut metadata = Metadata::new();
            for (key, value) in [("te", "gzip"), ("grpc-timeout", "1n"), ("content-length", "5"), ("x-kept", "yes")] {
                metadata.append(key, value).expect("a good key");
            }
            reply.give(metadata);
        });
        let calling = call_with(&channel, "", with(hostile));
        let request = connection.request().await;
        assert_eq!((request.header("te"), request.header("x-kept")), (vec!["trailers"], vec!["yes"]));
        assert!(request.header("grpc-timeout").is_empty() && request.header("content-length").is_empty());
        request.answer(b"");
        response(calling).await;
        let flood = does(|_, reply| {
            let mut metadata = Metadata::new();
            for _ in 0..40_000 {
                metadata.append("x-many", "1").expect("a good key");
            }
            reply.give(metadata);
        });
        unsent(call_with(&channel, "", with(flood)), Code::ResourceExhausted).await;
    });
}

#[test]
fn a_stream_waits_for_its_credentials_too_and_keeps_what_is_sent_meanwhile() {
    run(async {
        let server = Server::start();
        let (credentials, mut asked) = held();
        let channel = local_channel(&server, &local());
        let mut connection = connected(&server, &channel).await;
        let mut stream = channel.stream(METHOD, with(credentials)).expect("started");
        let (_, reply) = asked.recv().await.expect("asked");
        stream.send("early").await.expect("room");
        reply.give(entry("x-late", "it is"));
        let mut request = connection.request().await;
        assert_eq!(request.header("x-late"), ["it is"]);
        assert_eq!(request.message().await.expect("one"), "early");
        request.start().end(0);
        assert!(stream.message().await.expect("OK").is_none());
    });
}

#[test]
fn an_insecure_channel_neither_sends_nor_asks_and_does_not_connect_for_it() {
    run(async {
        let server = Server::start();
        let was_asked = Arc::new(Mutex::new(false));
        let credentials = || {
            let was_asked = Arc::clone(&was_asked);
            does(move |_, _| *was_asked.lock().expect("whole") = true)
        };
        for (dialect, wanted) in [
            (
                Dialect::Native,
                "call credentials are sent over secure connections alone; give the channel TLS credentials; ",
            ),
            (
                Dialect::Grpcio,
                "Established channel does not have a sufficient security level to transfer call credential.; ",
            ),
        ] {
            // Nor is it tried again: the channel stays as it is.
            let retries = r#"{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 2, "initialBackoff": "1000s",
                "maxBackoff": "1000s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAUTHENTICATED"]}}]}"#;
            let mut options = options(&[("grpc.service_config", retries.into())]);
            options.set_dialect(dialect);
            let target = format!("ipv4:{}", server.address());
            let channel = Channel::new(&target, &Credentials::insecure(), &options).expect("a channel");
            let text = unsent(call_with(&channel, "", with(credentials())), Code::Unauthenticated).await;
            assert!(text.starts_with(wanted), "{text}");
            assert_eq!(channel.metrics().connect_attempts, 0);
        }
        assert!(!*was_asked.lock().expect("whole"));
        let refused = Credentials::insecure().with_call_credentials(credentials()).expect_err("insecure");
        assert_eq!(refused.kind(), ErrorKind::Credentials);
        assert!(refused.message().contains("combine them with TLS credentials"), "{refused}");
        let tls = Credentials::tls(TlsOptions { roots: Roots::Bundled, ..TlsOptions::default() }).expect("usable");
        assert!(tls.carries_call_credentials() && local().carries_call_credentials());
        assert!(!Credentials::insecure().carries_call_credentials() && !local().is_secure());
    });
}

#[test]
fn local_credentials_connect_to_this_machine_alone() {
    run(async {
        let folder = TemporaryFolder::new();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).expect("a socket");
        let target = format!("unix:{}", path.display());
        let over =
            |kind, target: &str| Channel::new(target, &Credentials::local(kind), &options(&[])).expect("a channel");
        let channel = over(LocalConnection::Uds, &target);
        let calling = call_with(&channel, "", with(CallCredentials::access_token("t").expect("good")));
        let (stream, _) = listener.accept().await.expect("a connection");
        let mut connection = Connection::serve(stream, &h2::server::Builder::new()).await;
        let request = connection.request().await;
        assert_eq!(request.header("authorization"), ["Bearer t"]);
        assert_eq!(request.head.uri.scheme_str(), Some("http"));
        request.answer(b"");
        response(calling).await;

        let text = unsent(call(&over(LocalConnection::Tcp, &target)), Code::Unavailable).await;
        assert!(
            text.contains("local credentials are for connections to a loopback address, and this is none"),
            "{text}"
        );
        let server = Server::start();
        let target = format!("ipv4:{}", server.address());
        let text = unsent(call(&over(LocalConnection::Uds, &target)), Code::Unavailable).await;
        assert!(text.contains("local credentials are for connections to a unix socket, and this is none"), "{text}");
    });
}

#[test]
fn a_refused_start_is_no_question() {
    run(async {
        let server = Server::start();
        let channel = channel(&server.address());
        channel.close(None);
        let refused = channel.unary(METHOD, "", with(does(|_, _| panic!("asked")))).await.expect_err("closed");
        assert!(matches!(refused, CallError::Refused(_)), "{refused}");
        let (reply, events) = events();
        let request = CallRequest { credentials: Some(gives("k", "v")), ..CallRequest::new(METHOD) };
        channel.start_stream(request, reply).expect_err("closed");
        events.are_over().await;
    });
}

/// [HC-13]
#[test]
fn a_health_check_shows_the_channels_credentials_and_a_failure_of_them_makes_the_address_unhealthy() {
    run(async {
        let config = r#"{"healthCheckConfig": {"serviceName": "svc"}, "loadBalancingConfig": [{"round_robin": {}}]}"#;
        let set = [("grpc.service_config", config.into())];
        let server = Server::start();
        let (credentials, mut asked) = held();
        let credentials = local().with_call_credentials(credentials).expect("local");
        let channel =
            Channel::new(&format!("ipv4:{}", server.address()), &credentials, &options(&set)).expect("a channel");
        channel.state(true);
        let mut connection = server.accept().await;
        let (context, reply) = asked.recv().await.expect("asked");
        assert_eq!(context.method(), "/grpc.health.v1.Health/Watch");
        // Not what a server says that does not tell its health.
        reply.fail(Code::Unimplemented, "no token");
        becomes(&channel, State::TransientFailure).await;
        let text = unsent(call(&channel), Code::Unavailable).await;
        assert!(text.contains("healthy: Getting metadata from plugin failed with error: no token"), "{text}");
        let (_, reply) = asked.recv().await.expect("asked again");
        reply.give(entry("authorization", "Bearer t"));
        let mut watch = connection.request().await;
        assert_eq!(watch.header("authorization"), ["Bearer t"]);
        watch.start().message(&[8, 1]);
        becomes(&channel, State::Ready).await;
    });
}
