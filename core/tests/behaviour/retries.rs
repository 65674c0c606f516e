//! Calls that are made again by the retry policy of their method, or because they may run twice: how often, and when not (A6).

use std::time::Duration;

use h2::Reason;
use linkspan_core::{CallOptions, CallRequest, Channel, Code, Event, OptionValue, Sent, Timeout};

use crate::peer::beside;
use crate::peer::client::{METHOD, call, call_with, channel_with, events, failure, response};
use crate::peer::run;
use crate::peer::server::{Connection, Request, ReservedPort, Server};

/// What the server does with one attempt.
#[derive(Clone, Copy, Debug)]
enum Does {
    Answer,
    /// Trailers without headers: a code, and a pushback.
    Fail(u32, &'static [&'static str]),
    /// Headers, then trailers with this code.
    BeginAndFail(u32),
    Refuse,
    Reset(Reason),
    /// Closes the connection.
    Cut,
    /// No gRPC at all.
    Http(u16),
}

use Does::{Answer, BeginAndFail, Cut, Http, Refuse, Reset};

fn fail(code: u32) -> Does {
    Does::Fail(code, &[])
}

fn push(code: u32, pushback: &'static [&'static str]) -> Does {
    Does::Fail(code, pushback)
}

const UNAVAILABLE: u32 = 14;

fn policy(most: u32) -> String {
    format!(
        r#"{{"methodConfig": [{{"name": [{{}}], "retryPolicy": {{"maxAttempts": {most}, "initialBackoff": "0.001s",
            "maxBackoff": "0.002s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE", "ABORTED"]}}}}]}}"#
    )
}

fn retrying(address: &str, most: u32) -> Channel {
    retrying_with(address, &policy(most), &[])
}

fn retrying_with(address: &str, config: &str, set: &[(&str, OptionValue)]) -> Channel {
    let first = [("linkspan.preset", "grpc".into()), ("grpc.service_config", config.into())];
    channel_with(address, &[&first[..], set].concat())
}

/// Plays a script, one attempt after the other, over as many connections as that takes. What each attempt said of those before it.
async fn play(server: &Server, script: &[Does]) -> Vec<String> {
    let (mut connection, mut told) = (None, Vec::new());
    for does in script {
        let (open, mut request) = next_request(server, connection).await;
        connection = Some(open);
        told.push(request.header("grpc-previous-rpc-attempts").join("|"));
        assert_eq!(request.message().await.expect("a message"), "hello");
        match does {
            Answer => request.answer(b"done"),
            Does::Fail(code, pushback) => fail_with(&mut request, *code, pushback),
            BeginAndFail(code) => request.start().end(*code),
            Refuse => request.reset(Reason::REFUSED_STREAM),
            Reset(reason) => request.reset(*reason),
            Cut => connection = None,
            Http(status) => {
                request.start_with(*status, &[("content-type", "text/html")]).data("<html>", true);
            }
        }
    }
    if let Some(connection) = connection {
        // Kept until the test is over: the client may still read.
        beside(async move { connection.closed_by_client().await });
    }
    told
}

async fn next_request(server: &Server, connection: Option<Connection>) -> (Connection, Request) {
    let mut connection = match connection {
        Some(connection) => connection,
        None => server.accept().await,
    };
    let request = connection.request().await;
    (connection, request)
}

fn fail_with(request: &mut Request, code: u32, pushback: &[&str]) {
    let code = code.to_string();
    let mut headers = vec![
        ("content-type", "application/grpc"),
        ("grpc-status", code.as_str()),
        ("grpc-message", "as the script has it"),
    ];
    headers.extend(pushback.iter().map(|value| ("grpc-retry-pushback-ms", *value)));
    request.answer_at_once(200, &headers);
}

/// How the call ends, and what each attempt said of those before it, as `;` or `;1;2`.
async fn outcome(
    script: &[Does],
    config: &str,
    set: &[(&str, OptionValue)],
    options: CallOptions,
) -> (Code, u32, String) {
    let server = Server::start();
    let channel = retrying_with(&server.address(), config, set);
    let call = call_with(&channel, "hello", options);
    let told = play(&server, script).await;
    let code = match call.await.expect("no panic") {
        Ok(_) => Code::Ok,
        Err(error) => error.rpc().expect("it was made").code(),
    };
    let metrics = channel.metrics();
    assert_eq!(metrics.retries as usize + 1, script.len(), "{script:?}");
    (code, u32::try_from(metrics.transparent_retries).expect("few"), told.join(";"))
}

/// [RPOL-02], [RPOL-10], [RPOL-23], [RPOL-24], [RPOL-26], [RPOL-27], [COMMIT-01], [COMMIT-03], [COMMIT-05], [COMMIT-07], [PUSH-02] to [PUSH-05],
/// [TRANS-03], [TRANS-04], [TRANS-10], [TRANS-12], [RETRY-3], [RETRY-4], [RETRY-6], [RETRY-10] to [RETRY-12], [WIRE-134]
#[test]
fn calls_are_made_as_often_as_their_policy_wants_and_say_which_attempt_it_is() {
    let at_once: &[&str] = &["0"];
    let table: &[(u32, &[Does], Code, u32, &str)] = &[
        (3, &[Answer], Code::Ok, 0, ""),
        (3, &[fail(UNAVAILABLE), Answer], Code::Ok, 0, ";1"),
        (3, &[fail(UNAVAILABLE), fail(UNAVAILABLE), Answer], Code::Ok, 0, ";1;2"),
        (3, &[fail(UNAVAILABLE), fail(UNAVAILABLE), fail(UNAVAILABLE)], Code::Unavailable, 0, ";1;2"),
        (2, &[fail(UNAVAILABLE), fail(10)], Code::Aborted, 0, ";1"),
        (3, &[fail(10), fail(UNAVAILABLE), Answer], Code::Ok, 0, ";1;2"),
        (3, &[fail(5)], Code::NotFound, 0, ""),
        (3, &[fail(UNAVAILABLE), fail(5)], Code::NotFound, 0, ";1"),
        // A response that has begun.
        (3, &[BeginAndFail(UNAVAILABLE)], Code::Unavailable, 0, ""),
        (3, &[fail(UNAVAILABLE), BeginAndFail(UNAVAILABLE)], Code::Unavailable, 0, ";1"),
        // A connection that is lost.
        (3, &[Cut, Answer], Code::Ok, 0, ";1"),
        (2, &[Cut, Cut], Code::Unavailable, 0, ";1"),
        // What the server did not process is sent again once, and counts for nothing.
        (3, &[Refuse, Answer], Code::Ok, 1, ";"),
        (3, &[Refuse, Refuse, Answer], Code::Ok, 1, ";;1"),
        (3, &[Refuse, fail(UNAVAILABLE), fail(UNAVAILABLE), Answer], Code::Ok, 1, ";;1;2"),
        (3, &[fail(UNAVAILABLE), Refuse, Answer], Code::Ok, 1, ";1;1"),
        (3, &[Refuse, Refuse, Refuse, Refuse], Code::Unavailable, 1, ";;1;2"),
        // Other ways to fail.
        (3, &[Reset(Reason::INTERNAL_ERROR)], Code::Internal, 0, ""),
        (3, &[Reset(Reason::CANCEL)], Code::Cancelled, 0, ""),
        (3, &[Http(503), Http(429), Answer], Code::Ok, 0, ";1;2"),
        (3, &[Http(404)], Code::Unimplemented, 0, ""),
        // What the server says of another attempt.
        (3, &[push(UNAVAILABLE, at_once), push(UNAVAILABLE, at_once), Answer], Code::Ok, 0, ";1;2"),
        (
            3,
            &[push(UNAVAILABLE, at_once), push(UNAVAILABLE, at_once), push(UNAVAILABLE, at_once)],
            Code::Unavailable,
            0,
            ";1;2",
        ),
        (3, &[push(5, at_once)], Code::NotFound, 0, ""),
        (3, &[push(UNAVAILABLE, &["-1"])], Code::Unavailable, 0, ""),
        (3, &[push(UNAVAILABLE, &["abc"])], Code::Unavailable, 0, ""),
        (3, &[push(UNAVAILABLE, &[""])], Code::Unavailable, 0, ""),
        (3, &[push(UNAVAILABLE, &["2147483648"])], Code::Unavailable, 0, ""),
        (3, &[push(UNAVAILABLE, &["0", "0"])], Code::Unavailable, 0, ""),
        // No more than the channel allows.
        (9, &[fail(UNAVAILABLE); 5], Code::Unavailable, 0, ";1;2;3;4"),
    ];
    run(async {
        for (most, script, code, unseen, told) in table {
            let seen = outcome(script, &policy(*most), &[], CallOptions::default()).await;
            assert_eq!(seen, (*code, *unseen, (*told).to_owned()), "{script:?}");
        }
    });
}

/// [RPOL-02], [RPOL-03], [TRANS-12]
#[test]
fn without_a_policy_or_with_retries_turned_off_only_what_was_not_processed_is_sent_again() {
    let no_retry = || CallOptions { no_retry: true, idempotent: true, ..CallOptions::default() };
    let off = [("grpc.enable_retries", OptionValue::Bool(false))];
    run(async {
        for (script, code, unseen, told) in [
            (&[fail(UNAVAILABLE)][..], Code::Unavailable, 0, ""),
            (&[Cut], Code::Unavailable, 0, ""),
            (&[Refuse, Answer], Code::Ok, 1, ";"),
            (&[Refuse, Refuse], Code::Unavailable, 1, ";"),
        ] {
            let wanted = (code, unseen, told.to_owned());
            assert_eq!(outcome(script, "{}", &[], CallOptions::default()).await, wanted, "{script:?}");
            assert_eq!(outcome(script, &policy(3), &[], no_retry()).await, wanted, "{script:?}");
            assert_eq!(outcome(script, &policy(3), &off, CallOptions::default()).await, wanted, "{script:?}");
        }
    });
}

#[test]
fn a_call_that_may_run_twice_is_made_again_when_its_connection_is_lost_and_only_then() {
    let itself = || CallOptions { idempotent: true, ..CallOptions::default() };
    let listed = [("linkspan.idempotent_methods", OptionValue::from("/test.Service/"))];
    run(async {
        for (script, code, told) in [
            (&[Cut, Answer][..], Code::Ok, ";1"),
            (&[Cut, Cut], Code::Unavailable, ";1"),
            (&[fail(UNAVAILABLE)], Code::Unavailable, ""),
            (&[BeginAndFail(UNAVAILABLE)], Code::Unavailable, ""),
        ] {
            let wanted = (code, 0, told.to_owned());
            assert_eq!(outcome(script, "{}", &[], itself()).await, wanted, "{script:?}");
            assert_eq!(outcome(script, "{}", &listed, CallOptions::default()).await, wanted, "{script:?}");
        }
    });
}

/// [RPOL-27]
#[test]
fn the_number_of_attempts_is_not_the_callers_to_say() {
    run(async {
        let server = Server::start();
        let channel = retrying(&server.address(), 3);
        let mut options = CallOptions::default();
        // Refused or not sent; never believed.
        let _ = options.metadata.append("grpc-previous-rpc-attempts", "7");
        let call = call_with(&channel, "hello", options);
        assert_eq!(play(&server, &[fail(UNAVAILABLE), Answer]).await, ["", "1"]);
        response(call).await;
    });
}

/// [RPOL-26], [RPOL-04]
#[test]
fn the_last_attempts_status_is_the_calls_as_the_server_sent_it_and_the_trail_tells_of_all() {
    run(async {
        let server = Server::start();
        let channel = retrying(&server.address(), 3);
        let call = call(&channel);
        play(&server, &[Cut, fail(UNAVAILABLE), fail(10)]).await;
        let failure = failure(call, Code::Aborted).await;
        assert_eq!(failure.status().message(), "as the script has it");
        let (end, address) = (failure.end(), server.address());
        assert_eq!((end.attempts, end.sent, end.local), (3, Sent::Processed, false));
        let parts: Vec<_> = end.trail.split("; ").collect();
        assert_eq!(parts[..2], ["phase wait", &format!("on {address}")]);
        assert!(parts[2].starts_with(&format!("attempt 1 on {address} UNAVAILABLE at ")), "{}", end.trail);
        assert!(parts[2].ends_with(": connection lost: closed by the server"), "{}", end.trail);
        assert!(parts[3].starts_with(&format!("attempt 2 on {address} UNAVAILABLE at ")), "{}", end.trail);
        assert!(parts[3].ends_with(": as the script has it"), "{}", end.trail);
        assert!(parts[4].starts_with(&format!("attempt 3 on {address} ABORTED at ")), "{}", end.trail);
        assert_eq!(parts[5..], ["no further attempt: 3 attempts were made, all that its policy allows", "sent"]);
    });
}

#[test]
fn a_failure_of_this_side_tells_of_its_attempts_in_its_text() {
    run(async {
        let server = Server::start();
        let channel = retrying(&server.address(), 2);
        let call = call(&channel);
        play(&server, &[Cut, Cut]).await;
        let failure = failure(call, Code::Unavailable).await;
        let text = failure.status().message();
        assert!(text.starts_with("connection lost: closed by the server; phase wait; on "), "{text}");
        assert!(text.contains("; attempt 1 on ") && text.contains("; attempt 2 on "), "{text}");
        assert!(
            text.ends_with("; no further attempt: 2 attempts were made, all that its policy allows; sent"),
            "{text}"
        );
    });
}

#[test]
fn a_call_with_one_attempt_that_nobody_expected_to_be_repeated_has_no_trail_of_attempts() {
    run(async {
        let server = Server::start();
        let channel = retrying(&server.address(), 3);
        let call = call(&channel);
        play(&server, &[fail(5)]).await;
        let failure = failure(call, Code::NotFound).await;
        assert_eq!((failure.end().trail.as_str(), failure.end().attempts), ("", 1));
    });
}

/// [THR-20] to [THR-25], [RETRY-9]: ten tokens, a tenth for each success, and more than five must be there.
#[test]
fn tokens_bound_the_retries_of_a_channel_and_successes_give_them_back() {
    let config = policy(2).replacen('{', r#"{"retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1}, "#, 1);
    run(async {
        let server = Server::start();
        let channel = retrying_with(&server.address(), &config, &[]);
        let mut connection = None;
        let mut made = 0;
        // How many attempts a call makes that always fails, or its one that succeeds.
        let mut attempts = async |fails: bool| {
            let call = call(&channel);
            let mut count = 0;
            loop {
                let (open, mut request) = next_request(&server, connection.take()).await;
                connection = Some(open);
                count += 1;
                if !fails {
                    request.answer(b"done");
                    response(call).await;
                    return count;
                }
                fail_with(&mut request, UNAVAILABLE, &[]);
                made += 1;
                // The fifth and every later failure is the last of its call.
                if count == 2 || made >= 5 {
                    let failure = failure(call, Code::Unavailable).await;
                    let is_throttled =
                        failure.end().trail.contains("; no further attempt: too many of the channel's calls fail");
                    assert_eq!(is_throttled, made >= 5, "{made}: {}", failure.end().trail);
                    return count;
                }
            }
        };
        // Ten, eight, six, and five after the first failure of the third.
        assert_eq!([attempts(true).await, attempts(true).await, attempts(true).await], [2, 2, 1]);
        // Six and a tenth is what it takes: less one is more than five.
        for _ in 0..10 {
            attempts(false).await;
        }
        assert_eq!(attempts(true).await, 1, "six less one are not more than five");
        assert_eq!(channel.metrics().retries, 2);
    });
}

/// [INT-01], [BUF-07], [BUF-08], [RETRY-14]
#[test]
fn a_call_with_streams_sends_everything_again_and_its_half_close() {
    run(async {
        let server = Server::start();
        let channel = retrying(&server.address(), 3);
        let (reply, mut events) = events();
        let handle = channel.start_stream(CallRequest::new(METHOD), reply).expect("a call");
        handle.send("one".into(), false).expect("room");
        let mut connection = server.accept().await;
        let mut first = connection.request().await;
        assert_eq!(first.message().await.expect("a message"), "one");
        handle.send("two".into(), true).expect("room");
        assert_eq!(first.message().await.expect("a message"), "two");
        assert_eq!(first.message().await, None);
        fail_with(&mut first, UNAVAILABLE, &[]);
        let mut second = connection.request().await;
        for wanted in ["one", "two"] {
            assert_eq!(second.message().await.expect("a message"), wanted);
        }
        assert_eq!(second.message().await, None);
        second.start().end(0);
        let end = loop {
            match events.next().await {
                Event::Status(end) => break end,
                Event::Headers { .. } | Event::Writable => {}
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((end.status.code(), end.attempts), (Code::Ok, 2));
        events.are_over().await;
    });
}

/// [BUF-09]
#[test]
fn what_is_sent_between_attempts_waits_for_the_next_and_leaves_room_for_more() {
    run(async {
        let server = Server::start();
        let config = policy(2).replace("0.001s", "100s").replace("0.002s", "100s");
        let channel = retrying_with(&server.address(), &config, &[("linkspan.send_high_water_bytes", 1_024.into())]);
        let mut call = channel.stream(METHOD, CallOptions::default()).expect("a call");
        call.send(vec![b'0'; 1_000]).await.expect("room");
        let mut connection = server.accept().await;
        let mut first = connection.request().await;
        first.message().await.expect("a message");
        // The wait is a minute and more; nobody waits for its end.
        fail_with(&mut first, UNAVAILABLE, &[]);
        while channel.metrics().retries == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..20 {
            call.send(vec![b'1'; 1_000]).await.expect("room, although nothing is sent");
        }
        assert!(!connection.has_waiting_request());
        call.cancel("enough");
        let failure = call.message().await.expect_err("cancelled");
        assert_eq!(failure.status().message(), "enough");
        let trail = &failure.end().trail;
        assert!(trail.starts_with("phase backoff; attempt 1 on "), "{trail}");
        assert!(trail.contains("; attempt 2 due in "), "{trail}");
    });
}

/// [COMMIT-02], [BUF-01], [BUF-04], [BUF-05], [RETRY-13]
#[test]
fn a_call_that_sent_more_than_is_kept_is_not_made_again_and_says_so() {
    run(async {
        for key in ["grpc.per_rpc_retry_buffer_size", "grpc.retry_buffer_size"] {
            let server = Server::start();
            let channel = retrying_with(&server.address(), &policy(3), &[(key, 1_000.into())]);
            let unary = call_with(&channel, vec![b'x'; 1_000], CallOptions::default());
            let mut connection = server.accept().await;
            fail_with(&mut connection.request().await, UNAVAILABLE, &[]);
            let mut ends = vec![failure(unary, Code::Unavailable).await];

            let mut stream = channel.stream(METHOD, CallOptions::default()).expect("a call");
            let mut request = {
                for _ in 0..3 {
                    stream.send(vec![b'x'; 400]).await.expect("room");
                }
                connection.request().await
            };
            for _ in 0..3 {
                request.message().await.expect("a message");
            }
            fail_with(&mut request, UNAVAILABLE, &[]);
            ends.push(stream.message().await.expect_err("UNAVAILABLE"));
            for end in ends {
                let trail = &end.end().trail;
                assert!(trail.contains("; no further attempt: ") && trail.contains(key), "{trail}");
                assert_eq!((end.end().attempts, end.status().message()), (1, "as the script has it"));
            }
            assert_eq!(channel.metrics().retries, 0);
        }
    });
}

/// [TRANS-01], [RETRY-5], [RETRY-17], [WFR-05]
#[test]
fn a_failed_pick_is_a_failure_that_the_policy_covers() {
    run(async {
        let port = ReservedPort::new();
        let channel = retrying(&port.address(), 3);
        let failed = failure(call(&channel), Code::Unavailable).await;
        assert_eq!((failed.end().attempts, failed.end().sent), (3, Sent::NotSent));
        let text = failed.status().message();
        assert!(text.contains("; attempt 1 UNAVAILABLE at ") && text.contains("; attempt 3 UNAVAILABLE at "), "{text}");
        // One that waits for a connection has not failed.
        let options = CallOptions { wait_for_ready: Some(true), ..CallOptions::default() };
        let patient = call_with(&channel, "hello", options);
        let server = port.listen();
        play(&server, &[Answer]).await;
        assert_eq!(channel.metrics().retries, 2);
        response(patient).await;
    });
}

/// [RETRY-14], [RPOL-01]
#[test]
fn another_attempt_goes_to_another_address_where_there_is_one() {
    run(async {
        let servers = [Server::start(), Server::start()];
        let addresses = servers.each_ref().map(Server::address).join(",");
        let set = [
            ("linkspan.preset", "grpc".into()),
            ("grpc.service_config", policy(2).as_str().into()),
            ("linkspan.lb_policy", "round_robin".into()),
        ];
        let channel = channel_with(&addresses, &set);
        channel.state(true);
        let [mut one, mut other] = [servers[0].accept().await, servers[1].accept().await];
        for _ in 0..10 {
            let call = call(&channel);
            let (mut first, is_one) = tokio::select! {
                request = one.request() => (request, true),
                request = other.request() => (request, false),
            };
            fail_with(&mut first, UNAVAILABLE, &[]);
            let second = if is_one { other.request().await } else { one.request().await };
            second.answer(b"done");
            response(call).await;
        }
    });
}

/// [RPOL-25], [RETRY-8], [DL-04], [DL-05], [WIRE-244]
#[test]
fn a_deadline_or_a_cancellation_ends_the_wait_for_the_next_attempt() {
    run(async {
        let server = Server::start();
        let config = policy(3).replace("0.001s", "100s").replace("0.002s", "100s");
        let channel = retrying_with(&server.address(), &config, &[]);
        let options = CallOptions { timeout: Timeout::After(Duration::from_secs(1)), ..CallOptions::default() };
        let late = call_with(&channel, "hello", options);
        let mut connection = server.accept().await;
        fail_with(&mut connection.request().await, UNAVAILABLE, &[]);
        let late = failure(late, Code::DeadlineExceeded).await;
        let text = late.status().message();
        assert!(text.starts_with("deadline exceeded; phase backoff; attempt 1 on "), "{text}");
        assert!(text.contains(": as the script has it; attempt 2 due in "), "{text}");
        assert!(text.ends_with("; sent"), "{text}");
        assert_eq!(late.end().attempts, 1);
        assert!(!connection.has_waiting_request());
    });
}

/// [RPOL-04], [INT-02]
#[test]
fn each_attempt_is_told_the_time_that_is_left_and_is_the_same_otherwise() {
    run(async {
        let server = Server::start();
        let channel = retrying(&server.address(), 2);
        let authority = Some("other.test".into());
        let mut options =
            CallOptions { timeout: Timeout::After(Duration::from_secs(50)), authority, ..CallOptions::default() };
        options.metadata.append("x-key", "value").expect("good metadata");
        let call = call_with(&channel, "hello", options);
        let mut connection = server.accept().await;
        let (mut left, mut same) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let mut request = connection.request().await;
            let timeout = request.header("grpc-timeout").join("|");
            left.push(timeout.strip_suffix('u').and_then(|digits| digits.parse::<u64>().ok()).expect("microseconds"));
            let headers = ["user-agent", "x-key", "te", "content-type"].map(|name| request.header(name).join("|"));
            same.push((request.head.uri.clone(), headers));
            fail_with(&mut request, UNAVAILABLE, &[]);
        }
        failure(call, Code::Unavailable).await;
        assert_eq!(same[0], same[1]);
        // The wait was eight tenths of a millisecond at the least.
        assert!(left[0] <= 50_000_000 && left[1] + 800 <= left[0], "{left:?}");
    });
}
