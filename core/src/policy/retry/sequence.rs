//! One call and its attempts, one after the other: whether there is another one after a failure, and when (A6).
//!
//! What never left the client is no failure here: it is sent anew, and nothing is counted ([TRANS-02]).

use std::time::Duration;

use super::RetryPolicy;
use super::buffer::Overflow;
use super::pushback::{Advice, Pushback};
use super::rules::RetryRules;
use super::throttle::Allowance;
use super::why::Why;
use crate::policy::backoff::grown;
use crate::policy::jitter::jittered;
use crate::status::Code;

/// The state of one call's attempts.
#[derive(Debug)]
pub(crate) struct Sequence<'a> {
    rules: &'a RetryRules,
    /// Of the call's method.
    policy: Option<&'a RetryPolicy>,
    /// Whether the call may run twice without harm.
    is_idempotent: bool,
    /// How many were made, without those that a server did not process.
    attempts: u32,
    /// How often it was sent again although no policy said so: unprocessed, or lost and idempotent.
    unseen: u32,
    /// How many waits there were since the start or since the last pushback ([RPOL-20]).
    waits: i32,
}

/// How an attempt ended that did not end OK.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed {
    pub(crate) code: Code,
    /// What its trailers say; nothing where there are none ([COMMIT-07]).
    pub(crate) advice: Advice,
    /// What keeps the call from being made again, if anything.
    pub(crate) bound: Option<Bound>,
    /// The connection was lost after the request was sent and before a byte of the response came.
    pub(crate) is_lost: bool,
}

/// Why a call keeps to the attempt it is on ([COMMIT-03]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// The response has begun: headers came that were not the end ([COMMIT-01]).
    Committed,
    /// More was sent than is kept ([COMMIT-02]).
    Overflown(Overflow),
}

/// What comes after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Another attempt, after so long.
    Retry { after: Duration },
    /// The call ends as the attempt did ([RPOL-26]).
    GiveUp(Why),
}

/// Waits are up to this share shorter or longer ([RPOL-20]).
const JITTER: f64 = 0.2;

impl<'a> Sequence<'a> {
    /// A call that is about to make its first attempt.
    pub(crate) fn new(rules: &'a RetryRules, policy: Option<&'a RetryPolicy>, is_idempotent: bool) -> Self {
        Self { rules, policy, is_idempotent, attempts: 1, unseen: 0, waits: 0 }
    }

    /// How many attempts were made before the one that runs, as `grpc-previous-rpc-attempts` counts them ([RPOL-27], [TRANS-10]).
    pub(crate) fn previous_attempts(&self) -> u32 {
        self.attempts - 1
    }

    /// The server did not process the attempt. Whether it is made again, at once and as if nothing had been ([TRANS-03]); if not, it has failed.
    pub(crate) fn on_unprocessed(&mut self, allowance: &mut Allowance<'_>) -> bool {
        self.may_repeat(allowance)
    }

    /// An attempt failed; `unit` is a random fraction in 0..1.
    pub(crate) fn on_failed(&mut self, failed: &Failed, unit: f64, allowance: &mut Allowance<'_>) -> Decision {
        let decision = match self.by_policy(failed, unit, allowance) {
            Decision::GiveUp(Why::NoPolicy | Why::NotRetryable(_)) if self.may_repeat_lost(failed, allowance) => {
                Decision::Retry { after: Duration::ZERO }
            }
            decision => decision,
        };
        if matches!(decision, Decision::Retry { .. }) {
            self.attempts += 1;
        }
        decision
    }

    /// In the order of [RPOL-23].
    fn by_policy(&mut self, failed: &Failed, unit: f64, allowance: &mut Allowance<'_>) -> Decision {
        let policy = self.policy.filter(|policy| policy.retryable.contains(failed.code));
        let not_covered = if self.policy.is_some() { Why::NotRetryable(failed.code) } else { Why::NoPolicy };
        let unless_not_covered = |why| Decision::GiveUp(if policy.is_some() { why } else { not_covered });
        if !self.rules.is_enabled {
            return unless_not_covered(Why::Disabled);
        }
        // [PUSH-07]: what an attempt says at its end does not count when it is the call's last one anyhow.
        match failed.bound {
            Some(Bound::Committed) => return unless_not_covered(Why::Committed),
            Some(Bound::Overflown(overflow)) => return unless_not_covered(Why::BufferExceeded(overflow)),
            None => {}
        }
        let pushback = match failed.advice.pushback {
            // [PUSH-06]
            Pushback::Never => {
                allowance.throttle.on_failure();
                return unless_not_covered(Why::ToldNot);
            }
            Pushback::After(length) => Some(length),
            Pushback::None => None,
        };
        // [PUSH-05]
        let Some(policy) = policy else { return Decision::GiveUp(not_covered) };
        // [RPOL-24]
        allowance.throttle.on_failure();
        if !allowance.throttle.allows_more() {
            return Decision::GiveUp(Why::Throttled);
        }
        let most = self.rules.capped(policy.max_attempts);
        if self.attempts >= most {
            return Decision::GiveUp(Why::UsedUp { attempts: self.attempts, wished: policy.max_attempts });
        }
        if !allowance.take() {
            return Decision::GiveUp(Why::BudgetEmpty);
        }
        Decision::Retry { after: self.wait(policy, pushback, failed.advice.retry_info, unit) }
    }

    /// [PUSH-02], else [RPOL-20] and no less than the details of the status ask for.
    fn wait(
        &mut self,
        policy: &RetryPolicy,
        pushback: Option<Duration>,
        least: Option<Duration>,
        unit: f64,
    ) -> Duration {
        if let Some(exactly) = pushback {
            self.waits = 0;
            return exactly;
        }
        let length = grown(policy.initial_backoff, policy.backoff_multiplier, self.waits, policy.max_backoff);
        self.waits = self.waits.saturating_add(1);
        jittered(length, JITTER, unit).max(least.unwrap_or_default())
    }

    /// An idempotent call whose connection was lost is repeated at once, within the bounds of what a server did not process: the same happened, as
    /// far as its caller can tell.
    fn may_repeat_lost(&mut self, failed: &Failed, allowance: &mut Allowance<'_>) -> bool {
        let may = self.rules.is_enabled && self.is_idempotent && failed.is_lost && failed.bound.is_none();
        may && self.may_repeat(allowance)
    }

    fn may_repeat(&mut self, allowance: &mut Allowance<'_>) -> bool {
        let may = allowance.take_unseen(self.unseen);
        if may {
            self.unseen += 1;
        }
        may
    }
}

#[cfg(test)]
mod tests;
