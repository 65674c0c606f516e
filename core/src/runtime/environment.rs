//! The environment variables the core reads, here and nowhere else. An option wins over a variable, a variable over a preset.

use std::ffi::OsString;

/// `LINKSPAN_PRESET`: the preset of channels that do not ask for one themselves.
pub(crate) fn preset() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let value = std::env::var("LINKSPAN_PRESET");
    value.ok().filter(|name| !name.is_empty())
}

/// `GRPC_DEFAULT_SSL_ROOTS_FILE_PATH`: a PEM file that stands in for the system's root certificates.
pub(crate) fn roots_file() -> Option<OsString> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let value = std::env::var_os("GRPC_DEFAULT_SSL_ROOTS_FILE_PATH");
    value.filter(|path| !path.is_empty())
}

/// `GRPC_KEEPALIVE_TIME_MS` and its like: what the keepalive preset `kubernetes` reads, and nobody else.
pub(crate) fn kubernetes(name: &'static str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let value = std::env::var_os(name);
    // What is no text is not understood, and says so.
    value.map(|value| value.to_string_lossy().into_owned())
}

/// `grpc_proxy` and its like: which proxies a channel uses, read when it is made ([CONN-190]). One that is set to nothing is set.
pub(crate) fn proxy(name: &'static str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let value = std::env::var_os(name);
    // What is no text is not understood, and says so.
    value.map(|value| value.to_string_lossy().into_owned())
}

/// `LINKSPAN_LOG` and its like: what is logged on stderr. One that is set to nothing is not set.
pub(crate) fn logging(name: &'static str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let value = std::env::var_os(name);
    // What is no text is not understood, and says so.
    value.filter(|value| !value.is_empty()).map(|value| value.to_string_lossy().into_owned())
}

/// `LINKSPAN_BUDGET_CALLS`: how many calls the programs of `engine/budget.rs` make.
#[cfg(test)]
pub(crate) fn budget_calls() -> Option<usize> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let value = std::env::var("LINKSPAN_BUDGET_CALLS");
    value.ok().and_then(|count| count.parse().ok())
}

/// `LINKSPAN_SIMULATION_SEEDS`: how many worlds are made by chance.
#[cfg(test)]
pub(crate) fn simulation_seeds() -> Option<u64> {
    number("LINKSPAN_SIMULATION_SEEDS")
}

/// `LINKSPAN_SIMULATION_SEED`: the one world to run, and to tell about in full.
#[cfg(test)]
pub(crate) fn simulation_seed() -> Option<u64> {
    number("LINKSPAN_SIMULATION_SEED")
}

#[cfg(test)]
fn number(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    let value = std::env::var(name);
    value.ok().and_then(|number| number.parse().ok())
}
