//! The cases, as gRPC's interop test descriptions have them.

use std::fmt::Display;
use std::time::Duration;

use linkspan_core::{CallError, CallOptions, Channel, Code, Metadata, RpcError, Status, StreamCall, Timeout};

use crate::messages::{
    aggregated_size, payload_size, simple_request, streaming_input_request, streaming_output_request,
};

/// Every case, in the order of a full run.
pub(crate) const NAMES: [&str; 14] = [
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

type Outcome = Result<(), String>;

/// Runs the case of this name, one of [`NAMES`].
pub(crate) async fn run(name: &str, channel: &Channel) -> Outcome {
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
const UNARY_CALL: &str = "/grpc.testing.TestService/UnaryCall";
const STREAMING_INPUT_CALL: &str = "/grpc.testing.TestService/StreamingInputCall";
const STREAMING_OUTPUT_CALL: &str = "/grpc.testing.TestService/StreamingOutputCall";
const FULL_DUPLEX_CALL: &str = "/grpc.testing.TestService/FullDuplexCall";

const LARGE_REQUEST: usize = 271_828;
const LARGE_RESPONSE: u64 = 314_159;
const REQUEST_SIZES: [usize; 4] = [27_182, 8, 1_828, 45_904];
const RESPONSE_SIZES: [u64; 4] = [31_415, 9, 2_653, 58_979];

async fn empty_unary(channel: &Channel) -> Outcome {
    let response = channel.unary(EMPTY_CALL, "", CallOptions::default()).await.map_err(told)?;
    expect("the response's size", response.message.len(), 0)
}

async fn large_unary(channel: &Channel) -> Outcome {
    let request = simple_request(LARGE_RESPONSE, LARGE_REQUEST, None);
    let response = channel.unary(UNARY_CALL, request, CallOptions::default()).await.map_err(told)?;
    expect("the payload's size", payload_size(&response.message)? as u64, LARGE_RESPONSE)
}

async fn client_streaming(channel: &Channel) -> Outcome {
    let mut call = start(channel, STREAMING_INPUT_CALL)?;
    for size in REQUEST_SIZES {
        call.send(streaming_input_request(size)).await.map_err(not_sent)?;
    }
    call.close_send();
    let response = next(&mut call).await?;
    expect("the aggregated size", aggregated_size(&response)?, REQUEST_SIZES.iter().sum::<usize>() as u64)?;
    ends_ok(&mut call).await
}

async fn server_streaming(channel: &Channel) -> Outcome {
    let mut call = start(channel, STREAMING_OUTPUT_CALL)?;
    call.send(streaming_output_request(&RESPONSE_SIZES, 0, None)).await.map_err(not_sent)?;
    call.close_send();
    for size in RESPONSE_SIZES {
        expect("the payload's size", payload_size(&next(&mut call).await?)? as u64, size)?;
    }
    ends_ok(&mut call).await
}

async fn ping_pong(channel: &Channel) -> Outcome {
    let mut call = start(channel, FULL_DUPLEX_CALL)?;
    for (request, response) in REQUEST_SIZES.into_iter().zip(RESPONSE_SIZES) {
        call.send(streaming_output_request(&[response], request, None)).await.map_err(not_sent)?;
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

    let request = simple_request(LARGE_RESPONSE, LARGE_REQUEST, None);
    let response = channel.unary(UNARY_CALL, request, options()?).await.map_err(told)?;
    has_once(&response.initial, INITIAL, text)?;
    has_once(&response.trailing, TRAILING, bytes)?;

    let mut call = channel.stream(FULL_DUPLEX_CALL, options()?).map_err(told)?;
    call.send(streaming_output_request(&[LARGE_RESPONSE], LARGE_REQUEST, None)).await.map_err(not_sent)?;
    has_once(call.headers().await.ok_or("no initial metadata")?, INITIAL, text)?;
    expect("the payload's size", payload_size(&next(&mut call).await?)? as u64, LARGE_RESPONSE)?;
    call.close_send();
    ends_ok(&mut call).await?;
    has_once(&call.end().ok_or("no end")?.trailing, TRAILING, bytes)
}

async fn special_status_message(channel: &Channel) -> Outcome {
    let text = "\t\ntest with whitespace\r\nand Unicode BMP \u{263a} and non-BMP \u{1f608}\t\n";
    let request = simple_request(0, 0, Some((2, text)));
    failed_as(channel.unary(UNARY_CALL, request, CallOptions::default()).await, Code::Unknown, Some(text))
}

async fn both_end_with(channel: &Channel, text: &str) -> Outcome {
    let request = simple_request(0, 0, Some((2, text)));
    failed_as(channel.unary(UNARY_CALL, request, CallOptions::default()).await, Code::Unknown, Some(text))?;

    let mut call = start(channel, FULL_DUPLEX_CALL)?;
    call.send(streaming_output_request(&[], 0, Some((2, text)))).await.map_err(not_sent)?;
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
    call.send(streaming_output_request(&RESPONSE_SIZES[..1], REQUEST_SIZES[0], None)).await.map_err(not_sent)?;
    expect("the payload's size", payload_size(&next(&mut call).await?)? as u64, RESPONSE_SIZES[0])?;
    call.cancel("cancelled after the first response");
    stream_failed_as(call.message().await, Code::Cancelled, Some("cancelled after the first response"))
}

async fn timeout_on_sleeping_server(channel: &Channel) -> Outcome {
    let options = CallOptions { timeout: Timeout::After(Duration::from_millis(1)), ..CallOptions::default() };
    let mut call = channel.stream(FULL_DUPLEX_CALL, options).map_err(told)?;
    // The deadline may pass before the message is taken.
    let _ = call.send(streaming_output_request(&[], REQUEST_SIZES[0], None)).await;
    stream_failed_as(call.message().await, Code::DeadlineExceeded, None)
}

fn start(channel: &Channel, method: &str) -> Result<StreamCall, String> {
    channel.stream(method, CallOptions::default()).map_err(told)
}

async fn next(call: &mut StreamCall) -> Result<bytes::Bytes, String> {
    call.message().await.map_err(told)?.ok_or_else(|| "a message was expected and the call ended OK".to_owned())
}

async fn ends_ok(call: &mut StreamCall) -> Outcome {
    match call.message().await.map_err(told)? {
        None => Ok(()),
        Some(message) => Err(format!("the end was expected and a message of {} bytes came", message.len())),
    }
}

fn failed_as<T>(outcome: Result<T, CallError>, code: Code, text: Option<&str>) -> Outcome {
    match outcome {
        Ok(_) => Err(format!("{code} was expected and the call ended OK")),
        Err(CallError::Refused(error)) => Err(told(error)),
        Err(CallError::Rpc(failure)) => is_status(failure.status(), code, text),
    }
}

fn stream_failed_as<T>(outcome: Result<T, RpcError>, code: Code, text: Option<&str>) -> Outcome {
    match outcome {
        Ok(_) => Err(format!("{code} was expected and the call went on or ended OK")),
        Err(failure) => is_status(failure.status(), code, text),
    }
}

fn is_status(status: &Status, code: Code, text: Option<&str>) -> Outcome {
    if status.code() == code && text.is_none_or(|text| status.message() == text) {
        return Ok(());
    }
    Err(format!("{code} {text:?} was expected and {} {:?} came", status.code(), status.message()))
}

fn has_once(metadata: &Metadata, key: &str, value: &[u8]) -> Outcome {
    let values: Vec<_> = metadata.iter().filter(|(name, _)| *name == key).map(|(_, value)| value).collect();
    if values.len() == 1 && values[0] == value {
        return Ok(());
    }
    Err(format!("{key}: {value:?} was expected once and {values:?} came"))
}

fn expect<T: PartialEq + Display>(what: &str, is: T, wanted: T) -> Outcome {
    if is == wanted { Ok(()) } else { Err(format!("{what}: {wanted} was expected and {is} came")) }
}

fn told(cause: impl Display) -> String {
    cause.to_string()
}

fn not_sent(cause: linkspan_core::SendError) -> String {
    format!("a message was not taken: {cause:?}")
}
