//! Which balancing policy a channel uses, of all that may say so.

use std::sync::Arc;

use super::options::{ChannelOptions, Preset, warn_once};
use crate::error::{Error, ErrorKind};
use crate::observe::log::{LogLevel, Room, log};
use crate::policy::balancer::config::BalancingConfig;
use crate::policy::balancer::pick_first::PickFirstConfig;
use crate::service_config::ServiceConfig;
use crate::service_config::balancing::{named, names};

/// The service config's policy, else the channel's own ([LB-3]).
pub(super) fn of<'a>(
    service_config: Option<&'a ServiceConfig>,
    own: &'a Arc<BalancingConfig>,
) -> &'a Arc<BalancingConfig> {
    service_config.and_then(|config| config.balancing.as_ref()).unwrap_or(own)
}

/// Warns of what a config that is taken asks for and does not get ([LB-50]).
pub(super) fn warn_of_what_is_missing(balancing: &BalancingConfig) {
    if balancing.wants_reports_beside_calls() {
        warn_once("enableOobLoadReport", || {
            "weighted_round_robin: \"enableOobLoadReport\" has no effect in this version; servers must report with calls".to_owned()
        });
    }
}

/// The channel's own policy: the options', else the preset's ([LB-3]).
///
/// # Errors
/// [`ErrorKind::BadOption`] when our own option names none that there is, whether it would be used or not.
pub(super) fn choose(options: &ChannelOptions, preset: Preset) -> Result<BalancingConfig, Error> {
    Ok(by_options(options)?.unwrap_or_else(|| match preset {
        Preset::Grpc => pick_first(),
        Preset::Resilient => BalancingConfig::RoundRobin,
    }))
}

/// A policy that is not there is replaced by pick_first where gRPC's own option names it.
fn by_options(options: &ChannelOptions) -> Result<Option<BalancingConfig>, Error> {
    if let Some(name) = options.text("linkspan.lb_policy") {
        let text = || format!("option \"linkspan.lb_policy\" may be {}, not {name:?}", names());
        return named(name).map(Some).ok_or_else(|| Error::new(ErrorKind::BadOption, text()));
    }
    Ok(options.text("grpc.lb_policy_name").map(|name| {
        named(name).unwrap_or_else(|| {
            log(LogLevel::Warn, Room::Options, || {
                format!("option \"grpc.lb_policy_name\" names {name:?}, which is not known; pick_first is used")
            });
            pick_first()
        })
    }))
}

fn pick_first() -> BalancingConfig {
    BalancingConfig::PickFirst(PickFirstConfig::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(preset: Preset, set: &[(&str, &str)], config: Option<&str>) -> Result<BalancingConfig, Error> {
        let mut options = ChannelOptions::new();
        for (key, name) in set {
            options.set(key, *name).expect("text");
        }
        let config = config.map(|text| ServiceConfig::parse(text).expect(text));
        Ok(BalancingConfig::clone(of(config.as_ref(), &Arc::new(choose(&options, preset)?))))
    }

    /// [LB-3]
    #[test]
    fn policies_are_named_strictly_in_our_option_and_leniently_in_grpcs() {
        let with = |key, name| chosen(Preset::Resilient, &[(key, name)], None);
        assert_eq!(with("linkspan.lb_policy", "pick_first"), Ok(pick_first()));
        assert_eq!(with("grpc.lb_policy_name", "pick_first"), Ok(pick_first()));
        assert_eq!(with("grpc.lb_policy_name", "no_such"), Ok(pick_first()));
        let error = with("linkspan.lb_policy", "no_such").expect_err("unknown");
        assert_eq!(error.kind(), ErrorKind::BadOption);
        let words = "option \"linkspan.lb_policy\" may be \"pick_first\", \"round_robin\", \"weighted_round_robin\" or \"least_request\", not \"no_such\"";
        assert_eq!(error.message(), words);
    }

    /// [LB-3], [SC-33]
    #[test]
    fn a_service_config_wins_over_options_and_options_over_the_preset() {
        let both = [("grpc.lb_policy_name", "pick_first"), ("linkspan.lb_policy", "round_robin")];
        let shuffled = BalancingConfig::PickFirst(PickFirstConfig { shuffle_address_list: true });
        let list = r#"{"loadBalancingConfig": [{"pick_first": {"shuffleAddressList": true}}]}"#;
        let older = r#"{"loadBalancingPolicy": "PICK_FIRST"}"#;
        assert_eq!(chosen(Preset::Grpc, &both, Some(list)), Ok(shuffled));
        assert_eq!(chosen(Preset::Resilient, &both, Some(older)), Ok(pick_first()));
        assert_eq!(chosen(Preset::Grpc, &both, Some("{}")), Ok(BalancingConfig::RoundRobin));
        assert_eq!(chosen(Preset::Resilient, &both[..1], Some("{}")), Ok(pick_first()));
        assert_eq!(chosen(Preset::Resilient, &[], Some("{}")), Ok(BalancingConfig::RoundRobin));
        assert_eq!(chosen(Preset::Grpc, &[], None), Ok(pick_first()));
        assert!(chosen(Preset::Grpc, &[("linkspan.lb_policy", "no_such")], Some(list)).is_err());
    }
}
