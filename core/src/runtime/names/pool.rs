//! The threads that wait for names: few, started when there is something to do, gone soon after.
//!
//! ```text
//! ask ──▶ waiting (a name once, bounded) ──▶ running (one per thread) ──▶ all who asked for the name
//! ```

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use super::Found;
use crate::foreign;

/// So many names can hang before others wait for them.
const MOST_THREADS: usize = 4;

/// So many different names may wait; more are refused, and their channels ask again after a backoff.
const MOST_WAITING: usize = 1_024;

/// How long a thread without work stays.
const LINGER: Duration = Duration::from_secs(1);

/// Threads that look names up by `look_up`.
pub(super) struct Pool<F> {
    look_up: F,
    /// Held for a few lines at a time, never while a name is looked up.
    state: Mutex<State>,
    /// Something waits.
    arrived: Condvar,
}

struct State {
    waiting: VecDeque<Lookup>,
    running: Vec<Lookup>,
    threads: usize,
    /// How many of the threads have nothing to do.
    idle: usize,
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

impl<F: Fn(&str) -> Found + Sync> Pool<F> {
    pub(super) const fn new(look_up: F) -> Self {
        let state = State { waiting: VecDeque::new(), running: Vec::new(), threads: 0, idle: 0 };
        Self { look_up, state: Mutex::new(state), arrived: Condvar::new() }
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
        if let Some(same) = running.iter_mut().chain(&mut *waiting).find(|lookup| *lookup.host == *host) {
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
        if state.waiting.len() > state.idle && state.threads < MOST_THREADS {
            self.start_thread(&mut state)
        } else {
            self.arrived.notify_one();
            Ok(())
        }
    }

    fn start_thread(&'static self, state: &mut State) -> Result<(), String> {
        let started = thread::Builder::new().name("linkspan-dns".to_owned()).spawn(|| {
            // A host's handlers run on the host's own threads. Fails only for a bad argument, which a full set is not.
            let _ = nix::sys::signal::SigSet::all().thread_block();
            self.work();
        });
        match started {
            Ok(_) => state.threads += 1,
            // There are others, and they come to it.
            Err(_) if state.threads > 0 => {}
            Err(cause) => {
                state.waiting.pop_back();
                return Err(format!("cannot start a thread to look names up: {cause}"));
            }
        }
        Ok(())
    }

    fn work(&self) {
        while let Some(host) = self.next() {
            let mut found = Err("the look-up panicked".into());
            foreign::contain(|| found = (self.look_up)(&host));
            self.answer(&host, &found);
        }
    }

    /// Waits for a name; `None` when none came for long, and this thread is counted no more.
    fn next(&self) -> Option<Box<str>> {
        let mut state = self.lock();
        loop {
            while let Some(lookup) = state.waiting.pop_front() {
                if lookup.is_wanted() {
                    let host = lookup.host.clone();
                    state.running.push(lookup);
                    return Some(host);
                }
            }
            state.idle += 1;
            let waited = self.arrived.wait_timeout(state, LINGER).unwrap_or_else(PoisonError::into_inner);
            state = waited.0;
            state.idle -= 1;
            if waited.1.timed_out() && state.waiting.is_empty() {
                state.threads -= 1;
                return None;
            }
        }
    }

    fn answer(&self, host: &str, found: &Found) {
        let mut state = self.lock();
        let place = state.running.iter().position(|lookup| *lookup.host == *host);
        let askers = place.map(|place| state.running.swap_remove(place).askers).unwrap_or_default();
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

#[cfg(test)]
mod tests;
