//! What a channel has seen, as plain Python values.

use std::time::Duration;

use linkspan_core::{ChannelEvent, ChannelMetrics, Code, ConnectionMetrics, Engine};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

/// Sequence number, seconds since the engine's start, from, to, cause, address, connection, and the whole as one line.
pub(crate) type Event<'py> = Bound<'py, PyTuple>;

pub(crate) fn event<'py>(py: Python<'py>, event: &ChannelEvent) -> PyResult<Event<'py>> {
    (
        event.seq,
        event.at.as_secs_f64(),
        event.from.number(),
        event.to.number(),
        &event.cause,
        event.address.as_deref(),
        event.connection,
        event.to_string(),
    )
        .into_pyobject(py)
}

/// The engine and its channels at this moment as JSON text. The engine's thread is waited for.
#[pyfunction]
pub(crate) fn snapshot(py: Python<'_>) -> String {
    py.detach(|| Engine::shared().snapshot().to_json())
}

/// A value the engine does not know is absent, and so is a limit that is not set.
pub(crate) fn metrics<'py>(py: Python<'py>, metrics: &ChannelMetrics) -> PyResult<Bound<'py, PyDict>> {
    let calls = PyDict::new(py);
    calls.set_item("started", metrics.calls_started)?;
    calls.set_item("succeeded", metrics.calls_succeeded)?;
    calls.set_item("failed", metrics.calls_failed)?;
    calls.set_item("in_flight", metrics.calls_in_flight)?;
    calls.set_item("queued", metrics.calls_queued)?;
    calls.set_item("retries", metrics.retries)?;
    calls.set_item("transparent_retries", metrics.transparent_retries)?;
    calls.set_item("hedges", metrics.hedges)?;
    let by_code = PyDict::new(py);
    for (number, count) in (0i64..).zip(metrics.by_code) {
        if count > 0 {
            by_code.set_item(Code::from_number(number).name(), count)?;
        }
    }
    calls.set_item("by_code", by_code)?;

    let all = PyDict::new(py);
    all.set_item("target", &metrics.target)?;
    all.set_item("state", metrics.state.name())?;
    all.set_item("connect_attempts", metrics.connect_attempts)?;
    all.set_item("connect_failures", metrics.connect_failures)?;
    set_known(&all, "last_error", metrics.last_error.as_deref())?;
    all.set_item("calls", calls)?;
    set_known(&all, "max_queued_calls", metrics.max_queued_calls)?;
    set_known(&all, "max_concurrent_requests", metrics.max_concurrent_requests)?;
    set_known(&all, "max_concurrent_requests_per_address", metrics.max_concurrent_requests_per_address)?;
    all.set_item("subchannels", metrics.subchannels)?;
    all.set_item("breakers_open", metrics.breakers_open)?;
    all.set_item("breaker_trips", metrics.breaker_trips)?;
    set_known(&all, "certificate_days_left", metrics.certificate_days_left)?;
    all.set_item("keepalive_pings", metrics.keepalive_pings)?;
    all.set_item("keepalives_failed", metrics.keepalives_failed)?;
    all.set_item("liveness_checks", metrics.liveness_checks)?;
    all.set_item("bytes_sent", metrics.bytes_sent)?;
    all.set_item("bytes_received", metrics.bytes_received)?;
    all.set_item("messages_sent", metrics.messages_sent)?;
    all.set_item("messages_received", metrics.messages_received)?;
    let connections = PyList::empty(py);
    for of_one in &metrics.connections {
        connections.append(connection(py, of_one)?)?;
    }
    all.set_item("connections", connections)?;
    Ok(all)
}

fn connection<'py>(py: Python<'py>, metrics: &ConnectionMetrics) -> PyResult<Bound<'py, PyDict>> {
    let streams = PyDict::new(py);
    streams.set_item("active", metrics.streams_active)?;
    streams.set_item("total", metrics.streams_total)?;
    set_known(&streams, "limit", metrics.stream_limit)?;

    let all = PyDict::new(py);
    all.set_item("id", metrics.id)?;
    all.set_item("remote_address", &metrics.remote_address)?;
    set_known(&all, "local_address", metrics.local_address.as_deref())?;
    all.set_item("state", metrics.state)?;
    set_known(&all, "connect_ms", metrics.connect.map(milliseconds))?;
    set_known(&all, "tls_ms", metrics.tls.map(milliseconds))?;
    all.set_item("streams", streams)?;
    all.set_item("bytes_sent", metrics.bytes_sent)?;
    all.set_item("bytes_received", metrics.bytes_received)?;
    set_known(&all, "goaway_code", metrics.goaway_code)?;
    Ok(all)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn set_known<'py>(dict: &Bound<'py, PyDict>, key: &str, value: Option<impl IntoPyObject<'py>>) -> PyResult<()> {
    value.map_or(Ok(()), |value| dict.set_item(key, value))
}
