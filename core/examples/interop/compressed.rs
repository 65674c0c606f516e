//! The cases with compression: the server judges by each request how it came, and compresses the responses it is asked to.

use linkspan_core::{CallError, CallOptions, Channel, Code, Compression, UnaryResponse};

use crate::cases::{LARGE_REQUEST, LARGE_RESPONSE, STREAMING_INPUT_CALL, STREAMING_OUTPUT_CALL, UNARY_CALL};
use crate::judging::{Outcome, ends_ok, expect, failed_as, next, not_sent, start, stream_failed_as, told};
use crate::messages::{OutputRequest, ResponseParameters, SimpleRequest, aggregated_size, input_request, payload_size};

pub(crate) const NAMES: [&str; 6] = [
    "client_compressed_unary",
    "client_compressed_unary_noprobe",
    "server_compressed_unary",
    "client_compressed_streaming",
    "client_compressed_streaming_noprobe",
    "server_compressed_streaming",
];

/// Sent compressed, and as it is.
const REQUEST_SIZES: [usize; 2] = [27_182, 45_904];
const RESPONSES: [(u64, bool); 2] = [(31_415, true), (92_653, false)];

pub(crate) async fn run(channel: &Channel, name: &str) -> Outcome {
    match name {
        "client_compressed_unary" => {
            probe_unary(channel).await?;
            client_unary(channel).await
        }
        "client_compressed_unary_noprobe" => client_unary(channel).await,
        "server_compressed_unary" => server_unary(channel).await,
        "client_compressed_streaming" => {
            probe_streaming(channel).await?;
            client_streaming(channel).await
        }
        "client_compressed_streaming_noprobe" => client_streaming(channel).await,
        "server_compressed_streaming" => server_streaming(channel).await,
        unknown => Err(format!("there is no case {unknown}")),
    }
}

fn as_it_is() -> CallOptions {
    CallOptions { compression: Some(Compression::Identity), ..CallOptions::default() }
}

fn compressed() -> CallOptions {
    CallOptions { compression: Some(Compression::Gzip), ..CallOptions::default() }
}

/// A large call whose request is said to come so.
async fn large(channel: &Channel, options: CallOptions, is_expected: bool) -> Result<UnaryResponse, CallError> {
    let request = SimpleRequest {
        response_size: LARGE_RESPONSE,
        payload: LARGE_REQUEST,
        expect_compressed: Some(is_expected),
        ..SimpleRequest::default()
    };
    channel.unary(UNARY_CALL, request.encode(), options).await
}

/// A server that judges must refuse this.
async fn probe_unary(channel: &Channel) -> Outcome {
    failed_as(large(channel, as_it_is(), true).await, Code::InvalidArgument, None)
}

async fn client_unary(channel: &Channel) -> Outcome {
    for (options, is_compressed) in [(compressed(), true), (as_it_is(), false)] {
        let response = large(channel, options, is_compressed).await.map_err(told)?;
        expect("the payload's size", payload_size(&response.message)? as u64, LARGE_RESPONSE)?;
    }
    Ok(())
}

async fn server_unary(channel: &Channel) -> Outcome {
    for wanted in [true, false] {
        let request = SimpleRequest {
            response_size: LARGE_RESPONSE,
            payload: LARGE_REQUEST,
            response_compressed: Some(wanted),
            ..SimpleRequest::default()
        };
        let response = channel.unary(UNARY_CALL, request.encode(), CallOptions::default()).await.map_err(told)?;
        expect("the payload's size", payload_size(&response.message)? as u64, LARGE_RESPONSE)?;
    }
    Ok(())
}

async fn probe_streaming(channel: &Channel) -> Outcome {
    let mut call = channel.stream(STREAMING_INPUT_CALL, as_it_is()).map_err(told)?;
    call.send(input_request(REQUEST_SIZES[0], Some(true))).await.map_err(not_sent)?;
    call.close_send();
    stream_failed_as(call.message().await, Code::InvalidArgument, None)
}

async fn client_streaming(channel: &Channel) -> Outcome {
    let mut call = channel.stream(STREAMING_INPUT_CALL, compressed()).map_err(told)?;
    call.send(input_request(REQUEST_SIZES[0], Some(true))).await.map_err(not_sent)?;
    call.send_uncompressed(input_request(REQUEST_SIZES[1], Some(false))).await.map_err(not_sent)?;
    call.close_send();
    let response = next(&mut call).await?;
    expect("the aggregated size", aggregated_size(&response)?, REQUEST_SIZES.iter().sum::<usize>() as u64)?;
    ends_ok(&mut call).await
}

async fn server_streaming(channel: &Channel) -> Outcome {
    let mut call = start(channel, STREAMING_OUTPUT_CALL)?;
    let asked = |(size, compressed)| ResponseParameters { size, compressed: Some(compressed), ..Default::default() };
    let request = OutputRequest { responses: RESPONSES.map(asked).to_vec(), ..OutputRequest::default() };
    call.send(request.encode()).await.map_err(not_sent)?;
    call.close_send();
    for (size, _) in RESPONSES {
        expect("the payload's size", payload_size(&next(&mut call).await?)? as u64, size)?;
    }
    ends_ok(&mut call).await
}
