//! Which balancing policies there are, their settings, and which of them a service config chooses (A24).

use super::fields::{self, Field, Object};
use crate::policy::balancer::least_request::LeastRequestConfig;
use crate::policy::balancer::pick_first::PickFirstConfig;

/// A policy with its settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BalancingConfig {
    PickFirst(PickFirstConfig),
    RoundRobin,
    LeastRequest(LeastRequestConfig),
}

/// Makes a policy's settings of a JSON object.
type Reader = fn(&Object<'_>) -> Option<BalancingConfig>;

/// The policies by their names, without `_experimental`. A new one is a line here and a variant above.
const POLICIES: &[(&str, Reader)] = &[
    ("pick_first", pick_first),
    ("round_robin", |_| Some(BalancingConfig::RoundRobin)),
    ("least_request", least_request),
];

/// Names that gRPC writes with `_experimental` behind them, and some without ([LB-113]).
const EXPERIMENTAL: &[&str] =
    &["least_request", "outlier_detection", "priority", "random_subsetting", "ring_hash", "rls", "weighted_target"];

/// A policy by its name alone; `None` when there is none, or it cannot do without settings.
pub(crate) fn named(name: &str) -> Option<BalancingConfig> {
    fields::read_nothing(reader(name)?).ok()
}

/// The names that [`named`] knows, to be told to people.
pub(crate) fn names() -> String {
    let quoted: Vec<String> = POLICIES.iter().map(|(name, _)| format!("{name:?}")).collect();
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
    list.mistake(format!("it names {found}; it may name {}", names()))
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

/// [LB-55]
fn least_request(object: &Object<'_>) -> Option<BalancingConfig> {
    let default = LeastRequestConfig::default().choice_count;
    let choices = object.field("choiceCount").map_or(Some(default), |field| field.unsigned(2..=u32::MAX));
    Some(BalancingConfig::LeastRequest(LeastRequestConfig { choice_count: choices? }))
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
        config.map(|config| config.balancing).map_err(|mistakes| mistakes.to_string())
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
            ("[]", ": it names no policy; it may name \"pick_first\", \"round_robin\" or \"least_request\""),
            (
                r#"[{"a": {}}, {"Round_Robin": {}}]"#,
                ": it names \"a\", \"Round_Robin\", none of which is known; it may name \"pick_first\", \"round_robin\" or \"least_request\"",
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
            Err("loadBalancingPolicy: \"no_such\" is not known; it may be \"pick_first\", \"round_robin\" or \"least_request\"".into())
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
}
