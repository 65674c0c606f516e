//! Circuit breakers: an address whose calls fail gets none for a while. The probes after it are the simulation's, where time is virtual.

use linkspan_core::{Channel, Code, Credentials, ErrorKind, Sent, State};

use crate::peer::client::{becomes, call, channel_with, failure, options, told};
use crate::peer::run;
use crate::peer::server::{Connection, Server};

/// Answers the next request with a status alone.
async fn answer(connection: &mut Connection, status: &str) {
    let mut request = connection.request().await;
    request.answer_at_once(200, &[("content-type", "application/grpc"), ("grpc-status", status)]);
}

#[test]
fn a_server_that_fails_gets_no_call_and_the_refusals_tell_why() {
    run(async {
        let server = Server::start();
        let breaker = r#"{"consecutiveFailures": 2, "openTime": "10s"}"#;
        let channel = channel_with(&server.address(), &[("linkspan.breaker", breaker.into())]);
        let first = call(&channel);
        let mut connection = server.accept().await;
        answer(&mut connection, "14").await;
        failure(first, Code::Unavailable).await;
        // What is no failure of the server's counts as an answer.
        for (status, code) in [("5", Code::NotFound), ("14", Code::Unavailable), ("13", Code::Internal)] {
            let failing = call(&channel);
            answer(&mut connection, status).await;
            failure(failing, code).await;
        }
        becomes(&channel, State::TransientFailure).await;
        let refused = failure(call(&channel), Code::Unavailable).await;
        let text = refused.status().message();
        let address = server.address();
        assert!(
            text.starts_with("the circuit breaker of every connected address is open (linkspan.breaker)"),
            "{text}"
        );
        assert!(text.contains(&format!("; circuit breaker of {address} open for ")), "{text}");
        assert!(text.contains(" ms: 2 failures in a row, the last INTERNAL, next probe in "), "{text}");
        assert_eq!(refused.end().sent, Sent::NotSent);
        assert_eq!((channel.metrics().breakers_open, channel.metrics().breaker_trips), (1, 1));
        assert!(!connection.has_waiting_request());
        let told = told(&channel);
        assert!(
            told.iter().any(|event| event.contains("the circuit breaker has opened: 2 failures in a row")),
            "{told:?}"
        );
    });
}

#[test]
fn the_options_of_a_breaker_are_checked_when_the_channel_is_made() {
    let made = |text: &str| {
        Channel::new("localhost:1", &Credentials::insecure(), &options(&[("linkspan.breaker", text.into())]))
    };
    made("off").expect("no breaker");
    made("{}").expect("the defaults");
    let error = made(r#"{"failureRatio": 50, "openTime": "5"}"#).expect_err("wrong");
    assert_eq!(error.kind(), ErrorKind::BadOption);
    let words = "option \"linkspan.breaker\" may be \"off\" or an object such as {\"consecutiveFailures\": 5}; 2 mistakes\n  failureRatio: 50 is more than 1\n  openTime: \"5\" has no \"s\"; write for example \"5s\"";
    assert_eq!(error.message(), words);
}
