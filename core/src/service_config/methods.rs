//! What a service config says of methods, and which of it a call follows.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use super::attempts;
use super::fields::{Field, Object};
use crate::policy::retry::Attempts;

/// What holds for calls of some methods.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MethodConfig {
    /// For calls that do not say.
    pub(crate) wait_for_ready: Option<bool>,
    /// From the start of the call; a shorter one of the call's own counts.
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_request_bytes: Option<u64>,
    pub(crate) max_response_bytes: Option<u64>,
    pub(crate) attempts: Option<Attempts>,
}

/// The method configs of a service config.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MethodConfigs {
    /// By the path of a method, `/service/` for all of a service and `` for all there are.
    by_path: BTreeMap<String, Arc<MethodConfig>>,
}

impl MethodConfigs {
    /// What holds for calls with this `:path`: one config as a whole, the one that names it most exactly ([SC-14]).
    pub(crate) fn of(&self, path: &str) -> Option<&Arc<MethodConfig>> {
        let service = path.rfind('/').map_or("", |slash| &path[..=slash]);
        [path, service, ""].into_iter().find_map(|path| self.by_path.get(path))
    }
}

pub(super) fn read(list: &Field<'_>) -> MethodConfigs {
    // With the place where it was named first.
    let mut named: BTreeMap<String, (String, Arc<MethodConfig>)> = BTreeMap::new();
    for entry in list.list().into_iter().flatten().filter_map(|entry| entry.object()) {
        // [SC-12]: one that holds for nothing is not looked at.
        let Some(names) = entry.field("name") else { continue };
        let names = names.list();
        if names.as_ref().is_some_and(Vec::is_empty) {
            continue;
        }
        let config = Arc::new(read_one(&entry));
        for name in names.into_iter().flatten() {
            let Some(path) = path_of(&name) else { continue };
            match named.entry(path) {
                // [SC-13]
                Entry::Occupied(first) => {
                    name.mistake::<()>(format!("it names the same as {}", first.get().0));
                }
                Entry::Vacant(free) => {
                    free.insert((name.path().to_owned(), Arc::clone(&config)));
                }
            }
        }
    }
    MethodConfigs { by_path: named.into_iter().map(|(path, (_, config))| (path, config)).collect() }
}

fn read_one(entry: &Object<'_>) -> MethodConfig {
    let size = |name: &str| entry.field(name).and_then(|field| field.unsigned(0..=u32::MAX)).map(u64::from);
    MethodConfig {
        wait_for_ready: entry.field("waitForReady").and_then(|field| field.boolean()),
        timeout: entry.field("timeout").and_then(|field| field.duration()),
        max_request_bytes: size("maxRequestMessageBytes"),
        max_response_bytes: size("maxResponseMessageBytes"),
        attempts: attempts::read(entry),
    }
}

/// The path a name stands for ([SC-10], [SC-11]).
fn path_of(name: &Field<'_>) -> Option<String> {
    let object = name.object()?;
    let part = |key: &str| object.field(key).map_or(Some(""), |field| field.text());
    match (part("service")?, part("method")?) {
        ("", "") => Some(String::new()),
        ("", method) => object.mistake(format!("it has the method {method:?} and no service")),
        (service, method) => Some(format!("/{service}/{method}")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ServiceConfig;
    use super::*;

    fn configs(text: &str) -> MethodConfigs {
        ServiceConfig::parse(&format!("{{\"methodConfig\": {text}}}")).expect(text).methods
    }

    fn mistakes(text: &str) -> String {
        ServiceConfig::parse(&format!("{{\"methodConfig\": {text}}}")).expect_err(text).to_string()
    }

    /// The timeout that holds for a call with this path, in seconds.
    fn timeout(configs: &MethodConfigs, path: &str) -> Option<u64> {
        configs.of(path).and_then(|config| config.timeout).map(|timeout| timeout.as_secs())
    }

    /// [SC-10], [SC-11], [SC-14], [SC-15], [SVC-5]
    #[test]
    fn the_most_exact_name_decides_and_nothing_is_mixed() {
        let configs = configs(
            r#"[{"name": [{}], "timeout": "1s", "waitForReady": true},
                {"name": [{"service": "a.S"}, {"service": "a.T", "method": null}], "timeout": "2s"},
                {"name": [{"service": "a.S", "method": "M"}, {"service": "a.U", "method": "M"}], "timeout": "3s"},
                {"name": [{"service": "a.S", "method": "Free"}], "maxRequestMessageBytes": 0}]"#,
        );
        let table = [
            ("/a.S/M", Some(3)),
            ("/a.S/Other", Some(2)),
            ("/a.S/m", Some(2)),
            ("/a.T/M", Some(2)),
            ("/a.U/M", Some(3)),
            ("/a.U/Other", Some(1)),
            ("/a.s/M", Some(1)),
            ("/S/M", Some(1)),
            ("/M", Some(1)),
            ("/", Some(1)),
            ("/a.S/Free", None),
        ];
        for (path, seconds) in table {
            assert_eq!(timeout(&configs, path), seconds, "{path}");
        }
        let free = configs.of("/a.S/Free").expect("named");
        assert_eq!((free.wait_for_ready, free.max_request_bytes), (None, Some(0)));
        assert_eq!(configs.of("/a.S/M").expect("named").wait_for_ready, None);
    }

    /// [SC-14]
    #[test]
    fn a_method_nobody_names_has_no_config() {
        let configs = configs(r#"[{"name": [{"service": "a.S", "method": "M"}], "timeout": "3s"}]"#);
        for path in ["/a.S/N", "/a.S/", "/a.S", "/M", ""] {
            assert_eq!(configs.of(path), None, "{path}");
        }
    }

    /// [SC-11]
    #[test]
    fn a_method_without_a_service_is_a_mistake() {
        let text = r#"[{"name": [{"method": "M"}, {"service": "", "method": "N"}, {"service": 5}, 6]}]"#;
        let wanted = [
            "4 mistakes",
            "methodConfig[0].name[0]: it has the method \"M\" and no service",
            "methodConfig[0].name[1]: it has the method \"N\" and no service",
            "methodConfig[0].name[2].service: 5 is not a string",
            "methodConfig[0].name[3]: 6 is not an object",
        ];
        assert_eq!(mistakes(text), wanted.join("\n  "));
    }

    /// [SC-13]
    #[test]
    fn a_name_stands_once_in_the_whole_config() {
        let text = r#"[{"name": [{"service": "S"}, {}, {"service": "S", "method": ""}]},
                       {"name": [{"service": "S", "method": "M"}]},
                       {"name": [{"service": "S", "method": "M"}, {"service": null}]}]"#;
        let wanted = [
            "3 mistakes",
            "methodConfig[0].name[2]: it names the same as methodConfig[0].name[0]",
            "methodConfig[2].name[0]: it names the same as methodConfig[1].name[0]",
            "methodConfig[2].name[1]: it names the same as methodConfig[0].name[1]",
        ];
        assert_eq!(mistakes(text), wanted.join("\n  "));
    }

    /// [SC-12]
    #[test]
    fn what_has_no_name_holds_for_nothing_and_is_not_looked_at() {
        let configs = configs(r#"[{"timeout": 5}, {"name": null, "timeout": 5}, {"name": [], "timeout": 5}]"#);
        assert_eq!(configs.of("/S/M"), None);
        assert_eq!(
            mistakes(r#"[{"name": {}, "timeout": "5"}]"#),
            "2 mistakes\n  methodConfig[0].name: an object is not a list\n  \
             methodConfig[0].timeout: \"5\" has no \"s\"; write for example \"5s\""
        );
    }

    /// [SC-03], [SC-05]
    #[test]
    fn every_field_is_read() {
        let configs = configs(
            r#"[{"name": [{}], "waitForReady": false, "timeout": "0.1s", "maxRequestMessageBytes": 7.0,
                 "maxResponseMessageBytes": 4294967295, "retryPolicy": null, "unknown": {"timeout": 1}}]"#,
        );
        let wanted = MethodConfig {
            wait_for_ready: Some(false),
            timeout: Some(Duration::from_millis(100)),
            max_request_bytes: Some(7),
            max_response_bytes: Some(u64::from(u32::MAX)),
            attempts: None,
        };
        assert_eq!(**configs.of("/S/M").expect("all"), wanted);
    }
}
