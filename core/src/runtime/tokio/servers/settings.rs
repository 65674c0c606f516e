//! Which servers are asked, and for what: as `/etc/resolv.conf` has it, or one that was named.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::net::NetError;
use hickory_resolver::proto::rr::Name;

use crate::runtime::names::resolv_conf;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// In the order they are asked in.
    pub(super) servers: Vec<SocketAddr>,
    /// Domains that a name without enough dots is completed with.
    search: Vec<String>,
    ndots: usize,
    /// Of one query.
    pub(super) timeout: Duration,
    /// How often all servers are asked.
    pub(super) attempts: usize,
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
    /// # Errors
    /// Why nobody can be asked.
    pub(super) fn of_system() -> Result<Self, String> {
        let text = resolv_conf::read().map_err(|cause| format!("cannot read {}: {cause}", resolv_conf::PLACE))?;
        Self::parse(&text)
    }

    /// That server alone, and the name as it is.
    pub(super) fn of_server(server: SocketAddr) -> Self {
        Self { servers: vec![server], is_systems: false, ..Self::of_text("") }
    }

    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut settings = Self::of_text(text);
        if settings.servers.is_empty() {
            let listed: Vec<_> = resolv_conf::nameservers(text).collect();
            if !listed.is_empty() {
                let (listed, place) = (listed.join(", "), resolv_conf::PLACE);
                return Err(format!(
                    "no nameserver of {place} can be asked: {listed}; write IP addresses without a zone"
                ));
            }
            settings.servers.push((Ipv4Addr::LOCALHOST, PORT).into());
        }
        Ok(settings)
    }

    fn of_text(text: &str) -> Self {
        // A link-local server is given with its zone, which hickory cannot take.
        let servers = resolv_conf::nameservers(text).filter_map(|server| server.parse::<IpAddr>().ok());
        let servers = servers.map(|ip| SocketAddr::new(ip, PORT)).collect();
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

    /// What is asked for, in order, until one is there: the name as it is comes first if it has dots enough, else last.
    pub(super) fn names(&self, host: &str) -> Result<Vec<Name>, NetError> {
        let mut whole = Name::from_str_relaxed(host)?;
        if whole.is_fqdn() {
            return Ok(vec![whole]);
        }
        // A domain that is no name completes nothing, as one that makes the name too long.
        let domains = self.search.iter().filter_map(|domain| Name::from_str_relaxed(domain).ok());
        let mut names: Vec<_> = domains.filter_map(|domain| whole.clone().append_domain(&domain).ok()).collect();
        let has_dots_enough = usize::from(whole.num_labels()) > self.ndots || whole.is_localhost();
        whole.set_fqdn(true);
        names.insert(if has_dots_enough { 0 } else { names.len() }, whole);
        for name in &mut names {
            name.set_fqdn(true);
        }
        Ok(names)
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
        let settings = Settings::parse(text).expect("servers");
        assert_eq!(settings.servers, ["10.0.0.53:53".parse().expect("valid"), "[::1]:53".parse().expect("valid")]);
        assert_eq!(settings.search, ["a.test", "b.test"]);
        assert_eq!((settings.ndots, settings.timeout, settings.attempts), (15, Duration::from_secs(1), 3));
        assert_eq!(settings.told(), "10.0.0.53:53, [::1]:53 (/etc/resolv.conf)");
    }

    #[test]
    fn without_a_file_this_machine_is_asked() {
        let settings = Settings::parse("").expect("this machine");
        assert_eq!(settings.servers, ["127.0.0.1:53".parse().expect("valid")]);
        assert_eq!((settings.ndots, settings.timeout, settings.attempts), (1, Duration::from_secs(5), 2));
    }

    #[test]
    fn a_server_that_is_named_is_asked_for_the_name_as_it_is() {
        let settings = Settings::of_server("10.0.0.9:54".parse().expect("valid"));
        assert!(settings.search.is_empty() && !settings.is_systems);
        assert_eq!(settings.told(), "10.0.0.9:54");
    }

    #[test]
    fn servers_that_cannot_be_asked_are_named_and_nobody_is_asked_in_their_place() {
        let refused = Settings::parse("nameserver fe80::1%eth0\nnameserver ns.test").expect_err("no server");
        let wanted =
            "no nameserver of /etc/resolv.conf can be asked: fe80::1%eth0, ns.test; write IP addresses without a zone";
        assert_eq!(refused, wanted);
    }

    #[test]
    fn a_name_with_few_dots_is_completed_first_and_one_with_many_last() {
        let settings = Settings::parse("search a.test not..one b.test.\noptions ndots:2").expect("this machine");
        for (host, wanted) in [
            ("web", &["web.a.test.", "web.b.test.", "web."][..]),
            ("web.x", &["web.x.a.test.", "web.x.b.test.", "web.x."]),
            ("web.x.y", &["web.x.y.", "web.x.y.a.test.", "web.x.y.b.test."]),
            ("web.", &["web."]),
            ("_web.my_svc", &["_web.my_svc.a.test.", "_web.my_svc.b.test.", "_web.my_svc."]),
        ] {
            let names = settings.names(host).expect(host);
            assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), wanted);
        }
    }
}
