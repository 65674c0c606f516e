//! What a world is made of.

use std::time::Duration;

use crate::channel::options::{ChannelOptions, OptionValue, Preset};
use crate::runtime::simulated::{Path, Random};
use crate::simulation::channels::{NAMED, listed};
use crate::simulation::options::options;
use crate::simulation::server::{Answers, Load, Policing, Script};

#[derive(Debug)]
pub(super) struct Shape {
    pub(super) servers: u8,
    /// Whether a name leads to them, or the target lists them.
    pub(super) is_named: bool,
    pub(super) target: String,
    pub(super) options: ChannelOptions,
    /// Of the dial gate, if its channels ask it.
    pub(super) probe_interval: Option<Duration>,
    pub(super) initial_backoff: Duration,
    pub(super) max_backoff: Duration,
    /// What one dial has at the most.
    pub(super) connect_deadline: Duration,
    /// Keepalive's time and timeout together, where connections without calls are pinged.
    pub(super) keepalive: Option<Duration>,
    pub(super) channels: usize,
    /// How often a policy lets one call run.
    pub(super) most_runs: usize,
    pub(super) callers: usize,
    /// How long one caller pauses between calls, on average.
    pub(super) pause: Duration,
    pub(super) faults: usize,
    /// How long faults happen.
    pub(super) length: Duration,
    /// After the last fault, how long until every call must succeed.
    pub(super) recovery: Duration,
}

impl Shape {
    pub(super) fn new(random: &Random) -> Self {
        let servers = 1 + u8::try_from(random.below(4)).unwrap_or(0);
        let is_named = random.percent(60);
        let preset = random.one_of(&[Preset::Grpc, Preset::Resilient]);
        let initial_backoff = random.one_of(&[100, 300, 1_000, 1_000]);
        let max_backoff = random.one_of(&[1_000, 5_000, 30_000, 120_000]);
        let connect_timeout = random.one_of(&[1_000, 5_000, 10_000, 20_000]);
        let mut set = options(
            preset,
            [
                ("grpc.initial_reconnect_backoff_ms", OptionValue::Int(initial_backoff)),
                ("grpc.max_reconnect_backoff_ms", OptionValue::Int(max_backoff)),
                ("linkspan.connect_timeout_ms", OptionValue::Int(connect_timeout)),
                ("linkspan.connections_per_subchannel", OptionValue::Int(random.one_of(&[1, 1, 1, 2, 3]))),
            ],
        );
        OTHERS.iter().for_each(|(key, often, values)| {
            if random.percent(*often) {
                set.set(key, random.one_of(values)).expect(key);
            }
        });
        let probe_interval = match (preset, random.percent(30)) {
            (Preset::Grpc, false) => 0,
            (Preset::Resilient, false) => 500,
            (_, true) => random.one_of(&[0, 200, 2_000]),
        };
        set.set("linkspan.probe_interval_ms", probe_interval).expect("in range");
        let cap = match (preset, random.percent(20)) {
            (Preset::Grpc, false) => 0,
            (Preset::Resilient, false) => 10_000,
            (_, true) => random.one_of(&[0, 1_000, 10_000]),
        };
        set.set("linkspan.max_backoff_while_calls_ms", cap).expect("in range");
        let max_backoff = if cap == 0 { max_backoff } else { max_backoff.min(cap) };
        let keepalive = random.percent(40).then(|| set_keepalive(&mut set, random)).flatten();
        if random.percent(40) {
            let policies = ["pick_first", "round_robin", "weighted_round_robin", "least_request"];
            set.set("linkspan.lb_policy", random.one_of(&policies)).expect("known");
        }
        let has_policy = random.percent(40);
        if has_policy {
            set.set("grpc.service_config", random.one_of(POLICIES)).expect("text");
        } else if random.percent(15) {
            set.set("grpc.service_config", RING_HASH).expect("text");
        }
        if random.percent(15) {
            set.set("linkspan.breaker", random.one_of(BREAKERS)).expect("text");
        }
        let milliseconds = |number: i64| Duration::from_millis(number.unsigned_abs());
        let (initial_backoff, max_backoff) = (milliseconds(initial_backoff), milliseconds(max_backoff));
        // A dial under way, a wait after it, a look-up that failed as often as can be, and the interval between look-ups.
        let connect_deadline = milliseconds(connect_timeout).max(max_backoff);
        let recovery = connect_deadline + max_backoff.mul_f64(1.2) + Duration::from_secs(20 + 144 + 30 + 30);
        Self {
            servers,
            is_named,
            target: if is_named { NAMED.to_owned() } else { listed(1..=servers) },
            options: set,
            probe_interval: Some(milliseconds(probe_interval)).filter(|interval| !interval.is_zero()),
            initial_backoff,
            max_backoff,
            connect_deadline,
            keepalive,
            channels: if random.percent(15) { 2 } else { 1 },
            most_runs: if has_policy { MOST_ATTEMPTS } else { 1 },
            callers: 1 + usize::try_from(random.below(4)).unwrap_or(0),
            pause: random.one_of(&[Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(4)]),
            faults: usize::try_from(random.below(10)).unwrap_or(0),
            length: random.between(Duration::from_secs(5), Duration::from_secs(60)),
            recovery,
        }
    }
}

/// Half of the calls have a key.
const RING_HASH: &str = r#"{"loadBalancingConfig": [{"ring_hash_experimental": {"requestHashHeader": "x-key"}}]}"#;

/// Turns keepalive on; time and timeout together, if connections without calls are pinged too.
fn set_keepalive(set: &mut ChannelOptions, random: &Random) -> Option<Duration> {
    let time = random.one_of(&[10_000, 20_000, 60_000]);
    let timeout = random.one_of(&[1_000, 5_000, 20_000]);
    let without_calls = random.percent(60);
    set.set("grpc.keepalive_time_ms", time).expect("in range");
    set.set("grpc.keepalive_timeout_ms", timeout).expect("in range");
    set.set("grpc.keepalive_permit_without_calls", without_calls).expect("in range");
    without_calls.then(|| Duration::from_millis(u64::try_from(time + timeout).unwrap_or(0)))
}

/// Options that are set in so many worlds of a hundred, to one of these.
const OTHERS: &[(&str, u64, &[i64])] = &[
    ("grpc.happy_eyeballs_connection_attempt_delay_ms", 20, &[100, 2_000]),
    ("grpc.dns_min_time_between_resolutions_ms", 50, &[0, 1_000, 5_000]),
    ("linkspan.stream_window_bytes", 20, &[65_535, 1 << 20]),
    ("linkspan.send_high_water_bytes", 10, &[1_024]),
    ("linkspan.max_queued_calls", 5, &[5]),
    ("linkspan.max_concurrent_requests", 10, &[10]),
    ("linkspan.max_concurrent_requests_per_address", 10, &[3, 10]),
    ("linkspan.max_connections_per_subchannel", 30, &[1, 2, 10]),
    ("linkspan.connection_shrink_after_ms", 50, &[100, 2_000, 10_000]),
    ("linkspan.liveness_timeout_ms", 20, &[500, 5_000]),
    ("linkspan.reuse_check_after_ms", 40, &[0, 1_000, 5_000]),
    ("linkspan.tcp_user_timeout_ms", 30, &[0, 5_000, 20_000]),
    ("linkspan.dns_refresh_ms", 30, &[0, 2_000, 10_000]),
    ("linkspan.max_connection_age_ms", 30, &[1_000, 5_000, 30_000]),
    ("linkspan.max_requests_per_connection", 30, &[1, 3, 20]),
    ("grpc.client_idle_timeout_ms", 30, &[1_000, 3_000]),
];

/// The defaults, and one that opens at once.
const BREAKERS: &[&str] = &["{}", r#"{"consecutiveFailures": 1, "openTime": "2s", "halfOpenProbes": 2}"#];

/// How often a call is made at most that follows one of these.
const MOST_ATTEMPTS: usize = 3;

/// Retries and hedges, with tokens and without.
const POLICIES: &[&str] = &[
    r#"{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 3, "initialBackoff": "0.1s", "maxBackoff": "1s",
        "backoffMultiplier": 3, "retryableStatusCodes": ["UNAVAILABLE", "FAILED_PRECONDITION", "INTERNAL"]}}]}"#,
    r#"{"retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1}, "methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 3,
        "initialBackoff": "0.01s", "maxBackoff": "0.01s", "backoffMultiplier": 1, "retryableStatusCodes": ["UNAVAILABLE"]}}]}"#,
    r#"{"methodConfig": [{"name": [{}], "hedgingPolicy": {"maxAttempts": 3, "nonFatalStatusCodes": ["UNAVAILABLE", "INTERNAL"]}}]}"#,
    r#"{"methodConfig": [{"name": [{}], "hedgingPolicy": {"maxAttempts": 3, "hedgingDelay": "0.05s",
        "nonFatalStatusCodes": ["UNAVAILABLE", "FAILED_PRECONDITION"]}}]}"#,
];

/// What the way to one server is like.
pub(super) fn path(random: &Random) -> Path {
    let milliseconds = Duration::from_millis;
    Path {
        latency: random.one_of(&[milliseconds(0), Duration::from_micros(200), milliseconds(5), milliseconds(80)]),
        jitter: random.one_of(&[milliseconds(0), milliseconds(1), milliseconds(30)]),
        bytes_per_second: random.one_of(&[None, None, Some(1 << 20), Some(64 << 10)]),
        buffer: random.one_of(&[4 << 10, 64 << 10, 1 << 20]),
        largest_piece: random.one_of(&[64, 500, 1_400, 1_400, 16 << 10, 16 << 10, 16 << 10]),
    }
}

/// What one server does by itself.
pub(super) fn script(random: &Random) -> Script {
    let seconds = Duration::from_secs;
    let slowest = random.one_of(&[Duration::from_millis(1), Duration::from_millis(50), seconds(3)]);
    let graces = [None, Some(seconds(1)), Some(seconds(10))];
    Script {
        max_streams: random.one_of(&[None, None, Some(1), Some(3), Some(100)]),
        max_age: random
            .percent(25)
            .then(|| (random.one_of(&[seconds(1), seconds(5), seconds(30)]), random.one_of(&graces))),
        max_idle: random.percent(25).then(|| random.one_of(&[Duration::from_millis(100), seconds(1), seconds(10)])),
        policing: random.one_of(&[Some(()), Some(()), None]).map(|()| Policing {
            permits_without_calls: random.percent(50),
            min_time: random.one_of(&[seconds(5), seconds(300)]),
            ..Policing::default()
        }),
        answers: Answers {
            after: (Duration::ZERO, slowest),
            errors: random.one_of(&[0, 0, 10]),
            error: (random.one_of(&[9, 14]), random.one_of(&[None, None, Some("20"), Some("-1")])),
            refused: random.one_of(&[0, 0, 5, 30]),
            never: random.one_of(&[0, 0, 5]),
            reset: random.one_of(&[0, 0, 5]),
            load: random
                .one_of(&[None, Some(0.2), Some(0.9)])
                .map(|utilization| Load { queries_per_second: 100.0, utilization }),
        },
        ..Script::default()
    }
}
