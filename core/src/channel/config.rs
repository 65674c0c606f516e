//! A channel's settings, parsed once at the border into types that cannot be wrong.

use std::time::Duration;

use crate::error::Error;
use crate::failure::Dialect;
use crate::policy::backoff::BackoffOptions;
use crate::resolver::target::Target;
use crate::transport::credentials::{Credentials, Tls};
use crate::transport::headers::RequestTemplate;
use crate::transport::stream::ReceiveLimits;

use super::options::{ChannelOptions, Preset};

/// Everything a channel was made with.
#[derive(Clone)]
pub(crate) struct ChannelConfig {
    /// As the user gave it.
    pub(crate) given_target: String,
    pub(crate) target: Target,
    pub(crate) tls: Option<Tls>,
    /// The host to ask for and to check in TLS.
    pub(crate) server_name: String,
    pub(crate) request: RequestTemplate,
    pub(crate) dialect: Dialect,
    pub(crate) backoff: BackoffOptions,
    pub(crate) connect_timeout: Duration,
    pub(crate) attempt_delay: Duration,
    pub(crate) dns_min_interval: Duration,
    pub(crate) receive: ReceiveLimits,
    pub(crate) max_send_bytes: Option<u64>,
    pub(crate) default_timeout: Option<Duration>,
    pub(crate) stream_window: u32,
    pub(crate) connection_window: u32,
    pub(crate) send_high_water: usize,
    pub(crate) max_queued_calls: Option<u64>,
    pub(crate) events_capacity: usize,
}

impl ChannelConfig {
    /// # Errors
    /// [`ErrorKind::BadTarget`] or [`ErrorKind::BadOption`], saying what to change.
    pub(crate) fn new(target: &str, credentials: &Credentials, options: &ChannelOptions) -> Result<Self, Error> {
        let parsed = Target::parse(target)?;
        let authority_text = options
            .text("grpc.default_authority")
            .or_else(|| options.text("grpc.ssl_target_name_override"))
            .or_else(|| credentials.as_tls().and_then(|tls| tls.server_name.as_deref()))
            // [NAME-30]
            .unwrap_or(&parsed.authority);
        let request = RequestTemplate::new(credentials.is_secure(), authority_text, &user_agent(options))?;
        let server_name = options.text("grpc.ssl_target_name_override").unwrap_or_else(|| request.host()).to_owned();
        let preset = options.preset()?;
        let milliseconds =
            |key: &str| options.int(key).map(|value| Duration::from_millis(u64::try_from(value).unwrap_or(0)));
        let backoff = backoff(options, milliseconds);
        let connect_timeout = milliseconds("linkspan.connect_timeout_ms")
            .or_else(|| milliseconds("grpc.min_reconnect_backoff_ms"))
            .unwrap_or(match preset {
                Preset::Grpc => Duration::from_secs(20),
                Preset::Resilient => Duration::from_secs(10),
            });
        Ok(Self {
            given_target: target.to_owned(),
            tls: credentials.as_tls().cloned(),
            server_name,
            request,
            dialect: options.dialect(),
            backoff,
            connect_timeout,
            attempt_delay: milliseconds("grpc.happy_eyeballs_connection_attempt_delay_ms")
                .unwrap_or(Duration::from_millis(250)),
            dns_min_interval: milliseconds("grpc.dns_min_time_between_resolutions_ms")
                .unwrap_or(Duration::from_secs(30)),
            receive: ReceiveLimits {
                message: size_limit(options.int("grpc.max_receive_message_length"), Some(4_194_304)),
                headers: options
                    .int("grpc.absolute_max_metadata_size")
                    .and_then(|value| u64::try_from(value).ok())
                    .unwrap_or(16_384),
            },
            max_send_bytes: size_limit(options.int("grpc.max_send_message_length"), None),
            default_timeout: milliseconds("linkspan.default_timeout_ms").filter(|timeout| !timeout.is_zero()),
            stream_window: window(options.int("linkspan.stream_window_bytes"), 256 << 10),
            connection_window: window(options.int("linkspan.connection_window_bytes"), 16 << 20),
            send_high_water: options
                .int("linkspan.send_high_water_bytes")
                .and_then(|value| usize::try_from(value).ok())
                .unwrap_or(64 << 10),
            max_queued_calls: match options.int("linkspan.max_queued_calls").and_then(|value| u64::try_from(value).ok())
            {
                Some(0) => None,
                Some(limit) => Some(limit),
                None if preset == Preset::Resilient => Some(10_000),
                None => None,
            },
            events_capacity: options
                .int("linkspan.events_capacity")
                .and_then(|value| usize::try_from(value).ok())
                .unwrap_or(256),
            target: parsed,
        })
    }
}

/// [CONN-54], [CONN-59]
fn backoff(options: &ChannelOptions, milliseconds: impl Fn(&str) -> Option<Duration>) -> BackoffOptions {
    let floor = Duration::from_millis(100);
    let defaults = BackoffOptions::default();
    if let Some(fixed) = milliseconds("grpc.testing.fixed_reconnect_backoff_ms") {
        return BackoffOptions { initial: fixed, multiplier: 1.0, jitter: 0.0, max: fixed };
    }
    let max = milliseconds("grpc.max_reconnect_backoff_ms").unwrap_or(defaults.max).max(floor);
    let initial = milliseconds("grpc.initial_reconnect_backoff_ms").unwrap_or(defaults.initial).clamp(floor, max);
    BackoffOptions {
        initial,
        max,
        multiplier: options.float("linkspan.backoff_multiplier").unwrap_or(defaults.multiplier),
        jitter: options.float("linkspan.backoff_jitter").unwrap_or(defaults.jitter),
    }
}

/// [OPT-6]: negative is unlimited.
fn size_limit(given: Option<i64>, default: Option<u64>) -> Option<u64> {
    given.map_or(default, |value| u64::try_from(value).ok())
}

fn window(given: Option<i64>, default: u32) -> u32 {
    given.and_then(|value| u32::try_from(value).ok()).unwrap_or(default)
}

/// [WIRE-81]
fn user_agent(options: &ChannelOptions) -> String {
    let mut text = String::new();
    if let Some(primary) = options.text("grpc.primary_user_agent") {
        text.push_str(primary);
        text.push(' ');
    }
    text.push_str(&format!(
        "grpc-{}-linkspan/{} ({})",
        options.language(),
        env!("CARGO_PKG_VERSION"),
        std::env::consts::OS
    ));
    if let Some(secondary) = options.text("grpc.secondary_user_agent") {
        text.push(' ');
        text.push_str(secondary);
    }
    text
}
