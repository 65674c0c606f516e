//! From a target string to the endpoints it stands for.

mod configs;
pub(crate) mod host;
pub(crate) mod hosted;
pub(crate) mod proxy;
pub(crate) mod results;
pub(crate) mod schemes;
pub(crate) mod target;
pub(crate) mod txt;

use std::sync::Arc;
use std::time::Duration;

use crate::address::Address;
use crate::failure::Failure;
use crate::runtime::{Driver, NameAnswer, NameSource, sleep_until};
use crate::service_config::ServiceConfig;
use hosted::Asking;
use target::{Endpoint, Target};

/// How names are looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NameRules {
    /// Who is asked where the target names no server.
    pub(crate) source: NameSource,
    /// How long a look-up may take; `None` is for ever.
    pub(crate) timeout: Option<Duration>,
    /// The names of our language, for the choices among the service configs DNS has for a name; `None` is not to ask for any.
    pub(crate) config_for: Option<&'static [&'static str]>,
}

/// What a resolver says of a target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Resolution {
    /// Each with its addresses; everything in the order it is to be used in ([NAME-80]).
    pub(crate) endpoints: Vec<Box<[Address]>>,
    /// What the service's owner wants of its callers, or what is wrong with it; `None` where the resolver says nothing of it.
    pub(crate) service_config: Option<Result<Arc<ServiceConfig>, String>>,
    /// How long all this is good; `None` where that is not told.
    pub(crate) valid_for: Option<Duration>,
}

impl Resolution {
    /// Addresses of which each is an endpoint of its own ([NAME-20], [NAME-41]).
    pub(crate) fn of_each(addresses: impl IntoIterator<Item = Address>) -> Self {
        let endpoints = addresses.into_iter().map(|address| Box::from([address])).collect();
        Self { endpoints, ..Self::default() }
    }

    /// With each address changed so.
    pub(crate) fn changed(mut self, change: impl Fn(Address) -> Address) -> Self {
        for address in self.endpoints.iter_mut().flatten() {
            *address = change(address.clone());
        }
        self
    }

    /// All of all endpoints.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.endpoints.iter().flatten()
    }
}

/// Finds what a target stands for, and tells it: once, and a host's own resolver as often as it likes.
pub(crate) async fn resolve<D: Driver>(
    driver: &D,
    target: &Target,
    rules: NameRules,
    asking: &Asking,
    mut on_result: impl FnMut(Result<Resolution, Failure>),
) {
    match &target.endpoint {
        Endpoint::Fixed(addresses) => on_result(Ok(Resolution::of_each(addresses.iter().cloned()))),
        Endpoint::Name { host, port, server } => {
            let source = server.map_or(rules.source, NameSource::Server);
            let rules = NameRules { source, ..rules };
            let addresses = look_up(driver, host, *port, "", rules);
            let config = async { Ok(configs::look_up(driver, host, rules).await) };
            let found = tokio::try_join!(biased; addresses, config);
            on_result(found.map(|(NameAnswer { addresses, valid_for }, config)| Resolution {
                service_config: config.service_config,
                // Addresses that do not tell how long they are good are asked for as if there were no config.
                valid_for: valid_for.map(|length| config.valid_for.map_or(length, |other| length.min(other))),
                ..Resolution::of_each(addresses.into_iter().map(Address::Inet))
            }));
        }
        // [CONN-175]: the names of servers are the proxy's to look up.
        Endpoint::Proxied(proxied) => {
            let (host, port) = proxied.proxy();
            let found = look_up(driver, host, port, "the proxy ", rules).await;
            on_result(found.map(|NameAnswer { addresses, valid_for }| Resolution {
                valid_for,
                ..Resolution::of_each(proxied.addresses(&addresses))
            }));
        }
        Endpoint::OfHost(hosted) => hosted.run(asking, on_result).await,
    }
}

/// `what` is said before the name when it is not found.
async fn look_up<D: Driver>(
    driver: &D,
    host: &str,
    port: u16,
    what: &str,
    rules: NameRules,
) -> Result<NameAnswer, Failure> {
    let failed = |cause: String| Failure::ResolveFailed { target: format!("{what}{host}:{port}"), cause };
    let until = rules.timeout.map(|limit| driver.now() + limit);
    let answer = tokio::select! {
        biased;
        answer = driver.resolve(host, port, rules.source) => answer.map_err(|cause| cause.to_string()),
        // [NAME-47]
        () = sleep_until(driver, until) => Err(no_answer(rules.timeout.unwrap_or_default())),
    };
    let found = answer.map_err(failed)?;
    if found.addresses.is_empty() {
        return Err(failed("no addresses".into()));
    }
    Ok(found)
}

fn no_answer(limit: Duration) -> String {
    format!("no answer within {:.1} s (grpc.dns_ares_query_timeout)", limit.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::memory::MemoryDriver;

    const RULES: NameRules = NameRules { source: NameSource::System, timeout: None, config_for: None };

    /// [NAME-80], [NAME-81]
    #[test]
    fn each_address_of_a_list_is_an_endpoint_in_the_lists_order() {
        let target = Target::parse("ipv4:10.0.0.2:1,10.0.0.1:1", &|_| None).expect("valid");
        MemoryDriver::run(|driver| async move {
            let mut found = Vec::new();
            resolve(&driver, &target, RULES, &Asking::default(), |result| found.push(result.expect("listed"))).await;
            let [resolution] = &found[..] else { panic!("told {} times", found.len()) };
            let endpoints: Vec<String> = resolution.endpoints.iter().map(|endpoint| format!("{endpoint:?}")).collect();
            assert_eq!(endpoints, ["[Inet(10.0.0.2:1)]", "[Inet(10.0.0.1:1)]"]);
            assert_eq!(resolution.addresses().count(), 2);
        });
    }
}
