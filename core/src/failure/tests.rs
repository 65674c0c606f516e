use super::*;

/// [WIRE-160], [WIRE-162]
#[test]
fn http_statuses_map_as_the_protocol_says() {
    let table = [
        (400, Code::Internal),
        (401, Code::Unauthenticated),
        (403, Code::PermissionDenied),
        (404, Code::Unimplemented),
        (429, Code::Unavailable),
        (431, Code::Internal),
        (502, Code::Unavailable),
        (503, Code::Unavailable),
        (504, Code::Unavailable),
        (200, Code::Unknown),
        (500, Code::Unknown),
    ];
    for (http, code) in table {
        assert_eq!(Failure::HttpStatus { http, content_type: None, body: "".into() }.code(), code, "HTTP {http}");
    }
}

/// [WIRE-165]
#[test]
fn resets_map_as_the_protocol_says() {
    let special =
        [(7, Code::Unavailable), (8, Code::Cancelled), (11, Code::ResourceExhausted), (12, Code::PermissionDenied)];
    for http2_code in 0..16 {
        let wanted = special.iter().find(|(number, _)| *number == http2_code).map_or(Code::Internal, |(_, code)| *code);
        assert_eq!(Failure::StreamReset { http2_code }.code(), wanted, "code {http2_code}");
    }
}

/// [WIRE-240], [A54-5]
#[test]
fn no_failure_uses_a_code_that_only_applications_may_use() {
    use Code::{Aborted, AlreadyExists, DataLoss, FailedPrecondition, InvalidArgument, NotFound, OutOfRange};
    let reserved = [InvalidArgument, NotFound, AlreadyExists, FailedPrecondition, Aborted, OutOfRange, DataLoss];
    for http in 100..600 {
        assert!(!reserved.contains(&code_of_http_status(http)));
    }
    for http2 in 0..32 {
        assert!(!reserved.contains(&code_of_reset(http2)));
    }
}

/// Every failure with its code and its opening words: native, grpcio's, grpc-js's; alike where one is told.
fn table() -> Vec<(Failure, Code, Vec<&'static str>)> {
    use Failure as F;
    let text = |text: &str| text.to_owned();
    let (size, limit) = (9, 4);
    let (target, cause) = (text("a.b:1"), text("why"));
    vec![
        (
            F::DeadlineExceeded { timeout: Some(Duration::from_millis(1_500)) },
            Code::DeadlineExceeded,
            vec!["deadline exceeded", "Deadline Exceeded", "Deadline exceeded after 1.500s"],
        ),
        (F::Cancelled { code: Code::Aborted, text: text("enough") }, Code::Aborted, vec!["enough"]),
        (
            F::ChannelClosed,
            Code::Unavailable,
            vec!["channel closed", "Channel closed!", "Channel closed before call started"],
        ),
        (
            F::ChannelClosedWhileRunning,
            Code::Cancelled,
            vec![
                "channel closed while the call was running",
                "Channel closed!",
                "Channel closed while the call was running",
            ],
        ),
        (F::Forked, Code::Cancelled, vec!["Call cancelled in fork child"]),
        (
            F::TooManyQueued { limit: 1, reached: None },
            Code::ResourceExhausted,
            vec!["1 call is waiting for a connection already (linkspan.max_queued_calls)"],
        ),
        (
            F::TooManyQueued { limit: 2, reached: Some(CallLimit::OfAddress(3)) },
            Code::ResourceExhausted,
            vec![
                "limit reached: 3 of 3 calls in flight to each address (linkspan.max_concurrent_requests_per_address), and 2 calls are waiting already (linkspan.max_queued_calls)",
            ],
        ),
        (
            F::ConnectFailed { last_error: cause.clone() },
            Code::Unavailable,
            vec![
                "failed to connect to all addresses; last error: why",
                "failed to connect to all addresses; last error: why",
                "No connection established. Last error: why",
            ],
        ),
        (
            F::RingFailed { last_error: cause.clone() },
            Code::Unavailable,
            vec!["ring hash cannot find a connected endpoint; last failure: why"],
        ),
        (
            F::NoRequestHash,
            Code::Internal,
            vec![
                "ring_hash does not know by which header to send calls; name it in the service config, as requestHashHeader",
            ],
        ),
        (F::Unhealthy, Code::Unavailable, vec!["no address that is connected is healthy"]),
        (
            F::BreakersOpen,
            Code::Unavailable,
            vec!["the circuit breaker of every connected address is open (linkspan.breaker)"],
        ),
        (
            F::ResolveFailed { target: target.clone(), cause: cause.clone() },
            Code::Unavailable,
            vec![
                "DNS resolution failed for a.b:1: why",
                "DNS resolution failed for a.b:1: why",
                "Name resolution failed for target a.b:1: why",
            ],
        ),
        (
            F::ResolverFailed { target, cause: cause.clone() },
            Code::Unavailable,
            vec!["the resolver of a.b:1 failed: why"],
        ),
        (
            F::ConnectionLost { cause: cause.clone() },
            Code::Unavailable,
            vec!["connection lost: why", "connection lost: why", "Connection dropped: why"],
        ),
        (
            F::StreamReset { http2_code: 2 },
            Code::Internal,
            vec![
                "the server reset the stream with INTERNAL_ERROR",
                "the server reset the stream with INTERNAL_ERROR",
                "Received RST_STREAM with code 2 (INTERNAL_ERROR)",
            ],
        ),
        (
            F::Refused { cause: cause.clone() },
            Code::Unavailable,
            vec![
                "the server did not process the call: why",
                "the server did not process the call: why",
                "Stream refused by server: why",
            ],
        ),
        (
            F::ReceivedTooLarge { size, limit },
            Code::ResourceExhausted,
            vec![
                "received message larger than max (9 vs. 4)",
                "CLIENT: Received message larger than max (9 vs. 4)",
                "Received message larger than max (9 vs 4)",
            ],
        ),
        (
            F::SentTooLarge { size, limit },
            Code::ResourceExhausted,
            vec![
                "message to send is larger than max (9 vs. 4)",
                "CLIENT: Sent message larger than max (9 vs. 4)",
                "Attempted to send message with a size larger than 4 (9)",
            ],
        ),
        (
            F::TooMuchMetadata { entries: 9 },
            Code::ResourceExhausted,
            vec!["9 metadata entries are more than can be sent"],
        ),
        (
            F::HeadersTooLarge { size, limit },
            Code::ResourceExhausted,
            vec!["received metadata larger than max (9 vs. 4)"],
        ),
        (
            F::HttpStatus { http: 503, content_type: Some(text("text/html")), body: "".into() },
            Code::Unavailable,
            vec![
                "the server answered HTTP 503 without a gRPC status, content-type \"text/html\"",
                "the server answered HTTP 503 without a gRPC status, content-type \"text/html\"",
                "Received HTTP status code 503, content-type \"text/html\"",
            ],
        ),
        (
            F::NoStatus { found: text("none") },
            Code::Unknown,
            vec!["the server ended the call without a usable grpc-status: none"],
        ),
        (F::Protocol { rule: text("the rule") }, Code::Internal, vec!["the rule"]),
        (
            F::NoMessage,
            Code::Unimplemented,
            vec![
                "the server sent no message where one was due",
                "the server sent no message where one was due",
                "No message received",
            ],
        ),
        (
            F::SecondMessage,
            Code::Unimplemented,
            vec![
                "the server sent a second message where one was due",
                "the server sent a second message where one was due",
                "Too many responses received",
            ],
        ),
        (
            F::AuthorityNotValid { authority: text("a.b"), cause },
            Code::Unavailable,
            vec![
                "failed to validate authority \"a.b\": why; give the call an authority that the server's certificate is for, or none",
            ],
        ),
        (
            F::DecompressedTooLarge { limit },
            Code::ResourceExhausted,
            vec![
                "received message decompresses to more than max (4)",
                "CLIENT: Received message decompresses to more than max (4)",
                "Received message that decompresses to a size larger than 4",
            ],
        ),
        (
            F::SentHeadersTooLarge { size, limit },
            Code::ResourceExhausted,
            vec!["metadata to send is larger than the server takes (9 vs. 4)"],
        ),
        (
            F::CredentialsFailed { code: Code::Unavailable, text: text("no token") },
            Code::Unavailable,
            vec!["Getting metadata from plugin failed with error: no token"],
        ),
        (
            F::CredentialsOnInsecure,
            Code::Unauthenticated,
            vec![
                "call credentials are sent over secure connections alone; give the channel TLS credentials",
                "Established channel does not have a sufficient security level to transfer call credential.",
                "call credentials are sent over secure connections alone; give the channel TLS credentials",
            ],
        ),
        (F::Internal { text: text("a bug") }, Code::Internal, vec!["a bug"]),
    ]
}

/// [WIRE-240]
#[test]
fn dialects_change_the_opening_words_and_not_the_code() {
    for (failure, code, words) in table() {
        assert_eq!(failure.code(), code, "{failure:?}");
        let dialects = [Dialect::Native, Dialect::Grpcio, Dialect::GrpcJs];
        let wanted = dialects.iter().enumerate().map(|(at, _)| *words.get(at).unwrap_or(&words[0]));
        let told: Vec<_> = dialects.iter().map(|dialect| failure.words(*dialect)).collect();
        assert_eq!(told, wanted.collect::<Vec<_>>(), "{failure:?}");
    }
}

/// A failure that is added must be added to the table, too.
#[test]
fn the_table_has_every_failure() {
    const SOURCE: &str = include_str!("../failure.rs");
    let (_, rest) = SOURCE.split_once("pub(crate) enum Failure {").expect("the enum");
    let (variants, _) = rest.split_once("\n}\n").expect("its end");
    let is_variant =
        |line: &&str| line.starts_with("    ") && line.as_bytes().get(4).is_some_and(u8::is_ascii_uppercase);
    let kinds: std::collections::HashSet<_> =
        table().iter().map(|(failure, ..)| std::mem::discriminant(failure)).collect();
    assert_eq!(kinds.len(), variants.lines().filter(is_variant).count());
}
