//! What comes from a server: messages in DATA, header blocks, load reports, what trailers say of another attempt.

use std::collections::BTreeMap;

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::input::Input;
use crate::failure::{Dialect, Failure};
use crate::load_report::LoadReport;
use crate::metadata::{Metadata, is_binary};
use crate::policy::retry::pushback::{Advice, Pushback};
use crate::status::Code;
use crate::transport::compression::Encoding;
use crate::transport::headers::{Fields, HeaderRules};
use crate::transport::message::{Decoder, Outbound, Received};

/// A byte for the limit, which is none below 128 and else 8 times what is above, a byte that decides how the rest is cut, and the bytes of a stream.
///
/// However they are cut, the same messages come out ([WIRE-91]), and written again they are what came.
pub fn message(data: &[u8]) {
    let mut input = Input(data);
    let limit = input.byte().checked_sub(128).map(|above| u64::from(above) * 8);
    let cut = input.byte();
    let (whole, end) = decoded([input.0].into_iter(), limit);
    assert_eq!(
        (&whole, &end),
        (&decoded(input.pieces(u32::from(cut)), limit).0, &decoded(input.pieces(u32::from(cut)), limit).1)
    );
    let mut written = Vec::new();
    for message in whole {
        assert!(limit.is_none_or(|limit| message.len() as u64 <= limit), "longer than {limit:?}");
        let mut outbound = Outbound::message(message, None).unwrap_or_else(|refused| panic!("{refused:?}"));
        written.extend_from_slice(&outbound.copy_to_bytes(outbound.remaining()));
    }
    assert!(input.0.starts_with(&written), "other messages than came");
    let is_whole = written.len() == input.0.len();
    match end {
        Ok(may_end) => assert_eq!(may_end, is_whole, "[WIRE-95]"),
        Err(failure) => told(&failure),
    }
}

/// The messages, and whether the stream may end then.
fn decoded<'a>(pieces: impl Iterator<Item = &'a [u8]>, limit: Option<u64>) -> (Vec<Bytes>, Result<bool, Failure>) {
    let mut decoder = Decoder::new(limit, Encoding::None);
    let mut messages = Vec::new();
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece));
        loop {
            match decoder.next() {
                Ok(Some(Received::Plain(message) | Received::Compressed(_, message))) => messages.push(message),
                Ok(None) => break,
                Err(failure) => return (messages, Err(failure)),
            }
        }
    }
    (messages, Ok(decoder.is_empty()))
}

/// A failure has words in every dialect.
pub(super) fn told(failure: &Failure) {
    for dialect in [Dialect::Native, Dialect::Grpcio, Dialect::GrpcJs] {
        assert!(!failure.words(dialect).is_empty(), "{failure:?} has no words");
    }
    assert_ne!(failure.code(), Code::Ok);
}

/// A byte whose lowest bit lowers the limit to what stands in it, and lines `name: value`.
///
/// What is read is what was there, in its order; what is refused has words.
pub fn headers(data: &[u8]) {
    let mut input = Input(data);
    let flags = input.byte();
    let limit = if flags & 1 == 0 { 16_384 } else { u64::from(flags) };
    let rules = HeaderRules { limit, shows_content_type: flags & 2 != 0 };
    let headers = header_map(input.0);
    let size: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum();
    let fields = match Fields::read(&headers, rules) {
        Ok(fields) => fields,
        Err(failure) => {
            // [WIRE-72]
            let is_size = matches!(failure, Failure::HeadersTooLarge { .. });
            assert_eq!(is_size, size as u64 > limit, "{failure:?} of {size} bytes");
            return told(&failure);
        }
    };
    assert!(size as u64 <= limit, "{size} bytes are above {limit}");
    let mut read: BTreeMap<&str, Vec<&[u8]>> = BTreeMap::new();
    for (key, value) in fields.metadata.iter() {
        read.entry(key).or_default().push(value);
    }
    for (key, values) in read {
        let sent: Vec<&[u8]> = headers.get_all(key).iter().map(HeaderValue::as_bytes).collect();
        if is_binary(key) {
            let count: usize = sent.iter().map(|value| value.split(|byte| *byte == b',').count()).sum();
            assert_eq!(values.len(), count, "values of {key}");
        } else if key == "content-type" {
            assert!(rules.shows_content_type);
        } else {
            assert_eq!(values, sent, "values of {key}");
        }
    }
    let has_status = headers.contains_key("grpc-status");
    assert_eq!(fields.status.is_some(), has_status);
    if let Some(status) = fields.status {
        assert!((0..=i64::from(u32::MAX)).contains(&status.raw_code()));
        assert!(has_status && status.message().len() <= 3 * size, "the message grew");
    }
}

/// The lines that a header can be made of.
fn header_map(lines: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

/// A serialized `xds.data.orca.v3.OrcaLoadReport` ([LB-49]).
///
/// If it is one, it stays one and says the same when a field follows that nobody knows.
pub fn load_report(data: &[u8]) {
    const UNKNOWN: [u8; 2] = [15 << 3, 0];

    let Some(report) = LoadReport::read(data) else { return };
    assert_eq!(report.message, data);
    let longer = [data, &UNKNOWN].concat();
    let longer = LoadReport::read(&longer).expect("a report");
    assert_eq!(numbers(&report), numbers(&longer));
}

/// A line, the value of `grpc-retry-pushback-ms`, and a serialized `google.rpc.Status` ([PUSH-01], [WIRE-138]).
///
/// A wait that is asked for is one that the protocol allows.
pub fn retry_advice(data: &[u8]) {
    let mut input = Input(data);
    let mut trailing = Metadata::new();
    let value = Bytes::copy_from_slice(input.line().as_bytes());
    if !value.is_empty() && trailing.append("grpc-retry-pushback-ms", value.clone()).is_err() {
        return;
    }
    if !input.is_over() {
        trailing.append("grpc-status-details-bin", Bytes::copy_from_slice(input.0)).expect("any bytes");
    }
    let advice = Advice::of(&trailing);
    match advice.pushback {
        Pushback::None => assert!(value.is_empty()),
        Pushback::Never => {}
        Pushback::After(wait) => {
            let digits = String::from_utf8_lossy(&value);
            assert_eq!(digits.parse::<i32>().ok(), i32::try_from(wait.as_millis()).ok(), "{digits}");
        }
    }
    assert!(advice.retry_info.is_none_or(|wait| wait.as_secs() <= 315_576_000_000), "{advice:?}");
}

/// By their bits, so that what is no number is the same too.
fn numbers(report: &LoadReport<'_>) -> Vec<Option<u64>> {
    let known = [
        report.application_utilization,
        report.cpu_utilization,
        report.mem_utilization,
        report.queries_per_second,
        report.errors_per_second,
    ];
    let of_maps = ["", "cpu", "a"].map(|key| [report.utilization(key), report.named_metric(key)]);
    known.map(Some).into_iter().chain(of_maps.into_iter().flatten()).map(|number| number.map(f64::to_bits)).collect()
}
