//! Which service config holds, where a channel's resolver may bring one (A21, [SVC-3], [SVC-4]).

use std::sync::Arc;

use super::config::ChannelConfig;
use crate::observe::log::{LogLevel, Room, log};
use crate::service_config::ServiceConfig;

/// The service config of a channel that takes its resolver's.
pub(super) struct Configuring {
    /// Whose target names the channel in log lines.
    config: Arc<ChannelConfig>,
    /// What holds where the resolver says nothing: the application's, else one that sets nothing.
    own: Arc<ServiceConfig>,
    /// `None` until a resolver's result was taken.
    current: Option<Arc<ServiceConfig>>,
}

impl Configuring {
    /// `None` for a channel that does not listen to what its resolver says of configs.
    pub(super) fn new(config: &Arc<ChannelConfig>) -> Option<Self> {
        config.takes_resolvers_config.then(|| Self {
            config: Arc::clone(config),
            own: config.service_config.clone().unwrap_or_default(),
            current: None,
        })
    }

    /// A result of the resolver: the config that holds from now on.
    ///
    /// # Errors
    /// What is wrong with the result's config, when none held before: then the result counts for nothing.
    pub(super) fn on_resolved(
        &mut self,
        said: Option<Result<Arc<ServiceConfig>, String>>,
    ) -> Result<Arc<ServiceConfig>, String> {
        let next = match (said, &self.current) {
            (Some(Ok(config)), _) => config,
            (None, _) => Arc::clone(&self.own),
            (Some(Err(mistakes)), Some(current)) => {
                log(LogLevel::Warn, Room::Channel, || {
                    let name = &self.config.name;
                    format!("{name}: the resolver's service config cannot be used, the one before stays: {mistakes}")
                });
                Arc::clone(current)
            }
            (Some(Err(mistakes)), None) => return Err(format!("its service config cannot be used: {mistakes}")),
        };
        self.current = Some(Arc::clone(&next));
        Ok(next)
    }

    /// The channel starts from nothing again.
    pub(super) fn on_went_idle(&mut self) {
        self.current = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::options::ChannelOptions;
    use crate::resolver::schemes::Schemes;
    use crate::transport::credentials::Credentials;

    fn configuring(own: Option<&str>) -> Configuring {
        let mut options = ChannelOptions::new();
        options.set("grpc.service_config_disable_resolution", false).expect("known");
        if let Some(own) = own {
            options.set("grpc.service_config", own).expect("text");
        }
        let config =
            ChannelConfig::new("name:1", &Credentials::insecure(), &options, &Schemes::default()).expect("valid");
        Configuring::new(&Arc::new(config)).expect("it listens")
    }

    /// A config that is known by its health check's name.
    fn named(name: &str) -> String {
        format!(r#"{{"healthCheckConfig": {{"serviceName": "{name}"}}}}"#)
    }

    fn parsed(text: &str) -> Option<Result<Arc<ServiceConfig>, String>> {
        Some(ServiceConfig::parse(text).map(Arc::new).map_err(|mistakes| mistakes.to_string()))
    }

    /// The name of the config that holds, "" for one that sets nothing.
    fn holds(configuring: &mut Configuring, said: Option<&str>) -> Result<String, String> {
        let config = configuring.on_resolved(said.and_then(parsed))?;
        Ok(config.health_check_service.clone().unwrap_or_default())
    }

    /// [SVC-3], [SVC-4], [INV-2], [INV-3]
    #[test]
    fn the_resolvers_config_holds_else_the_applications_and_a_wrong_one_changes_nothing() {
        let (own, one, two) = (named("own"), named("one"), named("two"));
        for (own, default) in [(Some(own.as_str()), "own"), (None, "")] {
            let mut configuring = configuring(own);
            for (said, name) in [
                (None, default),
                (Some("[]"), default),
                (Some(one.as_str()), "one"),
                (Some("{\"methodConfig\": 5}"), "one"),
                (Some("{}"), ""),
                (Some("no JSON"), ""),
                (Some(two.as_str()), "two"),
                (None, default),
            ] {
                assert_eq!(holds(&mut configuring, said), Ok(name.to_owned()), "{said:?}");
            }
        }
    }

    /// [SVC-3], [INV-4]
    #[test]
    fn a_wrong_config_is_a_failure_to_resolve_where_none_held_before() {
        let mut configuring = configuring(Some(&named("own")));
        let refused = holds(&mut configuring, Some(r#"{"methodConfig": 5}"#)).expect_err("wrong");
        assert_eq!(refused, "its service config cannot be used: methodConfig: 5 is not a list");
        assert_eq!(holds(&mut configuring, Some("{}")), Ok(String::new()));
        configuring.on_went_idle();
        assert!(holds(&mut configuring, Some(r#"{"methodConfig": 5}"#)).is_err(), "nothing is known after a rest");
    }
}
