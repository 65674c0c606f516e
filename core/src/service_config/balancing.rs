//! Which balancing policies there are, their settings, and which of them a service config chooses (A24).

use std::time::Duration;

use super::fields::{self, Field, Object};
use crate::metadata::{check_key, is_binary};
use crate::policy::balancer::config::BalancingConfig;
use crate::policy::balancer::least_request::LeastRequestConfig;
use crate::policy::balancer::outlier_detection::{FailurePercentageEjection, OutlierOptions, SuccessRateEjection};
use crate::policy::balancer::pick_first::PickFirstConfig;
use crate::policy::balancer::random_subsetting::RandomSubsettingConfig;
use crate::policy::balancer::ring_hash::{RingHashConfig, RingSizes};
use crate::policy::balancer::weighted_round_robin::{MetricName, WeightedRoundRobinConfig};

/// Makes a policy's settings of a JSON object.
type Reader = fn(&Object<'_>) -> Option<BalancingConfig>;

/// The policies by their names, without `_experimental`. A new one is a line here and a variant of [`BalancingConfig`].
const POLICIES: &[(&str, Reader)] = &[
    ("pick_first", pick_first),
    ("round_robin", |_| Some(BalancingConfig::RoundRobin)),
    ("weighted_round_robin", weighted_round_robin),
    ("least_request", least_request),
    ("ring_hash", ring_hash),
    ("random_subsetting", random_subsetting),
    ("outlier_detection", outlier_detection),
];

/// Names that gRPC writes with `_experimental` behind them, and some without ([LB-113]).
const EXPERIMENTAL: &[&str] =
    &["least_request", "outlier_detection", "priority", "random_subsetting", "ring_hash", "rls", "weighted_target"];

/// A policy by its name alone; `None` when there is none, or it cannot do without settings.
pub(crate) fn named(name: &str) -> Option<BalancingConfig> {
    let policy = fields::read_nothing(reader(name)?).ok();
    // As it is without settings, each call fails.
    policy.filter(|policy| *policy != BalancingConfig::RingHash(RingHashConfig::default()))
}

/// The names that [`named`] knows, to be told to people.
pub(crate) fn names() -> String {
    listed(|name| named(name).is_some())
}

/// The names for which this is so, in words.
fn listed(is_meant: impl Fn(&str) -> bool) -> String {
    let names = POLICIES.iter().map(|(name, _)| *name).filter(|name| is_meant(name));
    let quoted: Vec<String> = names.map(|name| format!("{name:?}")).collect();
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => quoted.concat(),
    }
}

/// What the config says: `loadBalancingConfig`, else the older `loadBalancingPolicy` ([SC-33]).
pub(super) fn read(config: &Object<'_>) -> Option<BalancingConfig> {
    if let Some(list) = config.field("loadBalancingConfig") {
        return read_list(&list);
    }
    let name = config.field("loadBalancingPolicy")?;
    let text = name.text()?;
    named(&text.to_ascii_lowercase())
        .or_else(|| name.mistake(format!("{} is not known; it may be {}", name.shown(), names())))
}

/// The first policy of the list that is known, and only it, is looked at ([SC-30] to [SC-32]).
fn read_list(list: &Field<'_>) -> Option<BalancingConfig> {
    let mut passed_over = Vec::new();
    for element in list.list()? {
        let (name, settings) = element.object()?.only_field()?;
        match reader(name) {
            Some(read) => return read(&settings.object()?),
            None => passed_over.push(format!("{name:?}")),
        }
    }
    let found = if passed_over.is_empty() {
        "no policy".to_owned()
    } else {
        format!("{}, none of which is known", passed_over.join(", "))
    };
    list.mistake(format!("it names {found}; it may name {}", listed(|_| true)))
}

fn reader(name: &str) -> Option<Reader> {
    let name = plain(name);
    POLICIES.iter().find(|(known, _)| *known == name).map(|(_, read)| *read)
}

/// The name as it stands in the list of policies.
fn plain(name: &str) -> &str {
    name.strip_suffix("_experimental").filter(|plain| EXPERIMENTAL.contains(plain)).unwrap_or(name)
}

fn pick_first(object: &Object<'_>) -> Option<BalancingConfig> {
    let shuffle = object.field("shuffleAddressList").map_or(Some(false), |field| field.boolean());
    Some(BalancingConfig::PickFirst(PickFirstConfig { shuffle_address_list: shuffle? }))
}

/// A58's fields, defaults and limits, and A114's names of metrics: those that are not known are passed over, as a report without them is.
fn weighted_round_robin(object: &Object<'_>) -> Option<BalancingConfig> {
    const LEAST_UPDATE_PERIOD: Duration = Duration::from_millis(100);

    let default = WeightedRoundRobinConfig::default();
    let duration = |name, default| object.field(name).map_or(Some(default), |field| field.duration());
    let blackout_period = duration("blackoutPeriod", default.blackout_period);
    let weight_expiration_period = duration("weightExpirationPeriod", default.weight_expiration_period);
    let weight_update_period = duration("weightUpdatePeriod", default.weight_update_period);
    // Of reports beside calls, which are not there yet ([LB-50]); checked all the same.
    let oob_reporting_period = duration("oobReportingPeriod", Duration::ZERO);
    let enable_oob_load_report = object.field("enableOobLoadReport").map_or(Some(false), |field| field.boolean());
    let error_utilization_penalty = object
        .field("errorUtilizationPenalty")
        .map_or(Some(default.error_utilization_penalty), |field| field.not_negative());
    let metric_names = object.field("metricNamesForComputingUtilization").map_or(Some(Box::default()), metric_names);
    oob_reporting_period?;
    Some(BalancingConfig::WeightedRoundRobin(WeightedRoundRobinConfig {
        blackout_period: blackout_period?,
        weight_expiration_period: weight_expiration_period?,
        weight_update_period: weight_update_period?.max(LEAST_UPDATE_PERIOD),
        error_utilization_penalty: error_utilization_penalty?,
        metric_names: metric_names?,
        enable_oob_load_report: enable_oob_load_report?,
    }))
}

fn metric_names(list: Field<'_>) -> Option<Box<[MetricName]>> {
    // Every element is looked at, so that each mistake is told.
    let names: Vec<Option<&str>> = list.list()?.iter().map(Field::text).collect();
    let names: Vec<&str> = names.into_iter().collect::<Option<_>>()?;
    Some(names.into_iter().filter_map(MetricName::of).collect())
}

/// [LB-55]
fn least_request(object: &Object<'_>) -> Option<BalancingConfig> {
    let default = LeastRequestConfig::default().choice_count;
    let choices = object.field("choiceCount").map_or(Some(default), |field| field.unsigned(2..=u32::MAX));
    Some(BalancingConfig::LeastRequest(LeastRequestConfig { choice_count: choices? }))
}

/// A42's and A76's fields, defaults and limits.
fn ring_hash(object: &Object<'_>) -> Option<BalancingConfig> {
    const MOST: u32 = 8_388_608;
    let default = RingHashConfig::default().sizes;
    // Nothing is 0 here, as in protobuf.
    let size = |name, default| number(object, name, 0, MOST).map(|size| if size == 0 { default } else { size });
    let (min, max) = (size("minRingSize", default.min), size("maxRingSize", default.max));
    let header = object.field("requestHashHeader").map_or(Some(None), |field| request_hash_header(&field));
    let sizes = RingSizes { min: min?, max: max? };
    if sizes.min > sizes.max {
        let RingSizes { min, max } = sizes;
        return object.mistake(format!("maxRingSize, {max}, must not be less than minRingSize, {min}"));
    }
    Some(BalancingConfig::RingHash(RingHashConfig { sizes, request_hash_header: header? }))
}

/// [LB-63]; an empty one is none.
fn request_hash_header(field: &Field<'_>) -> Option<Option<String>> {
    let name = field.text()?.to_ascii_lowercase();
    if name.is_empty() {
        return Some(None);
    }
    if let Err(refused) = check_key(&name) {
        return field.mistake(refused.message());
    }
    if is_binary(&name) {
        return field.mistake(format!("{} has bytes as values; name a header whose values are text", field.shown()));
    }
    Some(Some(name))
}

/// [LB-110]
fn random_subsetting(object: &Object<'_>) -> Option<BalancingConfig> {
    let child = object.required("childPolicy").and_then(|list| read_list(&list));
    let subset_size = object.required("subsetSize").and_then(|field| field.unsigned(1..=u32::MAX));
    let config = RandomSubsettingConfig { subset_size: subset_size? };
    Some(BalancingConfig::RandomSubsetting(config, Box::new(child?)))
}

/// A50's fields, defaults and limits.
fn outlier_detection(object: &Object<'_>) -> Option<BalancingConfig> {
    let child = object.required("childPolicy").and_then(|list| read_list(&list));
    let default = OutlierOptions::default();
    let duration = |name, default| object.field(name).map_or(Some(default), |field| field.duration());
    let base_ejection_time = duration("baseEjectionTime", default.base_ejection_time);
    let longest = default.max_ejection_time.max(base_ejection_time.unwrap_or_default());
    let (interval, max_ejection_time) = (duration("interval", default.interval), duration("maxEjectionTime", longest));
    let max_ejection_percent = number(object, "maxEjectionPercent", default.max_ejection_percent, 100);
    // One that is there and wrong is a mistake, and one that is not there is off.
    let success_rate = object.field("successRateEjection").map(|field| success_rate(&field.object()?));
    let failure_percentage =
        object.field("failurePercentageEjection").map(|field| failure_percentage(&field.object()?));
    let options = OutlierOptions {
        interval: interval?,
        base_ejection_time: base_ejection_time?,
        max_ejection_time: max_ejection_time?,
        max_ejection_percent: max_ejection_percent?,
        success_rate: success_rate.flatten(),
        failure_percentage: failure_percentage.flatten(),
    };
    Some(BalancingConfig::OutlierDetection(options, Box::new(child?)))
}

fn success_rate(object: &Object<'_>) -> Option<SuccessRateEjection> {
    let default = SuccessRateEjection::default();
    let stdev_factor = number(object, "stdevFactor", default.stdev_factor, u32::MAX);
    let enforcement_percentage = number(object, "enforcementPercentage", default.enforcement_percentage, 100);
    let minimum_hosts = number(object, "minimumHosts", default.minimum_hosts, u32::MAX);
    let request_volume = number(object, "requestVolume", default.request_volume, u32::MAX);
    Some(SuccessRateEjection {
        stdev_factor: stdev_factor?,
        enforcement_percentage: enforcement_percentage?,
        minimum_hosts: minimum_hosts?,
        request_volume: request_volume?,
    })
}

fn failure_percentage(object: &Object<'_>) -> Option<FailurePercentageEjection> {
    let default = FailurePercentageEjection::default();
    let threshold = number(object, "threshold", default.threshold, 100);
    let enforcement_percentage = number(object, "enforcementPercentage", default.enforcement_percentage, 100);
    let minimum_hosts = number(object, "minimumHosts", default.minimum_hosts, u32::MAX);
    let request_volume = number(object, "requestVolume", default.request_volume, u32::MAX);
    Some(FailurePercentageEjection {
        threshold: threshold?,
        enforcement_percentage: enforcement_percentage?,
        minimum_hosts: minimum_hosts?,
        request_volume: request_volume?,
    })
}

fn number(object: &Object<'_>, name: &str, default: u32, most: u32) -> Option<u32> {
    object.field(name).map_or(Some(default), |field| field.unsigned(0..=most))
}

#[cfg(test)]
mod tests {
    use super::super::ServiceConfig;
    use super::*;

    const PICK_FIRST: BalancingConfig = BalancingConfig::PickFirst(PickFirstConfig { shuffle_address_list: false });
    const SHUFFLED: BalancingConfig = BalancingConfig::PickFirst(PickFirstConfig { shuffle_address_list: true });

    fn least_request_of(choice_count: u32) -> BalancingConfig {
        BalancingConfig::LeastRequest(LeastRequestConfig { choice_count })
    }

    fn chosen(fields: &str) -> Result<Option<BalancingConfig>, String> {
        let config = ServiceConfig::parse(&format!("{{{fields}}}"));
        config.map(|config| config.balancing.as_deref().cloned()).map_err(|mistakes| mistakes.to_string())
    }

    fn chosen_of(list: &str) -> Result<Option<BalancingConfig>, String> {
        chosen(&format!("\"loadBalancingConfig\": {list}"))
    }

    /// [SC-31], [LB-1]
    #[test]
    fn the_first_known_policy_is_taken_and_no_other_entry_is_looked_at() {
        let table = [
            (r#"[{"round_robin": {}}]"#, BalancingConfig::RoundRobin),
            (r#"[{"grpclb": 5}, {"no_such": {}}, {"round_robin": {"unknown": 1}}, 6]"#, BalancingConfig::RoundRobin),
            (r#"[{"pick_first": {}}, {"round_robin": {}}]"#, PICK_FIRST),
            (r#"[{"pick_first": {"shuffleAddressList": null}}]"#, PICK_FIRST),
            (r#"[{"pick_first": {"shuffleAddressList": true}}]"#, SHUFFLED),
            (r#"[{"least_request_experimental": {}}]"#, least_request_of(2)),
            (r#"[{"least_request": {"choiceCount": 11.0}}]"#, least_request_of(11)),
        ];
        for (list, wanted) in table {
            assert_eq!(chosen_of(list), Ok(Some(wanted)), "{list}");
        }
    }

    /// [SC-30] to [SC-32], [LB-1], [LB-6]
    #[test]
    fn a_wrong_entry_or_a_list_without_a_known_policy_is_a_mistake() {
        let table = [
            ("{}", ": an object is not a list"),
            (
                "[]",
                ": it names no policy; it may name \"pick_first\", \"round_robin\", \"weighted_round_robin\", \"least_request\", \"ring_hash\", \"random_subsetting\" or \"outlier_detection\"",
            ),
            (
                r#"[{"a": {}}, {"Round_Robin": {}}]"#,
                ": it names \"a\", \"Round_Robin\", none of which is known; it may name \"pick_first\", \"round_robin\", \"weighted_round_robin\", \"least_request\", \"ring_hash\", \"random_subsetting\" or \"outlier_detection\"",
            ),
            ("[{}]", "[0]: it must have exactly one field, and has 0"),
            (r#"[{"a": {}}, {"b": {}, "c": {}}]"#, "[1]: it must have exactly one field, and has 2"),
            (r#"["round_robin"]"#, "[0]: \"round_robin\" is not an object"),
            (r#"[{"round_robin": null}]"#, "[0].round_robin: null is not an object"),
            (
                r#"[{"least_request": {"choiceCount": 1}}]"#,
                "[0].least_request.choiceCount: 1 is not a whole number from 2 to 4294967295",
            ),
            (
                r#"[{"pick_first": {"shuffleAddressList": 1}}, {"round_robin": {}}]"#,
                "[0].pick_first.shuffleAddressList: 1 is not true or false",
            ),
        ];
        for (list, told) in table {
            assert_eq!(chosen_of(list), Err(format!("loadBalancingConfig{told}")), "{list}");
        }
    }

    /// [LB-112]
    #[test]
    fn each_policy_there_is_can_be_chosen_and_those_to_come_are_passed_over() {
        let child = r#""childPolicy": [{"pick_first": {}}]"#;
        let table = [
            ("pick_first", ""),
            ("round_robin", ""),
            ("weighted_round_robin", ""),
            ("least_request_experimental", ""),
            ("ring_hash_experimental", r#""requestHashHeader": "x-key""#),
            ("random_subsetting_experimental", &format!(r#"{child}, "subsetSize": 5"#)),
            ("outlier_detection_experimental", child),
        ];
        let names = table.map(|(name, fields)| {
            let config = chosen_of(&format!(r#"[{{"{name}": {{{fields}}}}}, {{"no_such": 5}}]"#)).expect(name);
            match config.expect(name) {
                BalancingConfig::PickFirst(_) => "pick_first",
                BalancingConfig::RoundRobin => "round_robin",
                BalancingConfig::WeightedRoundRobin(_) => "weighted_round_robin",
                BalancingConfig::LeastRequest(_) => "least_request",
                BalancingConfig::RingHash(_) => "ring_hash",
                BalancingConfig::RandomSubsetting(..) => "random_subsetting",
                BalancingConfig::OutlierDetection(..) => "outlier_detection",
            }
        });
        assert_eq!(names, table.map(|(name, _)| plain(name)));
        assert!(POLICIES.iter().map(|(name, _)| *name).eq(names), "none that is not in the table");
        for to_come in ["priority_experimental", "weighted_target_experimental"] {
            let list = format!(r#"[{{"{to_come}": {{}}}}, {{"round_robin": {{}}}}]"#);
            assert_eq!(chosen_of(&list), Ok(Some(BalancingConfig::RoundRobin)), "{list}");
        }
    }

    /// [SC-33], [LB-2]
    #[test]
    fn the_older_field_counts_where_the_list_is_absent_and_in_any_case() {
        let older = "\"loadBalancingPolicy\": \"ROUND_ROBIN\"";
        assert_eq!(chosen(older), Ok(Some(BalancingConfig::RoundRobin)));
        assert_eq!(chosen(&format!("{older}, \"loadBalancingConfig\": null")), Ok(Some(BalancingConfig::RoundRobin)));
        assert_eq!(
            chosen(&format!("{older}, \"loadBalancingConfig\": [{{\"pick_first\": {{}}}}]")),
            Ok(Some(PICK_FIRST))
        );
        assert_eq!(
            chosen("\"loadBalancingPolicy\": \"no_such\""),
            Err("loadBalancingPolicy: \"no_such\" is not known; it may be \"pick_first\", \"round_robin\", \"weighted_round_robin\" or \"least_request\"".into())
        );
        assert!(chosen("\"loadBalancingPolicy\": 1").is_err());
        assert_eq!(chosen(""), Ok(None));
    }

    /// [SC-34], [LB-113]
    #[test]
    fn names_are_known_with_and_without_experimental_where_grpc_has_both() {
        assert_eq!(plain("ring_hash_experimental"), "ring_hash");
        assert_eq!(plain("ring_hash"), "ring_hash");
        assert_eq!(plain("outlier_detection_experimental"), "outlier_detection");
        assert_eq!(plain("weighted_round_robin_experimental"), "weighted_round_robin_experimental");
        assert_eq!(named("pick_first_experimental"), None);
        assert_eq!((named("pick_first"), named("round_robin")), (Some(PICK_FIRST), Some(BalancingConfig::RoundRobin)));
    }

    /// A58, A114
    #[test]
    fn weighted_round_robin_has_its_defaults_and_limits() {
        let of = |fields: &str| chosen_of(&format!(r#"[{{"weighted_round_robin": {{{fields}}}}}]"#));
        let with = |config| Ok(Some(BalancingConfig::WeightedRoundRobin(config)));
        let default = WeightedRoundRobinConfig::default;
        let seconds = Duration::from_secs;
        assert_eq!(of(""), with(default()));
        assert_eq!(named("weighted_round_robin"), Some(BalancingConfig::WeightedRoundRobin(default())));
        let wanted = WeightedRoundRobinConfig {
            blackout_period: seconds(10),
            weight_expiration_period: seconds(180),
            weight_update_period: seconds(1),
            error_utilization_penalty: 1.0,
            metric_names: Box::default(),
            enable_oob_load_report: false,
        };
        assert_eq!(default(), wanted);
        let set = r#""enableOobLoadReport": true, "oobReportingPeriod": "5s", "blackoutPeriod": "0s", "weightExpirationPeriod": "60s",
            "weightUpdatePeriod": "2s", "errorUtilizationPenalty": 0.5,
            "metricNamesForComputingUtilization": ["mem_utilization", "named_metrics.a.b", "of_a_later_version"]"#;
        let wanted = WeightedRoundRobinConfig {
            blackout_period: Duration::ZERO,
            weight_expiration_period: seconds(60),
            weight_update_period: seconds(2),
            error_utilization_penalty: 0.5,
            metric_names: ["mem_utilization", "named_metrics.a.b"].into_iter().filter_map(MetricName::of).collect(),
            enable_oob_load_report: true,
        };
        assert_eq!(of(set), with(wanted));
        let quick = WeightedRoundRobinConfig { weight_update_period: Duration::from_millis(100), ..default() };
        assert_eq!(of(r#""weightUpdatePeriod": "0.099s""#), with(quick), "not more often than ten times a second");
        let free = WeightedRoundRobinConfig { error_utilization_penalty: 0.0, ..default() };
        assert_eq!(of(r#""errorUtilizationPenalty": 0"#), with(free));
        for (fields, told) in [
            (r#""errorUtilizationPenalty": -0.1"#, "errorUtilizationPenalty: -0.1 is not a number of 0 or more"),
            (r#""errorUtilizationPenalty": "1""#, "errorUtilizationPenalty: \"1\" is not a number of 0 or more"),
            (r#""blackoutPeriod": "-1s""#, "blackoutPeriod: \"-1s\" is negative"),
            (r#""weightExpirationPeriod": 5"#, "weightExpirationPeriod: 5 is not a string such as \"1.5s\""),
            (r#""weightUpdatePeriod": "1""#, "weightUpdatePeriod: \"1\" has no \"s\"; write for example \"1s\""),
            (r#""oobReportingPeriod": "x""#, "oobReportingPeriod: \"x\" has no \"s\"; write for example \"1.5s\""),
            (r#""enableOobLoadReport": 1"#, "enableOobLoadReport: 1 is not true or false"),
            (r#""metricNamesForComputingUtilization": "a""#, "metricNamesForComputingUtilization: \"a\" is not a list"),
            (
                r#""metricNamesForComputingUtilization": ["a", 1]"#,
                "metricNamesForComputingUtilization[1]: 1 is not a string",
            ),
        ] {
            let mistake = of(fields).expect_err(fields);
            assert_eq!(mistake, format!("loadBalancingConfig[0].weighted_round_robin.{told}"));
        }
        let both = of(r#""errorUtilizationPenalty": -1, "metricNamesForComputingUtilization": [1, 2]"#);
        assert!(both.expect_err("wrong").starts_with("3 mistakes"), "each is told");
    }

    fn ring_hash_of(min: u32, max: u32, header: Option<&str>) -> BalancingConfig {
        let sizes = RingSizes { min, max };
        BalancingConfig::RingHash(RingHashConfig { sizes, request_hash_header: header.map(str::to_owned) })
    }

    /// [LB-61], [LB-63], A76
    #[test]
    fn ring_hash_has_sizes_with_defaults_and_limits_and_a_header_of_text() {
        let of = |fields: &str| chosen_of(&format!(r#"[{{"ring_hash_experimental": {{{fields}}}}}]"#));
        let table = [
            ("", ring_hash_of(1_024, 4_096, None)),
            (r#""minRingSize": 0, "maxRingSize": 0"#, ring_hash_of(1_024, 4_096, None)),
            (r#""minRingSize": 8388608, "maxRingSize": 8388608"#, ring_hash_of(8_388_608, 8_388_608, None)),
            (r#""minRingSize": 1, "maxRingSize": 1"#, ring_hash_of(1, 1, None)),
            (r#""requestHashHeader": """#, ring_hash_of(1_024, 4_096, None)),
            (r#""requestHashHeader": "X-User.Id_1""#, ring_hash_of(1_024, 4_096, Some("x-user.id_1"))),
        ];
        for (fields, wanted) in table {
            assert_eq!(of(fields), Ok(Some(wanted)), "{fields}");
        }
        let place = "loadBalancingConfig[0].ring_hash_experimental";
        for (fields, told) in [
            (r#""minRingSize": 8388609"#, ".minRingSize: 8388609 is not a whole number from 0 to 8388608"),
            (r#""maxRingSize": -1"#, ".maxRingSize: -1 is not a whole number from 0 to 8388608"),
            (r#""minRingSize": 4097"#, ": maxRingSize, 4096, must not be less than minRingSize, 4097"),
            (r#""maxRingSize": 1023"#, ": maxRingSize, 1023, must not be less than minRingSize, 1024"),
            (r#""requestHashHeader": 1"#, ".requestHashHeader: 1 is not a string"),
            (
                r#""requestHashHeader": "a key""#,
                ".requestHashHeader: metadata key \"a key\" has a character outside 0-9 a-z _ - .",
            ),
            (
                r#""requestHashHeader": ":path""#,
                ".requestHashHeader: metadata key \":path\" starts with ':'; pseudo-headers are set by the engine",
            ),
            (
                r#""requestHashHeader": "Key-Bin""#,
                ".requestHashHeader: \"Key-Bin\" has bytes as values; name a header whose values are text",
            ),
        ] {
            assert_eq!(of(fields), Err(format!("{place}{told}")), "{fields}");
        }
        assert_eq!(named("ring_hash"), None, "calls would all fail");
    }

    /// [LB-110]
    #[test]
    fn random_subsetting_has_a_size_and_a_child() {
        let of = |fields: &str| chosen_of(&format!(r#"[{{"random_subsetting_experimental": {{{fields}}}}}]"#));
        let child = r#""childPolicy": [{"round_robin": {}}]"#;
        let config = RandomSubsettingConfig { subset_size: 20 };
        let wanted = BalancingConfig::RandomSubsetting(config, Box::new(BalancingConfig::RoundRobin));
        assert_eq!(of(&format!(r#"{child}, "subsetSize": 20"#)), Ok(Some(wanted)));
        for (fields, told) in [
            (child.to_owned(), ".subsetSize: it is missing"),
            (format!(r#"{child}, "subsetSize": 0"#), ".subsetSize: 0 is not a whole number from 1 to 4294967295"),
            (r#""subsetSize": 20"#.to_owned(), ".childPolicy: it is missing"),
        ] {
            let place = "loadBalancingConfig[0].random_subsetting_experimental";
            assert_eq!(of(&fields), Err(format!("{place}{told}")), "{fields}");
        }
    }

    /// A50
    #[test]
    fn outlier_detection_has_its_defaults_a_child_and_limits() {
        let of = |fields: &str| chosen_of(&format!(r#"[{{"outlier_detection_experimental": {{{fields}}}}}]"#));
        let child = r#""childPolicy": [{"round_robin": {}}]"#;
        let with =
            |options| Ok(Some(BalancingConfig::OutlierDetection(options, Box::new(BalancingConfig::RoundRobin))));
        assert_eq!(of(child), with(OutlierOptions::default()));
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3_600));
        let long = OutlierOptions { base_ejection_time: hour, max_ejection_time: hour, ..OutlierOptions::default() };
        assert_eq!(
            of(&format!(r#"{child}, "baseEjectionTime": "3600s""#)),
            with(long),
            "the longest is the base at least"
        );
        let set = r#""interval": "60s", "maxEjectionPercent": 50, "successRateEjection": {"stdevFactor": 1000},
            "failurePercentageEjection": {"threshold": 10, "minimumHosts": 2, "requestVolume": 1, "enforcementPercentage": 90}"#;
        let wanted = OutlierOptions {
            interval: minute,
            max_ejection_percent: 50,
            success_rate: Some(SuccessRateEjection { stdev_factor: 1_000, ..SuccessRateEjection::default() }),
            failure_percentage: Some(FailurePercentageEjection {
                threshold: 10,
                enforcement_percentage: 90,
                minimum_hosts: 2,
                request_volume: 1,
            }),
            ..OutlierOptions::default()
        };
        assert_eq!(of(&format!("{child}, {set}")), with(wanted));
        for (fields, told) in [
            ("", "childPolicy: it is missing"),
            (r#""childPolicy": [{"no_such": {}}]"#, "childPolicy: it names"),
            (&format!(r#"{child}, "maxEjectionPercent": 101"#), "maxEjectionPercent: 101 is not"),
            (
                &format!(r#"{child}, "successRateEjection": {{"enforcementPercentage": 101}}"#),
                "enforcementPercentage: 101",
            ),
            (&format!(r#"{child}, "failurePercentageEjection": {{"threshold": -1}}"#), "threshold: -1"),
            (&format!(r#"{child}, "interval": "-1s""#), "interval: "),
        ] {
            let mistake = of(fields).expect_err(fields);
            assert!(mistake.contains(told), "{fields}: {mistake}");
        }
    }
}
