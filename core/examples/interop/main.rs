//! gRPC's interop cases over linkspan, one line per case: `cargo run -p linkspan-core --example interop -- HOST:PORT [CASE…]`.
//!
//! The server is any of gRPC's own interop servers, in plaintext.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its reader")]

mod cases;
mod messages;

use std::process::ExitCode;
use std::time::Duration;

use linkspan_core::{Channel, ChannelOptions, Credentials};

const HANG_GUARD: Duration = Duration::from_secs(120);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(target) = arguments.next() else { return usage() };
    let mut wanted: Vec<String> = arguments.collect();
    if wanted.is_empty() {
        wanted = cases::NAMES.iter().map(ToString::to_string).collect();
    }
    if !wanted.iter().all(|name| cases::NAMES.contains(&name.as_str())) {
        return usage();
    }
    #[expect(clippy::disallowed_methods, reason = "a program may use its own runtime's timer")]
    let failures = tokio::time::timeout(HANG_GUARD, run_all(&target, &wanted)).await;
    match failures {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(_) => {
            eprintln!("interop: still not done after {} s", HANG_GUARD.as_secs());
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: interop HOST:PORT [CASE…]; the cases are {}", cases::NAMES.join(" "));
    ExitCode::from(2)
}

async fn run_all(target: &str, wanted: &[String]) -> usize {
    let mut failures = 0;
    for name in wanted {
        match run(target, name).await {
            Ok(()) => println!("ok {name}"),
            Err(what) => {
                failures += 1;
                println!("FAILED {name}: {}", what.replace('\n', " "));
            }
        }
    }
    println!("{} passed, {failures} failed", wanted.len() - failures);
    failures
}

/// Each case has a channel of its own, so that none profits from another's connection.
async fn run(target: &str, name: &str) -> Result<(), String> {
    let channel = Channel::new(target, &Credentials::insecure(), &ChannelOptions::new()).map_err(|e| e.to_string())?;
    let outcome = cases::run(name, &channel).await;
    channel.close(None);
    outcome
}
