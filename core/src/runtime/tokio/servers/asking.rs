//! Asking servers for a name as glibc does: one after the other, in their order, until one says what the name is or that it is not there.
//!
//! Hickory would ask several at once in an order of its own and take the first answer, a refusal too. So each server is a resolver by itself.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, Record, RecordType};

use super::settings::Settings;

/// What a name has; at least one address.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) addresses: Vec<IpAddr>,
    /// The shortest life of what the answer is made of, the names in between too.
    pub(super) valid_for: Option<Duration>,
}

pub(super) async fn look_up(settings: &Settings, host: &str) -> Result<Found, NetError> {
    first_of_names(settings, host, async |servers, name| servers.addresses(name).await).await
}

/// The TXT records of a name, and those that lead there from one name to another.
pub(super) async fn look_up_texts(settings: &Settings, name: &str) -> Result<Vec<Record>, NetError> {
    let ask = async |servers: &Servers, name: &Name| servers.ask(name, RecordType::TXT).await;
    Ok(first_of_names(settings, name, ask).await?.answers().to_vec())
}

/// For as long as all of these hold.
pub(super) fn valid_for(records: &[Record]) -> Option<Duration> {
    let seconds = records.iter().map(|record| record.ttl).min();
    seconds.map(|seconds| Duration::from_secs(seconds.into()))
}

async fn first_of_names<T>(
    settings: &Settings,
    host: &str,
    ask: impl AsyncFn(&Servers, &Name) -> Result<T, NetError>,
) -> Result<T, NetError> {
    let servers = Servers::new(settings)?;
    let mut failed = NetError::NoConnections;
    for name in settings.names(host)? {
        match ask(&servers, &name).await {
            Ok(found) => return Ok(found),
            Err(cause) => {
                let goes_on = cause.is_no_records_found() || is_of_server(&cause);
                failed = more_telling(cause, failed);
                // A name completed otherwise is another one: who cannot be asked for the first tells nothing of it.
                if !goes_on {
                    break;
                }
            }
        }
    }
    Err(failed)
}

struct Servers {
    resolvers: Vec<TokioResolver>,
    attempts: usize,
}

impl Servers {
    fn new(settings: &Settings) -> Result<Self, NetError> {
        let resolvers = settings.servers.iter().map(|server| {
            let mut config = NameServerConfig::udp_and_tcp(server.ip());
            for connection in &mut config.connections {
                connection.port = server.port();
            }
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![config]);
            let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
            let options = builder.options_mut();
            options.timeout = settings.timeout;
            // Those after the first: the next server comes before them.
            options.attempts = 0;
            options.cache_size = 0;
            // It was looked into before.
            options.use_hosts_file = ResolveHosts::Never;
            builder.build()
        });
        Ok(Self { resolvers: resolvers.collect::<Result<_, _>>()?, attempts: settings.attempts })
    }

    /// Both families at once. What one has is good, whatever becomes of the other.
    async fn addresses(&self, name: &Name) -> Result<Found, NetError> {
        let answers = tokio::join!(self.ask(name, RecordType::AAAA), self.ask(name, RecordType::A));
        let answers = match answers {
            (Err(ipv6), Err(ipv4)) => return Err(more_telling(ipv6, ipv4)),
            (ipv6, ipv4) => [ipv6, ipv4].into_iter().filter_map(Result::ok),
        };
        let records: Vec<_> = answers.flat_map(|answer| answer.answers().to_vec()).collect();
        Ok(Found {
            addresses: records.iter().filter_map(|record| record.data.ip_addr()).collect(),
            valid_for: valid_for(&records),
        })
    }

    async fn ask(&self, name: &Name, kind: RecordType) -> Result<Lookup, NetError> {
        let mut failed = NetError::NoConnections;
        for server in (0..self.attempts).flat_map(|_| &self.resolvers) {
            match server.lookup(name.clone(), kind).await {
                Err(cause) if !cause.is_no_records_found() => failed = more_telling(cause, failed),
                answer => return answer,
            }
        }
        Err(failed)
    }
}

/// Of two failures the one that tells more of what is wrong; of equals the first.
fn more_telling(one: NetError, other: NetError) -> NetError {
    if weight(&other) > weight(&one) { other } else { one }
}

fn weight(cause: &NetError) -> u8 {
    match cause {
        NetError::NoConnections => 0,
        _ if cause.is_nx_domain() => 1,
        _ if cause.is_no_records_found() => 2,
        // What is said by somebody tells more than silence.
        NetError::Timeout => 3,
        _ => 4,
    }
}

/// Whether a server that answers cannot tell what this name is, but may know others.
fn is_of_server(cause: &NetError) -> bool {
    matches!(cause, NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)))
}

#[cfg(test)]
mod tests;
