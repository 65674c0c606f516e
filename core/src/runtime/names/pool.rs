//! The threads that wait for names: few, started when there is something to do, gone soon after.
//!
//! ```text
//! ask ──▶ waiting (a name once, bounded) ──▶ running (one per thread) ──▶ all who asked for the name
//! ```
//!
//! A few look-ups go on at the same time. One that takes long is not one of them any more: names that hang must not keep good ones waiting.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Found;
use crate::foreign;

/// So many names are looked up at the same time, those that take long not counted.
const MOST_AT_ONCE: usize = 4;

/// An answer over a network is there by then, or a server does not answer: glibc waits five seconds for one.
const SLOW_AFTER: Duration = Duration::from_secs(1);

/// So many names can hang before others wait for them.
const MOST_THREADS: usize = 64;

/// So many different names may wait; more are refused, and their channels ask again after a backoff.
const MOST_WAITING: usize = 1_024;

/// How long a thread without work stays.
const LINGER: Duration = Duration::from_secs(1);

/// Threads that look names up by `look_up`.
pub(super) struct Pool<F> {
    look_up: F,
    slow_after: Duration,
    /// Held for a few lines at a time, never while a name is looked up.
    state: Mutex<State>,
    /// Something waits.
    arrived: Condvar,
}

struct State {
    waiting: VecDeque<Lookup>,
    running: Vec<Running>,
    threads: usize,
    /// How many of the threads have nothing to do, or wait until a look-up takes long.
    idle: usize,
}

struct Running {
    lookup: Lookup,
    slow_from: Instant,
}

/// One name, and who waits for it.
struct Lookup {
    host: Box<str>,
    askers: Vec<oneshot::Sender<Found>>,
}

impl Lookup {
    fn is_wanted(&self) -> bool {
        self.askers.iter().any(|asker| !asker.is_closed())
    }
}

impl State {
    /// When the look-ups that do not take long leave room for one more; `None` is now.
    fn full_until(&self, now: Instant) -> Option<Instant> {
        let quick = self.running.iter().map(|running| running.slow_from).filter(|slow_from| *slow_from > now);
        let (count, next) = quick.fold((0, None), |(count, next): (usize, Option<Instant>), slow_from| {
            (count + 1, Some(next.map_or(slow_from, |next| next.min(slow_from))))
        });
        next.filter(|_| count >= MOST_AT_ONCE)
    }

    /// Whether what waits needs one more thread: one for each look-up that may go on, and one that waits until a look-up takes long.
    fn wants_thread(&self, now: Instant) -> bool {
        let slow = self.running.iter().filter(|running| running.slow_from <= now).count();
        self.waiting.len() > self.idle && self.threads < MOST_THREADS && self.threads - slow <= MOST_AT_ONCE
    }
}

impl<F: Fn(&str) -> Found + Sync> Pool<F> {
    pub(super) const fn new(look_up: F) -> Self {
        Self::with_patience(look_up, SLOW_AFTER)
    }

    const fn with_patience(look_up: F, slow_after: Duration) -> Self {
        let state = State { waiting: VecDeque::new(), running: Vec::new(), threads: 0, idle: 0 };
        Self { look_up, slow_after, state: Mutex::new(state), arrived: Condvar::new() }
    }

    /// Looks the name up, together with all others who ask for it meanwhile.
    pub(super) async fn ask(&'static self, host: &str) -> Found {
        let (asker, answer) = oneshot::channel();
        self.enter(host, asker)?;
        answer.await.unwrap_or_else(|_| Err("the look-up was given up".into()))
    }

    fn enter(&'static self, host: &str, asker: oneshot::Sender<Found>) -> Result<(), String> {
        let mut state = self.lock();
        let State { running, waiting, .. } = &mut *state;
        let running_ones = running.iter_mut().map(|running| &mut running.lookup);
        if let Some(same) = running_ones.chain(&mut *waiting).find(|lookup| *lookup.host == *host) {
            // Those of a name that hangs come and go.
            same.askers.retain(|asker| !asker.is_closed());
            same.askers.push(asker);
            return Ok(());
        }
        if waiting.len() >= MOST_WAITING {
            waiting.retain(Lookup::is_wanted);
        }
        if waiting.len() >= MOST_WAITING {
            return Err(format!(
                "{MOST_WAITING} other names are waiting to be looked up, and {} are being looked up",
                running.len()
            ));
        }
        waiting.push_back(Lookup { host: host.into(), askers: vec![asker] });
        if state.wants_thread(now()) {
            self.start_thread(&mut state)
        } else {
            self.arrived.notify_one();
            Ok(())
        }
    }

    /// # Errors
    /// There is no thread at all; the name that came last waits no more.
    fn start_thread(&'static self, state: &mut State) -> Result<(), String> {
        match self.spawn(state) {
            Err(cause) if state.threads == 0 => {
                state.waiting.pop_back();
                Err(format!("cannot start a thread to look names up: {cause}"))
            }
            // Where it failed there are others, and they come to it.
            _ => Ok(()),
        }
    }

    fn spawn(&'static self, state: &mut State) -> io::Result<()> {
        thread::Builder::new().name("linkspan-dns".to_owned()).spawn(|| {
            // A host's handlers run on the host's own threads. Fails only for a bad argument, which a full set is not.
            let _ = nix::sys::signal::SigSet::all().thread_block();
            self.work();
        })?;
        state.threads += 1;
        Ok(())
    }

    fn work(&'static self) {
        while let Some(host) = self.next() {
            let mut found = Err("the look-up panicked".into());
            foreign::contain(|| found = (self.look_up)(&host));
            self.answer(&host, &found);
        }
    }

    /// Waits for a name; `None` when none came for long, and this thread is counted no more.
    fn next(&'static self) -> Option<Box<str>> {
        let mut state = self.lock();
        loop {
            let now = now();
            let full_until = state.full_until(now);
            if full_until.is_none()
                && let Some(host) = self.take(&mut state, now)
            {
                return Some(host);
            }
            state.idle += 1;
            let patience = full_until.map_or(LINGER, |until| until - now);
            let waited = self.arrived.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
            state.idle -= 1;
            if waited.1.timed_out() && state.waiting.is_empty() {
                state.threads -= 1;
                return None;
            }
        }
    }

    /// The first name that somebody still waits for. Others go on waiting with a thread that looks after them.
    fn take(&'static self, state: &mut State, now: Instant) -> Option<Box<str>> {
        while let Some(lookup) = state.waiting.pop_front() {
            if lookup.is_wanted() {
                let host = lookup.host.clone();
                state.running.push(Running { lookup, slow_from: now + self.slow_after });
                if state.wants_thread(now) {
                    // Without it they wait for a thread that comes free.
                    let _ = self.spawn(state);
                }
                return Some(host);
            }
        }
        None
    }

    fn answer(&self, host: &str, found: &Found) {
        let mut state = self.lock();
        let place = state.running.iter().position(|running| *running.lookup.host == *host);
        let askers = place.map(|place| state.running.swap_remove(place).lookup.askers).unwrap_or_default();
        drop(state);
        for asker in askers {
            // Who has gone does not mind.
            let _ = asker.send(found.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn now() -> Instant {
    #[expect(
        clippy::disallowed_methods,
        reason = "these threads are of no loop, and nothing that is simulated comes here"
    )]
    Instant::now()
}

#[cfg(test)]
mod tests;
