//! A channel's settings, parsed once at the border into types that cannot be wrong.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::failure::Dialect;
use crate::generation::PerProcess;
use crate::interned::Interned;
use crate::observe::log::names::ChannelName;
use crate::policy::backoff::BackoffOptions;
use crate::policy::balancer::breaker::BreakerOptions;
use crate::policy::balancer::config::BalancingConfig;
use crate::policy::keepalive::KeepaliveOptions;
use crate::policy::liveness::LivenessOptions;
use crate::policy::retry::rules::RetryRules;
use crate::policy::subchannel::DialRules;
use crate::policy::transparent_retry::TransparentRetryOptions;
use crate::resolver::NameRules;
use crate::resolver::proxy::by_address::AddressProxy;
use crate::resolver::schemes::Schemes;
use crate::resolver::target::{Endpoint, Target};
use crate::resolver::txt;
use crate::runtime::{ASKS_SERVERS, NameSource, SocketOptions, environment};
use crate::service_config::{self, ServiceConfig};
use crate::transport::call_credentials::CallCredentials;
use crate::transport::compression::{Compression, CompressionRules, Encodings};
use crate::transport::credentials::Credentials;
use crate::transport::dial::ConnectionOptions;
use crate::transport::headers::{HeaderRules, RequestTemplate};
use crate::transport::stream::ReceiveLimits;

use super::authority::ServerNames;
use super::options::{ChannelOptions, Preset, warn_once};
use super::pools::PoolRules;
use super::windows::Windows;
use super::{balancing, keepalive, proxies, retries};

/// Everything a channel was made with.
#[derive(Clone)]
pub(crate) struct ChannelConfig {
    /// With the target as the user gave it; the number is given with the channel's handle.
    pub(crate) name: Arc<ChannelName>,
    /// Through the channel's proxy where it has one.
    pub(crate) target: Target,
    /// Boxed, because few channels have one.
    pub(crate) address_proxy: Option<Box<AddressProxy>>,
    pub(crate) connection: Arc<ConnectionOptions>,
    pub(crate) request: RequestTemplate,
    /// What every call shows to be allowed.
    pub(crate) call_credentials: Option<CallCredentials>,
    /// Whether connections are secure enough for that.
    pub(crate) carries_call_credentials: bool,
    /// Whether what the resolver says of service configs holds.
    pub(crate) takes_resolvers_config: bool,
    pub(crate) settings: Arc<Settings>,
}

/// The option by which a channel passes over what its resolver says of configs.
const REFUSES_CONFIGS: &str = "grpc.service_config_disable_resolution";

/// What follows from the options alone. Channels that are made alike share it.
#[derive(Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) dialect: Dialect,
    pub(crate) dial: DialRules,
    pub(crate) attempt_delay: Duration,
    /// The policy where no service config names one.
    pub(crate) balancing: Arc<BalancingConfig>,
    pub(crate) ring_size_cap: u32,
    /// `None` is no circuit breakers.
    pub(crate) breaker: Option<BreakerOptions>,
    /// What the application wants where its name's own config says nothing.
    pub(crate) service_config: Option<Arc<ServiceConfig>>,
    /// Whether servers are asked for their health where a service config says so.
    pub(crate) checks_health: bool,
    /// `None` is never.
    pub(crate) idle_timeout: Option<Duration>,
    /// When a connection is replaced by a new one; `None` is never.
    pub(crate) connection_age: Option<Duration>,
    /// How often the files of the certificates are looked at; `None` is only before a connection is made.
    pub(crate) tls_reload_interval: Option<Duration>,
    pub(crate) pools: PoolRules,
    /// A connection that is one more than are kept goes after so long without a call.
    pub(crate) shrink_after: Duration,
    /// How often the name is asked for while the channel is in use; `None` is only when something fails.
    pub(crate) dns_refresh: Option<Duration>,
    pub(crate) dns_min_interval: Duration,
    pub(crate) names: NameRules,
    /// How long what was found serves while look-ups fail; `None` is for ever.
    pub(crate) dns_stale: Option<Duration>,
    pub(crate) transparent_retry: TransparentRetryOptions,
    pub(crate) retries: RetryRules,
    pub(crate) receive: ReceiveLimits,
    /// Whether nobody set the limit of received messages.
    pub(crate) is_receive_limit_default: bool,
    pub(crate) max_send_bytes: Option<u64>,
    pub(crate) compression: CompressionRules,
    pub(crate) default_timeout: Option<Duration>,
    pub(crate) send_high_water: usize,
    pub(crate) max_queued_calls: Option<u64>,
    /// Calls in flight; `None` is any number.
    pub(crate) max_concurrent: Option<u32>,
    pub(crate) max_concurrent_per_address: Option<u32>,
    pub(crate) events_capacity: usize,
}

impl Deref for ChannelConfig {
    type Target = Settings;

    fn deref(&self) -> &Settings {
        &self.settings
    }
}

impl ChannelConfig {
    /// # Errors
    /// [`ErrorKind::BadTarget`] or [`ErrorKind::BadOption`], saying what to change.
    pub(crate) fn new(
        target: &str,
        credentials: &Credentials,
        options: &ChannelOptions,
        schemes: &Schemes,
    ) -> Result<Self, Error> {
        let find = |scheme: &str| {
            let registered = options.resolver(scheme).or_else(|| schemes.find(scheme))?;
            Some(Arc::clone(&registered.factory))
        };
        let parsed = Target::parse(target, &find)?;
        let names = ServerNames::new(&parsed, credentials, options)?;
        let compression = compression(options);
        let request =
            RequestTemplate::new(credentials.is_secure(), names.authority, &user_agent(options), compression.reads)?;
        let preset = options.preset()?;
        // [CONN-190]
        let proxies = proxies::proxies(options, environment::proxy)?;
        let service_config = service_config(options)?;
        let number = |key: &str| options.number(key, preset);
        // The registry's ranges keep these from saturating.
        let unsigned = |key: &str| u64::try_from(number(key)).unwrap_or(0);
        let unsigned_32 = |key: &str| u32::try_from(number(key)).unwrap_or(u32::MAX);
        let milliseconds = |key: &str| Duration::from_millis(unsigned(key));
        let some_calls = |key: &str| Some(unsigned_32(key)).filter(|count| *count > 0);
        let unless_zero = |key: &str| Some(milliseconds(key)).filter(|length| !length.is_zero());
        let keepalive = keepalive::settings(options, preset, environment::kubernetes)?;
        // [OPT-3] An option wins over the environment, the environment over a preset.
        let number_or =
            |key: &str, environment: Option<i64>| options.int(key).or(environment).unwrap_or_else(|| number(key));
        // gRPC's own name for the connect timeout counts where ours is not set.
        let connect_timeout = match options.int("linkspan.connect_timeout_ms") {
            None if options.int("grpc.min_reconnect_backoff_ms").is_some() => "grpc.min_reconnect_backoff_ms",
            _ => "linkspan.connect_timeout_ms",
        };
        let windows = Windows::new(options, preset);
        let connection = ConnectionOptions {
            tls: credentials.as_tls().cloned(),
            local: credentials.as_local(),
            server_name: names.for_tls,
            socket: SocketOptions { tcp_user_timeout: tcp_user_timeout(options, preset, keepalive.keepalive) },
            stream_window: windows.stream,
            max_stream_window: windows.max_stream,
            connection_window: windows.connection,
            max_requests: Some(unsigned_32("linkspan.max_requests_per_connection")).filter(|count| *count > 0),
            keepalive: keepalive.keepalive,
            liveness: options.flag("linkspan.liveness").unwrap_or(true).then(|| LivenessOptions {
                timeout: milliseconds("linkspan.liveness_timeout_ms"),
                reuse_check_after: unless_zero("linkspan.reuse_check_after_ms"),
            }),
        };
        let settings = Settings {
            dialect: options.dialect(),
            dial: DialRules {
                backoff: backoff(options, milliseconds),
                connect_timeout: milliseconds(connect_timeout),
                timeout_grows_with_backoff: preset == Preset::Grpc,
                probe_interval: unless_zero("linkspan.probe_interval_ms"),
            },
            balancing: Arc::new(balancing::choose(options, preset)?),
            ring_size_cap: unsigned_32("grpc.lb.ring_hash.ring_size_cap"),
            breaker: breaker(options)?,
            service_config,
            checks_health: !options.flag("grpc.inhibit_health_checking").unwrap_or(false),
            idle_timeout: idle_timeout(number_or("grpc.client_idle_timeout_ms", keepalive.idle_timeout_ms)),
            connection_age: finite(number_or("linkspan.max_connection_age_ms", keepalive.max_connection_age_ms)),
            tls_reload_interval: unless_zero("linkspan.tls_reload_interval_ms"),
            pools: PoolRules::new(options, preset),
            shrink_after: milliseconds("linkspan.connection_shrink_after_ms"),
            dns_refresh: unless_zero("linkspan.dns_refresh_ms"),
            attempt_delay: milliseconds("grpc.happy_eyeballs_connection_attempt_delay_ms"),
            dns_min_interval: milliseconds("grpc.dns_min_time_between_resolutions_ms"),
            names: NameRules {
                source: name_source(options)?,
                timeout: unless_zero("grpc.dns_ares_query_timeout"),
                config_for: (options.flag(REFUSES_CONFIGS) == Some(false)).then(|| txt::languages(options.language())),
            },
            dns_stale: Some(number("linkspan.dns_stale_ms"))
                .filter(|stale| *stale < i64::from(i32::MAX))
                .map(|stale| Duration::from_millis(stale.unsigned_abs())),
            transparent_retry: retries::unseen(options, preset)?,
            retries: retries::rules(options, preset)?,
            receive: ReceiveLimits {
                message: size_limit(number("grpc.max_receive_message_length")),
                headers: HeaderRules {
                    limit: unsigned("grpc.absolute_max_metadata_size"),
                    shows_content_type: options.dialect() == Dialect::GrpcJs,
                },
            },
            is_receive_limit_default: options.int("grpc.max_receive_message_length").is_none(),
            max_send_bytes: size_limit(number("grpc.max_send_message_length")),
            compression,
            default_timeout: unless_zero("linkspan.default_timeout_ms"),
            send_high_water: unsigned_32("linkspan.send_high_water_bytes") as usize,
            max_queued_calls: Some(unsigned("linkspan.max_queued_calls")).filter(|limit| *limit > 0),
            max_concurrent: some_calls("linkspan.max_concurrent_requests"),
            max_concurrent_per_address: some_calls("linkspan.max_concurrent_requests_per_address"),
            events_capacity: unsigned_32("linkspan.events_capacity") as usize,
        };
        let led = proxies.lead(parsed);
        Ok(Self {
            name: Arc::new(ChannelName { id: 0, target: target.into() }),
            connection: shared(&CONNECTIONS, connection),
            request,
            call_credentials: credentials.of_calls().cloned(),
            carries_call_credentials: credentials.carries_call_credentials(),
            takes_resolvers_config: takes_resolvers_config(options, &led.endpoint),
            target: led,
            address_proxy: proxies.for_addresses.map(Box::new),
            settings: shared(&SETTINGS, settings),
        })
    }
}

static SETTINGS: PerProcess<Interned<Settings>> = PerProcess::of_first(Interned::new());
static CONNECTIONS: PerProcess<Interned<ConnectionOptions>> = PerProcess::of_first(Interned::new());

/// One for all that are equal.
fn shared<T: PartialEq>(known: &PerProcess<Interned<T>>, value: T) -> Arc<T> {
    known.get(|_| Interned::new()).one(value)
}

fn name_source(options: &ChannelOptions) -> Result<NameSource, Error> {
    let key = "linkspan.dns";
    let unsupported = |what: &str| Err(Error::new(ErrorKind::Unsupported, format!("option {key:?} is {what}")));
    match options.text(key) {
        None | Some("system") => Ok(NameSource::System),
        Some("ttl") if ASKS_SERVERS => Ok(NameSource::Servers),
        Some("ttl") => unsupported(
            "\"ttl\", and this build asks no DNS servers itself; build linkspan-core with the feature \"hickory\", or leave it \"system\"",
        ),
        Some("host") => unsupported("\"host\", and the host gave no resolver for names; leave it \"system\""),
        Some(other) => {
            let text = format!("option {key:?} may be \"system\", \"ttl\" or \"host\"; it is {other:?}");
            Err(Error::new(ErrorKind::BadOption, text))
        }
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
    let cap = Some(milliseconds("linkspan.max_backoff_while_calls_ms")).filter(|cap| !cap.is_zero());
    let max = milliseconds("grpc.max_reconnect_backoff_ms").min(cap.unwrap_or(Duration::MAX)).max(floor);
    BackoffOptions {
        initial: milliseconds("grpc.initial_reconnect_backoff_ms").clamp(floor, max),
        max,
        multiplier: options.float("linkspan.backoff_multiplier").unwrap_or(defaults.multiplier),
        jitter: options.float("linkspan.backoff_jitter").unwrap_or(defaults.jitter),
    }
}

fn breaker(options: &ChannelOptions) -> Result<Option<BreakerOptions>, Error> {
    let key = "linkspan.breaker";
    let text = options.text(key).filter(|text| *text != "off");
    let refused = |mistakes| {
        let text =
            format!("option {key:?} may be \"off\" or an object such as {{\"consecutiveFailures\": 5}}; {mistakes}");
        Error::new(ErrorKind::BadOption, text)
    };
    text.map(service_config::breaker::parse).transpose().map_err(refused)
}

/// [INV-06]: a channel is not made with a config that cannot be used.
fn service_config(options: &ChannelOptions) -> Result<Option<Arc<ServiceConfig>>, Error> {
    let key = "grpc.service_config";
    let parsed = options.text(key).map(ServiceConfig::parse).transpose();
    let refused = |mistakes| Error::new(ErrorKind::BadOption, format!("option {key:?} cannot be used: {mistakes}"));
    Ok(parsed.map_err(refused)?.map(Arc::new))
}

/// [NAME-57], [INV-7]: what DNS says holds only where that is asked for, what a resolver of the host's own says unless it is refused.
fn takes_resolvers_config(options: &ChannelOptions, endpoint: &Endpoint) -> bool {
    let is_disabled = options.flag(REFUSES_CONFIGS);
    match endpoint {
        Endpoint::Fixed(_) | Endpoint::Proxied(_) => false,
        // [NAME-49]
        Endpoint::Name { host, .. } => {
            let is_wanted = is_disabled == Some(false) && txt::name(host).is_some();
            // No error: programs written for gRPC set it out of habit, and most names have no config.
            if is_wanted && !ASKS_SERVERS {
                warn_once(REFUSES_CONFIGS, || {
                    format!(
                        "option {REFUSES_CONFIGS:?} is false, and this build asks no DNS servers for service configs; names are used without; build linkspan-core \
                         with the feature \"hickory\""
                    )
                });
            }
            is_wanted
        }
        Endpoint::OfHost(_) => is_disabled != Some(true),
    }
}

/// [CONN-11]: the largest number is never, and less than a second is a second.
fn idle_timeout(milliseconds: i64) -> Option<Duration> {
    let shortest = Duration::from_secs(1);
    finite(milliseconds).map(|length| length.max(shortest))
}

/// [OPT-3]: zero, less and the largest number there is are never.
fn finite(milliseconds: i64) -> Option<Duration> {
    let is_finite = (1..i64::from(i32::MAX)).contains(&milliseconds);
    is_finite.then(|| Duration::from_millis(milliseconds.unsigned_abs()))
}

/// [CONN-97], [CONN-105]: as it was set, else what keepalive allows, else the preset's.
fn tcp_user_timeout(options: &ChannelOptions, preset: Preset, keepalive: Option<KeepaliveOptions>) -> Option<Duration> {
    let key = "linkspan.tcp_user_timeout_ms";
    let timeout = match keepalive {
        Some(keepalive) if options.int(key).is_none() => keepalive.timeout,
        _ => Duration::from_millis(options.number(key, preset).unsigned_abs()),
    };
    Some(timeout).filter(|timeout| !timeout.is_zero())
}

/// [OPT-6]: negative is unlimited.
fn size_limit(value: i64) -> Option<u64> {
    u64::try_from(value).ok()
}

/// What is turned off is neither sent nor offered; a default among it is none, as in gRPC.
fn compression(options: &ChannelOptions) -> CompressionRules {
    let bits = options.int("grpc.compression_enabled_algorithms_bitset").unwrap_or(i64::from(i32::MAX));
    let unless_off = |key: &str| {
        if options.flag(key) == Some(false) { Encodings::IDENTITY } else { Encodings::of_bits(bits) }
    };
    let sends = unless_off("grpc.per_message_compression");
    let reads = unless_off("grpc.per_message_decompression");
    let key = "grpc.default_compression_algorithm";
    let wanted = options.int(key).and_then(Compression::from_number).unwrap_or_default();
    if !sends.has(wanted) {
        warn_once(key, || {
            format!("option {key:?} is {}, which is turned off for the channel; nothing is compressed", wanted.name())
        });
    }
    CompressionRules { default: Some(wanted).filter(|wanted| sends.has(*wanted)).unwrap_or_default(), sends, reads }
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
    use crate::channel::options::OptionValue;
    use crate::policy::balancer::pick_first::PickFirstConfig;

    fn config(preset: Preset, set: &[(&str, i64)]) -> ChannelConfig {
        let mut options = ChannelOptions::new();
        options.set_preset(preset);
        for (key, value) in set {
            options.set(key, *value).expect(key);
        }
        ChannelConfig::new("localhost:1", &Credentials::insecure(), &options, &Schemes::default()).expect("valid")
    }

    fn with_dns(value: &str) -> Result<ChannelConfig, Error> {
        let mut options = ChannelOptions::new();
        options.set("linkspan.dns", value).expect("text");
        ChannelConfig::new("localhost:1", &Credentials::insecure(), &options, &Schemes::default())
    }

    #[test]
    fn names_are_looked_up_as_the_build_can() {
        assert_eq!(with_dns("system").expect("valid").names.source, NameSource::System);
        assert_eq!(with_dns("dns").err().expect("refused").kind(), ErrorKind::BadOption);
        let refused = with_dns("host").err().expect("nobody gave one");
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        let by_ttl = with_dns("ttl").map(|config| config.names.source);
        if ASKS_SERVERS {
            assert_eq!(by_ttl.expect("valid"), NameSource::Servers);
        } else {
            let refused = by_ttl.expect_err("no resolver for it");
            assert_eq!(refused.kind(), ErrorKind::Unsupported);
            assert!(refused.message().contains("the feature \"hickory\""), "{refused}");
        }
    }

    /// [NAME-49], [NAME-57], [TXT-2], [TXT-7]: a build that cannot ask goes on without.
    #[test]
    fn configs_are_asked_for_where_that_is_turned_on_and_the_target_is_a_name() {
        let asks = |target: &str, set: &[(&str, OptionValue)]| {
            let mut options = ChannelOptions::new();
            for (key, value) in set {
                options.set(key, value.clone()).expect(key);
            }
            let config = ChannelConfig::new(target, &Credentials::insecure(), &options, &Schemes::default());
            let config = config.expect("valid");
            assert!(config.names.config_for.is_some() || !config.takes_resolvers_config, "{target}");
            config.takes_resolvers_config
        };
        let disabled = |is: bool| ("grpc.service_config_disable_resolution", is.into());
        let no_proxy = ("grpc.http_proxy", "".into());
        let proxy = ("grpc.http_proxy", "http://proxy:1".into());
        assert!(asks("name:1", &[disabled(false), no_proxy.clone()]));
        assert!(!asks("name:1", &[disabled(true), no_proxy.clone()]));
        assert!(!asks("name:1", std::slice::from_ref(&no_proxy)));
        assert!(!asks("name:1", &[disabled(false), proxy]));
        for target in ["localhost:1", "10.0.0.1:1", "[::1]:1", "ipv4:10.0.0.1:1", "unix:/socket", "passthrough:name:1"]
        {
            assert!(!asks(target, &[disabled(false), no_proxy.clone()]), "{target}");
        }
    }

    /// [WIRE-101]
    #[test]
    fn defaults_come_from_the_registrys_column_of_the_preset() {
        assert_eq!(config(Preset::Grpc, &[]).dial.connect_timeout, Duration::from_secs(20));
        assert_eq!(config(Preset::Resilient, &[]).dial.connect_timeout, Duration::from_secs(10));
        assert_eq!(config(Preset::Grpc, &[]).max_queued_calls, None);
        assert_eq!(config(Preset::Resilient, &[]).max_queued_calls, Some(10_000));
        assert_eq!(config(Preset::Grpc, &[]).receive.message, Some(4_194_304));
        assert_eq!(config(Preset::Grpc, &[]).max_send_bytes, None);
    }

    /// [OPT-30]
    #[test]
    fn grpcs_name_of_the_connect_timeout_counts_and_ours_wins() {
        let grpcs = ("grpc.min_reconnect_backoff_ms", 7);
        assert_eq!(config(Preset::Grpc, &[grpcs]).dial.connect_timeout, Duration::from_millis(7));
        let both = [grpcs, ("linkspan.connect_timeout_ms", 8)];
        assert_eq!(config(Preset::Grpc, &both).dial.connect_timeout, Duration::from_millis(8));
    }

    #[test]
    fn channels_that_are_made_alike_share_their_settings() {
        let [one, same, other] = [7, 7, 8].map(|ms| config(Preset::Grpc, &[("linkspan.default_timeout_ms", ms)]));
        assert!(Arc::ptr_eq(&one.settings, &same.settings));
        assert_eq!(other.default_timeout, Some(Duration::from_millis(8)));
    }

    #[test]
    fn liveness_is_on_unless_it_is_turned_off_and_so_is_the_check_before_reuse() {
        let seconds = Duration::from_secs;
        let default = LivenessOptions { timeout: seconds(2), reuse_check_after: Some(seconds(30)) };
        assert_eq!(config(Preset::Grpc, &[]).connection.liveness, Some(default));
        assert_eq!(config(Preset::Resilient, &[]).connection.liveness, Some(default));
        assert_eq!(config(Preset::Grpc, &[("linkspan.liveness", 0)]).connection.liveness, None);
        let set = [("linkspan.liveness_timeout_ms", 500), ("linkspan.reuse_check_after_ms", 0)];
        let wanted = LivenessOptions { timeout: Duration::from_millis(500), reuse_check_after: None };
        assert_eq!(config(Preset::Grpc, &set).connection.liveness, Some(wanted));
    }

    /// [CONN-97], [CONN-105]
    #[test]
    fn the_user_timeout_is_what_was_set_or_the_keepalive_timeout_or_the_presets() {
        let keepalive = [("grpc.keepalive_time_ms", 30_000), ("grpc.keepalive_timeout_ms", 7_000)];
        let seven = Some(Duration::from_secs(7));
        assert_eq!(config(Preset::Grpc, &[]).connection.socket.tcp_user_timeout, None);
        assert_eq!(config(Preset::Grpc, &keepalive).connection.socket.tcp_user_timeout, seven);
        assert_eq!(config(Preset::Resilient, &[]).connection.socket.tcp_user_timeout, Some(Duration::from_secs(20)));
        assert_eq!(config(Preset::Resilient, &keepalive).connection.socket.tcp_user_timeout, seven);
        let set = |timeout| [keepalive[0], keepalive[1], ("linkspan.tcp_user_timeout_ms", timeout)];
        assert_eq!(config(Preset::Grpc, &set(5)).connection.socket.tcp_user_timeout, Some(Duration::from_millis(5)));
        assert_eq!(config(Preset::Resilient, &set(0)).connection.socket.tcp_user_timeout, None);
    }

    /// [CONN-54], [CONN-59]
    #[test]
    fn backoff_has_a_floor_and_a_fixed_form() {
        let clamped =
            config(Preset::Grpc, &[("grpc.initial_reconnect_backoff_ms", 1), ("grpc.max_reconnect_backoff_ms", 2)]);
        assert_eq!(
            (clamped.dial.backoff.initial, clamped.dial.backoff.max),
            (Duration::from_millis(100), Duration::from_millis(100))
        );
        let fixed = config(Preset::Grpc, &[("grpc.testing.fixed_reconnect_backoff_ms", 5)]).dial.backoff.clone();
        assert_eq!((fixed.initial, fixed.max, fixed.jitter), (Duration::from_millis(5), Duration::from_millis(5), 0.0));
    }

    /// [CONN-11]
    #[test]
    fn idle_timeouts_have_a_floor_and_a_largest_number() {
        let of = |value| config(Preset::Grpc, &[("grpc.client_idle_timeout_ms", value)]).idle_timeout;
        assert_eq!(config(Preset::Grpc, &[]).idle_timeout, Some(Duration::from_secs(1_800)));
        assert_eq!(of(1), Some(Duration::from_secs(1)));
        assert_eq!(of(5_000), Some(Duration::from_secs(5)));
        assert_eq!(of(0), None);
        assert_eq!(of(i64::from(i32::MAX)), None);
    }

    #[test]
    fn the_resilient_set_probes_caps_the_backoff_and_spreads_calls() {
        let (grpc, resilient) = (config(Preset::Grpc, &[]), config(Preset::Resilient, &[]));
        let pick_first = BalancingConfig::PickFirst(PickFirstConfig::default());
        assert_eq!((&*grpc.balancing, &*resilient.balancing), (&pick_first, &BalancingConfig::RoundRobin));
        assert_eq!(grpc.dial.probe_interval, None);
        assert_eq!(resilient.dial.probe_interval, Some(Duration::from_millis(500)));
        assert_eq!((grpc.dial.backoff.max, resilient.dial.backoff.max).0, Duration::from_secs(120));
        assert_eq!(resilient.dial.backoff.max, Duration::from_secs(10));
        assert!(grpc.dial.timeout_grows_with_backoff && !resilient.dial.timeout_grows_with_backoff);
        assert_eq!((grpc.connection_age, resilient.connection_age), (None, Some(Duration::from_secs(1_800))));
        assert_eq!((grpc.dns_refresh, resilient.dns_refresh), (None, Some(Duration::from_secs(30))));
    }
}
