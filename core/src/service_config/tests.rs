use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::{Index, subsequence};
use serde_json::{Value, json};

use super::*;
use crate::policy::retry::{Attempts, RetryPolicy};
use crate::status::Code;

fn mistakes(text: &str) -> String {
    ServiceConfig::parse(text).expect_err(text).to_string()
}

/// [SC-01], [SC-02], [SC-03]
#[test]
fn a_config_without_settings_sets_nothing() {
    let nulls = r#"{"loadBalancingPolicy": null, "loadBalancingConfig": null, "methodConfig": null, "retryThrottling": null,
                    "healthCheckConfig": null, "connectionScaling": null}"#;
    for text in ["{}", nulls, r#"{"unknown": [5], "methodconfig": 5}"#] {
        let config = ServiceConfig::parse(text).expect(text);
        assert!(config.balancing.is_none() && config.methods.of("/S/M").is_none() && config.retry_throttling.is_none());
        assert!(config.health_check_service.is_none() && config.max_connections_per_subchannel.is_none());
    }
}

#[test]
fn the_fields_of_the_whole_config_are_read() {
    let config = ServiceConfig::parse(
        r#"{"loadBalancingConfig": [{"round_robin": {}}], "methodConfig": [{"name": [{}]}],
            "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
            "healthCheckConfig": {"serviceName": ""}, "connectionScaling": {"maxConnectionsPerSubchannel": 50}}"#,
    );
    let config = config.expect("valid");
    assert_eq!(config.balancing.as_deref(), Some(&BalancingConfig::RoundRobin));
    assert!(config.methods.of("/S/M").is_some() && config.retry_throttling.is_some());
    assert_eq!(config.health_check_service.as_deref(), Some(""));
    assert_eq!(config.max_connections_per_subchannel, Some(50));
}

#[test]
fn an_empty_health_check_or_scaling_asks_for_nothing() {
    let config = ServiceConfig::parse(r#"{"healthCheckConfig": {}, "connectionScaling": {}}"#).expect("valid");
    assert_eq!((config.health_check_service, config.max_connections_per_subchannel), (None, None));
}

/// [SC-02], [SC-08], [SVC-2]
#[test]
fn every_mistake_of_a_config_is_told_at_once() {
    let text = r#"{
        "loadBalancingConfig": [{"no_such": {}}],
        "methodConfig": [
            {"name": [{"service": "S"}], "timeout": "5", "waitForReady": "yes"},
            {"name": [{"service": "S"}], "maxRequestMessageBytes": -1, "maxResponseMessageBytes": "8"},
            7
        ],
        "retryThrottling": {"maxTokens": 0},
        "healthCheckConfig": {"serviceName": 5},
        "connectionScaling": {"maxConnectionsPerSubchannel": 0}
    }"#;
    let wanted = [
        "11 mistakes",
        "loadBalancingConfig: it names \"no_such\", none of which is known; it may name \"pick_first\", \"round_robin\", \"weighted_round_robin\", \"least_request\", \"ring_hash\", \"random_subsetting\" or \"outlier_detection\"",
        "methodConfig[2]: 7 is not an object",
        "methodConfig[0].waitForReady: \"yes\" is not true or false",
        "methodConfig[0].timeout: \"5\" has no \"s\"; write for example \"5s\"",
        "methodConfig[1].maxRequestMessageBytes: -1 is not a whole number from 0 to 4294967295",
        "methodConfig[1].maxResponseMessageBytes: \"8\" is not a whole number from 0 to 4294967295",
        "methodConfig[1].name[0]: it names the same as methodConfig[0].name[0]",
        "retryThrottling.maxTokens: 0 is not a whole number from 1 to 1000",
        "retryThrottling.tokenRatio: it is missing",
        "healthCheckConfig.serviceName: 5 is not a string",
        "connectionScaling.maxConnectionsPerSubchannel: 0 is not a whole number from 1 to 4294967295",
    ];
    let mut found: Vec<String> = mistakes(text).split("\n  ").map(str::to_owned).collect();
    let mut wanted = wanted.map(str::to_owned).to_vec();
    // The order is not specified.
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
}

/// JSON that has the names of a config in any place, so that every reader meets every kind of value.
fn json() -> impl Strategy<Value = String> {
    const NAMES: &str = "
        loadBalancingPolicy loadBalancingConfig pick_first shuffleAddressList round_robin methodConfig name
        service method waitForReady timeout maxRequestMessageBytes retryPolicy maxAttempts initialBackoff
        maxBackoff backoffMultiplier retryableStatusCodes hedgingPolicy hedgingDelay nonFatalStatusCodes
        retryThrottling maxTokens tokenRatio healthCheckConfig serviceName connectionScaling
        maxConnectionsPerSubchannel \\u0000ü
    ";

    let names: Vec<&str> = NAMES.split_whitespace().collect();
    let name = || proptest::sample::select(names.clone());
    let value = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|value| value.to_string()),
        any::<i64>().prop_map(|value| value.to_string()),
        (0_u32..20).prop_map(|value| value.to_string()),
        (-1e300..1e300).prop_map(|value: f64| format!("{value:e}")),
        "[-+.0-9eSs]{0,12}".prop_map(|text| format!("\"{text}\"")),
        name().prop_map(|name| format!("\"{name}\"")),
        Just("\"unavailable\"".to_owned()),
    ];
    let name = name();
    value.prop_recursive(6, 96, 6, move |inner| {
        let field = (name.clone(), inner.clone()).prop_map(|(name, value)| format!("\"{name}\": {value}"));
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(|values| format!("[{}]", values.join(","))),
            proptest::collection::vec(field, 0..6).prop_map(|fields| format!("{{{}}}", fields.join(","))),
        ]
    })
}

proptest! {
    /// Reading ends with a config or with words, whatever the text.
    #[test]
    fn no_text_panics(text in prop_oneof![any::<String>(), json(), "[\\[\\]{}\",:a-z0-9.]{0,60}"]) {
        match ServiceConfig::parse(&text) {
            Ok(config) => drop(config.methods.of(&text)),
            Err(mistakes) => prop_assert!(!mistakes.to_string().is_empty()),
        }
    }

    /// A value of any kind in any known field of the whole config is read or told with its path.
    #[test]
    fn a_field_with_any_value_is_read_or_named(
        name in proptest::sample::select(&["loadBalancingConfig", "loadBalancingPolicy", "methodConfig", "retryThrottling"][..]),
        value in json(),
    ) {
        if let Err(mistakes) = ServiceConfig::parse(&format!("{{\"{name}\": {value}}}")) {
            let told = mistakes.to_string();
            let told = told.split_once("mistakes\n  ").map_or(told.as_str(), |(_, lines)| lines);
            for line in told.split("\n  ") {
                prop_assert!(line.starts_with(name), "{line}");
            }
        }
    }
}

/// A config with all that methods may have, as it must be read.
#[derive(Debug)]
struct Said {
    wait_for_ready: Option<bool>,
    timeout: Option<Duration>,
    sizes: [Option<u32>; 2],
    max_attempts: u32,
    backoffs: [Duration; 2],
    multiplier: f64,
    retryable: Vec<Code>,
    max_tokens: u32,
    milli_token_ratio: u32,
    connections: u32,
}

fn said() -> impl Strategy<Value = Said> {
    let duration =
        || (0_u64..315_576_000_000, 1_u32..1_000_000_000).prop_map(|(seconds, rest)| Duration::new(seconds, rest));
    let size = || proptest::option::of(any::<u32>());
    let of_method = (proptest::option::of(any::<bool>()), proptest::option::of(duration()), size(), size());
    // Few enough digits to be the same number in decimals.
    let multiplier = (1_u32..8_000).prop_map(|eighths| f64::from(eighths) / 8.0);
    let retry = (2_u32.., duration(), duration(), multiplier, subsequence(&Code::ALL[..], 1..17));
    (of_method, retry, 1_u32..=1_000, 1_u32..1_000_000, 1_u32..).prop_map(
        |(of_method, retry, max_tokens, milli_token_ratio, connections)| Said {
            wait_for_ready: of_method.0,
            timeout: of_method.1,
            sizes: [of_method.2, of_method.3],
            max_attempts: retry.0,
            backoffs: [retry.1, retry.2],
            multiplier: retry.3,
            retryable: retry.4,
            max_tokens,
            milli_token_ratio,
            connections,
        },
    )
}

impl Said {
    /// Codes with even numbers by their numbers, the others by their names.
    fn written(&self) -> Value {
        let duration = |length: Duration| format!("{}.{:09}s", length.as_secs(), length.subsec_nanos());
        let code = |code: &Code| if code.number() % 2 == 0 { json!(code.number()) } else { json!(code.name()) };
        json!({
            "loadBalancingConfig": [{"no_such": {}}, {"round_robin": {}}],
            "methodConfig": [{
                "name": [{"service": "S", "method": "M"}],
                "waitForReady": self.wait_for_ready,
                "timeout": self.timeout.map(duration),
                "maxRequestMessageBytes": self.sizes[0],
                "maxResponseMessageBytes": self.sizes[1],
                "retryPolicy": {
                    "maxAttempts": self.max_attempts,
                    "initialBackoff": duration(self.backoffs[0]),
                    "maxBackoff": duration(self.backoffs[1]),
                    "backoffMultiplier": self.multiplier,
                    "retryableStatusCodes": self.retryable.iter().map(code).collect::<Vec<_>>(),
                },
            }],
            "retryThrottling": {"maxTokens": self.max_tokens, "tokenRatio": f64::from(self.milli_token_ratio) / 1e3},
            "healthCheckConfig": {"serviceName": "S"},
            "connectionScaling": {"maxConnectionsPerSubchannel": self.connections},
        })
    }
}

/// The places of all values in a value, as JSON pointers (RFC 6901).
fn places(value: &Value, place: &str) -> Vec<String> {
    let inside: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(values) => values.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    let inside = inside.into_iter().flat_map(|(name, value)| places(value, &format!("{place}/{name}")));
    std::iter::once(place.to_owned()).chain(inside).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// [SC-04] to [SC-06], [SC-30], [RPOL-10] to [RPOL-13], [THR-10], [THR-11]
    #[test]
    fn a_valid_config_is_read_as_it_says(said in said()) {
        let config = ServiceConfig::parse(&said.written().to_string()).expect("valid");
        prop_assert_eq!(config.balancing.as_deref(), Some(&BalancingConfig::RoundRobin));
        prop_assert_eq!(config.health_check_service.as_deref(), Some("S"));
        prop_assert_eq!(config.max_connections_per_subchannel, Some(said.connections));
        let throttling = RetryThrottling { max_milli_tokens: said.max_tokens * 1_000, milli_token_ratio: said.milli_token_ratio };
        prop_assert_eq!(config.retry_throttling, Some(throttling));

        prop_assert!(config.methods.of("/S/Other").is_none());
        let method = config.methods.of("/S/M").expect("named");
        prop_assert_eq!((method.wait_for_ready, method.timeout), (said.wait_for_ready, said.timeout));
        prop_assert_eq!([method.max_request_bytes, method.max_response_bytes], said.sizes.map(|size| size.map(u64::from)));
        let Some(Attempts::Retry(RetryPolicy { max_attempts, initial_backoff, max_backoff, backoff_multiplier, retryable })) = &method.attempts else {
            panic!("no retry policy");
        };
        prop_assert_eq!((*max_attempts, *backoff_multiplier), (said.max_attempts, said.multiplier));
        prop_assert_eq!([*initial_backoff, *max_backoff], said.backoffs);
        for code in Code::ALL {
            prop_assert_eq!(retryable.contains(code), said.retryable.contains(&code), "{}", code);
        }
    }

    /// [SC-08]
    #[test]
    fn a_config_in_which_some_values_are_others_is_read_or_told_with_the_places(said in said(), changes in proptest::collection::vec((any::<Index>(), json()), 1..4)) {
        let mut config = said.written();
        for (at, value) in changes {
            let places = places(&config, "");
            let value = serde_json::from_str(&value).unwrap_or(Value::Null);
            *config.pointer_mut(&places[at.index(places.len())]).expect("there") = value;
        }
        crate::fuzzing::service_config(config.to_string().as_bytes());
    }

    #[test]
    fn a_text_in_which_some_characters_are_others_is_read_or_told_to_be_wrong(said in said(), changes in proptest::collection::vec((any::<Index>(), any::<char>()), 1..4)) {
        let mut text: Vec<char> = said.written().to_string().chars().collect();
        for (at, character) in changes {
            let at = at.index(text.len());
            text[at] = character;
        }
        crate::fuzzing::service_config(String::from_iter(text).as_bytes());
    }
}
