//! The soak cases: many large calls one after the other, on one channel or each on a channel of its own.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::task::Poll;
use std::time::{Duration, Instant};

use linkspan_core::{CallOptions, Channel};

use crate::arguments::{Arguments, Soak};
use crate::cases::UNARY_CALL;
use crate::judging::{Outcome, expect, told};
use crate::messages::{SimpleRequest, payload_size};

pub(crate) const NAMES: [&str; 2] = ["rpc_soak", "channel_soak"];

pub(crate) async fn run(name: &str, arguments: &Arguments) -> Outcome {
    let soak = &arguments.soak;
    if !soak.iterations.is_multiple_of(soak.threads) {
        return Err(format!("{} iterations cannot be shared equally by {} workers", soak.iterations, soak.threads));
    }
    let shared = (name == "rpc_soak").then(|| arguments.channel(&[])).transpose()?;
    let tally = Tally::new(arguments)?;
    all((0..soak.threads).map(|_| work(arguments, shared.as_ref(), &tally))).await;
    if let Some(channel) = shared {
        channel.close(None);
    }
    tally.judge(soak)
}

/// One worker's share.
async fn work(arguments: &Arguments, shared: Option<&Channel>, tally: &Tally<'_>) {
    let soak = &arguments.soak;
    for _ in 0..soak.iterations / soak.threads {
        if tally.is_late(soak) {
            return;
        }
        let started = Instant::now();
        // Making a channel is part of its iteration, closing it is not.
        let own = if shared.is_none() { arguments.channel(&[]).map(Some) } else { Ok(None) };
        let (outcome, peer) = match own.as_ref().map(|own| shared.or(own.as_ref())) {
            Ok(Some(channel)) => call(channel, soak).await,
            Ok(None) => (Err("there is no channel".to_owned()), None),
            Err(what) => (Err(what.clone()), None),
        };
        tally.note(outcome, started.elapsed(), peer.as_deref(), soak);
        if let Ok(Some(channel)) = own {
            channel.close(None);
        }
        tokio::time::sleep(soak.min_time_between.saturating_sub(started.elapsed())).await;
    }
}

/// How a large call without a deadline ended, and who answered it.
async fn call(channel: &Channel, soak: &Soak) -> (Outcome, Option<String>) {
    let (response_size, payload) = (soak.response_size, soak.request_size);
    let request = SimpleRequest { response_size, payload, ..SimpleRequest::default() }.encode();
    match channel.unary(UNARY_CALL, request, CallOptions::default()).await {
        Err(failure) => (Err(told(failure)), None),
        Ok(response) => {
            let size = payload_size(&response.message);
            let outcome = size.and_then(|size| expect("the payload's size", size as u64, response_size));
            (outcome, Some(response.peer.to_string()))
        }
    }
}

/// What became of the iterations so far.
struct Tally<'a> {
    server: &'a str,
    started: Instant,
    done: Cell<u64>,
    failures: Cell<u64>,
    log: RefCell<Box<dyn Write>>,
}

impl<'a> Tally<'a> {
    fn new(arguments: &'a Arguments) -> Result<Self, String> {
        let log: Box<dyn Write> = match &arguments.soak.log {
            None => Box::new(io::stdout()),
            Some(path) => Box::new(BufWriter::new(File::options().create(true).append(true).open(path).map_err(told)?)),
        };
        let (done, failures) = (Cell::new(0), Cell::new(0));
        Ok(Self { server: &arguments.target, started: Instant::now(), done, failures, log: RefCell::new(log) })
    }

    fn is_late(&self, soak: &Soak) -> bool {
        let longest = soak.max_latency.saturating_mul(u32::try_from(soak.iterations).unwrap_or(u32::MAX));
        self.started.elapsed() > soak.overall_timeout.unwrap_or(longest)
    }

    fn note(&self, outcome: Outcome, elapsed: Duration, peer: Option<&str>, soak: &Soak) {
        let iteration = self.done.replace(self.done.get() + 1);
        let outcome = outcome.and_then(|()| match elapsed <= soak.max_latency {
            true => Ok(()),
            false => Err(format!("slower than {} ms", soak.max_latency.as_millis())),
        });
        self.failures.set(self.failures.get() + u64::from(outcome.is_err()));
        let verdict =
            outcome.map_or_else(|what| format!("failed: {}", what.replace('\n', " ")), |()| "succeeded".to_owned());
        let (elapsed, peer) = (elapsed.as_millis(), peer.unwrap_or("none"));
        // A line that cannot be written is missed by whoever reads the log.
        let _ = writeln!(
            self.log.borrow_mut(),
            "soak iteration: {iteration} elapsed_ms: {elapsed} peer: {peer} server_uri: {} {verdict}",
            self.server
        );
    }

    fn judge(&self, soak: &Soak) -> Outcome {
        self.log.borrow_mut().flush().map_err(told)?;
        let (done, failures) = (self.done.get(), self.failures.get());
        if done < soak.iterations || failures > soak.max_failures {
            return Err(format!("{done} of {} iterations ran and {failures} of them failed", soak.iterations));
        }
        Ok(())
    }
}

/// Runs futures side by side.
async fn all(futures: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut running: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        running.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
