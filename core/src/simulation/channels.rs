//! Targets and names of the worlds.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::world::World;
use crate::address::Address;
use crate::runtime::simulated::{Answer, Texts};

/// Every server listens on this port.
const PORT: u16 = 50_051;

/// The name that leads to the servers of a world, as a target.
pub(crate) const NAMED: &str = "dns:///servers.simulated:50051";
const NAME: &str = "servers.simulated";

/// The name whose texts have its service config.
pub(crate) const CONFIG_NAME: &str = "_grpc_config.servers.simulated";

pub(crate) fn ip(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, number))
}

pub(crate) fn address(number: u8) -> Address {
    Address::Inet(SocketAddr::new(ip(number), PORT))
}

/// A target that lists the addresses.
pub(crate) fn listed(numbers: impl IntoIterator<Item = u8>) -> String {
    let addresses: Vec<String> = numbers.into_iter().map(|number| address(number).to_string()).collect();
    format!("ipv4:{}", addresses.join(","))
}

impl World {
    /// The name leads to these addresses from now on.
    pub(crate) fn name_is(&self, numbers: impl IntoIterator<Item = u8>) {
        self.answer(Answer::of(numbers.into_iter().map(ip), Duration::from_millis(1)));
    }

    /// What is answered to whoever asks for the name from now on.
    pub(crate) fn answer(&self, answer: Answer) {
        self.driver().journal().note(format_args!("the name is to be {answer:?}"));
        self.driver().network().set_name(NAME, answer);
    }

    /// What is answered to whoever asks for the name's service config from now on.
    pub(crate) fn answer_config(&self, answer: Answer<Texts>) {
        self.driver().journal().note(format_args!("the name's config is to be {answer:?}"));
        self.driver().network().set_texts(CONFIG_NAME, answer);
    }
}
