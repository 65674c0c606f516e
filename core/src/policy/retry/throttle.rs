//! What a channel lets its calls do beyond their first attempts: tokens as the service config wants them, and a budget of the channel's own.

use super::RetryThrottling;
use crate::policy::transparent_retry::RetryBudget;
use crate::time::Time;

/// A channel's retry tokens, in thousandths ([THR-11], [THR-20]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Throttle {
    /// `None` throttles nothing.
    rules: Option<RetryThrottling>,
    milli_tokens: u32,
}

/// What one failure takes.
const TOKEN: u32 = 1_000;

impl Throttle {
    /// Full at first.
    pub(crate) fn new(rules: Option<RetryThrottling>) -> Self {
        Self { rules, milli_tokens: rules.map_or(0, |rules| rules.max_milli_tokens) }
    }

    /// An attempt ended with a code that allows another one, or with a pushback that forbids it ([THR-21]).
    pub(crate) fn on_failure(&mut self) {
        self.milli_tokens = self.milli_tokens.saturating_sub(TOKEN);
    }

    /// An attempt of any of the channel's calls ended OK, with or without a policy ([THR-22]).
    pub(crate) fn on_success(&mut self) {
        if let Some(rules) = self.rules {
            self.milli_tokens = self.milli_tokens.saturating_add(rules.milli_token_ratio).min(rules.max_milli_tokens);
        }
    }

    /// Whether calls may be sent again: while more than half of the tokens are there ([THR-23]).
    pub(crate) fn allows_more(&self) -> bool {
        self.rules.is_none_or(|rules| self.milli_tokens > rules.max_milli_tokens / 2)
    }

    /// The service config has new rules: of their tokens as large a share is there as was of the old ones' ([UPD-01]).
    pub(crate) fn rescale(&mut self, rules: Option<RetryThrottling>) {
        let Some((old, new)) = self.rules.zip(rules) else {
            *self = Self::new(rules);
            return;
        };
        let scaled =
            u64::from(self.milli_tokens) * u64::from(new.max_milli_tokens) / u64::from(old.max_milli_tokens.max(1));
        let milli_tokens = u32::try_from(scaled).unwrap_or(new.max_milli_tokens).min(new.max_milli_tokens);
        *self = Self { rules, milli_tokens };
    }
}

/// What bounds the attempts of all calls of a channel, as it is now.
#[derive(Debug)]
pub(crate) struct Allowance<'a> {
    pub(crate) throttle: &'a mut Throttle,
    pub(crate) budget: &'a mut RetryBudget,
    pub(crate) now: Time,
    /// How many calls the channel has started so far.
    pub(crate) calls: u64,
}

impl Allowance<'_> {
    /// Takes one attempt out of the budget, if it has one.
    pub(super) fn take(&mut self) -> bool {
        self.budget.take(self.now, self.calls)
    }

    /// One attempt of a call that was sent again unseen `unseen` times.
    pub(super) fn take_unseen(&mut self, unseen: u32) -> bool {
        self.budget.on_unprocessed(self.now, self.calls, unseen + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(max: u32, ratio: u32) -> Option<RetryThrottling> {
        Some(RetryThrottling { max_milli_tokens: max, milli_token_ratio: ratio })
    }

    fn after_failures(throttle: &mut Throttle, count: usize) -> bool {
        (0..count).for_each(|_| throttle.on_failure());
        throttle.allows_more()
    }

    /// [THR-20], [THR-21], [THR-23]
    #[test]
    fn more_than_half_of_the_tokens_must_be_there() {
        for (max, most_failures) in [(10_000, 4), (3_000, 1), (1_000, 0), (2_000, 0), (1_000_000, 499)] {
            let mut throttle = Throttle::new(rules(max, 100));
            assert!(throttle.allows_more() && after_failures(&mut throttle, most_failures), "{max}");
            assert!(!after_failures(&mut throttle, 1), "{max}");
        }
    }

    /// [THR-22], [THR-23]: ten tokens, a tenth for each success.
    #[test]
    fn successes_give_back_a_share_up_to_all_there_are() {
        let mut throttle = Throttle::new(rules(10_000, 100));
        assert!(!after_failures(&mut throttle, 5));
        throttle.on_success();
        assert!(throttle.allows_more());
        assert!(!after_failures(&mut throttle, 1), "4.1 are left");
        (0..20).for_each(|_| throttle.on_success());
        assert!(after_failures(&mut throttle, 1), "5.1 are left");
        (0..1_000).for_each(|_| throttle.on_success());
        assert_eq!(throttle, Throttle::new(rules(10_000, 100)));
    }

    /// [THR-20]
    #[test]
    fn tokens_do_not_fall_below_none() {
        let mut throttle = Throttle::new(rules(2_000, 500));
        after_failures(&mut throttle, 100);
        throttle.on_success();
        assert_eq!(throttle.milli_tokens, 500);
    }

    /// [THR-20]
    #[test]
    fn without_rules_nothing_is_throttled() {
        let mut throttle = Throttle::new(None);
        throttle.on_success();
        assert!(after_failures(&mut throttle, 1_000));
    }

    /// [UPD-01]
    #[test]
    fn new_rules_keep_the_share_of_tokens_that_are_there() {
        let of = |max| rules(max, 100);
        let table = [
            (of(10_000), 4, of(100_000), 60_000),
            (of(10_000), 4, of(10_000), 6_000),
            (of(10_000), 0, of(1_000), 1_000),
            (of(10_000), 10, of(1_000_000), 0),
            (of(3_000), 1, of(1_000), 666),
            (None, 4, of(5_000), 5_000),
        ];
        for (old, failures, new, wanted) in table {
            let mut throttle = Throttle::new(old);
            after_failures(&mut throttle, failures);
            throttle.rescale(new);
            assert_eq!(throttle, Throttle { rules: new, milli_tokens: wanted }, "{old:?}, {new:?}");
            throttle.rescale(None);
            assert_eq!(throttle, Throttle::default());
        }
    }
}
