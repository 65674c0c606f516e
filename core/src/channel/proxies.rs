//! Which proxies a channel uses, from its options and the environment. An option that cannot be used is an error; a variable that cannot be is
//! warned about and passed over, because it is seldom set for this program alone ([CONN-170] to [CONN-173], [CONN-179]).

use std::net::SocketAddr;

use super::options::{ChannelOptions, warn_once};
use crate::error::{Error, ErrorKind};
use crate::resolver::proxy::Proxies;
use crate::resolver::proxy::by_address::{AddressProxy, Networks};
use crate::resolver::proxy::exceptions::Exceptions;
use crate::resolver::proxy::url::Proxy;

const SWITCH: &str = "grpc.enable_http_proxy";
const PROXY: &str = "grpc.http_proxy";
/// In order; the first that is set is used ([CONN-170]).
const PROXY_VARIABLES: &[&str] = &["grpc_proxy", "https_proxy", "http_proxy"];
const EXCEPTIONS_VARIABLES: &[&str] = &["no_grpc_proxy", "no_proxy"];
const ADDRESS_PROXY: &str = "grpc.address_http_proxy";
const ADDRESS_PROXY_VARIABLE: &str = "GRPC_ADDRESS_HTTP_PROXY";
const ADDRESSES: &str = "grpc.address_http_proxy_enabled_addresses";
const ADDRESSES_VARIABLE: &str = "GRPC_ADDRESS_HTTP_PROXY_ENABLED_ADDRESSES";

/// # Errors
/// [`ErrorKind::BadOption`] for an option that names no proxy or no addresses.
pub(super) fn proxies(
    options: &ChannelOptions,
    environment: impl Fn(&'static str) -> Option<String>,
) -> Result<Proxies, Error> {
    // [CONN-171]
    if options.flag(SWITCH) == Some(false) {
        return Ok(Proxies::default());
    }
    let settings = Settings { options, environment };
    let exceptions = settings.first(None, EXCEPTIONS_VARIABLES).map(|exceptions| exceptions.text).unwrap_or_default();
    let for_targets = settings.first(Some(PROXY), PROXY_VARIABLES);
    let address_proxy = settings.first(Some(ADDRESS_PROXY), &[ADDRESS_PROXY_VARIABLE]);
    let addresses = settings.first(Some(ADDRESSES), &[ADDRESSES_VARIABLE]);
    let address_proxy = read(address_proxy, address)?;
    let addresses = read(addresses, |list| {
        let wrong =
            |entry| format!("has {entry:?}, which is no address and no range; write for example \"10.0.0.0/8\"");
        Networks::parse(list).map_err(wrong)
    })?;
    Ok(Proxies {
        for_targets: read(for_targets, Proxy::parse)?,
        exceptions: Exceptions::parse(&exceptions),
        for_addresses: address_proxy.zip(addresses).map(|(proxy, behind)| AddressProxy { proxy, behind }),
    })
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let refused = |_| "is no address with a port; write for example \"10.0.0.9:3128\"".to_owned();
    text.trim().parse().map_err(refused)
}

struct Settings<'a, E> {
    options: &'a ChannelOptions,
    environment: E,
}

/// A text, and where it was set.
struct Setting {
    place: Place,
    text: String,
}

#[derive(Clone, Copy)]
enum Place {
    Option(&'static str),
    Variable(&'static str),
}

impl<E: Fn(&'static str) -> Option<String>> Settings<'_, E> {
    /// The option, or else the first variable that is set.
    fn first(&self, option: Option<&'static str>, variables: &[&'static str]) -> Option<Setting> {
        let of_option = option.and_then(|key| {
            let text = self.options.text(key)?.to_owned();
            Some(Setting { place: Place::Option(key), text })
        });
        let mut of_environment = variables.iter().filter_map(|name| {
            let text = (self.environment)(name)?;
            Some(Setting { place: Place::Variable(name), text })
        });
        of_option.or_else(|| of_environment.next())
    }
}

/// What is set to nothing is switched off there ([CONN-170]).
fn read<T>(setting: Option<Setting>, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, Error> {
    let Some(Setting { place, text }) = setting.filter(|setting| !setting.text.trim().is_empty()) else {
        return Ok(None);
    };
    match (parse(&text), place) {
        (Ok(value), _) => Ok(Some(value)),
        (Err(wrong), Place::Option(key)) => Err(Error::new(ErrorKind::BadOption, format!("option {key:?} {wrong}"))),
        (Err(wrong), Place::Variable(name)) => {
            warn_once(name, || format!("the environment variable {name} {wrong}; it has no effect"));
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::address::Address;
    use crate::resolver::target::{Endpoint, Target};

    type Set<'a> = &'a [(&'static str, &'a str)];

    fn proxies_with(options: Set<'_>, variables: Set<'_>, is_on: Option<bool>) -> Result<Proxies, Error> {
        let mut channel_options = ChannelOptions::new();
        for (key, value) in options {
            channel_options.set(key, *value).expect("text");
        }
        if let Some(is_on) = is_on {
            channel_options.set(SWITCH, is_on).expect("a boolean");
        }
        let find =
            |name| variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned());
        proxies(&channel_options, find)
    }

    /// Where a target leads with these settings.
    fn way(target: &str, options: Set<'_>, variables: Set<'_>) -> String {
        let proxies = proxies_with(options, variables, None).expect("usable");
        match proxies.lead(Target::parse(target, &|_| None).expect(target)).endpoint {
            Endpoint::Fixed(addresses) => addresses.iter().map(Address::to_string).collect(),
            Endpoint::Name { host, port, .. } => format!("{host}:{port}"),
            other => format!("{other:?}"),
        }
    }

    const DIRECT: &str = "svc.example:443";

    /// The way through the proxy 10.0.0.`last`.
    fn through(last: u8) -> String {
        format!("{DIRECT} via proxy 10.0.0.{last}:80")
    }

    /// [CONN-170]
    #[test]
    fn the_first_that_is_set_is_used_and_set_to_nothing_it_is_set() {
        let (option, grpc) = ((PROXY, "http://10.0.0.1"), ("grpc_proxy", "http://10.0.0.2"));
        let (https, http) = (("https_proxy", "http://10.0.0.3"), ("http_proxy", "http://10.0.0.4"));
        for (options, variables, wanted) in [
            (&[][..], &[][..], DIRECT.to_owned()),
            (&[option], &[http, https, grpc], through(1)),
            (&[], &[http, https, grpc], through(2)),
            (&[], &[http, https], through(3)),
            (&[], &[http], through(4)),
            (&[(PROXY, "")], &[http], DIRECT.to_owned()),
            (&[], &[("grpc_proxy", ""), http], DIRECT.to_owned()),
            (&[], &[("https_proxy", " "), http], DIRECT.to_owned()),
            (&[], &[("HTTP_PROXY", "http://10.0.0.5"), ("HTTPS_PROXY", "http://10.0.0.5")], DIRECT.to_owned()),
        ] {
            assert_eq!(way(DIRECT, options, variables), wanted, "{options:?} {variables:?}");
        }
    }

    /// [CONN-171]
    #[test]
    fn the_switch_turns_every_proxy_off() {
        let options = [(PROXY, "http://10.0.0.1"), (ADDRESS_PROXY, "10.0.0.1:1"), (ADDRESSES, "0.0.0.0/0")];
        let on = proxies_with(&options, &[], Some(true)).expect("usable");
        assert!(on.for_targets.is_some() && on.for_addresses.is_some());
        let off = proxies_with(&options, &[("http_proxy", "http://10.0.0.2")], Some(false)).expect("usable");
        assert!(off.for_targets.is_none() && off.for_addresses.is_none());
    }

    /// [CONN-172]
    #[test]
    fn a_variable_that_cannot_be_used_has_no_effect_and_neither_have_those_behind_it() {
        for value in ["https://10.0.0.1", "10.0.0.1:3128", "socks5://10.0.0.1", "http://"] {
            let variables = [("https_proxy", value), ("http_proxy", "http://10.0.0.2")];
            assert_eq!(way(DIRECT, &[], &variables), DIRECT, "{value}");
        }
    }

    /// [CONN-172]
    #[test]
    fn an_option_that_cannot_be_used_is_an_error_without_the_password() {
        for (set, said) in [
            ((PROXY, "https://user:secret@10.0.0.1"), "option \"grpc.http_proxy\" has the scheme https"),
            ((PROXY, "user:secret@10.0.0.1:1"), "option \"grpc.http_proxy\" has no scheme"),
            ((ADDRESS_PROXY, "proxy.example:1"), "option \"grpc.address_http_proxy\" is no address with a port"),
            ((ADDRESS_PROXY, "10.0.0.1"), "is no address with a port"),
            ((ADDRESSES, "svc.example"), "enabled_addresses\" has \"svc.example\", which is no address"),
        ] {
            let error = proxies_with(&[set], &[], None).expect_err(said);
            assert_eq!(error.kind(), ErrorKind::BadOption);
            assert!(error.message().contains(said) && !error.message().contains("secret"), "{error}");
        }
    }

    /// [CONN-173]
    #[test]
    fn exceptions_are_those_of_no_grpc_proxy_or_else_of_no_proxy() {
        let (option, http) = ((PROXY, "http://10.0.0.1"), ("http_proxy", "http://10.0.0.1"));
        let (of_grpc, of_all) = (("no_grpc_proxy", "other"), ("no_proxy", "svc.example"));
        for (options, variables, wanted) in [
            (&[][..], &[http, of_all][..], DIRECT.to_owned()),
            (&[], &[http, of_all, of_grpc], through(1)),
            (&[], &[http, of_all, ("no_grpc_proxy", "")], through(1)),
            (&[option], &[of_all], DIRECT.to_owned()),
        ] {
            assert_eq!(way(DIRECT, options, variables), wanted, "{options:?} {variables:?}");
        }
    }

    /// [CONN-179]
    #[test]
    fn addresses_have_a_proxy_where_both_the_proxy_and_the_addresses_are_set() {
        let of = |options: Set<'_>, variables: Set<'_>| {
            let proxies = proxies_with(options, variables, None).expect("usable");
            proxies.for_addresses.map(|found| found.lead(Address::Inet(([10, 1, 2, 3], 5).into())).to_string())
        };
        let through = |port: u16| Some(format!("10.1.2.3:5 via proxy 10.0.0.9:{port}"));
        let (proxy, addresses) = ((ADDRESS_PROXY, "10.0.0.9:1"), (ADDRESSES, "10.0.0.0/8"));
        let (proxy_variable, addresses_variable) =
            ((ADDRESS_PROXY_VARIABLE, "10.0.0.9:2"), (ADDRESSES_VARIABLE, "10.1.2.3, ::1"));
        assert_eq!(of(&[proxy, addresses], &[]), through(1));
        assert_eq!(of(&[], &[proxy_variable, addresses_variable]), through(2));
        assert_eq!(of(&[proxy], &[proxy_variable, addresses_variable]), through(1));
        assert_eq!(of(&[addresses], &[proxy_variable]), through(2));
        assert_eq!(of(&[proxy], &[]), None);
        assert_eq!(of(&[], &[addresses_variable]), None);
        assert_eq!(of(&[], &[(ADDRESS_PROXY_VARIABLE, "x"), addresses_variable]), None);
        assert_eq!(of(&[], &[proxy_variable, (ADDRESSES_VARIABLE, "x")]), None);
    }
}
