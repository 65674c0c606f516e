//! Cases with many calls, large ones, or more than one connection.

use std::time::{Duration, Instant};

use linkspan_core::{CallOptions, Channel, OptionValue, StreamCall, Timeout};
use tokio::task::JoinSet;

use crate::cases::{FULL_DUPLEX_CALL, UNARY_CALL, large_unary};
use crate::judging::{Outcome, ends_ok, expect, has_once, next, not_sent, start, told};
use crate::messages::{OutputRequest, ResponseParameters, SimpleRequest, payload_size, text};

pub(crate) const NAMES: [&str; 7] = [
    "pick_first_unary",
    "max_concurrent_streams_connection_scaling",
    "concurrent_large_unary",
    "long_lived_channel",
    "very_large_request",
    "orca_per_rpc",
    "orca_oob",
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

/// cpu 0.8210, memory 0.5847, utilization {util: 0.30499}; then 0.29309, 0.2 and {util: 0.2039}.
const ASKED_OUT_OF_BAND: [[u8; 35]; 2] = out_of_band(0x22);
const TOLD_OUT_OF_BAND: [[u8; 35]; 2] = out_of_band(0x2a);

const fn out_of_band(utilization: u8) -> [[u8; 35]; 2] {
    let mut reports = [
        *b"\x09\x12\x83\xc0\xca\xa1\x45\xea\x3f\x11\x12\x14\x3f\xc6\xdc\xb5\xe2\x3f\x22\x0f\x0a\x04\x75\x74\x69\x6c\x11\xbe\xd9\xe6\xc6\xf4\x84\xd3\x3f",
        *b"\x09\x8b\x37\x32\x8f\xfc\xc1\xd2\x3f\x11\x9a\x99\x99\x99\x99\x99\xc9\x3f\x22\x0f\x0a\x04\x75\x74\x69\x6c\x11\x61\xc3\xd3\x2b\x65\x19\xca\x3f",
    ];
    reports[0][18] = utilization;
    reports[1][18] = utilization;
    reports
}

const STREAM_CORE_METRICS: &str = "/xds.service.orca.v3.OpenRcaService/StreamCoreMetrics";
/// An `OrcaLoadReportRequest`: a report each second.
const EVERY_SECOND: &[u8] = b"\x0a\x02\x08\x01";
const OUT_OF_BAND_GUARD: Duration = Duration::from_secs(30);
const REPORTED_WITHIN: Duration = Duration::from_secs(10);

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
        "orca_oob" => orca_oob(channel).await,
        unknown => Err(format!("there is no case {unknown}")),
    }
}

/// The server tells its load with the call. Here it is read from the trailers, where policies read it too.
async fn orca_per_rpc(channel: &Channel) -> Outcome {
    let request = SimpleRequest { load: &ASKED_LOAD, ..SimpleRequest::default() }.encode();
    let response = channel.unary(UNARY_CALL, request, CallOptions::default()).await.map_err(told)?;
    has_once(&response.trailing, "endpoint-load-metrics-bin", &TOLD_LOAD)
}

/// The server tells its load beside the calls. The engine's policies do not read such reports yet, so the listener is this program's own: a
/// stream of them on the same channel.
async fn orca_oob(channel: &Channel) -> Outcome {
    let guarded = || CallOptions { timeout: Timeout::After(OUT_OF_BAND_GUARD), ..CallOptions::default() };
    let mut reports = channel.stream(STREAM_CORE_METRICS, guarded()).map_err(told)?;
    reports.send(EVERY_SECOND).await.map_err(not_sent)?;
    reports.close_send();

    let mut call = channel.stream(FULL_DUPLEX_CALL, guarded()).map_err(told)?;
    for (asked, wanted) in ASKED_OUT_OF_BAND.iter().zip(&TOLD_OUT_OF_BAND) {
        let request = OutputRequest { load: asked, ..OutputRequest::sized(&[1], 0) };
        call.send(request.encode()).await.map_err(not_sent)?;
        expect("the payload's size", payload_size(&next(&mut call).await?)?, 1)?;
        reported(&mut reports, wanted).await?;
    }
    call.close_send();
    ends_ok(&mut call).await?;
    reports.cancel("both loads were reported");
    Ok(())
}

/// Reads until a report is the wanted one. Silence is ended by the call's deadline.
async fn reported(reports: &mut StreamCall, wanted: &[u8]) -> Outcome {
    let until = Instant::now() + REPORTED_WITHIN;
    loop {
        let report = next(reports).await?;
        if report == wanted {
            return Ok(());
        }
        if Instant::now() > until {
            return Err(format!(
                "after {REPORTED_WITHIN:?} the load {wanted:?} was expected and {:?} came",
                &report[..]
            ));
        }
    }
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
