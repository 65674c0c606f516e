//! The service config that DNS has for a name (A2), asked for beside its addresses.

use std::sync::Arc;
use std::time::Duration;

use super::{NameRules, txt};
use crate::observe::log::{LogLevel, Room, log};
use crate::runtime::{Driver, TextAnswer, sleep_until};
use crate::service_config::ServiceConfig;
use crate::service_config::choices::Client;

/// What DNS says of a name's service config.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// `None` where it says nothing, or was not asked.
    pub(super) service_config: Option<Result<Arc<ServiceConfig>, String>>,
    /// How long that is good; `None` where that is not told.
    pub(super) valid_for: Option<Duration>,
}

/// Asks, if the rules want that. A look-up that fails has found nothing ([NAME-58]).
pub(super) async fn look_up<D: Driver>(driver: &D, host: &str, rules: NameRules) -> Found {
    let Some(languages) = rules.config_for else { return Found::default() };
    let Some(name) = txt::name(host) else { return Found::default() };
    let until = rules.timeout.map(|limit| driver.now() + limit);
    let answer = tokio::select! {
        biased;
        answer = driver.resolve_texts(&name, rules.source) => answer.map_err(|cause| cause.to_string()),
        () = sleep_until(driver, until) => Err("no answer in time".to_owned()),
    };
    let TextAnswer { records, valid_for } = answer.unwrap_or_else(|cause| {
        log(LogLevel::Info, Room::DnsResolver, || format!("{name}: no service config, the look-up failed: {cause}"));
        TextAnswer::default()
    });
    if records.is_empty() {
        return Found { service_config: None, valid_for };
    }
    let hostname = driver.hostname();
    // [TXT-5]: drawn anew each time.
    let client = Client { languages, hostname: &hostname, unit: driver.random_unit() };
    Found { service_config: txt::service_config(records, &client), valid_for }
}
