//! The registry of options: every key this build honours, once, for all languages and for the documentation.
//!
//! A key that is planned but does nothing yet is not here: setting it is an error, not a silence.

mod entry;

use crate::transport::compression::Compression;
pub use entry::{OptionDoc, OptionKind, OptionScope};
use entry::{boolean, float, int, text};

/// Every option this build honours.
#[must_use]
pub fn option_docs() -> &'static [OptionDoc] {
    REGISTRY
}

pub(super) fn find(key: &str) -> Option<&'static OptionDoc> {
    REGISTRY.iter().find(|option| option.key == key)
}

/// The key of the registry that `unknown` is most likely to mean.
pub(super) fn nearest(unknown: &str) -> &'static str {
    let keys = REGISTRY.iter().map(|option| option.key).filter(|key| key.starts_with("linkspan."));
    keys.min_by_key(|key| distance(key, unknown)).unwrap_or("linkspan.preset")
}

/// Levenshtein's distance.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, byte) in left.bytes().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], at + 1);
        for (column, other) in right.bytes().enumerate() {
            let substituted = diagonal + usize::from(byte != other);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

const I32_MAX: i64 = i32::MAX as i64;

const REGISTRY: &[OptionDoc] = &[
    text(
        "linkspan.preset",
        "the face's own",
        "Which set of defaults holds: \"grpc\" or \"resilient\". The environment variable LINKSPAN_PRESET sets it for channels that do not.",
    ),
    int(
        "linkspan.connect_timeout_ms",
        "ms",
        (1, I32_MAX),
        [20_000, 10_000],
        "20000; 10000 with \"resilient\"",
        "All phases of one connect attempt; with the preset \"grpc\" never shorter than the backoff that would follow. Too short and slow networks never connect.",
    ),
    text(
        "linkspan.lb_policy",
        "pick_first; round_robin with \"resilient\"",
        "How calls are spread over a target's addresses: \"pick_first\" keeps one connection, \"round_robin\" one to each address, used in turn, \"weighted_round_robin\" too, used more often the less busy its server says it is, \"least_request\" too, and of two drawn at random the one with fewer calls in flight is used. A policy the service config names wins.",
    ),
    int(
        "linkspan.probe_interval_ms",
        "ms",
        (0, I32_MAX),
        [0, 500],
        "0: off; 500 with \"resilient\"",
        "While calls arrive, an address that is down is tried this often, by one of the loop's channels; 0 keeps to the backoff.",
    ),
    int(
        "linkspan.max_backoff_while_calls_ms",
        "ms",
        (0, I32_MAX),
        [0, 10_000],
        "0: off; 10000 with \"resilient\"",
        "Caps grpc.max_reconnect_backoff_ms; 0 does not.",
    ),
    int(
        "linkspan.max_connection_age_ms",
        "ms",
        (0, I32_MAX),
        [0, 1_800_000],
        "0: no limit; 1800000 with \"resilient\"",
        "A connection this old, 10 % more or less, is replaced: the new one is there before the old one takes no more calls.",
    ),
    int(
        "linkspan.tls_reload_interval_ms",
        "ms",
        (0, I32_MAX),
        [5_000, 5_000],
        "5000",
        "Certificates, keys and roots that were given as files are read again this often while the channel is in use, and before each new connection; 0 is only then. Connections made with older ones are replaced within 10 s: the new one is there before the old one takes no more calls.",
    ),
    int(
        "linkspan.max_requests_per_connection",
        "calls",
        (0, I32_MAX),
        [0, 0],
        "0: no limit",
        "A connection that has carried so many calls is replaced; it goes on taking calls until the new one is there.",
    ),
    int(
        "linkspan.connections_per_subchannel",
        "connections",
        (1, 100),
        [1, 1],
        "1; 2 with \"resilient\" for a single IP address that is not this machine's own",
        "How many connections are kept to each address, calls being given to the one with the fewest. A balancer may give each another server.",
    ),
    int(
        "linkspan.max_connections_per_subchannel",
        "connections",
        (1, I32_MAX),
        [1, 10],
        "1; 10 with \"resilient\"",
        "How many connections an address may have while calls wait because the server allows no more streams; one after the other is opened. connectionScaling of a service config wins.",
    ),
    int(
        "grpc.max_connections_per_subchannel_cap",
        "connections",
        (1, I32_MAX),
        [10, 10],
        "10",
        "More connections than this are not opened for waiting calls, whoever asks for more.",
    ),
    int(
        "linkspan.connection_shrink_after_ms",
        "ms",
        (1, I32_MAX),
        [60_000, 60_000],
        "60000",
        "A connection that was opened for waiting calls goes when it has had none for so long; it may take twice as long.",
    ),
    int(
        "linkspan.dns_refresh_ms",
        "ms",
        (0, I32_MAX),
        [0, 30_000],
        "0: off; 30000 with \"resilient\"",
        "How often, 10 % more or less, a name is asked for again while the channel is READY and in use.",
    ),
    text(
        "linkspan.dns",
        "\"system\"",
        "Who looks names up. \"system\" is the system's resolver; \"ttl\" asks the servers of /etc/resolv.conf itself (after /etc/hosts) and asks again when the answer's time is over, while the channel is READY and in use, within grpc.dns_min_time_between_resolutions_ms; it needs the feature \"hickory\" of linkspan-core. \"host\" is a resolver of the host's, which no face has yet.",
    ),
    int(
        "linkspan.dns_stale_ms",
        "ms",
        (0, I32_MAX),
        [600_000, 600_000],
        "600000",
        "How long the addresses found last serve while look-ups fail, from the first that failed. Then a channel that is not READY forgets them, and its calls fail with what DNS says until there is an answer; one that is READY goes on. With 0 the first failure is enough; 2147483647 is for ever.",
    ),
    text(
        "linkspan.retry_budget",
        "off; \"0.2, 10\" with \"resilient\"",
        "Bounds how many attempts are made beyond the first ones of calls, unseen or because a policy of the service config wants them, hedges too: so many for each call made, and so many in each second besides. \"off\" is no bound.",
    ),
    int(
        "linkspan.max_retry_attempts",
        "attempts",
        (2, 100),
        [5, 5],
        "5",
        "How often a call is made at most, its first attempt included, whatever maxAttempts of a retryPolicy or hedgingPolicy says. When it was less than that, the error of the call says so.",
    ),
    int(
        "linkspan.retry_max_attempts_limit",
        "attempts",
        (2, 100),
        [5, 5],
        "5",
        "The same as linkspan.max_retry_attempts, which wins.",
    ),
    int(
        "grpc-node.retry_max_attempts_limit",
        "attempts",
        (2, 100),
        [5, 5],
        "5",
        "The same as linkspan.max_retry_attempts, which wins.",
    ),
    boolean(
        "grpc.enable_retries",
        true,
        "true",
        "Whether calls follow the retryPolicy and hedgingPolicy of their methods, and linkspan.idempotent_methods counts. What a server did not process is sent again all the same.",
    ),
    text(
        "linkspan.idempotent_methods",
        "none",
        "Methods whose calls may run twice without harm, parted by commas: \"/package.Service/Method\", or \"/package.Service/\" for all of a service. Such a call is sent again without a policy when its connection is lost before the response begins: once, or five times within linkspan.retry_budget with \"resilient\". One that does harm when it runs twice does it then.",
    ),
    int(
        "grpc.per_rpc_retry_buffer_size",
        "bytes",
        (0, I32_MAX),
        [256 << 10, 256 << 10],
        "262144",
        "How much one call keeps of what it has sent, to send it again; 64 bytes are counted beside each message. A call that sends more before the response begins is not made again.",
    ),
    int(
        "grpc.retry_buffer_size",
        "bytes",
        (0, I32_MAX),
        [16 << 20, 16 << 20],
        "16777216",
        "How much all calls of a channel keep for that; a call that would need more is not made again.",
    ),
    float("linkspan.backoff_multiplier", (1, 100), "1.6", "Growth of the wait from one failed connect to the next."),
    float(
        "linkspan.backoff_jitter",
        (0, 1),
        "0.2",
        "The share the wait is shortened or lengthened by at random; 0 lets clients reconnect in step.",
    ),
    text(
        "linkspan.keepalive_preset",
        "none",
        "Keepalive for what lies on the way: \"none\", \"aws-alb\" (a PING after 30 s of silence), \"aws-nlb\" (120 s), \"gcp\" (300 s), \"azure\" (120 s), or \"kubernetes\" (60 s, or what GRPC_KEEPALIVE_TIME_MS and its like say). Single options win over it.",
    ),
    int(
        "linkspan.keepalive_min_time_ms",
        "ms",
        (1, I32_MAX),
        [10_000, 10_000],
        "10000",
        "Smaller keepalive times are raised to this. Lowered, servers may close connections with too_many_pings.",
    ),
    boolean(
        "linkspan.liveness",
        true,
        "true",
        "Whether a connection is checked by a PING when a call's deadline passed in silence, when it was idle for long, and when the process did not run for a while.",
    ),
    int(
        "linkspan.liveness_timeout_ms",
        "ms",
        (1, I32_MAX),
        [2_000, 2_000],
        "2000",
        "A connection silent for so long after that PING is closed, and its calls end UNAVAILABLE. Shorter than a slow round trip, and good connections are closed.",
    ),
    int(
        "linkspan.reuse_check_after_ms",
        "ms",
        (0, I32_MAX),
        [30_000, 30_000],
        "30000",
        "A connection without calls that was silent for so long is checked before it is used again; 0 is never.",
    ),
    int(
        "linkspan.tcp_user_timeout_ms",
        "ms",
        (0, I32_MAX),
        [0, 20_000],
        "the keepalive timeout where keepalive is on; else the system's, 20000 with \"resilient\"",
        "After so long without an acknowledgement of what was sent, the kernel closes the connection; 0 leaves it to the system. Linux only.",
    ),
    int(
        "linkspan.default_timeout_ms",
        "ms",
        (0, I32_MAX),
        [0, 0],
        "0: none",
        "The deadline of unary calls that set none; streams have none. 0 is none.",
    ),
    int(
        "linkspan.stream_window_bytes",
        "bytes",
        (65_535, I32_MAX),
        [256 << 10, 256 << 10],
        "262144",
        "How much a server may send on one stream before it is read. Small values slow large messages down.",
    ),
    int(
        "linkspan.max_stream_window_bytes",
        "bytes",
        (65_535, I32_MAX),
        [16 << 20, 16 << 20],
        "16777216",
        "What a stream's window may grow to as the line needs it, half of the connection's window at most. No more than linkspan.stream_window_bytes pins it.",
    ),
    int(
        "linkspan.connection_window_bytes",
        "bytes",
        (65_535, I32_MAX),
        [16 << 20, 16 << 20],
        "16777216",
        "How much a server may send on one connection before it is read; bounds what slow readers can pile up.",
    ),
    int(
        "linkspan.send_high_water_bytes",
        "bytes",
        (1, I32_MAX),
        [64 << 10, 64 << 10],
        "65536",
        "How much may wait to be sent in one call before the sender is asked to wait.",
    ),
    int(
        "linkspan.max_queued_calls",
        "calls",
        (0, I32_MAX),
        [0, 10_000],
        "0: no limit; 10000 with \"resilient\"",
        "Calls that may wait for a connection, for a stream on one, or at a limit of calls in flight; beyond it a call fails with RESOURCE_EXHAUSTED.",
    ),
    int(
        "linkspan.max_concurrent_requests",
        "calls",
        (0, I32_MAX),
        [0, 0],
        "0: no limit",
        "Calls, streams too, that the channel lets be in flight at once; others wait in the order in which they came, until their deadlines. Calls that last long keep their place for as long.",
    ),
    int(
        "linkspan.max_concurrent_requests_per_address",
        "calls",
        (0, I32_MAX),
        [0, 0],
        "0: no limit",
        "Calls, streams too, that each address has at once; others go to addresses with room, or wait until there is some. With pick_first there is one address with calls.",
    ),
    text(
        "linkspan.breaker",
        "off",
        "A circuit breaker for each address: \"off\", or JSON with any of \"consecutiveFailures\" (5; so many failed calls in a row open it, 0 is no such rule), \"failureRatio\" (0.5) of at least \"minimumRequests\" (20) calls within \"window\" (\"10s\"), which open it too, \"openTime\" (\"5s\"; how long no call goes to the address then) and \"halfOpenProbes\" (1; how many calls are let through after it, all of which must succeed). {} has the defaults. Calls that end UNAVAILABLE, DEADLINE_EXCEEDED, INTERNAL, UNKNOWN, RESOURCE_EXHAUSTED or DATA_LOSS have failed. Too few failures, and one slow moment cuts an address off.",
    ),
    int(
        "linkspan.events_capacity",
        "events",
        (1, 65_536),
        [256, 256],
        "256",
        "How many state changes are kept to be read.",
    ),
    text(
        "grpc.service_config",
        "none",
        "The service config, as JSON: how calls are spread over addresses, whose health is asked for, and for methods a timeout, whether calls wait for ready, and message limits. One with a mistake makes no channel.",
    ),
    boolean(
        "grpc.inhibit_health_checking",
        false,
        "false",
        "Whether servers are used without being asked for their health, although the service config has a healthCheckConfig.",
    ),
    boolean(
        "grpc.service_config_disable_resolution",
        true,
        "true",
        "Whether service configs that DNS has for a target are passed over. false asks for the TXT records of _grpc_config.host beside the addresses of a dns target, of the servers of /etc/resolv.conf or the one the target names; not for IP addresses, localhost and targets behind a proxy. A look-up that fails is no config. It needs the feature \"hickory\" of linkspan-core; a build without it warns once and asks for none. What a resolver of the host's own brings holds unless this is set to true.",
    ),
    text(
        "grpc.http_proxy",
        "the first of the environment variables grpc_proxy, https_proxy and http_proxy that is set",
        "The HTTP proxy that is asked, by CONNECT, for a way to the server: \"http://host:port\" or \"http://user:password@host:port\", with characters that mean something in a URL percent-encoded; the port is 80 unless given, and \"\" is none. For dns, ipv4 and ipv6 targets; the server's name is the proxy's to look up, TLS is with the server. What the environment variable no_grpc_proxy, or else no_proxy, lists is reached without it.",
    ),
    boolean(
        "grpc.enable_http_proxy",
        true,
        "true",
        "Whether proxies are used; false takes none, whatever options and environment say.",
    ),
    text(
        "grpc.address_http_proxy",
        "that of the environment variable GRPC_ADDRESS_HTTP_PROXY",
        "An HTTP proxy, \"address:port\", for those of the server's addresses that grpc.address_http_proxy_enabled_addresses lists. It is for addresses found without grpc.http_proxy.",
    ),
    text(
        "grpc.address_http_proxy_enabled_addresses",
        "that of the environment variable GRPC_ADDRESS_HTTP_PROXY_ENABLED_ADDRESSES",
        "The addresses, and ranges as \"10.0.0.0/8\", parted by commas, that are reached through grpc.address_http_proxy; without it none are.",
    ),
    text(
        "grpc.lb_policy_name",
        "none",
        "The same as linkspan.lb_policy, which wins; a policy that is not known is replaced by pick_first.",
    ),
    int(
        "grpc.lb.ring_hash.ring_size_cap",
        "entries",
        (1, 8_388_608),
        [4_096, 4_096],
        "4096",
        "Rings of ring_hash are no larger, whatever the service config says. An entry takes 16 bytes; with fewer entries than endpoints some endpoints get no calls.",
    ),
    int(
        "grpc.client_idle_timeout_ms",
        "ms",
        (0, I32_MAX),
        [1_800_000, 1_800_000],
        "1800000",
        "A channel without calls for this long closes its connections and goes IDLE; at least 1000, 0 and 2147483647 are never.",
    ),
    text("grpc.default_authority", "the target", "The :authority of every call, and the name TLS checks."),
    text(
        "grpc.ssl_target_name_override",
        "none",
        "The name TLS asks for and checks, and :authority unless that is set. For tests.",
    ),
    text("grpc.primary_user_agent", "none", "Put in front of the user agent; several are joined."),
    text("grpc.secondary_user_agent", "none", "Put behind the user agent."),
    int(
        "grpc.initial_reconnect_backoff_ms",
        "ms",
        (1, I32_MAX),
        [1_000, 1_000],
        "1000",
        "The wait after the first failed connect; at least 100.",
    ),
    int(
        "grpc.max_reconnect_backoff_ms",
        "ms",
        (1, I32_MAX),
        [120_000, 120_000],
        "120000",
        "The longest wait between connects, before jitter; at least 100.",
    ),
    int(
        "grpc.min_reconnect_backoff_ms",
        "ms",
        (1, I32_MAX),
        [20_000, 20_000],
        "20000",
        "Misnamed by gRPC: the connect timeout. linkspan.connect_timeout_ms wins.",
    ),
    int(
        "grpc.testing.fixed_reconnect_backoff_ms",
        "ms",
        (1, I32_MAX),
        [0, 0],
        "none",
        "For tests: the same wait after every failed connect.",
    ),
    int(
        "grpc.keepalive_time_ms",
        "ms",
        (-1, I32_MAX),
        [I32_MAX, I32_MAX],
        "2147483647: off",
        "After so long without a byte read, a connection in use is pinged; 0, -1 and 2147483647 are never. Less than the server allows, and it closes the connection; new ones are then pinged after twice the time, and at most once between two answers unless minutes have passed.",
    ),
    int(
        "grpc.keepalive_timeout_ms",
        "ms",
        (0, I32_MAX),
        [20_000, 20_000],
        "20000",
        "After so long without a byte read after that PING, the connection is closed and its calls end UNAVAILABLE; less than 10 is 10, 2147483647 is never.",
    ),
    boolean(
        "grpc.keepalive_permit_without_calls",
        false,
        "false",
        "Whether connections without calls are pinged too. Many servers forbid it.",
    ),
    boolean(
        "grpc.http2.bdp_probe",
        true,
        "true",
        "Whether stream windows grow with bandwidth and delay, which PINGs measure while much arrives.",
    ),
    int(
        "grpc.http2.lookahead_bytes",
        "bytes",
        (0, I32_MAX),
        [256 << 10, 256 << 10],
        "that of linkspan.stream_window_bytes, which wins",
        "The stream window to begin with; at least 65535.",
    ),
    int(
        "grpc-node.flow_control_window",
        "bytes",
        (0, I32_MAX),
        [256 << 10, 256 << 10],
        "none: windows grow",
        "A stream window that does not grow, at least 65535; the connection's is no smaller. linkspan.stream_window_bytes wins.",
    ),
    int(
        "grpc.happy_eyeballs_connection_attempt_delay_ms",
        "ms",
        (0, I32_MAX),
        [250, 250],
        "250",
        "How long one address may take before the next is dialed beside it; 100 to 2000.",
    ),
    int(
        "grpc.dns_min_time_between_resolutions_ms",
        "ms",
        (0, I32_MAX),
        [30_000, 30_000],
        "30000",
        "The shortest time from one name look-up to the next.",
    ),
    int(
        "grpc.dns_ares_query_timeout",
        "ms",
        (0, I32_MAX),
        [120_000, 30_000],
        "120000; 30000 with \"resilient\"",
        "How long a name look-up may take, with all its servers and search domains; 0 is for ever.",
    ),
    int(
        "grpc.max_receive_message_length",
        "bytes",
        (-1, I32_MAX),
        [4_194_304, 4_194_304],
        "4194304",
        "Larger messages end the call with RESOURCE_EXHAUSTED; -1 is no limit.",
    ),
    int(
        "grpc.max_send_message_length",
        "bytes",
        (-1, I32_MAX),
        [-1, -1],
        "-1: no limit",
        "Larger messages are not sent and end the call with RESOURCE_EXHAUSTED.",
    ),
    int(
        "grpc.default_compression_algorithm",
        "",
        (0, Compression::LARGEST),
        [0, 0],
        "0: none",
        "How the messages of calls are compressed that do not say it themselves: 1 is deflate, 2 gzip, and 3 zstd where linkspan-core is built with that feature. Nothing is, as soon as the server has said that it cannot read it.",
    ),
    int(
        "grpc.compression_enabled_algorithms_bitset",
        "",
        (0, I32_MAX),
        [I32_MAX, I32_MAX],
        "all there are",
        "Which compressions are offered to servers, and used: the bits 1 and 2 are deflate and gzip; without compression always goes. What a server sends compressed otherwise ends the call with INTERNAL.",
    ),
    boolean(
        "grpc.per_message_compression",
        true,
        "true",
        "Whether messages are compressed at all; false sends them as they are, whatever calls say.",
    ),
    boolean(
        "grpc.per_message_decompression",
        true,
        "true",
        "Whether compressed messages are read; false offers servers no compression.",
    ),
    int(
        "grpc.absolute_max_metadata_size",
        "bytes",
        (1, 1 << 20),
        [16_384, 16_384],
        "16384",
        "Larger response headers or trailers end the call with RESOURCE_EXHAUSTED.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_and_defaults_within_range() {
        for (at, option) in REGISTRY.iter().enumerate() {
            assert!(REGISTRY[at + 1..].iter().all(|other| other.key != option.key), "{}", option.key);
            assert!(!option.doc.is_empty() && !option.default_text.is_empty(), "{}", option.key);
            if option.kind == OptionKind::Int && !option.default_text.starts_with("none") {
                assert!((option.min..=option.max).contains(&option.default), "{}", option.key);
            }
        }
    }

    #[test]
    fn the_nearest_key_is_the_one_meant() {
        assert_eq!(nearest("linkspan.conect_timeout_ms"), "linkspan.connect_timeout_ms");
        assert_eq!(nearest("linkspan.preset_"), "linkspan.preset");
    }
}
