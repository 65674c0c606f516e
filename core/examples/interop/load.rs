//! Cases with many calls, large ones, or more than one connection.

use std::time::Duration;

use linkspan_core::{CallOptions, Channel, OptionValue};
use tokio::task::JoinSet;

use crate::cases::{FULL_DUPLEX_CALL, UNARY_CALL, large_unary};
use crate::judging::{Outcome, ends_ok, expect, has_once, next, not_sent, start, told};
use crate::messages::{OutputRequest, ResponseParameters, SimpleRequest, payload_size, text};

pub(crate) const NAMES: [&str; 6] = [
    "pick_first_unary",
    "max_concurrent_streams_connection_scaling",
    "concurrent_large_unary",
    "long_lived_channel",
    "very_large_request",
    "orca_per_rpc",
];

const CONCURRENT_CALLS: usize = 1_000;
const LONG_LIVED_CALLS: usize = 5;
const LONG_LIVED_INTERVAL: Duration = Duration::from_millis(200);
const VERY_LARGE_REQUEST: usize = 10 << 20;

/// cpu 0.8210, memory 0.5847, request cost {cost: 3456.32}, utilization {util: 0.30499}, as a `TestOrcaReport` and as an `OrcaLoadReport`, whose
/// maps have other numbers.
const ASKED_LOAD: [u8; 52] = load(0x1a, 0x22);
const TOLD_LOAD: [u8; 52] = load(0x22, 0x2a);

const fn load(cost: u8, utilization: u8) -> [u8; 52] {
    let mut report = *b"\x09\x12\x83\xc0\xca\xa1\x45\xea\x3f\x11\x12\x14\x3f\xc6\xdc\xb5\xe2\x3f\x1a\x0f\x0a\x04\x63\x6f\x73\x74\x11\x71\x3d\x0a\xd7\xa3\x00\xab\x40\x22\x0f\x0a\x04\x75\x74\x69\x6c\x11\xbe\xd9\xe6\xc6\xf4\x84\xd3\x3f";
    report[18] = cost;
    report[35] = utilization;
    report
}

/// What the channel of a case is to be made with.
pub(crate) fn options_of(name: &str) -> Vec<(&'static str, OptionValue)> {
    match name {
        "pick_first_unary" => vec![("grpc.service_config", PICK_FIRST.into())],
        "max_concurrent_streams_connection_scaling" => vec![("grpc.service_config", SCALING.into())],
        _ => Vec::new(),
    }
}

const PICK_FIRST: &str = r#"{"loadBalancingConfig": [{"pick_first": {}}]}"#;
const SCALING: &str = r#"{"connectionScaling": {"maxConnectionsPerSubchannel": 2}}"#;

pub(crate) async fn run(channel: &Channel, name: &str) -> Outcome {
    match name {
        "pick_first_unary" => pick_first_unary(channel).await,
        "max_concurrent_streams_connection_scaling" => connection_scaling(channel).await,
        "concurrent_large_unary" => concurrent_large_unary(channel, CONCURRENT_CALLS).await,
        "long_lived_channel" => long_lived_channel(channel).await,
        "very_large_request" => very_large_request(channel).await,
        "orca_per_rpc" => orca_per_rpc(channel).await,
        unknown => Err(format!("there is no case {unknown}")),
    }
}

/// The server tells its load with the call. Here it is read from the trailers, where policies read it too.
async fn orca_per_rpc(channel: &Channel) -> Outcome {
    let request = SimpleRequest { load: &ASKED_LOAD, ..SimpleRequest::default() }.encode();
    let response = channel.unary(UNARY_CALL, request, CallOptions::default()).await.map_err(told)?;
    has_once(&response.trailing, "endpoint-load-metrics-bin", &TOLD_LOAD)
}

async fn pick_first_unary(channel: &Channel) -> Outcome {
    let request =
        SimpleRequest { response_size: 1, payload: 1, fill_server_id: true, ..SimpleRequest::default() }.encode();
    let mut first = None;
    for _ in 0..100 {
        let response = channel.unary(UNARY_CALL, request.clone(), CallOptions::default()).await.map_err(told)?;
        let id = text(&response.message, 4)?;
        expect("whether the server says who it is", id.is_empty(), false)?;
        expect("the server", &id, first.get_or_insert_with(|| id.clone()))?;
    }
    Ok(())
}

/// The server allows two streams on a connection, so that the third call needs another.
async fn connection_scaling(channel: &Channel) -> Outcome {
    let (mut calls, mut peers) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let mut call = start(channel, FULL_DUPLEX_CALL)?;
        let asked = ResponseParameters { fill_peer: true, ..ResponseParameters::default() };
        let request = OutputRequest { responses: vec![asked], ..OutputRequest::default() };
        call.send(request.encode()).await.map_err(not_sent)?;
        peers.push(text(&next(&mut call).await?, 2)?);
        calls.push(call);
    }
    for call in &mut calls {
        call.close_send();
        ends_ok(call).await?;
    }
    if !peers[0].is_empty() && peers[0] == peers[1] && peers[0] != peers[2] {
        return Ok(());
    }
    Err(format!("two calls on one connection and the third on another were expected; they came from {peers:?}"))
}

pub(crate) async fn concurrent_large_unary(channel: &Channel, calls: usize) -> Outcome {
    let mut running = JoinSet::new();
    for _ in 0..calls {
        let channel = channel.clone();
        running.spawn(async move { large_unary(&channel).await });
    }
    while let Some(ended) = running.join_next().await {
        ended.map_err(told)??;
    }
    Ok(())
}

async fn long_lived_channel(channel: &Channel) -> Outcome {
    for _ in 0..LONG_LIVED_CALLS {
        large_unary(channel).await?;
        tokio::time::sleep(LONG_LIVED_INTERVAL).await;
    }
    Ok(())
}

async fn very_large_request(channel: &Channel) -> Outcome {
    let request = SimpleRequest { response_size: 10, payload: VERY_LARGE_REQUEST, ..SimpleRequest::default() };
    let response = channel.unary(UNARY_CALL, request.encode(), CallOptions::default()).await.map_err(told)?;
    expect("the payload's size", payload_size(&response.message)?, 10)
}
