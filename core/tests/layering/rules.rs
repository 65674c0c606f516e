//! The rules: which room may name which, and which words belong to one room alone.

use super::source::{Path, paths};

/// Rooms that import nothing but each other.
const LEAVES: &[&str] = &[
    "status",
    "metadata",
    "error",
    "failure",
    "state",
    "time",
    "address",
    "percent",
    "foreign",
    "generation",
    "interned",
    "line",
    "load_report",
    "protobuf",
    "small_map",
    "random",
];

/// The other rooms, and what each may import beside the leaves and itself.
const ROOMS: &[(&str, &[&str])] = &[
    ("observe", &[]),
    ("policy", &[]),
    ("service_config", &["policy"]),
    ("runtime", &[]),
    ("resolver", &["observe", "policy", "service_config", "runtime"]),
    ("transport", &["observe", "policy", "runtime"]),
    ("channel", &["observe", "policy", "service_config", "runtime", "resolver", "transport"]),
    ("call", &["observe", "policy", "service_config", "runtime", "resolver", "transport", "channel"]),
    ("engine", &["observe", "policy", "service_config", "runtime", "resolver", "transport", "channel", "call"]),
    (
        "simulation",
        &["observe", "policy", "service_config", "runtime", "resolver", "transport", "channel", "call", "engine"],
    ),
    (
        "fuzzing",
        &["observe", "policy", "service_config", "runtime", "resolver", "transport", "channel", "call", "engine"],
    ),
];

/// The rooms of tests above all others; nobody imports them, and nothing of them is in a library.
const TEST_ROOMS: &[&str] = &["simulation", "fuzzing"];

/// Paths that only the driver's room may name: clock, timers, tasks, sockets, threads, environment.
const RUNTIME_ONLY: &[&str] = &[
    "tokio::net",
    "tokio::time",
    "tokio::task",
    "tokio::runtime",
    "tokio::spawn",
    "tokio::main",
    "spawn_local",
    "spawn_blocking",
    "Instant::now",
    "time::Instant",
    "SystemTime",
    "env::var",
    "env::var_os",
    "env::vars",
    "env::vars_os",
    "env::args",
    "std::thread",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "ToSocketAddrs",
    "socket2",
    "nix",
    "dns_lookup",
    "hickory_resolver",
];

/// The one exception: who owns a loop keeps the handle of its thread, to wait for its end.
const JOIN_HANDLE: (&str, &str) = ("engine", "std::thread::JoinHandle");

/// Crates that only `transport` may name.
const TRANSPORT_ONLY: &[&str] = &["h2", "rustls", "tokio_rustls", "rustls_native_certs", "webpki_roots"];

/// The one exception: the simulated servers speak HTTP/2 from the other side.
const SERVERS_HTTP2: (&str, &str) = ("simulation", "h2");

/// Rooms that decide and read, and do nothing else.
const PURE: &[&str] = &["policy", "service_config"];

/// Words that no pure room has.
const IMPURE: &[&str] = &[
    "async",
    "await",
    "Future",
    "tokio",
    "Instant",
    "SystemTime",
    "env",
    "rand",
    "RandomState",
    "Mutex",
    "RwLock",
    "Condvar",
    "OnceLock",
    "thread",
    "thread_local",
    "static",
    "fs",
    "io",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "println",
    "eprintln",
];

/// Crates of the faces; the core knows no language.
const FOREIGN: &[&str] = &["pyo3", "napi", "napi_derive"];

/// Every room there is.
pub(crate) fn rooms() -> impl Iterator<Item = &'static str> {
    LEAVES.iter().copied().chain(ROOMS.iter().map(|(room, _)| *room))
}

/// What is wrong in this file, `place` being its path under `src` with `/` between folders.
pub(crate) fn violations(place: &str, source: &str) -> Vec<String> {
    let stem = place.strip_suffix(".rs").unwrap_or(place);
    let mut module: Vec<&str> = stem.split('/').collect();
    // The front door and a folder's `mod.rs` stand for what contains them; a file of tests is no part of the room.
    let is_tests = module.last() == Some(&"tests");
    if matches!(module.last(), Some(&"mod" | &"lib")) {
        module.pop();
    }
    let room = module.first().copied();
    let named = if is_tests { Vec::new() } else { paths(source, &module) };
    let mut violations: Vec<String> = Vec::new();
    if room.is_some_and(|room| !rooms().any(|known| known == room)) {
        violations.push(format!("{place}: is in no known room; say in core/tests/layering what it may import"));
        return violations;
    }
    // Such a file is left out above, so it must be what it is called; the rooms of tests likewise.
    let is_test_room = room.is_some_and(|room| TEST_ROOMS.contains(&room));
    for name in TEST_ROOMS.iter().copied().chain(["tests"]) {
        let names_it = |pair: &[Path]| pair[0].segments == ["mod"] && pair[1].segments == [name];
        if !is_test_room && named.windows(2).any(names_it) {
            violations.push(format!("{place}: has `mod {name}` without #[cfg(test)]"));
        }
    }
    for path in &named {
        for what in forbidden(room, path) {
            violations.push(format!("{place}:{}: {} {what}", path.line, path.segments.join("::")));
        }
    }
    violations
}

/// Why the room may not name this path; the front door, which is in no room, may name every room.
fn forbidden(room: Option<&str>, path: &Path) -> Vec<String> {
    let mut reasons = Vec::new();
    let first = path.segments.first().map(String::as_str).unwrap_or_default();
    if FOREIGN.contains(&first) {
        reasons.push("belongs to a face".to_owned());
    }
    let Some(room) = room else { return reasons };
    if first == "crate" && !may_import(room, path.segments.get(1).map(String::as_str)) {
        reasons.push(format!("is not for {room} to import"));
    }
    let is_join_handle = room == JOIN_HANDLE.0 && path.segments.join("::") == JOIN_HANDLE.1;
    if room != "runtime" && !is_join_handle && RUNTIME_ONLY.iter().any(|pattern| names(path, pattern)) {
        reasons.push("is for runtime alone".to_owned());
    }
    if room != "transport" && (room, first) != SERVERS_HTTP2 && TRANSPORT_ONLY.contains(&first) {
        reasons.push("is for transport alone".to_owned());
    }
    if PURE.contains(&room) && path.segments.iter().any(|segment| IMPURE.contains(&segment.as_str())) {
        reasons.push("is not pure".to_owned());
    }
    reasons
}

fn may_import(room: &str, imported: Option<&str>) -> bool {
    // `crate` alone, renamed or by a glob could be anything.
    let Some(imported) = imported else { return false };
    let beside_leaves = ROOMS.iter().find(|(name, _)| *name == room).map_or(&[][..], |(_, may)| may);
    imported == room || LEAVES.contains(&imported) || beside_leaves.contains(&imported)
}

/// Whether the path has the pattern's segments side by side.
fn names(path: &Path, pattern: &str) -> bool {
    let pattern: Vec<&str> = pattern.split("::").collect();
    path.segments.windows(pattern.len()).any(|part| part == pattern)
}
