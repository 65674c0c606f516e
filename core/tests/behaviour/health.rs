//! Servers that are asked for their health, with each answer scripted.

use h2::Reason;
use linkspan_core::{Channel, Code, Credentials, State};

use crate::peer::client::{becomes, call, channel_with, failure, options, response, told};
use crate::peer::run;
use crate::peer::server::{Answer, Connection, Request, Server};

const SERVING: &[u8] = &[8, 1];
const NOT_SERVING: &[u8] = &[8, 2];

fn asking(addresses: &str) -> Channel {
    channel_with(addresses, &[("grpc.service_config", CONFIG.into())])
}

const CONFIG: &str = r#"{"healthCheckConfig": {"serviceName": "svc"}, "loadBalancingConfig": [{"round_robin": {}}]}"#;

/// The channel's first connection, and the question on it.
async fn asked(server: &Server, channel: &Channel) -> (Connection, Request) {
    channel.state(true);
    let mut connection = server.accept().await;
    let watch = connection.request().await;
    (connection, watch)
}

/// One that says that it is healthy, and goes on watching.
async fn healthy(server: &Server, channel: &Channel) -> (Connection, Answer) {
    let (connection, mut watch) = asked(server, channel).await;
    let mut answer = watch.start();
    answer.message(SERVING);
    becomes(channel, State::Ready).await;
    (connection, answer)
}

/// [LB-121], [LB-125], [HC-4], [HC-20]
#[test]
fn the_question_is_a_request_like_those_of_calls_with_the_services_name_as_its_message() {
    run(async {
        let server = Server::start();
        let set = [
            ("grpc.service_config", CONFIG.into()),
            ("grpc.default_authority", "my.authority:7".into()),
            ("grpc.primary_user_agent", "me/1".into()),
            ("linkspan.default_timeout_ms", 60_000.into()),
        ];
        let target = format!("ipv4:{}", server.address());
        let channel = Channel::new(&target, &Credentials::insecure(), &options(&set)).expect("a channel");
        let (mut connection, mut watch) = asked(&server, &channel).await;
        assert_eq!(watch.head.uri.to_string(), "http://my.authority:7/grpc.health.v1.Health/Watch");
        assert_eq!(watch.header("content-type"), ["application/grpc"]);
        assert_eq!(watch.header("te"), ["trailers"]);
        assert!(watch.header("user-agent")[0].starts_with("me/1 grpc-"), "{:?}", watch.header("user-agent"));
        assert!(watch.header("grpc-timeout").is_empty());
        assert_eq!(watch.message().await.expect("one"), "\x0a\x03svc");
        assert_eq!(watch.message().await, None);
        let waiting = call(&channel);
        watch.start().message(SERVING);
        connection.request().await.answer(b"served");
        assert_eq!(response(waiting).await.message, "served");
    });
}

/// [LB-121], [HC-7]
#[test]
fn a_server_that_changes_its_mind_is_left_out_and_taken_in_on_the_same_connection() {
    run(async {
        let server = Server::start();
        let channel = asking(&server.address());
        let (mut connection, mut answer) = healthy(&server, &channel).await;
        for _ in 0..3 {
            answer.message(NOT_SERVING);
            becomes(&channel, State::TransientFailure).await;
            let failed = failure(call(&channel), Code::Unavailable).await;
            let words = format!("; {} says NOT_SERVING for \"svc\"; not sent", server.address());
            assert!(failed.to_string().contains(&words), "{failed}");
            answer.message(SERVING);
            becomes(&channel, State::Ready).await;
            let served = call(&channel);
            connection.request().await.answer(b"");
            response(served).await;
        }
        assert!(!server.has_waiting_connection());
        let address = server.address();
        let last = format!("TRANSIENT_FAILURE → READY: {address} says SERVING for \"svc\" [{address}]");
        assert_eq!(told(&channel).last(), Some(&last));
    });
}

/// [LB-121], [CONN-3]
#[test]
fn of_many_changes_at_once_the_last_one_holds() {
    run(async {
        let server = Server::start();
        let channel = asking(&server.address());
        let (mut connection, mut answer) = healthy(&server, &channel).await;
        for _ in 0..5_000 {
            answer.message(NOT_SERVING);
            answer.message(SERVING);
        }
        answer.message(&[8, 3]);
        loop {
            becomes(&channel, State::TransientFailure).await;
            let last = told(&channel).pop().expect("an event");
            if last.contains("SERVICE_UNKNOWN") {
                break;
            }
            tokio::task::yield_now().await;
        }
        answer.message(SERVING);
        becomes(&channel, State::Ready).await;
        let served = call(&channel);
        connection.request().await.answer(b"");
        response(served).await;
    });
}

/// [LB-124], [LB-123], [HC-15]
#[test]
fn an_answer_that_cannot_be_read_is_a_bad_one_and_the_question_is_put_again_on_the_same_connection() {
    run(async {
        let bad: [Vec<u8>; 3] =
            [vec![8], b"\x0a\x07SERVING".to_vec(), [SERVING, &[0x22, 0x80, 0x10], &[0; 2_048]].concat()];
        for bad in bad {
            let server = Server::start();
            let channel = asking(&server.address());
            let (mut connection, mut watch) = asked(&server, &channel).await;
            let mut answer = watch.start();
            answer.message(&bad);
            becomes(&channel, State::TransientFailure).await;
            assert_eq!(answer.reset_by_client().await, Reason::CANCEL);
            let failed = failure(call(&channel), Code::Unavailable).await;
            let words = format!("; {} does not say whether \"svc\" is healthy: ", server.address());
            assert!(failed.to_string().contains(&words), "{failed}");
            let mut again = connection.request().await;
            again.start().message(SERVING);
            becomes(&channel, State::Ready).await;
        }
    });
}

/// [LB-123], [HC-11]
#[test]
fn a_watch_that_breaks_off_after_an_answer_is_opened_again_at_once() {
    run(async {
        let server = Server::start();
        let channel = asking(&server.address());
        let (mut connection, mut answer) = healthy(&server, &channel).await;
        answer.end(0);
        let mut again = connection.request().await;
        becomes(&channel, State::TransientFailure).await;
        let failed = failure(call(&channel), Code::Unavailable).await;
        assert!(failed.to_string().contains("healthy: the server ended the Watch"), "{failed}");
        again.start().message(SERVING);
        becomes(&channel, State::Ready).await;
    });
}

/// [LB-126]
#[test]
fn when_the_connection_that_was_asked_is_lost_another_one_is_asked_and_what_was_known_holds() {
    run(async {
        for last_words in [SERVING, NOT_SERVING] {
            let server = Server::start();
            let set = [("grpc.service_config", CONFIG.into()), ("linkspan.connections_per_subchannel", 2.into())];
            let channel = channel_with(&server.address(), &set);
            let (first, mut answer) = healthy(&server, &channel).await;
            let mut second = server.accept().await;
            while channel.metrics().connections.len() < 2 {
                tokio::task::yield_now().await;
            }
            assert!(!second.has_waiting_request());
            answer.message(last_words);
            let known = if last_words == SERVING { State::Ready } else { State::TransientFailure };
            becomes(&channel, known).await;
            let told_before = told(&channel);
            drop(first);
            let mut again = second.request().await;
            assert_eq!(again.message().await.expect("one"), "\x0a\x03svc");
            let _back = server.accept().await;
            assert_eq!(told(&channel), told_before);
            again.start().message(if last_words == SERVING { NOT_SERVING } else { SERVING });
            becomes(&channel, if last_words == SERVING { State::TransientFailure } else { State::Ready }).await;
        }
    });
}

/// [LB-126], [HC-12]
#[test]
fn a_watch_is_cancelled_when_its_connection_is_to_go_and_keeps_it_from_nothing() {
    run(async {
        let server = Server::start();
        let channel = asking(&server.address());
        let (mut connection, mut answer) = healthy(&server, &channel).await;
        connection.shut_down_gracefully();
        assert_eq!(answer.reset_by_client().await, Reason::CANCEL);
        connection.closed_by_client().await;
        let (connection, mut answer) = healthy(&server, &channel).await;
        drop(channel);
        assert_eq!(answer.reset_by_client().await, Reason::CANCEL);
        connection.closed_by_client().await;
    });
}
