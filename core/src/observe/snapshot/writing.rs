//! Snapshots as JSON, in the shape of channelz where channelz has a word for it. Times are nanoseconds.

use std::time::Duration;

use super::{
    BreakerSnapshot, ChannelSnapshot, ConnectionSnapshot, DialSnapshot, EngineSnapshot, ResolverSnapshot,
    SubchannelSnapshot, TlsSnapshot,
};
use crate::observe::channel_metrics::ChannelMetrics;
use crate::observe::counters::ConnectionMetrics;
use crate::observe::events::ChannelEvent;
use crate::observe::json::Json;
use crate::observe::sums::EngineMetrics;
use crate::status::Code;

impl EngineSnapshot {
    /// As JSON text, without secrets: `{"engine": …, "channels": […]}`, each channel as [`ChannelSnapshot::to_json`] has it. Names end with
    /// `Ns` or `_ns` where a value is a time, in nanoseconds; what is not known is `null`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = Json::default();
        json.object(|json| {
            json.key("engine").object(|json| write_engine(json, self));
            json.key("channels").array(|json| self.channels.iter().for_each(|channel| write_channel(json, channel)));
        });
        json.finish()
    }
}

impl ChannelSnapshot {
    /// As JSON text, without secrets: `{"ref": …, "data": …, "subchannels": […], "connections": […]}`. The last are all connections that are
    /// open, with less of each than below its subchannel. A limit that is `null` is not set, and all else that is `null` is not known.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut json = Json::default();
        write_channel(&mut json, self);
        json.finish()
    }
}

fn write_engine(json: &mut Json, engine: &EngineSnapshot) {
    json.key("ref").object(|json| json.key("engineId").number(engine.id));
    json.key("version").text(env!("CARGO_PKG_VERSION"));
    json.key("pid").number(engine.process_id.into());
    json.key("atNs").duration_or_null(engine.at);
    json.key("isPartial").boolean(engine.is_partial);
    json.key("data").object(|json| write_sums(json, &engine.metrics));
}

fn write_sums(json: &mut Json, metrics: &EngineMetrics) {
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
}

fn write_channel(json: &mut Json, channel: &ChannelSnapshot) {
    json.object(|json| {
        json.key("ref").object(|json| {
            json.key("channelId").number(channel.id);
            json.key("name").text(&channel.metrics.target);
        });
        json.key("atNs").duration_or_null(channel.at);
        json.key("isPartial").boolean(channel.is_partial);
        json.key("data").object(|json| {
            json.key("state").object(|json| json.key("state").text(channel.metrics.state.name()));
            json.key("sinceNs").duration_or_null(channel.since);
            json.key("target").text(&channel.target);
            json.key("authority").text(&channel.authority);
            write_channel_metrics(json, &channel.metrics);
            json.key("policy").text_or_null(channel.policy.as_deref());
            json.key("resolver").object_or_null(channel.resolver.as_ref(), write_resolver);
            json.key("trace").object(|json| {
                json.key("events").array(|json| channel.events.iter().for_each(|event| write_event(json, event)));
            });
        });
        json.key("subchannels").array(|json| channel.subchannels.iter().for_each(|one| write_subchannel(json, one)));
        let connections = &channel.metrics.connections;
        json.key("connections").array(|json| {
            connections.iter().for_each(|one| json.object(|json| write_connection_metrics(json, one)));
        });
    });
}

fn write_channel_metrics(json: &mut Json, metrics: &ChannelMetrics) {
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
}

fn write_resolver(json: &mut Json, resolver: &ResolverSnapshot) {
    json.key("addresses").number(resolver.addresses);
    json.key("ageNs").duration_or_null(resolver.age);
    json.key("lookingUpSinceNs").duration_or_null(resolver.looking_up_since);
    json.key("nextLookUpNs").duration_or_null(resolver.next_look_up);
    json.key("lastError").text_or_null(resolver.last_error.as_deref());
    json.key("serviceConfig").text(resolver.service_config);
}

fn write_event(json: &mut Json, event: &ChannelEvent) {
    json.object(|json| {
        json.key("description").text(&event.to_string());
        json.key("sequence").number(event.seq);
        json.key("at_ns").duration(event.at);
        json.key("from").text(event.from.name());
        json.key("to").text(event.to.name());
        json.key("cause").text(&event.cause);
        json.key("address").text_or_null(event.address.as_deref());
        json.key("connection").number_or_null(event.connection);
    });
}

fn write_subchannel(json: &mut Json, subchannel: &SubchannelSnapshot) {
    json.object(|json| {
        json.key("ref").object(|json| {
            json.key("subchannelId").number(subchannel.id);
            json.key("name").text(&subchannel.address);
        });
        json.key("data").object(|json| {
            json.key("state").object(|json| json.key("state").text(subchannel.state.name()));
            json.key("sinceNs").duration(subchannel.since);
            json.key("address").text(&subchannel.address);
            json.key("lastError").text_or_null(subchannel.last_error.as_deref());
            json.key("failures").number(subchannel.failures.into());
            json.key("nextAttemptNs").duration_or_null(subchannel.next_attempt);
            json.key("dialing").object_or_null(subchannel.dialing.as_ref(), write_dial);
            json.key("breaker").object_or_null(subchannel.breaker.as_ref(), write_breaker);
            json.key("ejected").boolean(subchannel.is_ejected);
            json.key("health").text_or_null(subchannel.health);
            json.key("callsWaiting").number(subchannel.calls_waiting);
        });
        json.key("connections").array(|json| {
            subchannel.connections.iter().for_each(|one| json.object(|json| write_connection(json, one)));
        });
    });
}

fn write_dial(json: &mut Json, dial: &DialSnapshot) {
    json.key("connectionId").number(dial.connection);
    json.key("step").text(dial.step);
    json.key("sinceNs").duration(dial.since);
}

fn write_breaker(json: &mut Json, breaker: &BreakerSnapshot) {
    json.key("state").text(breaker.state);
    json.key("why").text_or_null(breaker.why.as_deref());
    json.key("nextProbeNs").duration_or_null(breaker.next_probe);
}

fn write_connection(json: &mut Json, connection: &ConnectionSnapshot) {
    write_connection_metrics(json, &connection.metrics);
    json.key("ageNs").duration_or_null(connection.age);
    json.key("tls").object_or_null(connection.tls.as_ref(), write_tls);
    json.key("rttNs").duration_or_null(connection.round_trip);
    json.key("streamsSucceeded").number(connection.streams_succeeded);
    json.key("streamsFailed").number(connection.streams_failed);
    json.key("keepalivePings").number(connection.keepalive_pings);
    json.key("pings").number(connection.pings);
}

fn write_connection_metrics(json: &mut Json, connection: &ConnectionMetrics) {
    json.key("id").number(connection.id);
    json.key("state").text(connection.state);
    json.key("remote").text(&connection.remote_address);
    json.key("local").text_or_null(connection.local_address.as_deref());
    json.key("connect_ns").duration_or_null(connection.connect);
    json.key("tls_ns").duration_or_null(connection.tls);
    json.key("streamsActive").number(connection.streams_active);
    json.key("streamsStarted").number(connection.streams_total);
    json.key("streamLimit").number_or_null(connection.stream_limit);
    json.key("bytesSent").number(connection.bytes_sent);
    json.key("bytesReceived").number(connection.bytes_received);
    json.key("goawayCode").number_or_null(connection.goaway_code.map(u64::from));
}

fn write_tls(json: &mut Json, tls: &TlsSnapshot) {
    json.key("version").text(tls.version);
    json.key("cipher").text(tls.cipher);
    json.key("alpn").text("h2");
    json.key("resumed").boolean(tls.resumed);
}

impl Json {
    fn duration(&mut self, length: Duration) {
        self.number(u64::try_from(length.as_nanos()).unwrap_or(u64::MAX));
    }

    fn duration_or_null(&mut self, length: Option<Duration>) {
        match length {
            Some(length) => self.duration(length),
            None => self.null(),
        }
    }

    fn object_or_null<T>(&mut self, value: Option<&T>, fill: impl FnOnce(&mut Self, &T)) {
        match value {
            Some(value) => self.object(|json| fill(json, value)),
            None => self.null(),
        }
    }
}
