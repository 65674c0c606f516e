//! The cases that every interop server serves, as gRPC's interop test descriptions have them, and the list of all.

use std::time::Duration;

use linkspan_core::{CallOptions, Channel, Code, Metadata, Timeout};

use crate::arguments::Arguments;
use crate::judging::{Outcome, ends_ok, expect, failed_as, has_once, next, not_sent, start, stream_failed_as, told};
use crate::messages::{OutputRequest, SimpleRequest, aggregated_size, input_request, payload_size};
use crate::{compressed, http2, load, soak};

/// In the order of a full run.
pub(crate) const EVERYWHERE: [&str; 14] = [
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "custom_metadata",
    "status_code_and_message",
    "special_status_message",
    "unimplemented_method",
    "unimplemented_service",
    "cancel_after_begin",
    "cancel_after_first_response",
    "timeout_on_sleeping_server",
];

pub(crate) fn all() -> Vec<&'static str> {
    [&EVERYWHERE[..], &compressed::NAMES, &load::NAMES, &soak::NAMES, &http2::NAMES].concat()
}

pub(crate) fn is_known(name: &str) -> bool {
    all().contains(&name)
}

/// Runs a case. Each has channels of its own, so that none profits from another's connection.
pub(crate) async fn run(name: &str, arguments: &Arguments) -> Outcome {
    if soak::NAMES.contains(&name) {
        return soak::run(name, arguments).await;
    }
    let channel = arguments.channel(&load::options_of(name))?;
    let outcome = if EVERYWHERE.contains(&name) {
        run_on(&channel, name).await
    } else if compressed::NAMES.contains(&name) {
        compressed::run(&channel, name).await
    } else if load::NAMES.contains(&name) {
        load::run(&channel, name).await
    } else {
        http2::run(&channel, name).await
    };
    channel.close(None);
    outcome
}

async fn run_on(channel: &Channel, name: &str) -> Outcome {
    match name {
        "empty_unary" => empty_unary(channel).await,
        "large_unary" => large_unary(channel).await,
        "client_streaming" => client_streaming(channel).await,
        "server_streaming" => server_streaming(channel).await,
        "ping_pong" => ping_pong(channel).await,
        "empty_stream" => empty_stream(channel).await,
        "custom_metadata" => custom_metadata(channel).await,
        "status_code_and_message" => both_end_with(channel, "test status message").await,
        "special_status_message" => special_status_message(channel).await,
        "unimplemented_method" => unimplemented(channel, "/grpc.testing.TestService/UnimplementedCall").await,
        "unimplemented_service" => unimplemented(channel, "/grpc.testing.UnimplementedService/UnimplementedCall").await,
        "cancel_after_begin" => cancel_after_begin(channel).await,
        "cancel_after_first_response" => cancel_after_first_response(channel).await,
        "timeout_on_sleeping_server" => timeout_on_sleeping_server(channel).await,
        unknown => Err(format!("there is no case {unknown}")),
    }
}

const EMPTY_CALL: &str = "/grpc.testing.TestService/EmptyCall";
pub(crate) const UNARY_CALL: &str = "/grpc.testing.TestService/UnaryCall";
pub(crate) const STREAMING_INPUT_CALL: &str = "/grpc.testing.TestService/StreamingInputCall";
pub(crate) const STREAMING_OUTPUT_CALL: &str = "/grpc.testing.TestService/StreamingOutputCall";
pub(crate) const FULL_DUPLEX_CALL: &str = "/grpc.testing.TestService/FullDuplexCall";

pub(crate) const LARGE_REQUEST: usize = 271_828;
pub(crate) const LARGE_RESPONSE: u64 = 314_159;
const REQUEST_SIZES: [usize; 4] = [27_182, 8, 1_828, 45_904];
const RESPONSE_SIZES: [u64; 4] = [31_415, 9, 2_653, 58_979];

async fn empty_unary(channel: &Channel) -> Outcome {
    let response = channel.unary(EMPTY_CALL, "", CallOptions::default()).await.map_err(told)?;
    expect("the response's size", response.message.len(), 0)
}

pub(crate) fn large_request() -> Vec<u8> {
    SimpleRequest { response_size: LARGE_RESPONSE, payload: LARGE_REQUEST, ..SimpleRequest::default() }.encode()
}

pub(crate) async fn large_unary(channel: &Channel) -> Outcome {
    let response = channel.unary(UNARY_CALL, large_request(), CallOptions::default()).await.map_err(told)?;
    expect("the payload's size", payload_size(&response.message)? as u64, LARGE_RESPONSE)
}

async fn client_streaming(channel: &Channel) -> Outcome {
    let mut call = start(channel, STREAMING_INPUT_CALL)?;
    for size in REQUEST_SIZES {
        call.send(input_request(size, None)).await.map_err(not_sent)?;
    }
    call.close_send();
    let response = next(&mut call).await?;
    expect("the aggregated size", aggregated_size(&response)?, REQUEST_SIZES.iter().sum::<usize>() as u64)?;
    ends_ok(&mut call).await
}

async fn server_streaming(channel: &Channel) -> Outcome {
    let mut call = start(channel, STREAMING_OUTPUT_CALL)?;
    call.send(OutputRequest::sized(&RESPONSE_SIZES, 0).encode()).await.map_err(not_sent)?;
    call.close_send();
    for size in RESPONSE_SIZES {
        expect("the payload's size", payload_size(&next(&mut call).await?)? as u64, size)?;
    }
    ends_ok(&mut call).await
}

async fn ping_pong(channel: &Channel) -> Outcome {
    let mut call = start(channel, FULL_DUPLEX_CALL)?;
    for (request, response) in REQUEST_SIZES.into_iter().zip(RESPONSE_SIZES) {
        call.send(OutputRequest::sized(&[response], request).encode()).await.map_err(not_sent)?;
        expect("the payload's size", payload_size(&next(&mut call).await?)? as u64, response)?;
    }
    call.close_send();
    ends_ok(&mut call).await
}

async fn empty_stream(channel: &Channel) -> Outcome {
    let mut call = start(channel, FULL_DUPLEX_CALL)?;
    call.close_send();
    ends_ok(&mut call).await
}

async fn custom_metadata(channel: &Channel) -> Outcome {
    const INITIAL: &str = "x-grpc-test-echo-initial";
    const TRAILING: &str = "x-grpc-test-echo-trailing-bin";
    let (text, bytes): (&[u8], &[u8]) = (b"test_initial_metadata_value", &[0xab, 0xab, 0xab]);
    let options = || {
        let mut metadata = Metadata::new();
        metadata.append(INITIAL, text).map_err(told)?;
        metadata.append(TRAILING, bytes).map_err(told)?;
        Ok::<_, String>(CallOptions { metadata, ..CallOptions::default() })
    };

    let response = channel.unary(UNARY_CALL, large_request(), options()?).await.map_err(told)?;
    has_once(&response.initial, INITIAL, text)?;
    has_once(&response.trailing, TRAILING, bytes)?;

    let mut call = channel.stream(FULL_DUPLEX_CALL, options()?).map_err(told)?;
    call.send(OutputRequest::sized(&[LARGE_RESPONSE], LARGE_REQUEST).encode()).await.map_err(not_sent)?;
    has_once(call.headers().await.ok_or("no initial metadata")?, INITIAL, text)?;
    expect("the payload's size", payload_size(&next(&mut call).await?)? as u64, LARGE_RESPONSE)?;
    call.close_send();
    ends_ok(&mut call).await?;
    has_once(&call.end().ok_or("no end")?.trailing, TRAILING, bytes)
}

async fn special_status_message(channel: &Channel) -> Outcome {
    let text = "\t\ntest with whitespace\r\nand Unicode BMP \u{263a} and non-BMP \u{1f608}\t\n";
    let request = SimpleRequest { status: Some((2, text)), ..SimpleRequest::default() }.encode();
    failed_as(channel.unary(UNARY_CALL, request, CallOptions::default()).await, Code::Unknown, Some(text))
}

async fn both_end_with(channel: &Channel, text: &str) -> Outcome {
    let request = SimpleRequest { status: Some((2, text)), ..SimpleRequest::default() }.encode();
    failed_as(channel.unary(UNARY_CALL, request, CallOptions::default()).await, Code::Unknown, Some(text))?;

    let mut call = start(channel, FULL_DUPLEX_CALL)?;
    call.send(OutputRequest { status: Some((2, text)), ..OutputRequest::default() }.encode())
        .await
        .map_err(not_sent)?;
    call.close_send();
    stream_failed_as(call.message().await, Code::Unknown, Some(text))
}

async fn unimplemented(channel: &Channel, method: &str) -> Outcome {
    failed_as(channel.unary(method, "", CallOptions::default()).await, Code::Unimplemented, None)
}

async fn cancel_after_begin(channel: &Channel) -> Outcome {
    let mut call = start(channel, STREAMING_INPUT_CALL)?;
    call.cancel("cancelled after begin");
    stream_failed_as(call.message().await, Code::Cancelled, Some("cancelled after begin"))
}

async fn cancel_after_first_response(channel: &Channel) -> Outcome {
    let mut call = start(channel, FULL_DUPLEX_CALL)?;
    call.send(OutputRequest::sized(&RESPONSE_SIZES[..1], REQUEST_SIZES[0]).encode()).await.map_err(not_sent)?;
    expect("the payload's size", payload_size(&next(&mut call).await?)? as u64, RESPONSE_SIZES[0])?;
    call.cancel("cancelled after the first response");
    stream_failed_as(call.message().await, Code::Cancelled, Some("cancelled after the first response"))
}

async fn timeout_on_sleeping_server(channel: &Channel) -> Outcome {
    let options = CallOptions { timeout: Timeout::After(Duration::from_millis(1)), ..CallOptions::default() };
    let mut call = channel.stream(FULL_DUPLEX_CALL, options).map_err(told)?;
    // The deadline may pass before the message is taken.
    let _ = call.send(OutputRequest::sized(&[], REQUEST_SIZES[0]).encode()).await;
    stream_failed_as(call.message().await, Code::DeadlineExceeded, None)
}
