//! Who may import whom, and which words belong to one room alone: checked on the sources, because a rule that nothing checks
//! decays. The arrows are those of `src/lib.rs`.

#[path = "layering/rules.rs"]
mod rules;
#[path = "layering/source.rs"]
mod source;

use std::fs;
use std::path::{Path, PathBuf};

use rules::{rooms, violations};

#[test]
fn every_file_keeps_the_rules() {
    let broken: Vec<String> = sources().iter().flat_map(|(place, source)| violations(place, source)).collect();
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn every_room_of_the_rules_has_sources() {
    let sources = sources();
    for room in rooms() {
        let is_there = |place: &String| place.starts_with(&format!("{room}/")) || *place == format!("{room}.rs");
        assert!(sources.iter().any(|(place, _)| is_there(place)), "{room} is not there");
    }
}

/// A check that cannot fail is no check: each line is a source that breaks one rule, and what must be said about it.
#[test]
fn broken_rules_are_found() {
    let broken = [
        ("status.rs", "use crate::policy::backoff::Backoff;", "not for status to import"),
        ("observe/trail.rs", "fn f() { crate::policy::backoff::Backoff::new(); }", "not for observe to import"),
        ("policy/backoff.rs", "use crate::runtime::Driver;", "not for policy to import"),
        ("policy/backoff.rs", "use crate::{state::State, transport::Outcome};", "crate::transport::Outcome"),
        ("policy/backoff.rs", "use crate::service_config::ServiceConfig;", "not for policy to import"),
        ("policy/balancer/mod.rs", "use super::super::channel::Mail;", "crate::channel::Mail"),
        ("policy/backoff.rs", "mod inner { use super::super::super::call::CallEnd; }", "crate::call::CallEnd"),
        ("service_config/mod.rs", "use crate::channel::options::ChannelOptions;", "not for service_config to import"),
        ("service_config/fields.rs", "use crate::observe::log::log;", "not for service_config to import"),
        ("resolver/mod.rs", "use crate::channel::config::ChannelConfig;", "not for resolver to import"),
        ("transport/mod.rs", "use crate::service_config::ServiceConfig;", "not for transport to import"),
        ("resolver/mod.rs", "use crate::transport::dial::dial;", "not for resolver to import"),
        ("transport/mod.rs", "use crate::resolver::target::Target;", "not for transport to import"),
        ("channel/control.rs", "use crate::call::CallEnd;", "not for channel to import"),
        ("call/mod.rs", "use crate::engine::Channel;", "not for call to import"),
        ("runtime/mod.rs", "use crate::channel::Mail;", "not for runtime to import"),
        ("call/mod.rs", "use crate::Error;", "crate::Error is not for call"),
        ("call/mod.rs", "use crate::*;", "not for call to import"),
        ("call/mod.rs", "use crate as everything;", "not for call to import"),
        ("new_room/mod.rs", "", "in no known room"),
        ("channel/control.rs", "use tokio::{sync::watch, time::sleep};", "tokio::time::sleep is for runtime alone"),
        ("engine/loop.rs", "fn f() { tokio::spawn(async {}); }", "runtime alone"),
        ("engine/loop.rs", "fn f() { ::tokio::task::spawn_local(async {}); }", "runtime alone"),
        ("call/mod.rs", "fn f() -> T { Instant::now() }", "runtime alone"),
        ("call/mod.rs", "use std::time::{Duration, SystemTime};", "runtime alone"),
        ("channel/options.rs", "fn f() { let _ = std::env::var(\"X\"); }", "runtime alone"),
        ("engine/submit.rs", "use std::thread::{self, JoinHandle};", "runtime alone"),
        ("engine/submit.rs", "fn f() { std::thread::spawn(|| {}); }", "runtime alone"),
        ("call/mod.rs", "use std::thread::JoinHandle;", "runtime alone"),
        ("transport/dial.rs", "use std::net::{SocketAddr, TcpStream};", "runtime alone"),
        ("resolver/mod.rs", "use hickory_resolver::TokioResolver;", "runtime alone"),
        ("channel/link.rs", "use h2::client;", "transport alone"),
        ("runtime/tokio.rs", "fn f(config: rustls::ClientConfig) {}", "transport alone"),
        ("policy/backoff.rs", "async fn f() {}", "not pure"),
        ("policy/backoff.rs", "use std::sync::{Arc, Mutex};", "not pure"),
        ("policy/backoff.rs", "use tokio::sync::Notify;", "not pure"),
        ("policy/backoff.rs", "fn f() -> bool { std::fs::exists(\"x\").is_ok() }", "not pure"),
        ("policy/backoff.rs", "static COUNT: u64 = 0;", "not pure"),
        ("service_config/mod.rs", "async fn f() {}", "not pure"),
        ("service_config/mod.rs", "use std::{fs::read_to_string, sync::Mutex};", "not pure"),
        ("channel/options.rs", "mod tests;", "without #[cfg(test)]"),
        ("lib.rs", "mod simulation;", "without #[cfg(test)]"),
        ("lib.rs", "pub mod fuzzing;", "without #[cfg(test)]"),
        ("call/mod.rs", "use crate::fuzzing::target;", "not for call to import"),
        ("engine/by_hand.rs", "use crate::simulation::world::World;", "not for engine to import"),
        ("simulation/server/mod.rs", "use rustls::ServerConfig;", "transport alone"),
        ("simulation/world.rs", "use tokio::time::sleep;", "runtime alone"),
        ("engine/by_hand.rs", "use h2::server;", "transport alone"),
        ("lib.rs", "use pyo3::prelude::*;", "belongs to a face"),
        ("engine/face.rs", "#[napi::export] fn f() {}", "belongs to a face"),
    ];
    for (place, source, said) in broken {
        let found = violations(place, source);
        assert!(found.iter().any(|what| what.contains(said)), "{place}: {source}\nfound: {found:?}");
    }
}

#[test]
fn what_is_allowed_and_what_only_looks_forbidden_is_let_through() {
    let good = [
        (
            "policy/backoff.rs",
            "use crate::{state::State, time::Time}; use super::connectivity::steps; fn f() -> &'static str;",
        ),
        (
            "service_config/balancing.rs",
            "use crate::policy::balancer::pick_first::PickFirstConfig; use serde_json::Value;",
        ),
        ("call/methods.rs", "use crate::service_config::ServiceConfig;"),
        ("channel/config.rs", "use crate::service_config::ServiceConfig;"),
        ("resolver/mod.rs", "use crate::service_config::ServiceConfig;"),
        ("policy/mod.rs", "pub(crate) mod backoff; pub(in crate::policy) fn f() {}"),
        ("engine/submit.rs", "use std::thread::JoinHandle; use crate::runtime::tokio::TokioDriver;"),
        ("call/mod.rs", "use tokio::sync::Notify; use crate::channel::LocalChannel;"),
        ("transport/dial.rs", "use h2::client; use crate::runtime::Driver;"),
        ("runtime/tokio.rs", "use std::thread; use tokio::time::Instant; fn f() { Instant::now(); }"),
        ("channel/config.rs", "fn f() -> &'static str { std::env::consts::OS }"),
        ("lib.rs", "mod call; pub use call::CallEnd; pub use engine::Channel;"),
        ("status.rs", "// use crate::call::CallEnd;\n/* use /* nested */ h2::Error; */ const A: &str = \"h2::Error\";"),
        ("status.rs", "const A: &str = r#\"use \"h2::Error\";\"#; const B: u8 = b'\\''; const C: char = '\"';"),
        (
            "status.rs",
            "fn f<'a>(x: &'a str) -> &'static str { x }\n#[cfg(test)] mod tests { use crate::call::CallEnd; }",
        ),
        ("status.rs", "#[cfg(test)] fn f() -> [u8; 2] { std::thread::yield_now(); [0; 2] } fn g() {}"),
        ("lib.rs", "#[cfg(test)] mod simulation; mod state;"),
        ("lib.rs", "#[cfg(any(test, fuzzing))] pub mod fuzzing; mod state;"),
        (
            "simulation/server/wire.rs",
            "use h2::server; use crate::engine::Channel; use crate::runtime::simulated::Random;",
        ),
        ("policy/balancer/pick_first/tests.rs", "use std::thread; use crate::engine::Channel;"),
    ];
    for (place, source) in good {
        assert_eq!(violations(place, source), [""; 0], "{place}: {source}");
    }
}

/// Every source file: its path under `src`, `/` between folders, and its text.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let read = |file: PathBuf| {
        let place = file.strip_prefix(&root).expect("under src").components();
        let place: Vec<_> = place.map(|part| part.as_os_str().to_string_lossy().into_owned()).collect();
        (place.join("/"), fs::read_to_string(&file).expect("readable"))
    };
    files.into_iter().map(read).collect()
}

fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            collect(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}
