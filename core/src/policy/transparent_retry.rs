//! Whether a call the server did not process is sent again, unseen ([RETRY-2] to [RETRY-4]).
//!
//! Such a retry cannot do anything twice, so it needs no policy of the user's. It is bounded all the same: per call, and over all calls of
//! a channel by a budget, so that a server that refuses everything is not sent everything several times. Retries and hedges that a policy asks
//! for are paid for by the same budget.

use std::time::Duration;

use crate::time::Time;

/// The rules; the same for all calls of a channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct TransparentRetryOptions {
    /// How often one call may be sent again.
    pub(crate) most_per_call: u32,
    /// `None` is no bound over all calls.
    pub(crate) budget: Option<BudgetOptions>,
}

/// How many retries a channel has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BudgetOptions {
    /// Retries earned by each call.
    pub(crate) ratio: f64,
    /// Retries that are always there, per second.
    pub(crate) min_per_second: f64,
}

/// A channel's retries.
#[derive(Debug)]
pub(crate) struct RetryBudget {
    options: TransparentRetryOptions,
    /// Retries that may be made now.
    balance: f64,
    /// Up to when the balance is reckoned, and how many calls had been started then.
    reckoned: (Time, u64),
}

/// What was earned and not used is kept for so long, and for so many calls; a quiet day does not pay for a storm.
const KEPT: Duration = Duration::from_secs(10);
const KEPT_CALLS: f64 = 10_000.0;

impl RetryBudget {
    /// A channel made at `now` starts with what ten seconds of quiet earn.
    pub(crate) fn new(options: TransparentRetryOptions, now: Time) -> Self {
        let balance = options.budget.map_or(0.0, |budget| budget.min_per_second * KEPT.as_secs_f64());
        Self { options, balance, reckoned: (now, 0) }
    }

    /// The server did not process a call that was sent `attempts` times; the channel has started `calls` so far. Whether to send it again.
    pub(crate) fn on_unprocessed(&mut self, now: Time, calls: u64, attempts: u32) -> bool {
        if attempts > self.options.most_per_call {
            return false;
        }
        self.take(now, calls)
    }

    /// An attempt beyond a call's first is to be made, whatever for; the channel has started `calls` so far. Whether it may be, and if so, it counts.
    pub(crate) fn take(&mut self, now: Time, calls: u64) -> bool {
        let Some(budget) = self.options.budget else { return true };
        let (since, before) = std::mem::replace(&mut self.reckoned, (now, calls));
        #[expect(clippy::cast_precision_loss, reason = "a count of calls")]
        let new_calls = calls.saturating_sub(before) as f64;
        let by_calls = budget.ratio * new_calls.min(KEPT_CALLS);
        let by_time = budget.min_per_second * now.since(since).min(KEPT).as_secs_f64();
        let most = budget.min_per_second * KEPT.as_secs_f64() + budget.ratio * KEPT_CALLS;
        self.balance = (self.balance + by_calls + by_time).min(most);
        let is_enough = self.balance >= 1.0;
        if is_enough {
            self.balance -= 1.0;
        }
        is_enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_start(Duration::from_secs(seconds))
    }

    /// [RETRY-3]
    #[test]
    fn without_a_budget_a_call_is_sent_again_as_often_as_it_may() {
        let mut budget = RetryBudget::new(TransparentRetryOptions { most_per_call: 1, budget: None }, at(0));
        for _ in 0..1_000 {
            assert!(budget.on_unprocessed(at(0), 1, 1));
            assert!(!budget.on_unprocessed(at(0), 1, 2));
        }
    }

    fn frugal() -> RetryBudget {
        let budget = Some(BudgetOptions { ratio: 0.2, min_per_second: 10.0 });
        RetryBudget::new(TransparentRetryOptions { most_per_call: 5, budget }, at(5_000))
    }

    fn granted(budget: &mut RetryBudget, now: Time, calls: u64) -> usize {
        (0..10_000).take_while(|_| budget.on_unprocessed(now, calls, 1)).count()
    }

    #[test]
    fn a_quiet_channel_has_what_ten_seconds_earn_and_then_ten_a_second() {
        let mut budget = frugal();
        assert_eq!(granted(&mut budget, at(5_000), 0), 100);
        assert_eq!(granted(&mut budget, at(5_001), 0), 10);
        assert_eq!(granted(&mut budget, at(5_003), 0), 20);
    }

    #[test]
    fn every_call_earns_its_share() {
        let mut budget = frugal();
        granted(&mut budget, at(5_000), 0);
        assert_eq!(granted(&mut budget, at(5_000), 500), 100);
    }

    #[test]
    fn a_quiet_day_does_not_pay_for_a_storm() {
        let mut budget = frugal();
        granted(&mut budget, at(5_000), 0);
        assert_eq!(granted(&mut budget, at(91_400), 0), 100);
        assert_eq!(granted(&mut budget, at(1_000_000), 1_000_000_000), 2_100);
    }

    #[test]
    fn attempts_of_all_kinds_are_paid_for_by_one_budget() {
        let mut budget = frugal();
        for _ in 0..50 {
            assert!(budget.take(at(5_000), 0) && budget.on_unprocessed(at(5_000), 0, 1));
        }
        assert!(!budget.take(at(5_000), 0) && !budget.on_unprocessed(at(5_000), 0, 1));
        assert!(budget.take(at(5_001), 0));
    }

    #[test]
    fn a_call_has_its_own_bound() {
        let mut budget = frugal();
        assert!(budget.on_unprocessed(at(0), 1, 5));
        assert!(!budget.on_unprocessed(at(0), 1, 6));
    }
}
