//! The circuit breaker of one endpoint: when it opens, when calls probe whether it may close, when it closes.
//!
//! ```text
//!                    a rule trips                 the open time is over
//!    CLOSED ──────────────────────────▶ OPEN ──────────────────────────▶ HALF-OPEN
//!      ▲                                  ▲          a probe fails           │
//!      │                                  └──────────────────────────────────┤
//!      └─────────────────────────────────────────────────────────────────────┘
//!                               as many probes as wanted succeeded
//! ```
//!
//! Calls feed it as they end, so it opens with the call that is one too many and not when somebody looks.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::window::{Count, Window};
use crate::status::Code;
use crate::time::Time;

/// The rules; the same for all endpoints of a channel.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct BreakerOptions {
    /// So many failures with no success between them open it; `None` is any number.
    pub(crate) consecutive_failures: Option<u32>,
    /// So large a share of the window's calls opens it,
    pub(crate) failure_ratio: f64,
    /// when the window has so many.
    pub(crate) minimum_requests: u32,
    pub(crate) window: Duration,
    /// How long no call goes to an endpoint whose breaker has opened.
    pub(crate) open_time: Duration,
    /// How many calls probe it then, and how many of them must succeed: all.
    pub(crate) half_open_probes: u32,
}

impl Default for BreakerOptions {
    fn default() -> Self {
        Self {
            consecutive_failures: Some(5),
            failure_ratio: 0.5,
            minimum_requests: 20,
            window: Duration::from_secs(10),
            open_time: Duration::from_secs(5),
            half_open_probes: 1,
        }
    }
}

/// What a call's end says of the endpoint it was on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Succeeded,
    Failed(Code),
}

/// The breaker.
#[derive(Debug)]
pub(crate) struct Circuit {
    options: Rc<BreakerOptions>,
    position: Position,
    /// Which stay in a position this is: the end of a call that was let through in an earlier one says nothing about this one.
    turn: u32,
    /// Changes whenever there is something new to see.
    changes: u32,
    consecutive: u32,
    window: Window,
}

/// Where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Position {
    Closed,
    Open {
        since: Time,
        until: Time,
        why: String,
    },
    HalfOpen {
        /// When it opened, the last time and not again after a probe, and why.
        since: Time,
        why: String,
        running: u32,
        succeeded: u32,
        /// Probes that are not over by then take nobody's place any more: a stream without end must not hold everybody else up. Their ends
        /// still count. `None` while no probe runs, or until the time was told since one began.
        until: Option<Time>,
    },
}

/// Where a breaker stands, as people are told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) name: &'static str,
    /// Why it has opened.
    pub(crate) why: Option<String>,
    /// When it lets a call through to probe, while it lets none.
    pub(crate) probe_at: Option<Time>,
}

impl Circuit {
    pub(super) fn new(options: Rc<BreakerOptions>) -> Self {
        let window = Window::new(options.window);
        Self { options, position: Position::Closed, turn: 0, changes: 0, consecutive: 0, window }
    }

    pub(super) fn position(&self) -> &Position {
        &self.position
    }

    pub(in crate::policy::balancer) fn standing(&self) -> Standing {
        let (name, why, probe_at) = match &self.position {
            Position::Closed => ("closed", None, None),
            Position::Open { why, until, .. } => ("open", Some(why.clone()), Some(*until)),
            Position::HalfOpen { why, .. } => ("half-open", Some(why.clone()), None),
        };
        Standing { name, why, probe_at }
    }

    pub(super) fn changes(&self) -> u32 {
        self.changes
    }

    /// Whether a call may go there now.
    pub(crate) fn admits(&self) -> bool {
        match &self.position {
            Position::Closed => true,
            Position::Open { .. } => false,
            Position::HalfOpen { running, succeeded, .. } => {
                running.saturating_add(*succeeded) < self.options.half_open_probes
            }
        }
    }

    /// Whether calls that go there probe.
    pub(crate) fn is_probed(&self) -> bool {
        matches!(self.position, Position::HalfOpen { .. })
    }

    /// A call goes there. What is returned comes back with its end.
    pub(crate) fn on_admitted(&mut self) -> u32 {
        if let Position::HalfOpen { running, .. } = &mut self.position {
            *running += 1;
        }
        self.turn
    }

    /// A call that was let through in this turn is over without having been sent, or so that nothing can be said. Whether another may
    /// probe in its stead.
    pub(crate) fn on_left(&mut self, turn: u32) -> bool {
        let Position::HalfOpen { running, until, .. } = &mut self.position else { return false };
        if turn != self.turn {
            return false;
        }
        one_less(running, until);
        self.changes = self.changes.wrapping_add(1);
        true
    }

    /// A call that was let through in this turn has ended. Whether there is something new to see.
    pub(crate) fn on_ended(&mut self, now: Time, turn: u32, verdict: Verdict) -> bool {
        if turn != self.turn {
            return false;
        }
        let before = self.changes;
        match (&mut self.position, verdict) {
            (Position::Closed, Verdict::Succeeded) => {
                self.consecutive = 0;
                self.window.on_succeeded(now);
            }
            (Position::Closed, Verdict::Failed(code)) => {
                self.consecutive = self.consecutive.saturating_add(1);
                let count = self.window.on_failed(now);
                if let Some(why) = self.tripped(count, code) {
                    self.open(now, now, why);
                }
            }
            (Position::HalfOpen { since, .. }, Verdict::Failed(code)) => {
                let since = *since;
                self.open(now, since, format!("a probe failed with {code}"));
            }
            (Position::HalfOpen { running, succeeded, until, .. }, Verdict::Succeeded) => {
                one_less(running, until);
                *succeeded += 1;
                if *succeeded >= self.options.half_open_probes {
                    self.consecutive = 0;
                    self.window.clear();
                    self.turn_to(Position::Closed);
                }
            }
            // No call is let through.
            (Position::Open { .. }, _) => {}
        }
        self.changes != before
    }

    /// The time given by [`Circuit::next_deadline`] came, or a probe began.
    pub(super) fn on_time(&mut self, now: Time) {
        match &mut self.position {
            Position::Open { since, until, why } if *until <= now => {
                let (since, why) = (*since, std::mem::take(why));
                self.turn_to(Position::HalfOpen { since, why, running: 0, succeeded: 0, until: None });
            }
            Position::HalfOpen { running, until: until @ None, .. } if *running > 0 => {
                *until = Some(now + self.options.open_time);
            }
            Position::HalfOpen { running, until, .. } if until.is_some_and(|at| at <= now) => {
                (*running, *until) = (0, None);
                self.changes = self.changes.wrapping_add(1);
            }
            Position::Closed | Position::Open { .. } | Position::HalfOpen { .. } => {}
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Time> {
        match &self.position {
            Position::Closed => None,
            Position::Open { until, .. } => Some(*until),
            Position::HalfOpen { until, .. } => *until,
        }
    }

    /// Which rule is broken by the failure that came last, in words.
    fn tripped(&self, count: Count, code: Code) -> Option<String> {
        let BreakerOptions { consecutive_failures, failure_ratio, minimum_requests, window, .. } = &*self.options;
        if consecutive_failures.is_some_and(|most| self.consecutive >= most) {
            let s = if self.consecutive == 1 { "" } else { "s" };
            return Some(format!("{} failure{s} in a row, the last {code}", self.consecutive));
        }
        let is_over = f64::from(count.failed) >= failure_ratio * f64::from(count.total());
        (count.total() >= *minimum_requests && is_over).then(|| {
            format!("{} of {} calls failed within {}, the last {code}", count.failed, count.total(), Seconds(*window))
        })
    }

    fn open(&mut self, now: Time, since: Time, why: String) {
        self.turn_to(Position::Open { since, until: now + self.options.open_time, why });
    }

    fn turn_to(&mut self, position: Position) {
        self.position = position;
        self.turn = self.turn.wrapping_add(1);
        self.changes = self.changes.wrapping_add(1);
    }
}

/// A probe is over.
fn one_less(running: &mut u32, until: &mut Option<Time>) {
    *running = running.saturating_sub(1);
    if *running == 0 {
        *until = None;
    }
}

struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_secs_f64())
    }
}

#[cfg(test)]
mod tests;
