//! What a server says of its load at the end of a call: an ORCA report among the trailers (A51, [LB-49]).
//!
//! The message is `xds.data.orca.v3.OrcaLoadReport`, read in place: nothing is copied, whatever its maps hold. What is cut off or garbled is no
//! report, and harms nothing else of its call.

use crate::protobuf::{Fields, Value};

/// The trailer, whose value is the serialized message.
pub(crate) const TRAILER: &str = "endpoint-load-metrics-bin";

/// One report. A number that is not in it is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct LoadReport<'a> {
    pub(crate) application_utilization: f64,
    pub(crate) cpu_utilization: f64,
    pub(crate) mem_utilization: f64,
    pub(crate) queries_per_second: f64,
    pub(crate) errors_per_second: f64,
    /// The whole message: its maps are searched when somebody asks.
    pub(crate) message: &'a [u8],
}

// The message's field numbers. Nobody asks for 3, an older form of 6, or 4, what a request costs.
const CPU_UTILIZATION: u32 = 1;
const MEM_UTILIZATION: u32 = 2;
const UTILIZATION: u32 = 5;
const RPS_FRACTIONAL: u32 = 6;
const EPS: u32 = 7;
const NAMED_METRICS: u32 = 8;
const APPLICATION_UTILIZATION: u32 = 9;

impl<'a> LoadReport<'a> {
    /// The report in these bytes; `None` when they are none.
    pub(crate) fn read(message: &'a [u8]) -> Option<Self> {
        let mut report = LoadReport { message, ..LoadReport::default() };
        for field in Fields::of(message) {
            match field? {
                (CPU_UTILIZATION, Value::Double(value)) => report.cpu_utilization = value,
                (MEM_UTILIZATION, Value::Double(value)) => report.mem_utilization = value,
                (RPS_FRACTIONAL, Value::Double(value)) => report.queries_per_second = value,
                (EPS, Value::Double(value)) => report.errors_per_second = value,
                (APPLICATION_UTILIZATION, Value::Double(value)) => report.application_utilization = value,
                (UTILIZATION | NAMED_METRICS, Value::Bytes(entry)) => drop(map_entry(entry)?),
                // Of a later version, or of another type than it should be: protobuf passes over both.
                _ => {}
            }
        }
        Some(report)
    }

    /// A value of the map `utilization`.
    pub(crate) fn utilization(&self, key: &str) -> Option<f64> {
        self.in_map(UTILIZATION, key)
    }

    /// A value of the map `named_metrics`.
    pub(crate) fn named_metric(&self, key: &str) -> Option<f64> {
        self.in_map(NAMED_METRICS, key)
    }

    /// Of a key that is there twice the last value counts, as everywhere in protobuf.
    fn in_map(&self, map: u32, key: &str) -> Option<f64> {
        let entries = Fields::of(self.message).flatten().filter_map(|(number, value)| match value {
            Value::Bytes(entry) if number == map => map_entry(entry),
            _ => None,
        });
        entries.filter(|(name, _)| *name == key.as_bytes()).last().map(|(_, value)| value)
    }
}

/// The key and the value of an entry of a `map<string, double>`.
fn map_entry(entry: &[u8]) -> Option<(&[u8], f64)> {
    let (mut key, mut number) = (&[][..], 0.0);
    for field in Fields::of(entry) {
        match field? {
            (1, Value::Bytes(text)) => key = text,
            (2, Value::Double(value)) => number = value,
            _ => {}
        }
    }
    Some((key, number))
}

#[cfg(test)]
impl LoadReport<'_> {
    /// The numbers outside the maps as a server sends them.
    pub(crate) fn written(&self) -> Vec<u8> {
        let numbers = [
            (CPU_UTILIZATION, self.cpu_utilization),
            (MEM_UTILIZATION, self.mem_utilization),
            (RPS_FRACTIONAL, self.queries_per_second),
            (EPS, self.errors_per_second),
            (APPLICATION_UTILIZATION, self.application_utilization),
        ];
        let set = numbers.into_iter().filter(|(_, value)| *value != 0.0);
        set.flat_map(|(number, value)| tests::double(u8::try_from(number).expect("small"), value)).collect()
    }
}

#[cfg(test)]
mod tests;
