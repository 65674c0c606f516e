use super::super::RetryThrottling;
use super::super::throttle::Throttle;
use super::*;
use crate::policy::transparent_retry::{BudgetOptions, RetryBudget, TransparentRetryOptions};
use crate::time::Time;

/// What a channel has besides its calls.
struct Channel {
    throttle: Throttle,
    budget: RetryBudget,
}

impl Channel {
    fn new(throttling: Option<RetryThrottling>, most_unseen: u32, budget: Option<BudgetOptions>) -> Self {
        let options = TransparentRetryOptions { most_per_call: most_unseen, budget };
        Self { throttle: Throttle::new(throttling), budget: RetryBudget::new(options, Time::ZERO) }
    }

    fn unbounded() -> Self {
        Self::new(None, 1, None)
    }

    fn allowance(&mut self) -> Allowance<'_> {
        Allowance { throttle: &mut self.throttle, budget: &mut self.budget, now: Time::ZERO, calls: 0 }
    }
}

fn policy(max_attempts: u32) -> RetryPolicy {
    RetryPolicy {
        max_attempts,
        initial_backoff: Duration::from_secs(1),
        max_backoff: Duration::from_secs(5),
        backoff_multiplier: 2.0,
        retryable: [Code::Unavailable, Code::Aborted].into_iter().collect(),
    }
}

fn many() -> RetryRules {
    RetryRules { max_attempts: 100, ..RetryRules::default() }
}

fn failed(code: Code) -> Failed {
    Failed { code, advice: Advice::default(), bound: None, is_lost: false }
}

fn told(pushback: Pushback) -> Failed {
    Failed { advice: Advice { pushback, retry_info: None }, ..failed(Code::Unavailable) }
}

fn after(seconds: f64) -> Decision {
    Decision::Retry { after: Duration::from_secs_f64(seconds) }
}

/// What follows each of these failures, with a random fraction in the middle.
fn decisions(sequence: &mut Sequence<'_>, channel: &mut Channel, failures: &[Failed]) -> Vec<Decision> {
    failures.iter().map(|failed| sequence.on_failed(failed, 0.5, &mut channel.allowance())).collect()
}

/// [RPOL-20] to [RPOL-22]
#[test]
fn waits_grow_from_the_first_to_the_longest_and_differ_by_a_fifth() {
    let (rules, policy) = (many(), policy(100));
    let waits = |policy: &RetryPolicy, unit: f64| {
        let mut sequence = Sequence::new(&rules, Some(policy), false);
        let mut channel = Channel::unbounded();
        let mut next = || sequence.on_failed(&failed(Code::Unavailable), unit, &mut channel.allowance());
        [next(), next(), next(), next(), next()]
    };
    assert_eq!(waits(&policy, 0.5), [1.0, 2.0, 4.0, 5.0, 5.0].map(after));
    assert_eq!(waits(&policy, 0.0), [0.8, 1.6, 3.2, 4.0, 4.0].map(after));
    assert_eq!(waits(&policy, 1.0), [1.2, 2.4, 4.8, 6.0, 6.0].map(after));
    let first_is_longer = RetryPolicy { initial_backoff: Duration::from_secs(20), ..policy };
    assert_eq!(waits(&first_is_longer, 0.5), [5.0; 5].map(after));
    let shrinking = RetryPolicy { backoff_multiplier: 0.5, ..policy };
    assert_eq!(waits(&shrinking, 0.5), [1.0, 0.5, 0.25, 0.125, 0.0625].map(after));
}

/// [RPOL-20]
#[test]
fn a_thousand_waits_lie_within_a_fifth_of_their_length() {
    let random = crate::random::Random::new(7);
    let (rules, policy) = (many(), policy(100));
    for _ in 0..1_000 {
        let mut sequence = Sequence::new(&rules, Some(&policy), false);
        let decision =
            sequence.on_failed(&failed(Code::Unavailable), random.unit(), &mut Channel::unbounded().allowance());
        let Decision::Retry { after } = decision else { panic!("{decision:?}") };
        assert!((0.8..=1.2).contains(&after.as_secs_f64()), "{after:?}");
    }
}

/// [PUSH-02], [PUSH-03]
#[test]
fn a_pushback_is_waited_for_exactly_and_the_backoff_starts_over() {
    let (rules, policy) = (many(), policy(100));
    let mut sequence = Sequence::new(&rules, Some(&policy), false);
    let pushback = |milliseconds| told(Pushback::After(Duration::from_millis(milliseconds)));
    let none = failed(Code::Unavailable);
    let failures = [none, none, pushback(90_000), none, none, pushback(0), pushback(7), none];
    let wanted = [1.0, 2.0, 90.0, 1.0, 2.0, 0.0, 0.007, 1.0].map(after);
    assert_eq!(decisions(&mut sequence, &mut Channel::unbounded(), &failures), wanted);
}

#[test]
fn the_details_of_a_status_lengthen_a_wait_and_a_pushback_goes_before_them() {
    let (rules, policy) = (many(), policy(100));
    let mut sequence = Sequence::new(&rules, Some(&policy), false);
    let advised = |code, seconds, pushback| {
        let advice = Advice { pushback, retry_info: Some(Duration::from_secs(seconds)) };
        Failed { advice, ..failed(code) }
    };
    let failures = [
        advised(Code::Unavailable, 3, Pushback::None),
        advised(Code::Unavailable, 1, Pushback::None),
        advised(Code::Unavailable, 60, Pushback::After(Duration::from_secs(1))),
        advised(Code::NotFound, 3, Pushback::None),
    ];
    let wanted = [after(3.0), after(2.0), after(1.0), Decision::GiveUp(Why::NotRetryable(Code::NotFound))];
    assert_eq!(decisions(&mut sequence, &mut Channel::unbounded(), &failures), wanted);
}

/// [RPOL-10], [PUSH-04]
#[test]
fn attempts_are_counted_from_the_first_up_to_the_smaller_limit() {
    for (wished, cap, attempts) in [(2, 5, 2), (3, 5, 3), (5, 5, 5), (100, 5, 5), (100, 2, 2)] {
        let rules = RetryRules { max_attempts: cap, ..RetryRules::default() };
        let policy = policy(wished);
        let pushback = told(Pushback::After(Duration::ZERO));
        for failure in [failed(Code::Unavailable), pushback] {
            let mut sequence = Sequence::new(&rules, Some(&policy), false);
            let mut channel = Channel::unbounded();
            let mut made = 1;
            let last = loop {
                assert_eq!(sequence.previous_attempts(), made - 1);
                match sequence.on_failed(&failure, 0.5, &mut channel.allowance()) {
                    Decision::Retry { .. } => made += 1,
                    Decision::GiveUp(why) => break why,
                }
            };
            assert_eq!((made, last), (attempts, Why::UsedUp { attempts, wished }));
        }
    }
}

/// [RPOL-02], [RPOL-03], [RPOL-23], [COMMIT-01] to [COMMIT-03], [PUSH-03], [PUSH-05], [PUSH-07]: the first reason is the one that counts, and what it
/// costs is seen from the tokens.
#[test]
fn reasons_are_looked_at_in_their_order() {
    let (on, off) = (RetryRules::default(), RetryRules { is_enabled: false, ..RetryRules::default() });
    let policy = policy(3);
    let committed = |failed: Failed| Failed { bound: Some(Bound::Committed), ..failed };
    let overflown = |failed: Failed| Failed { bound: Some(Bound::Overflown(Overflow::OfCall)), ..failed };
    let with = |code, pushback| Failed { code, ..told(pushback) };
    let (unavailable, never) = (failed(Code::Unavailable), told(Pushback::Never));
    let not_found = Why::NotRetryable(Code::NotFound);
    let at_once = Pushback::After(Duration::ZERO);
    let table = [
        (&off, true, unavailable, Why::Disabled, 0),
        (&off, true, never, Why::Disabled, 0),
        (&off, true, failed(Code::NotFound), not_found, 0),
        (&off, false, unavailable, Why::NoPolicy, 0),
        (&on, true, committed(unavailable), Why::Committed, 0),
        (&on, true, committed(never), Why::Committed, 0),
        (&on, true, committed(failed(Code::NotFound)), not_found, 0),
        (&on, false, committed(unavailable), Why::NoPolicy, 0),
        (&on, true, overflown(never), Why::BufferExceeded(Overflow::OfCall), 0),
        (&on, true, never, Why::ToldNot, 1),
        (&on, true, with(Code::NotFound, Pushback::Never), not_found, 1),
        (&on, false, never, Why::NoPolicy, 1),
        (&on, true, with(Code::NotFound, at_once), not_found, 0),
        (&on, true, failed(Code::NotFound), not_found, 0),
        (&on, false, unavailable, Why::NoPolicy, 0),
    ];
    for (rules, has_policy, failed, why, tokens) in table {
        let throttling = RetryThrottling { max_milli_tokens: 10_000, milli_token_ratio: 100 };
        let mut channel = Channel::new(Some(throttling), 1, None);
        let mut sequence = Sequence::new(rules, has_policy.then_some(&policy), false);
        let decision = sequence.on_failed(&failed, 0.5, &mut channel.allowance());
        assert_eq!(decision, Decision::GiveUp(why), "{failed:?}");
        let mut wanted = Throttle::new(Some(throttling));
        (0..tokens).for_each(|_| wanted.on_failure());
        assert_eq!(channel.throttle, wanted, "{failed:?}");
    }
}

/// [PUSH-06], [RPOL-24], [THR-21], [THR-23], [THR-24]
#[test]
fn failures_cost_tokens_and_few_tokens_end_calls_at_once() {
    let throttling = RetryThrottling { max_milli_tokens: 4_000, milli_token_ratio: 100 };
    let mut channel = Channel::new(Some(throttling), 1, None);
    let (rules, policy) = (RetryRules::default(), policy(2));
    let mut sequence = Sequence::new(&rules, Some(&policy), false);
    let unavailable = failed(Code::Unavailable);
    assert_eq!(decisions(&mut sequence, &mut channel, &[unavailable]), [after(1.0)]);
    // Its attempts are used up now, and it still costs a token: two of four are left, and that is not more than half. That is told first.
    assert_eq!(decisions(&mut sequence, &mut channel, &[unavailable]), [Decision::GiveUp(Why::Throttled)]);
    channel.throttle.on_success();
    assert!(channel.throttle.allows_more());
    let mut other = Sequence::new(&rules, Some(&policy), false);
    let told_not = Failed { code: Code::NotFound, ..told(Pushback::Never) };
    decisions(&mut other, &mut channel, &[told_not]);
    assert!(!channel.throttle.allows_more());
}

/// [TRANS-03], [TRANS-10], [TRANS-12], [RPOL-27], [THR-25]
#[test]
fn what_the_server_did_not_process_is_repeated_once_and_counts_for_nothing() {
    let throttling = RetryThrottling { max_milli_tokens: 10_000, milli_token_ratio: 100 };
    let mut channel = Channel::new(Some(throttling), 1, None);
    let (rules, policy) = (RetryRules::default(), policy(3));
    let mut sequence = Sequence::new(&rules, Some(&policy), false);
    decisions(&mut sequence, &mut channel, &[failed(Code::Unavailable)]);
    let tokens = channel.throttle;
    assert!(sequence.on_unprocessed(&mut channel.allowance()));
    assert_eq!((sequence.previous_attempts(), channel.throttle), (1, tokens));
    assert!(!sequence.on_unprocessed(&mut channel.allowance()));
    assert_eq!(decisions(&mut sequence, &mut channel, &[failed(Code::Unavailable)]), [after(2.0)]);
    assert_eq!(sequence.previous_attempts(), 2);
}

/// [TRANS-03], [RPOL-03]: without a policy, and with retries turned off.
#[test]
fn a_second_refusal_ends_a_call_without_a_policy() {
    let off = RetryRules { is_enabled: false, ..RetryRules::default() };
    for rules in [RetryRules::default(), off] {
        let mut channel = Channel::unbounded();
        let mut sequence = Sequence::new(&rules, None, false);
        assert!(sequence.on_unprocessed(&mut channel.allowance()));
        assert!(!sequence.on_unprocessed(&mut channel.allowance()));
        let decisions = decisions(&mut sequence, &mut channel, &[failed(Code::Unavailable)]);
        assert_eq!(decisions, [Decision::GiveUp(Why::NoPolicy)]);
    }
}

#[test]
fn the_channels_budget_pays_for_retries_of_a_policy_too() {
    let budget = BudgetOptions { ratio: 0.0, min_per_second: 0.2 };
    let mut channel = Channel::new(None, 5, Some(budget));
    let (rules, policy) = (RetryRules::default(), policy(5));
    let mut sequence = Sequence::new(&rules, Some(&policy), false);
    assert!(sequence.on_unprocessed(&mut channel.allowance()));
    let decisions = decisions(&mut sequence, &mut channel, &[failed(Code::Unavailable); 2]);
    assert_eq!(decisions, [after(1.0), Decision::GiveUp(Why::BudgetEmpty)]);
}

#[test]
fn an_idempotent_call_whose_connection_was_lost_is_repeated_without_a_policy() {
    let rules = RetryRules::default();
    let others = policy(3);
    let aborted_alone = RetryPolicy { retryable: [Code::Aborted].into_iter().collect(), ..policy(3) };
    let lost = Failed { is_lost: true, ..failed(Code::Unavailable) };
    let repeated = after(0.0);
    let gives_up = |why| Decision::GiveUp(why);
    let not_retryable = Why::NotRetryable(Code::Unavailable);
    let table = [
        (None, 1, vec![repeated, gives_up(Why::NoPolicy)]),
        (None, 5, [vec![repeated; 5], vec![gives_up(Why::NoPolicy)]].concat()),
        (Some(&aborted_alone), 1, vec![repeated, gives_up(not_retryable)]),
        // The policy covers it, and the policy decides.
        (Some(&others), 1, vec![after(1.0), after(2.0), gives_up(Why::UsedUp { attempts: 3, wished: 3 })]),
    ];
    for (policy, most_unseen, wanted) in table {
        let mut channel = Channel::new(None, most_unseen, None);
        let mut sequence = Sequence::new(&rules, policy, true);
        assert_eq!(decisions(&mut sequence, &mut channel, &vec![lost; wanted.len()]), wanted);
        assert_eq!(sequence.previous_attempts() as usize, wanted.len() - 1);
    }
}

#[test]
fn only_a_lost_connection_before_any_response_is_a_reason_to_repeat_an_idempotent_call() {
    let (on, off) = (RetryRules::default(), RetryRules { is_enabled: false, ..RetryRules::default() });
    let lost = Failed { is_lost: true, ..failed(Code::Unavailable) };
    let table = [
        (&on, true, failed(Code::Unavailable)),
        (&on, true, Failed { bound: Some(Bound::Committed), ..lost }),
        (&on, true, Failed { bound: Some(Bound::Overflown(Overflow::OfChannel)), ..lost }),
        (&on, false, lost),
        (&off, true, lost),
    ];
    for (rules, is_idempotent, failed) in table {
        let mut sequence = Sequence::new(rules, None, is_idempotent);
        let decisions = decisions(&mut sequence, &mut Channel::unbounded(), &[failed]);
        assert_eq!(decisions, [Decision::GiveUp(Why::NoPolicy)], "{failed:?}");
    }
}

#[test]
fn refusals_and_losses_of_an_idempotent_call_have_one_bound() {
    let rules = RetryRules::default();
    let lost = Failed { is_lost: true, ..failed(Code::Unavailable) };
    let mut channel = Channel::unbounded();
    let mut sequence = Sequence::new(&rules, None, true);
    assert!(sequence.on_unprocessed(&mut channel.allowance()));
    assert_eq!(decisions(&mut sequence, &mut channel, &[lost]), [Decision::GiveUp(Why::NoPolicy)]);
}
