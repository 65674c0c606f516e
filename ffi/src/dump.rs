//! Dumps of an engine or a channel for people and tools, in the shape of channelz where channelz has a word for it.

use std::time::Duration;

use linkspan_core::{ChannelEvent, Code, ConnectionMetrics, EngineMetrics};

use crate::buffer::{self, linkspan_buffer};
use crate::channel::{CHANNELS, Channel};
use crate::engine::ENGINES;
use crate::error::{LINKSPAN_EHANDLE, LINKSPAN_EINVAL, Refusal, linkspan_result};
use crate::foreign::host;
use crate::guard;
use crate::handle::{Kind, linkspan_handle};
use crate::json::Json;

/// A dump of an engine or a channel as JSON text, UTF-8, without secrets; look at it with `linkspan_buffer_view` and close it.
/// `flags` must be 0. A channel's dump holds its newest state changes with their causes in `data.trace.events`.
/// A limit that is `null` is not set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn linkspan_handle_json(
    handle: linkspan_handle,
    flags: u32,
    out: *mut linkspan_buffer,
) -> linkspan_result {
    guard::run("linkspan_handle_json", || {
        let out = host!(out(out))?;
        if flags != 0 {
            return Err(Refusal::new(LINKSPAN_EINVAL, "linkspan_handle_json takes no flags in this version"));
        }
        let mut json = Json::default();
        match Kind::of(handle) {
            Some(Kind::Channel) => write_channel(&mut json, &*CHANNELS.get(handle)?),
            Some(Kind::Engine) => {
                let engine = ENGINES.get(handle)?;
                write_engine(&mut json, engine.core.id(), &engine.core.metrics());
            }
            _ => return Err(Refusal::new(LINKSPAN_EHANDLE, "not a handle of an engine or a channel")),
        }
        out.write(buffer::keep(json.finish().into(), None)?);
        Ok(())
    })
}

fn write_engine(json: &mut Json, id: u64, metrics: &EngineMetrics) {
    json.object(|json| {
        json.key("ref").object(|json| json.key("engineId").number(id));
        json.key("data").object(|json| {
            json.key("callsStarted").number(metrics.calls_started);
            json.key("callsSucceeded").number(metrics.calls_ok);
            json.key("callsFailed").number(metrics.calls_failed);
            json.key("callsActive").number(metrics.calls_active);
            json.key("retries").number(metrics.retries);
            json.key("bytesSent").number(metrics.bytes_sent);
            json.key("bytesReceived").number(metrics.bytes_received);
            json.key("connects").number(metrics.connects);
            json.key("connectsFailed").number(metrics.connects_failed);
            json.key("goaways").number(metrics.goaways);
            json.key("channels").number(metrics.channels);
        });
    });
}

fn write_channel(json: &mut Json, channel: &Channel) {
    let core = &channel.core;
    let metrics = core.metrics();
    json.object(|json| {
        json.key("ref").object(|json| {
            json.key("channelId").number(core.id());
            json.key("name").text(core.target());
        });
        json.key("data").object(|json| {
            json.key("state").object(|json| json.key("state").text(metrics.state.name()));
            json.key("target").text(core.canonical_target());
            json.key("authority").text(core.authority());
            json.key("callsStarted").number(metrics.calls_started);
            json.key("callsSucceeded").number(metrics.calls_succeeded);
            json.key("callsFailed").number(metrics.calls_failed);
            json.key("callsInFlight").number(metrics.calls_in_flight);
            json.key("callsQueued").number(metrics.calls_queued);
            json.key("maxQueuedCalls").number_or_null(metrics.max_queued_calls);
            json.key("maxConcurrentRequests").number_or_null(metrics.max_concurrent_requests.map(u64::from));
            json.key("maxConcurrentRequestsPerAddress")
                .number_or_null(metrics.max_concurrent_requests_per_address.map(u64::from));
            json.key("callsByCode").object(|json| {
                for (code, count) in (0..).zip(metrics.by_code).filter(|(_, count)| *count > 0) {
                    json.key(Code::from_number(code).name()).number(count);
                }
            });
            json.key("retries").number(metrics.retries);
            json.key("transparentRetries").number(metrics.transparent_retries);
            json.key("hedges").number(metrics.hedges);
            json.key("subchannels").number(metrics.subchannels);
            json.key("breakersOpen").number(metrics.breakers_open);
            json.key("breakerTrips").number(metrics.breaker_trips);
            json.key("certificateDaysLeft").decimal_or_null(metrics.certificate_days_left);
            json.key("keepalivePings").number(metrics.keepalive_pings);
            json.key("keepalivesFailed").number(metrics.keepalives_failed);
            json.key("livenessChecks").number(metrics.liveness_checks);
            json.key("messagesSent").number(metrics.messages_sent);
            json.key("messagesReceived").number(metrics.messages_received);
            json.key("bytesSent").number(metrics.bytes_sent);
            json.key("bytesReceived").number(metrics.bytes_received);
            json.key("connectAttempts").number(metrics.connect_attempts);
            json.key("connectFailures").number(metrics.connect_failures);
            json.key("lastError").text_or_null(metrics.last_error.as_deref());
            json.key("trace").object(|json| {
                json.key("events").array(|json| core.events(0).iter().for_each(|event| write_event(json, event)));
            });
        });
        json.key("connections").array(|json| metrics.connections.iter().for_each(|one| write_connection(json, one)));
    });
}

fn write_event(json: &mut Json, event: &ChannelEvent) {
    json.object(|json| {
        json.key("description").text(&event.to_string());
        json.key("sequence").number(event.seq);
        json.key("at_ns").number(nanoseconds(event.at));
        json.key("from").text(event.from.name());
        json.key("to").text(event.to.name());
        json.key("cause").text(&event.cause);
        json.key("address").text_or_null(event.address.as_deref());
        json.key("connection").number_or_null(event.connection);
    });
}

fn write_connection(json: &mut Json, connection: &ConnectionMetrics) {
    json.object(|json| {
        json.key("id").number(connection.id);
        json.key("state").text(connection.state);
        json.key("remote").text(&connection.remote_address);
        json.key("local").text_or_null(connection.local_address.as_deref());
        json.key("connect_ns").number_or_null(connection.connect.map(nanoseconds));
        json.key("tls_ns").number_or_null(connection.tls.map(nanoseconds));
        json.key("streamsActive").number(connection.streams_active);
        json.key("streamsStarted").number(connection.streams_total);
        json.key("streamLimit").number_or_null(connection.stream_limit);
        json.key("bytesSent").number(connection.bytes_sent);
        json.key("bytesReceived").number(connection.bytes_received);
        json.key("goawayCode").number_or_null(connection.goaway_code.map(u64::from));
    });
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
