use proptest::prelude::*;

use super::*;

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
