//! The rules of a channel's circuit breakers, as the option `linkspan.breaker` writes them: JSON, read with the care of a service config.

use super::fields::{self, Mistakes, Object};
use crate::policy::balancer::breaker::BreakerOptions;

const FIELDS: &[&str] =
    &["consecutiveFailures", "failureRatio", "minimumRequests", "window", "openTime", "halfOpenProbes"];

/// What is not set has its default. A field that is not known is a mistake: the text is ours, so nobody newer wrote it.
///
/// # Errors
/// Every mistake in the text, with the field it is in.
pub(crate) fn parse(text: &str) -> Result<BreakerOptions, Mistakes> {
    fields::read_text(text, |whole| read(&whole.object()?))
}

fn read(object: &Object<'_>) -> Option<BreakerOptions> {
    object.refuse_others(FIELDS);
    let default = BreakerOptions::default();
    let number =
        |name, default, least| object.field(name).map_or(Some(default), |field| field.unsigned(least..=1_000_000));
    let duration = |name, default| object.field(name).map_or(Some(default), |field| field.positive_duration());
    let consecutive = number("consecutiveFailures", default.consecutive_failures.unwrap_or(0), 0);
    let ratio = object.field("failureRatio").map_or(Some(default.failure_ratio), |field| {
        let ratio = field.positive()?;
        if ratio > 1.0 { field.mistake(format!("{} is more than 1", field.shown())) } else { Some(ratio) }
    });
    let (requests, probes) =
        (number("minimumRequests", default.minimum_requests, 1), number("halfOpenProbes", default.half_open_probes, 1));
    let (window, open_time) = (duration("window", default.window), duration("openTime", default.open_time));
    Some(BreakerOptions {
        consecutive_failures: consecutive.map(|most| Some(most).filter(|most| *most > 0))?,
        failure_ratio: ratio?,
        minimum_requests: requests?,
        window: window?,
        open_time: open_time?,
        half_open_probes: probes?,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_not_set_has_its_default_and_no_consecutive_failures_are_any_number() {
        assert_eq!(parse("{}"), Ok(BreakerOptions::default()));
        let text = r#"{"consecutiveFailures": 0, "failureRatio": 1, "minimumRequests": 1, "window": "60s", "openTime": "0.5s", "halfOpenProbes": 3}"#;
        let wanted = BreakerOptions {
            consecutive_failures: None,
            failure_ratio: 1.0,
            minimum_requests: 1,
            window: Duration::from_secs(60),
            open_time: Duration::from_millis(500),
            half_open_probes: 3,
        };
        assert_eq!(parse(text), Ok(wanted));
    }

    #[test]
    fn mistakes_are_told_with_their_fields() {
        let known = FIELDS.join(", ");
        let table = [
            ("[]", "the config: a list is not an object".to_owned()),
            ("{", "the text is not JSON: EOF while parsing an object at line 1 column 1".to_owned()),
            ("", "the text is empty; a config without settings is {}".to_owned()),
            (
                r#"{"consecutiveFailures": -1}"#,
                "consecutiveFailures: -1 is not a whole number from 0 to 1000000".to_owned(),
            ),
            (r#"{"failureRatio": 1.5}"#, "failureRatio: 1.5 is more than 1".to_owned()),
            (r#"{"failureRatio": 0}"#, "failureRatio: 0 is not a number above 0".to_owned()),
            (r#"{"minimumRequests": 0}"#, "minimumRequests: 0 is not a whole number from 1 to 1000000".to_owned()),
            (r#"{"window": "0s"}"#, "window: it must be longer than 0s".to_owned()),
            (r#"{"openTime": 5}"#, "openTime: 5 is not a string such as \"1.5s\"".to_owned()),
            (r#"{"halfOpenProbes": 0}"#, "halfOpenProbes: 0 is not a whole number from 1 to 1000000".to_owned()),
            (r#"{"opentime": "5s"}"#, format!("opentime: it is not known; known are {known}")),
        ];
        for (text, told) in table {
            assert_eq!(parse(text).expect_err(text).to_string(), told, "{text}");
        }
    }
}
