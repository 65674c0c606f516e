//! Many calls must leave nothing behind: `cargo run --release -p linkspan-core --example endurance -- HOST:PORT CALLS`.
//!
//! One JSON line per phase. Fails when a call failed, when file descriptors or threads are not as many as before, or when
//! memory grew by more than allocators keep for themselves: a leak of 100 bytes a call shows.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program talks to its reader")]

use std::cell::Cell;
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use bytes::Bytes;
use linkspan_core::{CallOptions, Channel, ChannelOptions, Credentials};

const HANG_GUARD: Duration = Duration::from_secs(600);
const WARM_UP_CALLS: u64 = 2_000;
const IN_FLIGHT: usize = 64;
const TOLERATED_GROWTH_KB: u64 = 8 * 1024;
const PAGE_KB: u64 = 4;

const UNARY_CALL: &str = "/grpc.testing.TestService/UnaryCall";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (Some(target), Some(Ok(calls))) = (arguments.first(), arguments.get(1).map(|calls| calls.parse())) else {
        eprintln!("usage: endurance HOST:PORT CALLS");
        return ExitCode::from(2);
    };
    #[expect(clippy::disallowed_methods, reason = "a program may use its own runtime's timer")]
    let is_flat = tokio::time::timeout(HANG_GUARD, run(target, calls)).await;
    match is_flat {
        Ok(Ok(true)) => return ExitCode::SUCCESS,
        Ok(Ok(false)) => eprintln!("endurance: a call failed, or something was left behind"),
        Ok(Err(cause)) => eprintln!("endurance: {cause}"),
        Err(_) => eprintln!("endurance: still not done after {} s", HANG_GUARD.as_secs()),
    }
    ExitCode::FAILURE
}

async fn run(target: &str, calls: u64) -> Result<bool, Box<dyn Error>> {
    let channel = Channel::new(target, &Credentials::insecure(), &ChannelOptions::new())?;
    let phases = [("sequential", 1), ("concurrent", IN_FLIGHT)];
    for (_, in_flight) in phases {
        call_many(&channel, WARM_UP_CALLS, in_flight).await;
    }
    let mut all_flat = true;
    for (phase, in_flight) in phases {
        let (before, started) = (Usage::read()?, now());
        let failed = call_many(&channel, calls, in_flight).await;
        let (after, seconds) = (Usage::read()?, started.elapsed().as_secs_f64());
        println!(
            "{{\"language\":\"rust\",\"phase\":\"{phase}\",\"calls\":{calls},\"failed\":{failed},\"seconds\":{seconds:.1},\
             \"rss_kb\":[{},{}],\"fds\":[{},{}],\"threads\":[{},{}]}}",
            before.rss_kb, after.rss_kb, before.fds, after.fds, before.threads, after.threads
        );
        all_flat &= failed == 0 && after.is_flat_since(&before);
    }
    channel.close(None);
    Ok(all_flat)
}

/// Makes so many calls, so many of them at a time; returns how many failed.
async fn call_many(channel: &Channel, calls: u64, in_flight: usize) -> u64 {
    // SimpleRequest { response_size: 64, payload: { body: 64 zeros } }
    let request = Bytes::from([&[0x10, 64, 0x1a, 66, 0x12, 64][..], &[0; 64]].concat());
    let (left, failed) = (Cell::new(calls), Cell::new(0));
    let caller = || async {
        while let Some(rest) = left.get().checked_sub(1) {
            left.set(rest);
            if let Err(failure) = channel.unary(UNARY_CALL, request.clone(), CallOptions::default()).await {
                if failed.get() == 0 {
                    eprintln!("endurance: {failure}");
                }
                failed.set(failed.get() + 1);
            }
        }
    };
    let mut callers: Vec<_> = (0..in_flight).map(|_| Box::pin(caller())).collect();
    join_all(&mut callers).await;
    failed.get()
}

/// Runs futures side by side. Each wake looks at all of them, which for a few dozen costs less than telling them apart.
async fn join_all<F: Future<Output = ()> + Unpin>(running: &mut Vec<F>) {
    std::future::poll_fn(|cx| {
        running.retain_mut(|future| std::pin::Pin::new(future).poll(cx).is_pending());
        if running.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

/// What this process holds.
struct Usage {
    rss_kb: u64,
    fds: usize,
    threads: usize,
}

impl Usage {
    fn read() -> Result<Self, Box<dyn Error>> {
        let statm = std::fs::read_to_string("/proc/self/statm")?;
        let pages: u64 = statm.split(' ').nth(1).ok_or("statm has no second column")?.parse()?;
        Ok(Self {
            rss_kb: pages * PAGE_KB,
            fds: std::fs::read_dir("/proc/self/fd")?.count(),
            threads: std::fs::read_dir("/proc/self/task")?.count(),
        })
    }

    fn is_flat_since(&self, before: &Self) -> bool {
        self.fds == before.fds && self.threads == before.threads && self.rss_kb < before.rss_kb + TOLERATED_GROWTH_KB
    }
}

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a program may read its own clock")]
    Instant::now()
}
