//! A channel's settings, parsed once at the border into types that cannot be wrong.

use std::time::Duration;

use crate::error::Error;
use crate::failure::Dialect;
use crate::policy::backoff::BackoffOptions;
use crate::resolver::target::Target;
use crate::transport::credentials::{Credentials, Tls};
use crate::transport::headers::{HeaderRules, RequestTemplate};
use crate::transport::stream::ReceiveLimits;

use super::options::ChannelOptions;

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
        let number = |key: &str| options.number(key, preset);
        // The registry's ranges keep these from saturating.
        let unsigned = |key: &str| u64::try_from(number(key)).unwrap_or(0);
        let bytes = |key: &str| u32::try_from(number(key)).unwrap_or(u32::MAX);
        let milliseconds = |key: &str| Duration::from_millis(unsigned(key));
        // gRPC's own name for the connect timeout counts where ours is not set.
        let connect_timeout = match options.int("linkspan.connect_timeout_ms") {
            None if options.int("grpc.min_reconnect_backoff_ms").is_some() => "grpc.min_reconnect_backoff_ms",
            _ => "linkspan.connect_timeout_ms",
        };
        Ok(Self {
            given_target: target.to_owned(),
            tls: credentials.as_tls().cloned(),
            server_name,
            request,
            dialect: options.dialect(),
            backoff: backoff(options, milliseconds),
            connect_timeout: milliseconds(connect_timeout),
            attempt_delay: milliseconds("grpc.happy_eyeballs_connection_attempt_delay_ms"),
            dns_min_interval: milliseconds("grpc.dns_min_time_between_resolutions_ms"),
            receive: ReceiveLimits {
                message: size_limit(number("grpc.max_receive_message_length")),
                headers: HeaderRules {
                    limit: unsigned("grpc.absolute_max_metadata_size"),
                    shows_content_type: options.dialect() == Dialect::GrpcJs,
                },
            },
            max_send_bytes: size_limit(number("grpc.max_send_message_length")),
            default_timeout: Some(milliseconds("linkspan.default_timeout_ms")).filter(|timeout| !timeout.is_zero()),
            stream_window: bytes("linkspan.stream_window_bytes"),
            connection_window: bytes("linkspan.connection_window_bytes"),
            send_high_water: bytes("linkspan.send_high_water_bytes") as usize,
            max_queued_calls: Some(unsigned("linkspan.max_queued_calls")).filter(|limit| *limit > 0),
            events_capacity: bytes("linkspan.events_capacity") as usize,
            target: parsed,
        })
    }
}

/// [CONN-54], [CONN-59]
fn backoff(options: &ChannelOptions, milliseconds: impl Fn(&str) -> Duration) -> BackoffOptions {
    let fixed_key = "grpc.testing.fixed_reconnect_backoff_ms";
    if options.int(fixed_key).is_some() {
        let fixed = milliseconds(fixed_key);
        return BackoffOptions { initial: fixed, multiplier: 1.0, jitter: 0.0, max: fixed };
    }
    let floor = Duration::from_millis(100);
    let defaults = BackoffOptions::default();
    let max = milliseconds("grpc.max_reconnect_backoff_ms").max(floor);
    BackoffOptions {
        initial: milliseconds("grpc.initial_reconnect_backoff_ms").clamp(floor, max),
        max,
        multiplier: options.float("linkspan.backoff_multiplier").unwrap_or(defaults.multiplier),
        jitter: options.float("linkspan.backoff_jitter").unwrap_or(defaults.jitter),
    }
}

/// [OPT-6]: negative is unlimited.
fn size_limit(value: i64) -> Option<u64> {
    u64::try_from(value).ok()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::options::Preset;

    fn config(preset: Preset, set: &[(&str, i64)]) -> ChannelConfig {
        let mut options = ChannelOptions::new();
        options.set_preset(preset);
        for (key, value) in set {
            options.set(key, *value).expect(key);
        }
        ChannelConfig::new("localhost:1", &Credentials::insecure(), &options).expect("valid")
    }

    #[test]
    fn defaults_come_from_the_registrys_column_of_the_preset() {
        assert_eq!(config(Preset::Grpc, &[]).connect_timeout, Duration::from_secs(20));
        assert_eq!(config(Preset::Resilient, &[]).connect_timeout, Duration::from_secs(10));
        assert_eq!(config(Preset::Grpc, &[]).max_queued_calls, None);
        assert_eq!(config(Preset::Resilient, &[]).max_queued_calls, Some(10_000));
        assert_eq!(config(Preset::Grpc, &[]).receive.message, Some(4_194_304));
        assert_eq!(config(Preset::Grpc, &[]).max_send_bytes, None);
    }

    /// [OPT-30]
    #[test]
    fn grpcs_name_of_the_connect_timeout_counts_and_ours_wins() {
        let grpcs = ("grpc.min_reconnect_backoff_ms", 7);
        assert_eq!(config(Preset::Grpc, &[grpcs]).connect_timeout, Duration::from_millis(7));
        let both = [grpcs, ("linkspan.connect_timeout_ms", 8)];
        assert_eq!(config(Preset::Grpc, &both).connect_timeout, Duration::from_millis(8));
    }

    /// [CONN-54], [CONN-59]
    #[test]
    fn backoff_has_a_floor_and_a_fixed_form() {
        let clamped =
            config(Preset::Grpc, &[("grpc.initial_reconnect_backoff_ms", 1), ("grpc.max_reconnect_backoff_ms", 2)]);
        assert_eq!(
            (clamped.backoff.initial, clamped.backoff.max),
            (Duration::from_millis(100), Duration::from_millis(100))
        );
        let fixed = config(Preset::Grpc, &[("grpc.testing.fixed_reconnect_backoff_ms", 5)]).backoff;
        assert_eq!((fixed.initial, fixed.max, fixed.jitter), (Duration::from_millis(5), Duration::from_millis(5), 0.0));
    }
}
