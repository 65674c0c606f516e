//! Which servers are asked, and how: as `/etc/resolv.conf` has it, or one that was named.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;

use crate::runtime::names::resolv_conf;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settings {
    servers: Vec<SocketAddr>,
    /// Domains that a name without enough dots is completed with.
    search: Vec<String>,
    ndots: usize,
    /// Of one query.
    timeout: Duration,
    attempts: usize,
    /// Whether they are those of the system, and not of a target.
    is_systems: bool,
}

/// DNS's port (RFC 1035 §4.2).
const PORT: u16 = 53;

/// What holds where the file says nothing, and the most it can say (resolv.conf(5)).
const TIMEOUT_SECONDS: usize = 5;
const ATTEMPTS: usize = 2;
const NDOTS: usize = 1;
const MOST_TIMEOUT_SECONDS: usize = 30;
const MOST_ATTEMPTS: usize = 5;
const MOST_NDOTS: usize = 15;

impl Settings {
    pub(super) fn of_system() -> Self {
        Self::parse(&resolv_conf::read())
    }

    /// That server alone, and the name as it is.
    pub(super) fn of_server(server: SocketAddr) -> Self {
        Self { servers: vec![server], is_systems: false, ..Self::parse("") }
    }

    fn parse(text: &str) -> Self {
        // A link-local server is given with its zone, which hickory cannot take.
        let servers = resolv_conf::nameservers(text).filter_map(|server| server.parse::<IpAddr>().ok());
        let mut servers: Vec<_> = servers.map(|ip| SocketAddr::new(ip, PORT)).collect();
        if servers.is_empty() {
            servers.push((Ipv4Addr::LOCALHOST, PORT).into());
        }
        let (mut ndots, mut seconds, mut attempts, mut search) = (NDOTS, TIMEOUT_SECONDS, ATTEMPTS, Vec::new());
        for (keyword, values) in resolv_conf::settings(text) {
            match keyword {
                // The last line holds, whichever it is.
                "search" | "domain" => search = values.map(str::to_owned).collect(),
                "options" => {
                    for (name, number) in values.filter_map(|value| value.split_once(':')) {
                        let Ok(number) = number.parse::<usize>() else { continue };
                        match name {
                            "ndots" => ndots = number.min(MOST_NDOTS),
                            "timeout" => seconds = number.clamp(1, MOST_TIMEOUT_SECONDS),
                            "attempts" => attempts = number.clamp(1, MOST_ATTEMPTS),
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        let timeout = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        Self { servers, search, ndots, timeout, attempts, is_systems: true }
    }

    pub(super) fn resolver(&self) -> Result<TokioResolver, NetError> {
        let servers = self.servers.iter().map(|server| {
            let mut config = NameServerConfig::udp_and_tcp(server.ip());
            for connection in &mut config.connections {
                connection.port = server.port();
            }
            config
        });
        // A domain that is no name completes nothing.
        let search = self.search.iter().filter_map(|domain| Name::from_utf8(domain).ok());
        let config = ResolverConfig::from_parts(None, search.collect(), servers.collect());
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let options = builder.options_mut();
        options.ndots = self.ndots;
        options.timeout = self.timeout;
        // Hickory counts those after the first.
        options.attempts = self.attempts - 1;
        options.cache_size = 0;
        options.ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
        // It was looked into before.
        options.use_hosts_file = ResolveHosts::Never;
        builder.build()
    }

    /// For whoever reads of a failure.
    pub(super) fn told(&self) -> String {
        let servers: Vec<_> = self.servers.iter().map(SocketAddr::to_string).collect();
        let from = if self.is_systems { format!(" ({})", resolv_conf::PLACE) } else { String::new() };
        format!("{}{from}", servers.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_file_is_followed_within_its_limits() {
        let text = "domain old.test\nsearch a.test b.test\nnameserver 10.0.0.53\nnameserver fe80::1%eth0\nnameserver ::1\n\
            options ndots:99 timeout:0 rotate\noptions attempts:3";
        let settings = Settings::parse(text);
        assert_eq!(settings.servers, ["10.0.0.53:53".parse().expect("valid"), "[::1]:53".parse().expect("valid")]);
        assert_eq!(settings.search, ["a.test", "b.test"]);
        assert_eq!((settings.ndots, settings.timeout, settings.attempts), (15, Duration::from_secs(1), 3));
        assert_eq!(settings.told(), "10.0.0.53:53, [::1]:53 (/etc/resolv.conf)");
    }

    #[test]
    fn without_a_file_this_machine_is_asked() {
        let settings = Settings::parse("");
        assert_eq!(settings.servers, ["127.0.0.1:53".parse().expect("valid")]);
        assert_eq!((settings.ndots, settings.timeout, settings.attempts), (1, Duration::from_secs(5), 2));
        settings.resolver().expect("it can be made");
    }

    #[test]
    fn a_server_that_is_named_is_asked_for_the_name_as_it_is() {
        let settings = Settings::of_server("10.0.0.9:54".parse().expect("valid"));
        assert!(settings.search.is_empty() && !settings.is_systems);
        assert_eq!(settings.told(), "10.0.0.9:54");
    }
}
