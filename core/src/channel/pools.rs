//! How many connections each address of a channel has, of all that may say so.

use super::options::{ChannelOptions, Preset};
use crate::address::Address;
use crate::policy::pool::PoolSizes;

/// What the options say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PoolRules {
    /// `None` leaves it to the addresses.
    kept: Option<u32>,
    /// What holds where no service config says another number.
    most: u32,
    cap: u32,
    /// Whether a single address gets a second connection.
    doubles: bool,
}

impl PoolRules {
    pub(super) fn new(options: &ChannelOptions, preset: Preset) -> Self {
        // The registry's ranges keep these from saturating.
        let number = |key: &str| u32::try_from(options.number(key, preset)).unwrap_or(u32::MAX);
        let kept = "linkspan.connections_per_subchannel";
        Self {
            kept: options.int(kept).map(|_| number(kept)),
            most: number("linkspan.max_connections_per_subchannel"),
            cap: number("grpc.max_connections_per_subchannel_cap"),
            doubles: preset == Preset::Resilient,
        }
    }

    /// For these addresses, under a service config that allows so many ([CONN-120], [CONN-121]).
    pub(super) fn sizes(self, by_config: Option<u32>, addresses: &[Address]) -> PoolSizes {
        let kept = self.kept.unwrap_or(if self.doubles && may_hide_several(addresses) { 2 } else { 1 });
        PoolSizes { kept, most: by_config.unwrap_or(self.most).min(self.cap) }
    }
}

/// A single address may be that of a balancer, with several servers behind it. One of this machine is a server's own.
fn may_hide_several(addresses: &[Address]) -> bool {
    matches!(addresses, [Address::Inet(address)] if !address.ip().to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(preset: Preset, set: &[(&str, i64)], by_config: Option<u32>, addresses: &[&str]) -> (u32, u32) {
        let mut options = ChannelOptions::new();
        for (key, value) in set {
            options.set(key, *value).expect(key);
        }
        let addresses: Vec<Address> =
            addresses.iter().map(|text| Address::Inet(text.parse().expect("an address"))).collect();
        let sizes = PoolRules::new(&options, preset).sizes(by_config, &addresses);
        (sizes.kept, sizes.most)
    }

    const ONE: &[&str] = &["10.0.0.1:1"];
    const TWO: &[&str] = &["10.0.0.1:1", "10.0.0.2:1"];

    /// [CONN-120], [CONN-121]
    #[test]
    fn the_service_config_wins_over_the_option_and_the_cap_over_both() {
        let most = ("linkspan.max_connections_per_subchannel", 5);
        let cap = ("grpc.max_connections_per_subchannel_cap", 3);
        let (grpc, resilient) = (Preset::Grpc, Preset::Resilient);
        assert_eq!(sizes(grpc, &[], None, TWO), (1, 1));
        assert_eq!(sizes(resilient, &[], None, TWO), (1, 10));
        assert_eq!(sizes(resilient, &[], Some(1), TWO), (1, 1));
        assert_eq!(sizes(grpc, &[], Some(50), TWO), (1, 10));
        assert_eq!(sizes(grpc, &[most], None, TWO), (1, 5));
        assert_eq!(sizes(grpc, &[most], Some(4), TWO), (1, 4));
        assert_eq!(sizes(grpc, &[most, cap], None, TWO), (1, 3));
        assert_eq!(sizes(grpc, &[most, cap], Some(4), TWO), (1, 3));
    }

    #[test]
    fn a_single_address_that_may_be_a_balancers_has_two_connections_with_resilient() {
        let kept = |preset, set: &[(&str, i64)], addresses: &[&str]| sizes(preset, set, None, addresses).0;
        let four = [("linkspan.connections_per_subchannel", 4)];
        assert_eq!(kept(Preset::Resilient, &[], ONE), 2);
        assert_eq!(kept(Preset::Resilient, &[], TWO), 1);
        for of_this_machine in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            let one = [of_this_machine];
            assert_eq!(kept(Preset::Resilient, &[], &one), 1, "{of_this_machine}");
        }
        assert_eq!(kept(Preset::Grpc, &[], ONE), 1);
        assert_eq!(kept(Preset::Grpc, &four, TWO), 4);
        assert_eq!(kept(Preset::Resilient, &four, ONE), 4);
    }
}
