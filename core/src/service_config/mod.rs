//! A service config: JSON text in, typed settings out, or everything that is wrong with the text (A21, grpc-proto
//! `service_config.proto`).
//!
//! The room is pure. What it returns cannot be wrong: who uses it checks nothing again. It does not know where a config comes from nor
//! what becomes of its settings.
//!
//! Fields that are not known are passed over, one that is known and wrong makes the whole config invalid ([SC-02]), and `null` is as if
//! the field were not there ([SC-03]).

mod attempts;
pub(crate) mod balancing;
pub(crate) mod breaker;
pub(crate) mod choices;
mod duration;
mod fields;
pub(crate) mod methods;

use std::sync::Arc;

use crate::policy::balancer::config::BalancingConfig;
use crate::policy::retry::RetryThrottling;
pub(crate) use fields::Mistakes;
use fields::Object;
use methods::MethodConfigs;

/// A channel's settings as its service's owner wants them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ServiceConfig {
    /// `None` leaves the choice to the channel.
    pub(crate) balancing: Option<Arc<BalancingConfig>>,
    pub(crate) methods: MethodConfigs,
    pub(crate) retry_throttling: Option<RetryThrottling>,
    /// The service whose health decides whether an address is used, perhaps ""; `None` is no check (A17).
    pub(crate) health_check_service: Option<String>,
    /// How many connections one address may have (A105); `None` is one.
    pub(crate) max_connections_per_subchannel: Option<u32>,
}

impl ServiceConfig {
    /// # Errors
    /// Every mistake in the text, with the field it is in ([SC-08]).
    pub(crate) fn parse(text: &str) -> Result<Self, Mistakes> {
        fields::read_text(text, |whole| whole.object().map(|object| Self::read(&object)))
    }

    fn read(object: &Object<'_>) -> Self {
        let throttling = object.field("retryThrottling").and_then(|field| field.object());
        let health_check = object.field("healthCheckConfig").and_then(|field| field.object());
        let scaling = object.field("connectionScaling").and_then(|field| field.object());
        Self {
            balancing: balancing::read(object).map(Arc::new),
            methods: object.field("methodConfig").map(|list| methods::read(&list)).unwrap_or_default(),
            retry_throttling: throttling.and_then(|object| attempts::read_throttling(&object)),
            health_check_service: health_check
                .and_then(|object| object.field("serviceName"))
                .and_then(|name| name.text())
                .map(str::to_owned),
            max_connections_per_subchannel: scaling
                .and_then(|object| object.field("maxConnectionsPerSubchannel"))
                // The specification leaves 0 open; an address without connections carries no call, so nobody means it.
                .and_then(|count| count.unsigned(1..=u32::MAX)),
        }
    }
}

#[cfg(test)]
mod tests;
