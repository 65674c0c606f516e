//! How a method's calls may be sent more than once, and the tokens that bound that, read from a config's text (A6).

use super::fields::{Field, NumberOrText, Object};
use crate::policy::retry::codes::StatusCodes;
use crate::policy::retry::{Attempts, HedgingPolicy, RetryPolicy, RetryThrottling};
use crate::status::Code;

pub(super) fn read(method_config: &Object<'_>) -> Option<Attempts> {
    let object = |name: &str| method_config.field(name).map(|field| field.object());
    let (retry, hedge) = (object("retryPolicy"), object("hedgingPolicy"));
    if retry.is_some() && hedge.is_some() {
        method_config.mistake::<()>("it has both a retryPolicy and a hedgingPolicy; it may have one");
    }
    let retry = retry.flatten().and_then(|object| read_retry(&object)).map(Attempts::Retry);
    let hedge = hedge.flatten().and_then(|object| read_hedging(&object)).map(Attempts::Hedge);
    retry.or(hedge)
}

pub(super) fn read_throttling(object: &Object<'_>) -> Option<RetryThrottling> {
    let max_tokens = object.required("maxTokens").and_then(|field| field.unsigned(1..=1_000));
    let ratio = object.required("tokenRatio").and_then(|field| milli_tokens(&field));
    Some(RetryThrottling { max_milli_tokens: max_tokens? * 1_000, milli_token_ratio: ratio? })
}

fn read_retry(object: &Object<'_>) -> Option<RetryPolicy> {
    let duration = |name: &str| object.required(name).and_then(|field| field.positive_duration());
    // All are read before any is missed, so that all mistakes are found.
    let (max_attempts, initial_backoff, max_backoff) =
        (max_attempts(object), duration("initialBackoff"), duration("maxBackoff"));
    let multiplier = object.required("backoffMultiplier").and_then(|field| field.positive());
    let retryable = object.required("retryableStatusCodes").and_then(|field| {
        let codes = codes(&field)?;
        if codes.is_empty() { field.mistake("it must name at least one code") } else { Some(codes) }
    });
    Some(RetryPolicy {
        max_attempts: max_attempts?,
        initial_backoff: initial_backoff?,
        max_backoff: max_backoff?,
        backoff_multiplier: multiplier?,
        retryable: retryable?,
    })
}

fn read_hedging(object: &Object<'_>) -> Option<HedgingPolicy> {
    let max_attempts = max_attempts(object);
    let delay = object.field("hedgingDelay").and_then(|field| field.duration());
    let non_fatal = object.field("nonFatalStatusCodes").and_then(|field| codes(&field));
    Some(HedgingPolicy {
        max_attempts: max_attempts?,
        delay: delay.unwrap_or_default(),
        non_fatal: non_fatal.unwrap_or_default(),
    })
}

fn max_attempts(object: &Object<'_>) -> Option<u32> {
    object.required("maxAttempts").and_then(|field| field.unsigned(2..=u32::MAX))
}

/// `None` when anything is wrong: a list of nothing but wrong codes is not told to be empty besides.
fn codes(list: &Field<'_>) -> Option<StatusCodes> {
    // All are read before one is missed.
    let read: Vec<Option<Code>> = list.list()?.iter().map(code).collect();
    read.into_iter().collect()
}

/// A number or a name in any case ([SC-06]).
fn code(field: &Field<'_>) -> Option<Code> {
    const WANTED: &str = "a status code: a number from 0 to 16, or a name such as \"UNAVAILABLE\"";

    let found = match field.number_or_text(WANTED)? {
        NumberOrText::Number(number) => Code::ALL.iter().find(|code| u32::try_from(code.number()) == Ok(number)),
        NumberOrText::Text(name) => Code::ALL.iter().find(|code| code.name().eq_ignore_ascii_case(name)),
    };
    found.copied().or_else(|| field.mistake(format!("{} is not {WANTED}", field.shown())))
}

/// Digits behind the third are dropped ([THR-11]); what nothing is left of would never give a token back.
fn milli_tokens(field: &Field<'_>) -> Option<u32> {
    // A number such as 1.001 lies a little below its thousandths in binary; it must not lose one.
    const ROUNDING: f64 = 1e-6;

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and the largest is enough")]
    let thousandths = (field.positive()? * 1_000.0 + ROUNDING) as u32;
    if thousandths == 0 { field.mistake("it must be at least 0.001") } else { Some(thousandths) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::ServiceConfig;
    use super::*;

    fn read_one(fields: &str) -> Result<Option<Attempts>, String> {
        let text = format!("{{\"methodConfig\": [{{\"name\": [{{}}], {fields}}}]}}");
        let config = ServiceConfig::parse(&text).map_err(|mistakes| mistakes.to_string())?;
        Ok(config.methods.of("/S/M").expect("for all").attempts.clone())
    }

    fn retry(set: &[(&str, &str)]) -> Result<RetryPolicy, String> {
        let fields = [
            ("maxAttempts", "3"),
            ("initialBackoff", "\"0.1s\""),
            ("maxBackoff", "\"0.01s\""),
            ("backoffMultiplier", "0.5"),
            ("retryableStatusCodes", "[\"UNAVAILABLE\"]"),
        ];
        let value = |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
        let fields = fields.map(|(name, default)| format!("{name:?}: {}", value(name).unwrap_or(default)));
        let read = read_one(&format!("\"retryPolicy\": {{{}}}", fields.join(",")))?;
        let Some(Attempts::Retry(policy)) = read else { panic!("no retry policy") };
        Ok(policy)
    }

    fn set_of(codes: &[Code]) -> StatusCodes {
        codes.iter().copied().collect()
    }

    /// [RPOL-10] to [RPOL-13]
    #[test]
    fn a_retry_policy_has_all_its_fields() {
        let wanted = RetryPolicy {
            max_attempts: 3,
            initial_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_millis(10),
            backoff_multiplier: 0.5,
            retryable: set_of(&[Code::Unavailable]),
        };
        assert_eq!(retry(&[]), Ok(wanted));
        assert_eq!(retry(&[("maxAttempts", "100")]).map(|policy| policy.max_attempts), Ok(100));
    }

    /// [RPOL-10] to [RPOL-13]
    #[test]
    fn a_field_of_a_retry_policy_that_is_missing_or_wrong_is_named() {
        for name in ["maxAttempts", "initialBackoff", "maxBackoff", "backoffMultiplier", "retryableStatusCodes"] {
            let place = format!("methodConfig[0].retryPolicy.{name}");
            assert_eq!(retry(&[(name, "null")]), Err(format!("{place}: it is missing")));
            assert!(retry(&[(name, "{}")]).expect_err(name).starts_with(&place));
        }
        for (name, value) in [
            ("maxAttempts", "1"),
            ("maxAttempts", "2.5"),
            ("initialBackoff", "\"0s\""),
            ("maxBackoff", "\"0s\""),
            ("maxBackoff", "1"),
            ("backoffMultiplier", "0"),
            ("backoffMultiplier", "\"2\""),
            ("retryableStatusCodes", "[]"),
            ("retryableStatusCodes", "\"UNAVAILABLE\""),
        ] {
            let told = retry(&[(name, value)]).expect_err(value);
            assert!(told.starts_with(&format!("methodConfig[0].retryPolicy.{name}: ")), "{told}");
        }
        let all = retry(&[("maxAttempts", "0"), ("maxBackoff", "null"), ("retryableStatusCodes", "[99, \"no\"]")]);
        assert!(all.expect_err("four").starts_with("4 mistakes\n"));
    }

    /// [SC-06]
    #[test]
    fn codes_are_numbers_or_names_in_any_case() {
        let codes = |text| retry(&[("retryableStatusCodes", text)]).map(|policy| policy.retryable);
        let wanted = set_of(&[Code::Ok, Code::Cancelled, Code::Unavailable, Code::Unauthenticated]);
        assert_eq!(codes("[0, \"cancelled\", 14.0, \"Unavailable\", 16]"), Ok(wanted));
        assert!(wanted.contains(Code::Unavailable) && !wanted.contains(Code::Internal));
        for wrong in ["17", "-1", "1.5", "\"14\"", "\"NOPE\"", "true", "null", "4294967296"] {
            let list = format!("[8, {wrong}]");
            let told = retry(&[("retryableStatusCodes", &list)]).expect_err(wrong);
            let wanted = "is not a status code: a number from 0 to 16, or a name such as \"UNAVAILABLE\"";
            assert_eq!(told, format!("methodConfig[0].retryPolicy.retryableStatusCodes[1]: {wrong} {wanted}"));
        }
    }

    /// [HEDGE-10] to [HEDGE-12]
    #[test]
    fn a_hedging_policy_needs_its_number_of_attempts_alone() {
        let hedge = |fields: &str| read_one(&format!("\"hedgingPolicy\": {{{fields}}}"));
        let of = |delay, codes: &[Code]| {
            let policy = HedgingPolicy { max_attempts: 2, delay, non_fatal: set_of(codes) };
            Ok(Some(Attempts::Hedge(policy)))
        };
        assert_eq!(hedge("\"maxAttempts\": 2"), of(Duration::ZERO, &[]));
        let all = "\"maxAttempts\": 2, \"hedgingDelay\": \"0.5s\", \"nonFatalStatusCodes\": [\"INTERNAL\"]";
        assert_eq!(hedge(all), of(Duration::from_millis(500), &[Code::Internal]));
        assert_eq!(hedge(""), Err("methodConfig[0].hedgingPolicy.maxAttempts: it is missing".into()));
        assert!(hedge("\"maxAttempts\": 2, \"hedgingDelay\": \"-1s\"").is_err());
        assert!(hedge("\"maxAttempts\": 2, \"nonFatalStatusCodes\": [17]").is_err());
    }

    /// [SC-07]
    #[test]
    fn both_policies_at_once_are_a_mistake() {
        let told = read_one("\"retryPolicy\": {}, \"hedgingPolicy\": {\"maxAttempts\": 2}").expect_err("both");
        assert!(
            told.contains("methodConfig[0]: it has both a retryPolicy and a hedgingPolicy; it may have one"),
            "{told}"
        );
    }

    /// [THR-10], [THR-11]
    #[test]
    fn throttling_counts_in_thousandths() {
        let read = |tokens: &str, ratio: &str| {
            let text = format!("{{\"retryThrottling\": {{\"maxTokens\": {tokens}, \"tokenRatio\": {ratio}}}}}");
            ServiceConfig::parse(&text).map(|config| config.retry_throttling).map_err(|mistakes| mistakes.to_string())
        };
        for (ratio, thousandths) in [("0.5466", 546), ("0.1", 100), ("1.001", 1_001), ("3", 3_000), ("1e300", u32::MAX)]
        {
            let wanted = RetryThrottling { max_milli_tokens: 10_000, milli_token_ratio: thousandths };
            assert_eq!(read("10", ratio), Ok(Some(wanted)), "{ratio}");
        }
        assert!(read("1", "1").is_ok() && read("1000", "1").is_ok());
        for (tokens, ratio) in [("0", "1"), ("1001", "1"), ("1.5", "1"), ("null", "1")] {
            assert!(read(tokens, ratio).expect_err(tokens).starts_with("retryThrottling.maxTokens: "));
        }
        for ratio in ["0", "-1", "0.0009", "\"1\"", "null"] {
            assert!(read("10", ratio).expect_err(ratio).starts_with("retryThrottling.tokenRatio: "));
        }
    }
}
