//! gRPC's interop cases over linkspan, one line per case:
//! `cargo run -p linkspan-core --example interop -- HOST:PORT [--flag=value…] [CASE…]`.
//!
//! The server is any of gRPC's own interop servers, in plaintext, or over TLS with `--ca_file` and `--server_host_override`.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its reader")]
#![allow(clippy::disallowed_methods, reason = "a program may use its own runtime's clock and timer")]

mod arguments;
mod cases;
mod compressed;
mod http2;
mod judging;
mod load;
mod messages;
mod soak;

use std::process::ExitCode;
use std::time::Duration;

use arguments::Arguments;

const HANG_GUARD: Duration = Duration::from_secs(600);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) if arguments.cases.iter().all(|name| cases::is_known(name)) => arguments,
        Ok(_) => return usage("no case of that name"),
        Err(what) => return usage(&what),
    };
    match tokio::time::timeout(HANG_GUARD, run_all(&arguments)).await {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(_) => {
            eprintln!("interop: still not done after {} s", HANG_GUARD.as_secs());
            ExitCode::FAILURE
        }
    }
}

fn usage(what: &str) -> ExitCode {
    eprintln!("{what}\nusage: interop HOST:PORT [--flag=value…] [CASE…]; the cases are {}", cases::all().join(" "));
    ExitCode::from(2)
}

/// Without a case it runs those every server serves.
async fn run_all(arguments: &Arguments) -> usize {
    let wanted = match &arguments.cases[..] {
        [] => cases::EVERYWHERE.to_vec(),
        cases => cases.iter().map(String::as_str).collect(),
    };
    let mut failures = 0;
    for name in &wanted {
        match cases::run(name, arguments).await {
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
