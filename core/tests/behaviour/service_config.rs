//! What a channel's service config makes of its calls and connections.

use std::time::Duration;

use h2::Reason;
use linkspan_core::{
    CallOptions, CallRequest, Channel, Code, Credentials, ErrorKind, Event, OptionValue, Sent, State, Timeout,
};

use crate::peer::client::{
    METHOD, Unary, becomes, call, call_with, channel_with, events, failure, options, response, time_passes,
};
use crate::peer::run;
use crate::peer::server::{Connection, ReservedPort, Server};

/// A channel with this service config, that keeps one connection unless the config says otherwise.
fn configured(addresses: &str, config: &str) -> Channel {
    let set = [
        ("grpc.service_config", config.into()),
        ("linkspan.lb_policy", "pick_first".into()),
        ("grpc.testing.fixed_reconnect_backoff_ms", 1.into()),
    ];
    channel_with(addresses, &set)
}

/// One whose config says this of every method.
fn with_all_methods(addresses: &str, fields: &str) -> Channel {
    configured(addresses, &format!("{{\"methodConfig\": [{{\"name\": [{{}}], {fields}}}]}}"))
}

fn in_time(timeout: Timeout) -> CallOptions {
    CallOptions { timeout, ..CallOptions::default() }
}

async fn accepted(server: &Server, channel: &Channel) -> Connection {
    channel.state(true);
    let connection = server.accept().await;
    becomes(channel, State::Ready).await;
    connection
}

/// The timeout the server is told of this call, in whole seconds and rounded up; the call is answered.
async fn told_timeout(connection: &mut Connection, call: tokio::task::JoinHandle<Unary>) -> Option<u64> {
    let request = connection.request().await;
    let told = request.header("grpc-timeout").first().map(|text| {
        let (number, unit) = text.split_at(text.len() - 1);
        let number: u64 = number.parse().expect("digits");
        let per_second = match unit {
            "m" => 1_000,
            "u" => 1_000_000,
            "n" => 1_000_000_000,
            _ => 1,
        };
        number.div_ceil(per_second)
    });
    request.answer(b"");
    response(call).await;
    told
}

/// [SC-20], [SVC-6]
#[test]
fn the_shorter_of_the_calls_timeout_and_the_methods_is_the_deadline() {
    run(async {
        let server = Server::start();
        let channel = with_all_methods(&server.address(), "\"timeout\": \"40s\"");
        let mut connection = accepted(&server, &channel).await;
        for (timeout, wanted) in [
            (Timeout::ChannelDefault, 40),
            (Timeout::None, 40),
            (Timeout::After(Duration::from_secs(80)), 40),
            (Timeout::After(Duration::MAX), 40),
            (Timeout::After(Duration::from_secs(20)), 20),
        ] {
            let call = call_with(&channel, "", in_time(timeout));
            assert_eq!(told_timeout(&mut connection, call).await, Some(wanted), "{timeout:?}");
        }
    });
}

/// [SC-20]
#[test]
fn a_call_whose_methods_timeout_passes_ends_and_one_of_no_time_sends_nothing() {
    run(async {
        let server = Server::start();
        let channel = configured(
            &server.address(),
            r#"{"methodConfig": [{"name": [{}], "timeout": "0.5s"},
                                 {"name": [{"service": "test.Service", "method": "Never"}], "timeout": "0s"}]}"#,
        );
        let mut connection = accepted(&server, &channel).await;
        let silent = call(&channel);
        let mut request = connection.request().await;
        assert_eq!(request.reset_by_client().await, Reason::CANCEL);
        failure(silent, Code::DeadlineExceeded).await;

        let never = channel.unary("/test.Service/Never", "", CallOptions::default()).await;
        let never = never.expect_err("no time");
        let never = never.rpc().expect("a call");
        assert_eq!((never.code(), never.end().sent), (Code::DeadlineExceeded, Sent::NotSent));
        assert!(!connection.has_waiting_request());
    });
}

/// [SC-14]
#[test]
fn a_call_follows_the_config_that_names_its_method_most_exactly() {
    run(async {
        let server = Server::start();
        let channel = configured(
            &server.address(),
            r#"{"methodConfig": [{"name": [{}], "timeout": "10s"},
                                 {"name": [{"service": "test.Service"}], "timeout": "20s"},
                                 {"name": [{"service": "test.Service", "method": "Method"}], "timeout": "30s"},
                                 {"name": [{"service": "test.Service", "method": "Free"}]}]}"#,
        );
        let mut connection = accepted(&server, &channel).await;
        for (method, wanted) in [
            ("/test.Service/Method", Some(30)),
            ("/test.Service/Other", Some(20)),
            ("/test.Other/Method", Some(10)),
            ("/test.Service/Free", None),
        ] {
            let channel = channel.clone();
            let call = crate::peer::beside(async move { channel.unary(method, "", CallOptions::default()).await });
            assert_eq!(told_timeout(&mut connection, call).await, wanted, "{method}");
        }
    });
}

/// [SC-22], [CONN-23]
#[test]
fn calls_wait_for_ready_as_the_config_says_unless_they_say_otherwise() {
    run(async {
        let port = ReservedPort::new();
        let channel = with_all_methods(&port.address(), "\"waitForReady\": true");
        let waiting = call(&channel);
        becomes(&channel, State::TransientFailure).await;
        let impatient = CallOptions { wait_for_ready: Some(false), ..CallOptions::default() };
        failure(call_with(&channel, "", impatient), Code::Unavailable).await;
        time_passes(Duration::from_millis(20)).await;
        assert!(!waiting.is_finished());

        let server = port.listen();
        let mut connection = server.accept().await;
        connection.request().await.answer(b"at last");
        assert_eq!(response(waiting).await.message, "at last");
    });
}

/// [SC-22]
#[test]
fn a_call_that_wants_to_wait_does_so_whatever_the_config_says() {
    run(async {
        let port = ReservedPort::new();
        let channel = with_all_methods(&port.address(), "\"waitForReady\": false");
        let waiting = crate::peer::client::patient_call(&channel);
        becomes(&channel, State::TransientFailure).await;
        failure(call(&channel), Code::Unavailable).await;
        let server = port.listen();
        let mut connection = server.accept().await;
        connection.request().await.answer(b"");
        response(waiting).await;
    });
}

/// [SC-23], [SC-24], [WIRE-102]
#[test]
fn a_message_larger_than_the_methods_limit_is_not_sent() {
    run(async {
        let server = Server::start();
        let channel = with_all_methods(&server.address(), "\"maxRequestMessageBytes\": 4");
        let mut connection = accepted(&server, &channel).await;
        let refused = failure(call_with(&channel, "12345", CallOptions::default()), Code::ResourceExhausted).await;
        assert!(refused.status().message().starts_with("message to send is larger than max (5 vs. 4)"), "{refused}");
        assert_eq!(refused.end().sent, Sent::NotSent);

        let mut stream = channel.stream(METHOD, CallOptions::default()).expect("a call");
        stream.send("1234").await.expect("room");
        let mut request = connection.request().await;
        assert_eq!(request.message().await.expect("a message"), "1234");
        stream.send("12345").await.expect("room");
        let refused = stream.message().await.expect_err("too large");
        assert_eq!(refused.code(), Code::ResourceExhausted);
    });
}

/// [SC-23], [SC-24], [WIRE-102]
#[test]
fn a_message_larger_than_the_methods_limit_is_not_taken() {
    run(async {
        let server = Server::start();
        let channel = with_all_methods(&server.address(), "\"maxResponseMessageBytes\": 4");
        let mut connection = accepted(&server, &channel).await;
        for (answer, is_taken) in [("1234", true), ("12345", false)] {
            let unary = call(&channel);
            connection.request().await.answer(answer.as_bytes());
            let mut stream = channel.stream(METHOD, CallOptions::default()).expect("a call");
            stream.close_send();
            connection.request().await.answer(answer.as_bytes());
            let streamed = stream.message().await;
            if is_taken {
                assert_eq!(response(unary).await.message, answer);
                assert_eq!(streamed.expect("OK").expect("a message"), answer);
            } else {
                let refused = failure(unary, Code::ResourceExhausted).await;
                let words = "received message larger than max (5 vs. 4)";
                assert!(refused.status().message().starts_with(words), "{refused}");
                assert_eq!(streamed.expect_err("too large").code(), Code::ResourceExhausted);
            }
        }
    });
}

/// [SC-23]
#[test]
fn the_methods_limit_takes_the_place_of_the_default_and_not_of_one_that_was_set() {
    const SIZE: usize = 5 << 20;
    run(async {
        let server = Server::start();
        let config = "{\"methodConfig\": [{\"name\": [{}], \"maxResponseMessageBytes\": 8388608}]}";
        let limits = [None, Some(6 << 20), Some(4 << 20)];
        for limit in limits {
            let mut set: Vec<(&str, OptionValue)> = vec![("grpc.service_config", config.into())];
            set.extend(limit.map(|limit: i32| ("grpc.max_receive_message_length", limit.into())));
            let channel = channel_with(&server.address(), &set);
            let call = call(&channel);
            let mut connection = server.accept().await;
            connection.request().await.answer(&vec![0; SIZE]);
            if limit == Some(4 << 20) {
                failure(call, Code::ResourceExhausted).await;
            } else {
                assert_eq!(response(call).await.message.len(), SIZE);
            }
        }
    });
}

/// [SC-33]
#[test]
fn the_configs_balancing_policy_wins_over_the_option() {
    run(async {
        for config in [
            r#"{"loadBalancingConfig": [{"no_such_policy": {}}, {"round_robin": {}}]}"#,
            r#"{"loadBalancingPolicy": "ROUND_ROBIN"}"#,
        ] {
            let servers = [Server::start(), Server::start()];
            let channel = configured(&format!("{},{}", servers[0].address(), servers[1].address()), config);
            channel.state(true);
            // pick_first would dial the second only after the first has failed or taken long.
            let _connections = [servers[0].accept().await, servers[1].accept().await];
            while channel.metrics().connections.len() < 2 {
                tokio::task::yield_now().await;
            }
        }
    });
}

#[test]
fn shuffled_clients_begin_with_different_servers() {
    run(async {
        let config = r#"{"loadBalancingConfig": [{"pick_first": {"shuffleAddressList": true}}]}"#;
        let servers = [Server::start(), Server::start()];
        let addresses = format!("{},{}", servers[0].address(), servers[1].address());
        // The other set would let one channel dial an address at a time.
        let set = [("grpc.service_config", config.into()), ("linkspan.preset", "grpc".into())];
        let mut met = [0; 2];
        // That all of them begin with the same happens once in 2^39.
        for _ in 0..40 {
            let channel = channel_with(&addresses, &set);
            channel.state(true);
            let first = tokio::select! {
                biased;
                _ = servers[0].accept_stream() => 0,
                _ = servers[1].accept_stream() => 1,
            };
            met[first] += 1;
        }
        assert!(met[0] > 0 && met[1] > 0, "{met:?}");
    });
}

/// [INV-06], [SC-08]
#[test]
fn a_channel_is_not_made_with_a_wrong_config_and_every_mistake_is_told() {
    let refused = |config: &str| {
        let options = options(&[("grpc.service_config", config.into())]);
        Channel::new("ipv4:127.0.0.1:1", &Credentials::insecure(), &options).expect_err(config)
    };
    let error = refused(r#"{"loadBalancingPolicy": "no_such", "methodConfig": [{"name": [{}], "timeout": "5"}]}"#);
    assert_eq!(error.kind(), ErrorKind::BadOption);
    let wanted = [
        "option \"grpc.service_config\" cannot be used: 2 mistakes",
        "loadBalancingPolicy: \"no_such\" is not known; it may be \"pick_first\", \"round_robin\", \"weighted_round_robin\" or \"least_request\"",
        "methodConfig[0].timeout: \"5\" has no \"s\"; write for example \"5s\"",
    ];
    assert_eq!(error.message(), wanted.join("\n  "));
    assert_eq!(
        refused("").message(),
        "option \"grpc.service_config\" cannot be used: the text is empty; a config without settings is {}"
    );
}

/// [INV-02], [SVC-4]
#[test]
fn a_config_holds_from_the_first_call_on_and_for_calls_by_completion_too() {
    run(async {
        let server = Server::start();
        let channel = with_all_methods(&server.address(), "\"maxResponseMessageBytes\": 0");
        let (reply, mut events) = events();
        channel.start_unary(CallRequest::new(METHOD), reply).expect("a call");
        let mut connection = server.accept().await;
        connection.request().await.answer(b"1");
        let Event::Unary(ended) = events.next().await else { panic!("another event") };
        assert_eq!(ended.end.status.code(), Code::ResourceExhausted);
    });
}
