//! One hedged call: attempts beside each other, of which the first good one is the call (A6).
//!
//! What happens to its attempts comes in; [`Hedging::next`] says what to do, and is asked again until it says to wait. What never left the
//! client, or was not processed by the server, is sent anew as the same attempt, and is nothing that happens here.

use std::time::Duration;

use super::HedgingPolicy;
use super::codes::StatusCodes;
use super::pushback::{Advice, Pushback};
use super::rules::RetryRules;
use super::throttle::Allowance;
use super::why::Why;
use crate::status::Code;
use crate::time::Time;

/// The state of one hedged call.
#[derive(Debug)]
pub(crate) struct Hedging {
    delay: Duration,
    non_fatal: StatusCodes,
    /// What the policy wishes for, and what the channel allows of it ([HEDGE-10]).
    wished: u32,
    most: u32,
    /// How many attempts were started. Their numbers count from 0.
    started: u32,
    /// How many turns to start one there were; those that were skipped count too.
    turns: u32,
    /// How many run.
    live: u32,
    /// When the next turn is.
    next_turn: Time,
    /// Why no more are started, although there are turns left.
    frozen: Option<Why>,
    /// Why a turn was skipped, if one was: the newest reason.
    skipped: Option<Why>,
    /// The attempt that failed last.
    last_failed: u32,
    course: Course,
}

/// How far the call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    Open,
    /// To be said.
    Decided(Action),
    Said,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start an attempt; its number is what `grpc-previous-rpc-attempts` says, which the first one does not send ([RPOL-27]).
    Start(u32),
    /// Nothing until something happens, or until this time.
    Wait(Option<Time>),
    /// The call is this attempt from now on: cancel all others ([HEDGE-22]). Said once, and nothing but to wait after it.
    Commit(u32),
    /// The call ends as this attempt did: cancel all others. Said once, and nothing but to wait after it.
    End { as_attempt: u32, why: Why },
}

impl Hedging {
    /// A call that is about to be made.
    pub(crate) fn new(policy: &HedgingPolicy, rules: &RetryRules, now: Time) -> Self {
        Self {
            delay: policy.delay,
            non_fatal: policy.non_fatal,
            wished: policy.max_attempts,
            most: rules.capped(policy.max_attempts),
            started: 0,
            turns: 0,
            live: 0,
            next_turn: now,
            frozen: None,
            skipped: None,
            last_failed: 0,
            course: Course::Open,
        }
    }

    /// What to do now.
    pub(crate) fn next(&mut self, allowance: &mut Allowance<'_>) -> Action {
        if let Course::Decided(action) = self.course {
            self.course = Course::Said;
            return action;
        }
        if self.course == Course::Said {
            return Action::Wait(None);
        }
        while self.has_turns() {
            if allowance.now < self.next_turn {
                return Action::Wait(Some(self.next_turn));
            }
            if let Some(number) = self.take_turn(allowance) {
                return Action::Start(number);
            }
        }
        if self.live > 0 { Action::Wait(None) } else { self.end() }
    }

    /// A turn is now. `None`: it is skipped ([HEDGE-28]).
    fn take_turn(&mut self, allowance: &mut Allowance<'_>) -> Option<u32> {
        self.turns += 1;
        // From now on, not from when it should have been: a process that was stopped for a while does not send all at once.
        self.next_turn = allowance.now + self.delay;
        let why_not = if self.started == 0 {
            None
        } else if !allowance.throttle.allows_more() {
            Some(Why::Throttled)
        } else {
            (!allowance.take()).then_some(Why::BudgetEmpty)
        };
        if let Some(why) = why_not {
            self.skipped = why_not;
            // Nobody waits for a turn that may be skipped, too.
            if self.live == 0 {
                self.frozen = Some(why);
            }
            return None;
        }
        let number = self.started;
        self.started += 1;
        self.live += 1;
        Some(number)
    }

    /// Headers of a response came for this attempt, or it ended OK ([HEDGE-22]), or no other can send what it has ([HEDGE-30]).
    pub(crate) fn on_answer(&mut self, attempt: u32) {
        self.decide(Action::Commit(attempt));
    }

    /// This attempt failed before an answer.
    pub(crate) fn on_failed(&mut self, attempt: u32, code: Code, advice: Advice, allowance: &mut Allowance<'_>) {
        self.live = self.live.saturating_sub(1);
        if !self.is_open() {
            return;
        }
        self.last_failed = attempt;
        let is_fatal = !self.non_fatal.contains(code);
        // [PUSH-06], [THR-21]
        if !is_fatal || advice.pushback == Pushback::Never {
            allowance.throttle.on_failure();
        }
        // [HEDGE-24]
        if is_fatal {
            self.decide(Action::End { as_attempt: attempt, why: Why::NotRetryable(code) });
            return;
        }
        match advice.pushback {
            // [HEDGE-23], unless the details of the status ask for a wait.
            Pushback::None => self.next_turn = allowance.now + advice.retry_info.unwrap_or_default(),
            // [HEDGE-26]
            Pushback::After(length) => self.next_turn = allowance.now + length,
            // [HEDGE-25]
            Pushback::Never => self.frozen = Some(Why::ToldNot),
        }
    }

    /// This attempt could not be made, for a reason of this side that the next one would meet, too. Those that run go on, and no more are started.
    pub(crate) fn on_not_made(&mut self, attempt: u32, code: Code) {
        self.live = self.live.saturating_sub(1);
        if self.is_open() {
            self.last_failed = attempt;
            self.frozen.get_or_insert(Why::NotRetryable(code));
        }
    }

    /// Whether what becomes of the call is known and still to be done: nothing else may happen before.
    pub(crate) fn is_decided(&self) -> bool {
        matches!(self.course, Course::Decided(_))
    }

    fn has_turns(&self) -> bool {
        self.frozen.is_none() && self.turns < self.most
    }

    fn is_open(&self) -> bool {
        self.course == Course::Open
    }

    /// What was decided first stays.
    fn decide(&mut self, action: Action) {
        if self.is_open() {
            self.course = Course::Decided(action);
        }
    }

    /// All have failed, and no more are started ([HEDGE-27]).
    fn end(&mut self) -> Action {
        self.course = Course::Said;
        let used_up = Why::UsedUp { attempts: self.started, wished: self.wished };
        Action::End { as_attempt: self.last_failed, why: self.frozen.or(self.skipped).unwrap_or(used_up) }
    }
}

#[cfg(test)]
mod tests;
