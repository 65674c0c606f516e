//! Calls that are hedged by the policy of their method: several attempts beside each other, of which one is the call (A6).

use std::time::Duration;

use h2::Reason;
use linkspan_core::{CallOptions, Channel, Code, OptionValue, Timeout};

use crate::peer::client::{METHOD, call, call_with, channel_with, failure, response};
use crate::peer::run;
use crate::peer::server::{Connection, Request, ReservedPort, Server};

/// A delay that nobody waits for.
const LONG: &str = "1000s";

fn hedging(address: &str, most: u32, delay: &str) -> Channel {
    hedging_with(address, most, delay, &[])
}

fn hedging_with(address: &str, most: u32, delay: &str, set: &[(&str, OptionValue)]) -> Channel {
    let config = format!(
        r#"{{"retryThrottling": {{"maxTokens": 4, "tokenRatio": 1}}, "methodConfig": [{{"name": [{{}}],
            "hedgingPolicy": {{"maxAttempts": {most}, "hedgingDelay": "{delay}", "nonFatalStatusCodes": ["UNAVAILABLE"]}}}}]}}"#
    );
    let first = [("linkspan.preset", "grpc".into()), ("grpc.service_config", config.as_str().into())];
    channel_with(address, &[&first[..], set].concat())
}

/// The next `count` requests, and what each says of those before it.
async fn requests(connection: &mut Connection, count: usize) -> (Vec<Request>, String) {
    let mut requests = Vec::new();
    for _ in 0..count {
        requests.push(connection.request().await);
    }
    let told: Vec<_> = requests.iter().map(|request| request.header("grpc-previous-rpc-attempts").join("|")).collect();
    (requests, told.join(";"))
}

fn fail(request: &mut Request, code: &str, pushback: &[&str]) {
    let mut headers =
        vec![("content-type", "application/grpc"), ("grpc-status", code), ("grpc-message", "as the test wants")];
    headers.extend(pushback.iter().map(|value| ("grpc-retry-pushback-ms", *value)));
    request.answer_at_once(200, &headers);
}

async fn are_cancelled(requests: impl IntoIterator<Item = Request>) {
    for mut request in requests {
        assert_eq!(request.reset_by_client().await, Reason::CANCEL);
    }
}

/// [HEDGE-11], [HEDGE-20] to [HEDGE-22], [RPOL-27], [RETRY-15], [RETRY-16], [COMMIT-01]
#[test]
fn the_first_attempt_that_is_answered_is_the_call_and_the_others_are_cancelled() {
    run(async {
        for winner in 0..3 {
            let server = Server::start();
            let channel = hedging(&server.address(), 3, "0s");
            let call = call(&channel);
            let mut connection = server.accept().await;
            let (mut requests, told) = requests(&mut connection, 3).await;
            assert_eq!(told, ";1;2");
            for request in &mut requests {
                assert_eq!(request.message().await.expect("a message"), "hello");
            }
            let mut request = requests.remove(winner);
            // Headers decide, whatever follows.
            let mut answer = request.start();
            are_cancelled(requests).await;
            answer.message(b"first");
            answer.end(0);
            assert_eq!(response(call).await.message, "first");
            let metrics = channel.metrics();
            assert_eq!((metrics.retries, metrics.hedges, metrics.transparent_retries), (2, 2, 0));
        }
    });
}

/// [HEDGE-23], [HEDGE-27], [RPOL-24]
#[test]
fn a_failure_that_is_not_fatal_starts_the_next_attempt_at_once_and_the_last_one_is_the_calls() {
    run(async {
        let server = Server::start();
        let channel = hedging(&server.address(), 2, LONG);
        let call = call(&channel);
        let mut connection = server.accept().await;
        for told in ["", "1"] {
            let mut request = connection.request().await;
            assert_eq!(request.header("grpc-previous-rpc-attempts").join("|"), told);
            fail(&mut request, "14", &[]);
        }
        let failure = failure(call, Code::Unavailable).await;
        let (end, address) = (failure.end(), server.address());
        assert_eq!((failure.status().message(), end.attempts, end.local), ("as the test wants", 2, false));
        assert_eq!(end.peer.as_deref(), Some(address.as_str()));
        let parts: Vec<_> = end.trail.split("; ").collect();
        for (part, number) in parts[2..4].iter().zip(1..) {
            assert!(part.starts_with(&format!("attempt {number} on {address} UNAVAILABLE at ")), "{}", end.trail);
        }
        // Two of four tokens are not more than half.
        assert!(parts[4].starts_with("no further attempt: "), "{}", end.trail);
        assert_eq!(parts[5], "sent");
    });
}

/// [HEDGE-24]
#[test]
fn a_fatal_failure_ends_the_call_and_all_its_attempts() {
    run(async {
        let server = Server::start();
        let channel = hedging(&server.address(), 3, "0s");
        let call = call(&channel);
        let mut connection = server.accept().await;
        let (mut requests, _) = requests(&mut connection, 3).await;
        fail(&mut requests.remove(1), "5", &[]);
        let failure = failure(call, Code::NotFound).await;
        are_cancelled(requests).await;
        assert_eq!(failure.status().message(), "as the test wants");
        let trail = &failure.end().trail;
        assert!(trail.contains("; attempt 1 on ") && trail.contains(" CANCELLED at "), "{trail}");
        assert!(trail.contains("; attempt 2 on ") && trail.contains(" NOT_FOUND at "), "{trail}");
    });
}

/// [HEDGE-24]: what the others say in the same moment is not heard.
#[test]
fn a_fatal_failure_is_the_calls_end_whatever_comes_with_it() {
    run(async {
        for refuses in [false, true] {
            let server = Server::start();
            let channel = hedging(&server.address(), 3, "0s");
            let call = call(&channel);
            let mut connection = server.accept().await;
            let (mut requests, _) = requests(&mut connection, 3).await;
            fail(&mut requests[0], "5", &[]);
            match refuses {
                false => fail(&mut requests[1], "14", &[]),
                true => requests.remove(1).reset(Reason::REFUSED_STREAM),
            }
            let mut answer = requests.pop().expect("the last").start();
            answer.message(b"not heard");
            let failure = failure(call, Code::NotFound).await;
            assert_eq!((failure.end().attempts, channel.metrics().transparent_retries), (3, 0));
        }
    });
}

/// [HEDGE-30], [WFR-01]: no other takes the place of the only one.
#[test]
fn a_call_that_is_too_large_to_be_kept_fails_with_its_only_attempt() {
    run(async {
        let closed = ReservedPort::new();
        let channel = hedging_with(&closed.address(), 3, LONG, &[("grpc.per_rpc_retry_buffer_size", 1.into())]);
        for _ in 0..2 {
            let failed = failure(call(&channel), Code::Unavailable).await;
            assert_eq!(failed.end().attempts, 1);
            assert!(failed.end().trail.contains("no further attempt: "), "{}", failed.end().trail);
        }
    });
}

/// [HEDGE-25], [PUSH-03]
#[test]
fn a_pushback_that_forbids_more_lets_the_attempts_go_on_that_run() {
    run(async {
        let server = Server::start();
        let channel = hedging(&server.address(), 5, LONG);
        let forbidden = call(&channel);
        let mut connection = server.accept().await;
        let mut first = connection.request().await;
        fail(&mut first, "14", &["-1"]);
        let failed = failure(forbidden, Code::Unavailable).await;
        assert!(failed.end().trail.contains("; no further attempt: the server said not to"), "{}", failed.end().trail);
        assert_eq!(failed.end().attempts, 1);

        let server = Server::start();
        let channel = hedging(&server.address(), 2, "0s");
        let call = call(&channel);
        let mut connection = server.accept().await;
        let (mut requests, _) = requests(&mut connection, 2).await;
        fail(&mut requests.remove(0), "14", &["-1"]);
        requests.remove(0).answer(b"went on");
        assert_eq!(response(call).await.message, "went on");
        assert!(!connection.has_waiting_request());
    });
}

/// [HEDGE-26], [PUSH-02]
#[test]
fn a_pushback_of_nothing_starts_the_next_attempt_at_once() {
    run(async {
        let server = Server::start();
        let channel = hedging(&server.address(), 2, LONG);
        let call = call(&channel);
        let mut connection = server.accept().await;
        fail(&mut connection.request().await, "14", &["0"]);
        connection.request().await.answer(b"second");
        let done = response(call).await;
        assert_eq!(done.message, "second");
    });
}

/// [HEDGE-28], [THR-21], [THR-23]
#[test]
fn with_few_tokens_left_the_first_attempt_is_the_only_one() {
    run(async {
        let server = Server::start();
        let channel = hedging(&server.address(), 2, LONG);
        let first = call(&channel);
        let mut connection = server.accept().await;
        for _ in 0..2 {
            fail(&mut connection.request().await, "14", &[]);
        }
        failure(first, Code::Unavailable).await;
        let second = call(&channel);
        fail(&mut connection.request().await, "14", &[]);
        let throttled = failure(second, Code::Unavailable).await;
        assert_eq!(throttled.end().attempts, 1);
        let trail = &throttled.end().trail;
        assert!(trail.contains("; no further attempt: too many of the channel's calls fail"), "{trail}");
    });
}

/// [TRANS-03], [TRANS-10], [RPOL-27]
#[test]
fn a_hedge_that_was_not_processed_is_sent_again_unseen() {
    run(async {
        // The second call's message is larger than what is kept: its only attempt is, too.
        for kept in [1_000, 1] {
            let server = Server::start();
            let limit = ("grpc.per_rpc_retry_buffer_size", kept.into());
            let channel = hedging_with(&server.address(), 2, LONG, &[limit]);
            let call = call(&channel);
            let mut connection = server.accept().await;
            connection.request().await.reset(Reason::REFUSED_STREAM);
            let again = connection.request().await;
            assert!(again.header("grpc-previous-rpc-attempts").is_empty());
            again.answer(b"again");
            assert_eq!(response(call).await.message, "again");
            let metrics = channel.metrics();
            assert_eq!((metrics.retries, metrics.hedges, metrics.transparent_retries), (1, 0, 1));
        }
    });
}

/// [RPOL-03]
#[test]
fn calls_that_are_not_to_be_hedged_are_made_once() {
    run(async {
        let server = Server::start();
        let channel = hedging(&server.address(), 3, "0s");
        let once = call_with(&channel, "hello", CallOptions { no_retry: true, ..CallOptions::default() });
        let mut connection = server.accept().await;
        fail(&mut connection.request().await, "14", &[]);
        let failed = failure(once, Code::Unavailable).await;
        assert_eq!((failed.end().attempts, failed.end().trail.as_str()), (1, ""));

        let off = hedging_with(&server.address(), 3, "0s", &[("grpc.enable_retries", false.into())]);
        let once = call(&off);
        let mut connection = server.accept().await;
        fail(&mut connection.request().await, "14", &[]);
        failure(once, Code::Unavailable).await;
        assert!(!connection.has_waiting_request());
    });
}

/// [HEDGE-21], [INT-01], [BUF-07], [BUF-08]
#[test]
fn every_attempt_of_a_call_with_streams_is_sent_everything_and_one_is_heard() {
    run(async {
        let server = Server::start();
        let channel = hedging(&server.address(), 2, "0s");
        let mut call = channel.stream(METHOD, CallOptions::default()).expect("a call");
        call.send("one").await.expect("room");
        let mut connection = server.accept().await;
        let (mut requests, told) = requests(&mut connection, 2).await;
        assert_eq!(told, ";1");
        for request in &mut requests {
            assert_eq!(request.message().await.expect("a message"), "one");
        }
        call.send("two").await.expect("room");
        call.close_send();
        for request in &mut requests {
            assert_eq!(request.message().await.expect("a message"), "two");
            assert_eq!(request.message().await, None);
        }
        let mut answer = requests[1].start();
        answer.message(b"heard");
        requests.remove(1);
        are_cancelled(requests).await;
        assert_eq!(call.message().await.expect("a message").expect("not the end"), "heard");
        answer.end(0);
        assert_eq!(call.message().await.expect("OK"), None);
        assert_eq!(call.end().expect("over").attempts, 2);
    });
}

/// [HEDGE-30], [COMMIT-02], [BUF-04]
#[test]
fn when_too_much_is_sent_the_attempt_that_is_farthest_is_the_call() {
    run(async {
        let server = Server::start();
        let channel = hedging_with(&server.address(), 2, "0s", &[("grpc.per_rpc_retry_buffer_size", 12_000.into())]);
        let mut call = channel.stream(METHOD, CallOptions::default()).expect("a call");
        // One attempt has no window for more than its first message.
        let mut connection = server.accept_with(h2::server::Builder::new().initial_window_size(6_000)).await;
        call.send(vec![b'x'; 5_000]).await.expect("room");
        let (mut requests, _) = requests(&mut connection, 2).await;
        requests[1].message().await.expect("a message");
        for _ in 0..2 {
            call.send(vec![b'y'; 5_000]).await.expect("room");
        }
        assert_eq!(requests[1].message().await.expect("a message").len(), 5_000);
        assert_eq!(requests[1].message().await.expect("a message").len(), 5_000);
        let farthest = requests.remove(1);
        are_cancelled(requests).await;
        farthest.answer(b"farthest");
        assert_eq!(call.message().await.expect("a message").expect("not the end"), "farthest");
    });
}

/// [DL-04], [CAN-02], [CAN-03]
#[test]
fn a_deadline_and_a_cancellation_end_all_attempts() {
    run(async {
        let server = Server::start();
        let channel = hedging(&server.address(), 3, "0s");
        let options = CallOptions { timeout: Timeout::After(Duration::from_millis(200)), ..CallOptions::default() };
        let late = call_with(&channel, "hello", options);
        let mut connection = server.accept().await;
        let (requests_of_late, _) = requests(&mut connection, 3).await;
        let failed = failure(late, Code::DeadlineExceeded).await;
        are_cancelled(requests_of_late).await;
        let text = failed.status().message();
        let start = format!("deadline exceeded; phase wait; on {}; attempt 1 on ", server.address());
        assert!(text.starts_with(&start) && text.ends_with("; sent"), "{text}");
        assert!(text.contains("; attempt 2 on ") && text.contains("; attempt 3 on "), "{text}");

        let mut stream = channel.stream(METHOD, CallOptions::default()).expect("a call");
        let (requests, _) = requests(&mut connection, 3).await;
        stream.cancel("enough");
        are_cancelled(requests).await;
        assert_eq!(stream.message().await.expect_err("cancelled").code(), Code::Cancelled);
    });
}
