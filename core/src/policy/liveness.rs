//! When a connection is suspected to be dead, and what is done about it (A8 for what servers allow).
//!
//! ```text
//! trusted ── evidence ──▶ checked by a PING ── unanswered while calls wait ──▶ another connection is wanted
//!    ▲                      │       └── unanswered for the timeout ──▶ dead
//!    └──── any byte read ───┘
//! ```
//!
//! Evidence is: a call reached its deadline and nothing at all was read since its stream was opened; a call wants a connection that was
//! idle for long; the process did not run for a while. While a connection is checked, calls wait for the answer.

use std::time::Duration;

use super::excuse::{Deadline, FROZEN};
use crate::time::{Time, earliest};

/// The parameters of liveness; each is an option of the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LivenessOptions {
    /// How long a check may stay unanswered before the connection is given up.
    pub(crate) timeout: Duration,
    /// An idle connection is checked before reuse when nothing was read for so long; `None` is never.
    pub(crate) reuse_check_after: Option<Duration>,
}

/// Why a connection is suspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suspicion {
    /// A call reached its deadline in silence.
    SilentDeadline,
    /// It was idle for long.
    Idle,
    /// The process did not run.
    Frozen,
}

/// What follows from an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LivenessStep {
    Nothing,
    /// Ping; until something is read, calls wait.
    Check,
    /// Calls should have another connection soon.
    WantSuccessor(Suspicion),
    /// The connection is dead; nothing was read for so long at least.
    Dead(Suspicion, Duration),
}

/// One connection's liveness.
#[derive(Debug)]
pub(crate) struct Liveness {
    options: LivenessOptions,
    /// Since when no stream is open and nothing was read; holds while that is so.
    idle_since: Time,
    /// Set while an answer is waited for; boxed, because that is rare.
    check: Option<Box<Check>>,
    /// Until the server sends headers or data again.
    checks_left: u8,
    /// Set once another connection was asked for; a byte read clears it.
    successor_is_wanted: bool,
    /// While the connection is in use: when the process should run again at the latest.
    beat: Option<Time>,
}

#[derive(Debug)]
struct Check {
    suspicion: Suspicion,
    silent_since: Time,
    started: Time,
    dead_at: Deadline,
}

/// Servers count PINGs between two of their HEADERS or DATA frames and close the connection at the fourth ([CONN-110]); keepalive may
/// send one of them, and one is kept back.
const CHECKS: u8 = 2;

/// Calls wait so long for an answer before another connection is opened beside this one: more than a round trip round the world.
const PATIENCE: Duration = Duration::from_millis(250);

/// How often a connection in use looks whether the process ran.
const BEAT: Duration = Duration::from_secs(10);

impl Liveness {
    pub(crate) fn new(options: LivenessOptions, now: Time) -> Self {
        let (checks_left, successor_is_wanted) = (CHECKS, false);
        Self { options, idle_since: now, check: None, checks_left, successor_is_wanted, beat: None }
    }

    /// The last stream has ended, or bytes were read while none was open.
    pub(crate) fn on_idle(&mut self, now: Time) {
        self.idle_since = now;
    }

    /// A call wants a connection without streams; `now` may be the time the call was made.
    pub(crate) fn on_reuse(&mut self, now: Time) -> LivenessStep {
        let is_long = self.options.reuse_check_after.is_some_and(|after| now.since(self.idle_since) >= after);
        if is_long { self.suspect(now, Suspicion::Idle, self.idle_since) } else { LivenessStep::Nothing }
    }

    /// A call reached its deadline and nothing was read since its stream was opened, at this time.
    pub(crate) fn on_silent_deadline(&mut self, now: Time, opened: Time) -> LivenessStep {
        self.suspect(now, Suspicion::SilentDeadline, opened)
    }

    /// The connection is in use and [`Liveness::is_beating`] says that nobody looks whether the process runs.
    pub(crate) fn on_in_use(&mut self, now: Time) {
        self.beat = Some(now + BEAT);
    }

    pub(crate) fn is_beating(&self) -> bool {
        self.beat.is_some()
    }

    /// Bytes were read: whatever was suspected is not so. Says whether calls wait no longer.
    pub(crate) fn on_bytes_read(&mut self) -> bool {
        if self.check.is_none() {
            return false;
        }
        self.successor_is_wanted = false;
        self.check = None;
        true
    }

    /// The server sent headers or data: it has forgotten the PINGs before.
    pub(crate) fn on_answer_read(&mut self) {
        self.checks_left = CHECKS;
        self.successor_is_wanted &= self.check.is_some();
    }

    /// A PING was sent for another purpose, and after the server's last headers or data: servers count it too.
    pub(crate) fn on_other_ping(&mut self) {
        self.checks_left = self.checks_left.saturating_sub(1);
    }

    /// A call waits for the answer of a check.
    pub(crate) fn on_call_waits(&mut self, now: Time) -> LivenessStep {
        match &self.check {
            Some(check) if check.started + PATIENCE <= now => self.want_successor(check.suspicion),
            _ => LivenessStep::Nothing,
        }
    }

    /// Says one thing at a time: ask again until it is [`LivenessStep::Nothing`].
    pub(crate) fn on_time(&mut self, now: Time, is_in_use: bool, calls_wait: bool) -> LivenessStep {
        if let Some(check) = &mut self.check {
            if check.dead_at.is_over(now) {
                return LivenessStep::Dead(check.suspicion, now.since(check.silent_since));
            }
            if calls_wait && !self.successor_is_wanted && check.started + PATIENCE <= now {
                let suspicion = check.suspicion;
                return self.want_successor(suspicion);
            }
        }
        match self.beat {
            Some(beat) if beat <= now => {
                self.beat = is_in_use.then(|| now + BEAT);
                if now.since(beat) >= FROZEN {
                    self.suspect(now, Suspicion::Frozen, now)
                } else {
                    LivenessStep::Nothing
                }
            }
            _ => LivenessStep::Nothing,
        }
    }

    pub(crate) fn next_deadline(&self, calls_wait: bool) -> Option<Time> {
        let check = self.check.as_ref();
        let dead_at = check.map(|check| check.dead_at.at());
        let impatient_at =
            check.filter(|_| calls_wait && !self.successor_is_wanted).map(|check| check.started + PATIENCE);
        earliest([dead_at, impatient_at, self.beat])
    }

    fn suspect(&mut self, now: Time, suspicion: Suspicion, silent_since: Time) -> LivenessStep {
        if self.check.is_some() {
            return LivenessStep::Nothing;
        }
        if self.checks_left == 0 {
            return self.want_successor(suspicion);
        }
        self.checks_left -= 1;
        let dead_at = Deadline::new(now + self.options.timeout);
        self.check = Some(Box::new(Check { suspicion, silent_since, started: now, dead_at }));
        LivenessStep::Check
    }

    fn want_successor(&mut self, suspicion: Suspicion) -> LivenessStep {
        if std::mem::replace(&mut self.successor_is_wanted, true) {
            return LivenessStep::Nothing;
        }
        LivenessStep::WantSuccessor(suspicion)
    }
}

#[cfg(test)]
mod tests;
