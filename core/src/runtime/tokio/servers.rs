//! DNS servers, asked by the loop itself and not by the system (feature `hickory`): they tell how long an answer is good.
//!
//! What the system is set up with is read anew for each look-up, as glibc does; nothing is kept from one to the next, because
//! whoever asks keeps what was found for as long as it is good.

mod asking;
mod order;
mod settings;
mod texts;

use std::net::{IpAddr, SocketAddr};
use std::{fs, io};

use hickory_resolver::Hosts;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RecordType};

use crate::runtime::NameAnswer;
use settings::Settings;

pub(super) use texts::look_up_texts;

/// Asks `server`, or the system's servers, its hosts file first.
pub(super) async fn look_up(host: &str, port: u16, server: Option<SocketAddr>) -> io::Result<NameAnswer> {
    let name = host.to_owned();
    // Files are read: /etc is near, but a hosts file can be long.
    #[expect(clippy::disallowed_methods, reason = "this is the driver")]
    let read = tokio::task::spawn_blocking(move || match server {
        Some(server) => (Ok(Settings::of_server(server)), Vec::new()),
        None => (Settings::of_system(), listed(&name, &hosts_of(&fs::read(HOSTS).unwrap_or_default()))),
    });
    let (settings, listed) = read.await.map_err(|_| io::Error::other("the look-up was given up"))?;
    let answer = |addresses: Vec<IpAddr>, valid_for| {
        let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
        NameAnswer { addresses: order::sorted(addresses), valid_for }
    };
    if !listed.is_empty() {
        return Ok(answer(listed, None));
    }
    let settings = settings.map_err(io::Error::other)?;
    let failed = |cause| io::Error::other(format!("{}; asked {}", words(&cause), settings.told()));
    let found = asking::look_up(&settings, host).await.map_err(failed)?;
    Ok(answer(found.addresses, found.valid_for))
}

const HOSTS: &str = "/etc/hosts";

/// A line that is no text costs its own names and no others.
fn hosts_of(file: &[u8]) -> Hosts {
    let mut hosts = Hosts::default();
    // What is in memory can be read.
    let _ = hosts.read_hosts_conf(String::from_utf8_lossy(file).as_bytes());
    hosts
}

/// What the hosts file says of a name. If it has one address no server is asked for others; hickory would ask for the other family.
fn listed(host: &str, hosts: &Hosts) -> Vec<IpAddr> {
    let Ok(name) = Name::from_str_relaxed(host) else { return Vec::new() };
    let of_type = |kind| hosts.lookup_static_host(&Query::query(name.clone(), kind));
    let found = [RecordType::AAAA, RecordType::A].into_iter().filter_map(of_type);
    found
        .flat_map(|lookup| lookup.answers().iter().filter_map(|record| record.data.ip_addr()).collect::<Vec<_>>())
        .collect()
}

fn words(cause: &NetError) -> String {
    match cause {
        NetError::Dns(DnsError::NoRecordsFound(none)) if none.response_code == ResponseCode::NXDomain => {
            "no such name (NXDOMAIN)".into()
        }
        NetError::Dns(DnsError::NoRecordsFound(_)) => "the name has no address (NOERROR)".into(),
        NetError::Dns(DnsError::ResponseCode(code)) => format!("the server fails ({})", name_of(*code)),
        NetError::Timeout => "no server answers in time".into(),
        other => other.to_string(),
    }
}

/// RFC 1035's failures by the names that everybody gives them.
fn name_of(code: ResponseCode) -> String {
    match code {
        ResponseCode::ServFail => "SERVFAIL".into(),
        ResponseCode::Refused => "REFUSED".into(),
        ResponseCode::FormErr => "FORMERR".into(),
        ResponseCode::NotImp => "NOTIMP".into(),
        other => format!("code {}: {other}", u16::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_file_has_the_addresses_of_this_machine_and_not_of_others() {
        let hosts = hosts_of(b"# caf\xe9\n127.0.0.1 here.test other.test my_own.test\n::1 here.test\n");
        let here: [IpAddr; 2] = ["::1", "127.0.0.1"].map(|ip| ip.parse().expect("valid"));
        assert_eq!(listed("Here.test", &hosts), here);
        assert_eq!(listed("other.test", &hosts), here[1..]);
        assert_eq!(listed("my_own.test", &hosts), here[1..]);
        assert!(listed("nobody.test", &hosts).is_empty());
    }
}
