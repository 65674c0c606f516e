use proptest::prelude::*;

use super::super::RetryThrottling;
use super::super::throttle::Throttle;
use super::*;
use crate::policy::transparent_retry::{BudgetOptions, RetryBudget, TransparentRetryOptions};

/// A call with what its channel has, and a clock.
struct World {
    hedging: Hedging,
    throttle: Throttle,
    budget: RetryBudget,
    now: Time,
}

fn at(milliseconds: u64) -> Time {
    Time::from_start(Duration::from_millis(milliseconds))
}

fn policy(max_attempts: u32, delay: u64) -> HedgingPolicy {
    HedgingPolicy {
        max_attempts,
        delay: Duration::from_millis(delay),
        non_fatal: [Code::Unavailable].into_iter().collect(),
    }
}

impl World {
    fn new(max_attempts: u32, delay: u64) -> Self {
        Self::with(max_attempts, delay, None, None)
    }

    fn with(max_attempts: u32, delay: u64, tokens: Option<u32>, budget: Option<BudgetOptions>) -> Self {
        let throttling =
            tokens.map(|tokens| RetryThrottling { max_milli_tokens: tokens * 1_000, milli_token_ratio: 100 });
        Self {
            hedging: Hedging::new(&policy(max_attempts, delay), &RetryRules::default(), at(0)),
            throttle: Throttle::new(throttling),
            budget: RetryBudget::new(TransparentRetryOptions { most_per_call: 1, budget }, at(0)),
            now: at(0),
        }
    }

    fn ask<T>(&mut self, question: impl FnOnce(&mut Hedging, &mut Allowance<'_>) -> T) -> T {
        let Self { hedging, throttle, budget, now } = self;
        question(hedging, &mut Allowance { throttle, budget, now: *now, calls: 0 })
    }

    /// What is to be done at this time: everything up to the wait.
    fn at(&mut self, milliseconds: u64) -> Vec<Action> {
        self.now = at(milliseconds);
        let mut actions = Vec::new();
        loop {
            let action = self.ask(|hedging, allowance| hedging.next(allowance));
            actions.push(action);
            if matches!(action, Action::Wait(_)) {
                return actions;
            }
        }
    }

    fn fails(&mut self, milliseconds: u64, attempt: u32, code: Code, pushback: Pushback) -> Vec<Action> {
        self.fails_with(milliseconds, attempt, code, Advice { pushback, retry_info: None })
    }

    fn fails_with(&mut self, milliseconds: u64, attempt: u32, code: Code, advice: Advice) -> Vec<Action> {
        self.now = at(milliseconds);
        self.ask(|hedging, allowance| hedging.on_failed(attempt, code, advice, allowance));
        self.at(milliseconds)
    }

    fn answers(&mut self, milliseconds: u64, attempt: u32) -> Vec<Action> {
        self.hedging.on_answer(attempt);
        self.at(milliseconds)
    }
}

const NOTHING_MORE: Action = Action::Wait(None);

fn until(milliseconds: u64) -> Action {
    Action::Wait(Some(at(milliseconds)))
}

fn start(number: u32) -> Action {
    Action::Start(number)
}

fn end(as_attempt: u32, why: Why) -> Action {
    Action::End { as_attempt, why }
}

fn after(milliseconds: u64) -> Pushback {
    Pushback::After(Duration::from_millis(milliseconds))
}

fn used_up(attempts: u32) -> Why {
    Why::UsedUp { attempts, wished: attempts }
}

/// [HEDGE-20]
#[test]
fn attempts_start_one_delay_after_another_up_to_their_number() {
    let mut world = World::new(3, 10);
    assert_eq!(world.at(0), [start(0), until(10)]);
    assert_eq!(world.at(9), [until(10)]);
    assert_eq!(world.at(10), [start(1), until(20)]);
    assert_eq!(world.at(20), [start(2), NOTHING_MORE]);
    assert_eq!(world.at(1_000), [NOTHING_MORE]);
}

/// [HEDGE-11], [HEDGE-20], [HEDGE-10]: the channel's limit is five.
#[test]
fn without_a_delay_all_start_at_once() {
    assert_eq!(World::new(3, 0).at(0), [start(0), start(1), start(2), NOTHING_MORE]);
    let wished = World::new(100, 0).at(0);
    assert_eq!(wished, [start(0), start(1), start(2), start(3), start(4), NOTHING_MORE]);
}

#[test]
fn a_clock_that_jumped_starts_one_and_not_all_that_were_missed() {
    let mut world = World::new(5, 10);
    world.at(0);
    assert_eq!(world.at(1_000), [start(1), until(1_010)]);
}

/// [HEDGE-22]
#[test]
fn the_first_answer_is_the_call_and_nothing_happens_after_it() {
    let mut world = World::new(3, 10);
    world.at(0);
    world.at(10);
    assert_eq!(world.answers(15, 1), [Action::Commit(1), NOTHING_MORE]);
    assert_eq!(world.answers(16, 0), [NOTHING_MORE]);
    assert_eq!(world.fails(17, 0, Code::Unavailable, Pushback::None), [NOTHING_MORE]);
    assert_eq!(world.fails(18, 1, Code::Internal, Pushback::None), [NOTHING_MORE]);
    assert_eq!(world.at(20), [NOTHING_MORE]);
}

/// [HEDGE-23]
#[test]
fn a_failure_that_is_not_fatal_starts_the_next_at_once_and_the_delay_counts_from_there() {
    let mut world = World::new(3, 10);
    world.at(0);
    assert_eq!(world.fails(4, 0, Code::Unavailable, Pushback::None), [start(1), until(14)]);
    assert_eq!(world.at(10), [until(14)]);
    assert_eq!(world.at(14), [start(2), NOTHING_MORE]);
}

/// [HEDGE-24], [HEDGE-12]
#[test]
fn a_fatal_failure_ends_all() {
    let mut world = World::new(3, 10);
    world.at(0);
    world.at(10);
    let ended = world.fails(12, 0, Code::Internal, Pushback::None);
    assert_eq!(ended, [end(0, Why::NotRetryable(Code::Internal)), NOTHING_MORE]);
    assert_eq!(world.answers(13, 1), [NOTHING_MORE]);
    let mut fatal_with_pushback = World::new(3, 10);
    fatal_with_pushback.at(0);
    let ended = fatal_with_pushback.fails(1, 0, Code::Internal, after(5));
    assert_eq!(ended, [end(0, Why::NotRetryable(Code::Internal)), NOTHING_MORE]);
}

/// [HEDGE-25], [HEDGE-31]
#[test]
fn a_pushback_that_forbids_more_lets_those_in_flight_go_on() {
    let mut world = World::new(5, 10);
    world.at(0);
    world.at(10);
    assert_eq!(world.fails(12, 0, Code::Unavailable, Pushback::Never), [NOTHING_MORE]);
    assert_eq!(world.at(20), [NOTHING_MORE]);
    let mut other = World::new(5, 10);
    other.at(0);
    other.at(10);
    other.fails(12, 0, Code::Unavailable, Pushback::Never);
    assert_eq!(world.answers(30, 1), [Action::Commit(1), NOTHING_MORE]);
    let last = other.fails(30, 1, Code::Unavailable, Pushback::None);
    assert_eq!(last, [end(1, Why::ToldNot), NOTHING_MORE]);
}

/// [HEDGE-26], [HEDGE-31]
#[test]
fn a_pushback_puts_the_next_off_and_the_delay_counts_from_there() {
    let mut world = World::new(3, 10);
    world.at(0);
    assert_eq!(world.fails(4, 0, Code::Unavailable, after(100)), [until(104)]);
    assert_eq!(world.at(104), [start(1), until(114)]);
    assert_eq!(world.fails(105, 1, Code::Unavailable, after(0)), [start(2), NOTHING_MORE]);
}

#[test]
fn the_details_of_a_status_put_the_next_off() {
    let mut world = World::new(3, 10);
    world.at(0);
    let advice = |pushback| Advice { pushback, retry_info: Some(Duration::from_millis(50)) };
    assert_eq!(world.fails_with(4, 0, Code::Unavailable, advice(Pushback::None)), [until(54)]);
    world.at(54);
    assert_eq!(world.fails_with(55, 1, Code::Unavailable, advice(after(1))), [until(56)]);
}

/// [HEDGE-27]
#[test]
fn when_all_have_failed_the_last_failure_is_the_calls() {
    let mut world = World::new(2, 10);
    world.at(0);
    world.at(10);
    assert_eq!(world.fails(12, 1, Code::Unavailable, Pushback::None), [NOTHING_MORE]);
    assert_eq!(world.fails(13, 0, Code::Unavailable, Pushback::None), [end(0, used_up(2)), NOTHING_MORE]);
    assert_eq!(world.at(14), [NOTHING_MORE]);
}

/// [HEDGE-10], [RPOL-10]
#[test]
fn a_limit_of_the_channel_below_the_policys_is_told() {
    let mut world = World::new(8, 0);
    world.at(0);
    (0..4).for_each(|attempt| drop(world.fails(1, attempt, Code::Unavailable, Pushback::None)));
    let ended = world.fails(1, 4, Code::Unavailable, Pushback::None);
    assert_eq!(ended, [end(4, Why::UsedUp { attempts: 5, wished: 8 }), NOTHING_MORE]);
}

/// [HEDGE-28], [THR-23], [PUSH-06]
#[test]
fn the_first_is_always_sent_and_others_are_skipped_while_tokens_are_few() {
    let mut world = World::with(4, 10, Some(2), None);
    world.throttle.on_failure();
    assert_eq!(world.at(0), [start(0), until(10)]);
    assert_eq!(world.at(10), [until(20)]);
    world.throttle.on_success();
    assert_eq!(world.at(20), [start(1), until(30)]);
    let ended = world.fails(21, 0, Code::Internal, Pushback::Never);
    assert_eq!(ended[0], end(0, Why::NotRetryable(Code::Internal)));
    assert!(!world.throttle.allows_more());
}

/// [HEDGE-28], [THR-21], [THR-24]
#[test]
fn a_throttled_call_with_nothing_in_flight_ends_at_once() {
    let mut world = World::with(4, 10, Some(1), None);
    world.at(0);
    let ended = world.fails(3, 0, Code::Unavailable, Pushback::None);
    assert_eq!(ended, [end(0, Why::Throttled), NOTHING_MORE]);
    let mut without_delay = World::with(4, 0, Some(1), None);
    without_delay.throttle.on_failure();
    assert_eq!(without_delay.at(0), [start(0), NOTHING_MORE]);
    let ended = without_delay.fails(3, 0, Code::Unavailable, Pushback::None);
    assert_eq!(ended, [end(0, Why::Throttled), NOTHING_MORE]);
}

#[test]
fn the_channels_budget_pays_for_hedges() {
    let mut world = World::with(4, 10, None, Some(BudgetOptions { ratio: 0.0, min_per_second: 0.1 }));
    world.at(0);
    assert_eq!(world.at(10), [start(1), until(20)]);
    assert_eq!(world.at(20), [until(30)]);
    world.fails(21, 0, Code::Unavailable, Pushback::None);
    let ended = world.fails(22, 1, Code::Unavailable, Pushback::None);
    assert_eq!(ended, [end(1, Why::BudgetEmpty), NOTHING_MORE]);
}

/// [HEDGE-28]: two of three were made, and the reason is not that three are too many.
#[test]
fn a_turn_that_was_skipped_is_the_reason_though_a_later_one_was_not() {
    let mut world = World::with(3, 10, Some(2), None);
    world.throttle.on_failure();
    world.at(0);
    world.at(10);
    world.throttle.on_success();
    assert_eq!(world.at(20), [start(1), NOTHING_MORE]);
    world.throttle.on_success();
    assert_eq!(world.fails(21, 0, Code::Unavailable, Pushback::None), [NOTHING_MORE]);
    assert_eq!(world.fails(22, 1, Code::Unavailable, Pushback::None), [end(1, Why::Throttled), NOTHING_MORE]);
}

/// What may happen to a hedged call.
#[derive(Clone, Copy, Debug)]
enum Event {
    Later(u64),
    /// One of those that run.
    Fails(usize, Code, Pushback),
    Answers(usize),
    Succeeds,
}

fn event() -> impl Strategy<Value = Event> {
    let code = prop_oneof![4 => Just(Code::Unavailable), 1 => Just(Code::Internal)];
    let pushback = prop_oneof![4 => Just(Pushback::None), 1 => Just(Pushback::Never), 2 => (0_u64..30).prop_map(after)];
    prop_oneof![
        6 => (0_u64..30).prop_map(Event::Later),
        6 => (any::<usize>(), code, pushback).prop_map(|(which, code, pushback)| Event::Fails(which, code, pushback)),
        1 => any::<usize>().prop_map(Event::Answers),
        1 => Just(Event::Succeeds),
    ]
}

/// A hedged call as the one who carries its actions out sees it.
#[derive(Default)]
struct Seen {
    started: u32,
    running: Vec<u32>,
    decisions: Vec<Action>,
    was_forbidden: bool,
}

impl Seen {
    fn on_actions(&mut self, actions: &[Action], most: u32) -> Result<(), TestCaseError> {
        for action in actions {
            match *action {
                Action::Start(number) => {
                    prop_assert!(self.decisions.is_empty() && !self.was_forbidden);
                    prop_assert_eq!(number, self.started);
                    self.started += 1;
                    self.running.push(number);
                }
                Action::Wait(_) => {}
                Action::Commit(number) => {
                    prop_assert!(self.running.contains(&number));
                    self.decisions.push(*action);
                }
                Action::End { as_attempt, .. } => {
                    prop_assert!(as_attempt < self.started && !self.running.contains(&as_attempt));
                    self.decisions.push(*action);
                }
            }
        }
        prop_assert!(self.started <= most && self.decisions.len() <= 1);
        // Who waits without a decision has something to wait for.
        let waits_for_nothing = actions.last() == Some(&NOTHING_MORE) && self.running.is_empty();
        prop_assert!(!self.decisions.is_empty() || !waits_for_nothing);
        Ok(())
    }
}

proptest! {
    /// [HEDGE-20] to [HEDGE-28]: whatever happens, no more attempts than may be, one decision, and none after it; nothing is started
    /// after a pushback that forbids it; and when all have failed and no more may be sent, it ends.
    #[test]
    fn a_call_is_decided_once_and_nothing_is_started_after_it(
        wished in 2_u32..8,
        delay in prop_oneof![Just(0_u64), 1_u64..20],
        tokens in proptest::option::of(1_u32..4),
        budget in proptest::option::of(0_u32..3),
        events in proptest::collection::vec(event(), 0..60),
    ) {
        let budget = budget.map(|retries| BudgetOptions { ratio: 0.0, min_per_second: f64::from(retries) / 10.0 });
        let mut world = World::with(wished, delay, tokens, budget);
        let (mut seen, mut now, most) = (Seen::default(), 0, wished.min(5));
        seen.on_actions(&world.at(0), most)?;
        for event in events {
            match event {
                Event::Later(length) => now += length,
                Event::Succeeds => world.throttle.on_success(),
                Event::Fails(which, code, pushback) if !seen.running.is_empty() => {
                    let number = seen.running.remove(which % seen.running.len());
                    seen.was_forbidden |= pushback == Pushback::Never && seen.decisions.is_empty();
                    world.ask(|hedging, allowance| {
                        hedging.on_failed(number, code, Advice { pushback, retry_info: None }, allowance);
                    });
                }
                Event::Answers(which) if !seen.running.is_empty() => {
                    world.hedging.on_answer(seen.running[which % seen.running.len()]);
                }
                Event::Fails(..) | Event::Answers(_) => {}
            }
            seen.on_actions(&world.at(now), most)?;
        }
        // All that run fail, and all turns pass.
        for _ in 0..20 {
            now += 100;
            for number in std::mem::take(&mut seen.running) {
                world.now = at(now);
                world.ask(|hedging, allowance| hedging.on_failed(number, Code::Unavailable, Advice::default(), allowance));
            }
            seen.on_actions(&world.at(now), most)?;
        }
        prop_assert_eq!(seen.decisions.len(), 1);
    }
}
