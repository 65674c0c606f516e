use super::*;

fn at(milliseconds: u64) -> Time {
    Time::from_start(Duration::from_millis(milliseconds))
}

fn liveness() -> Liveness {
    let (timeout, reuse_check_after) = (Duration::from_secs(2), Some(Duration::from_secs(30)));
    Liveness::new(LivenessOptions { timeout, reuse_check_after }, at(0))
}

fn checked_at(now: u64) -> Liveness {
    let mut liveness = liveness();
    assert_eq!(liveness.on_silent_deadline(at(now), at(0)), LivenessStep::Check);
    liveness
}

const DEAD_SILENT: fn(u64) -> LivenessStep =
    |silence| LivenessStep::Dead(Suspicion::SilentDeadline, Duration::from_millis(silence));
const WANT_SUCCESSOR: LivenessStep = LivenessStep::WantSuccessor(Suspicion::SilentDeadline);

#[test]
fn a_deadline_in_silence_is_checked_and_an_unanswered_check_is_death() {
    let mut liveness = liveness();
    assert_eq!(liveness.on_silent_deadline(at(5_000), at(4_000)), LivenessStep::Check);
    assert_eq!(liveness.next_deadline(false), Some(at(7_000)));
    assert_eq!(liveness.on_time(at(6_999), true, false), LivenessStep::Nothing);
    assert_eq!(liveness.on_time(at(7_000), true, false), DEAD_SILENT(3_000));
}

#[test]
fn any_byte_clears_the_suspicion() {
    let mut liveness = checked_at(5_000);
    assert!(liveness.on_bytes_read(), "calls waited");
    assert!(!liveness.on_bytes_read());
    assert_eq!(liveness.next_deadline(true), None);
    assert_eq!(liveness.on_time(at(60_000), true, true), LivenessStep::Nothing);
}

#[test]
fn one_check_is_under_way_at_most() {
    let mut liveness = checked_at(5_000);
    assert_eq!(liveness.on_silent_deadline(at(5_100), at(0)), LivenessStep::Nothing);
    assert_eq!(liveness.next_deadline(false), Some(at(7_000)));
}

#[test]
fn an_idle_connection_is_checked_before_reuse_only_when_it_was_idle_for_long() {
    let mut fresh = liveness();
    fresh.on_idle(at(1_000));
    assert_eq!(fresh.on_reuse(at(30_999)), LivenessStep::Nothing);
    assert_eq!(fresh.on_reuse(at(31_000)), LivenessStep::Check);
    assert_eq!(fresh.on_time(at(33_000), false, false), LivenessStep::Dead(Suspicion::Idle, Duration::from_secs(32)));

    let mut off = Liveness::new(LivenessOptions { timeout: Duration::from_secs(2), reuse_check_after: None }, at(0));
    assert_eq!(off.on_reuse(at(100_000_000)), LivenessStep::Nothing);
}

#[test]
fn a_call_made_before_the_connection_was_idle_finds_it_fresh() {
    let mut liveness = liveness();
    liveness.on_idle(at(50_000));
    assert_eq!(liveness.on_reuse(at(10_000)), LivenessStep::Nothing);
}

#[test]
fn a_call_that_waits_wants_a_successor_after_a_quarter_of_a_second() {
    let mut liveness = checked_at(5_000);
    assert_eq!(liveness.next_deadline(true), Some(at(5_250)));
    assert_eq!(liveness.on_time(at(5_249), true, true), LivenessStep::Nothing);
    assert_eq!(liveness.on_time(at(5_250), true, true), WANT_SUCCESSOR);
    assert_eq!(liveness.on_time(at(5_250), true, true), LivenessStep::Nothing);
    assert_eq!(liveness.next_deadline(true), Some(at(7_000)));
    assert_eq!(liveness.on_time(at(7_000), true, true), DEAD_SILENT(7_000));
}

#[test]
fn without_a_call_that_waits_nobody_wants_a_successor() {
    let mut liveness = checked_at(5_000);
    assert_eq!(liveness.on_time(at(5_250), true, false), LivenessStep::Nothing);
    assert_eq!(liveness.next_deadline(false), Some(at(7_000)));
}

#[test]
fn a_call_that_comes_late_into_a_check_wants_a_successor_at_once() {
    let mut liveness = checked_at(5_000);
    assert_eq!(liveness.on_call_waits(at(5_100)), LivenessStep::Nothing);
    assert_eq!(liveness.on_call_waits(at(6_000)), WANT_SUCCESSOR);
    assert_eq!(liveness.on_call_waits(at(6_100)), LivenessStep::Nothing);
}

#[test]
fn after_an_answered_check_the_next_may_want_a_successor_again() {
    let mut liveness = checked_at(5_000);
    assert_eq!(liveness.on_time(at(5_250), true, true), WANT_SUCCESSOR);
    assert!(liveness.on_bytes_read());
    assert_eq!(liveness.on_silent_deadline(at(9_000), at(8_000)), LivenessStep::Check);
    assert_eq!(liveness.on_time(at(9_250), true, true), WANT_SUCCESSOR);
}

/// [CONN-110]
#[test]
fn the_third_check_without_headers_or_data_is_not_made_and_wants_a_successor_instead() {
    let mut liveness = checked_at(1_000);
    assert!(liveness.on_bytes_read());
    assert_eq!(liveness.on_silent_deadline(at(2_000), at(1_500)), LivenessStep::Check);
    assert!(liveness.on_bytes_read());
    assert_eq!(liveness.on_silent_deadline(at(3_000), at(2_500)), WANT_SUCCESSOR);
    assert_eq!(liveness.next_deadline(true), None, "nothing was asked, so silence proves nothing");
    assert_eq!(liveness.on_silent_deadline(at(4_000), at(3_500)), LivenessStep::Nothing, "once");

    liveness.on_answer_read();
    for now in [5_000, 6_000] {
        assert_eq!(liveness.on_silent_deadline(at(now), at(now)), LivenessStep::Check);
        assert!(liveness.on_bytes_read());
    }
    assert_eq!(liveness.on_silent_deadline(at(7_000), at(7_000)), WANT_SUCCESSOR);
}

/// [CONN-110]
#[test]
fn a_ping_for_another_purpose_leaves_one_check_less_until_the_next_answer() {
    let mut liveness = liveness();
    liveness.on_other_ping();
    assert_eq!(liveness.on_silent_deadline(at(1_000), at(500)), LivenessStep::Check);
    assert!(liveness.on_bytes_read());
    assert_eq!(liveness.on_silent_deadline(at(2_000), at(1_500)), WANT_SUCCESSOR);
    (0..3).for_each(|_| liveness.on_other_ping());
    liveness.on_answer_read();
    assert_eq!(liveness.on_silent_deadline(at(3_000), at(2_500)), LivenessStep::Check);
}

#[test]
fn a_connection_in_use_notices_that_the_process_did_not_run() {
    let mut liveness = liveness();
    assert!(!liveness.is_beating());
    liveness.on_in_use(at(1_000));
    assert_eq!(liveness.next_deadline(false), Some(at(11_000)));
    // Late, as a busy loop is.
    assert_eq!(liveness.on_time(at(12_000), true, false), LivenessStep::Nothing);
    assert_eq!(liveness.next_deadline(false), Some(at(22_000)));
    assert_eq!(liveness.on_time(at(27_000), true, false), LivenessStep::Check);
    assert_eq!(liveness.next_deadline(false), Some(at(29_000)));
    assert_eq!(
        liveness.on_time(at(29_000), true, false),
        LivenessStep::Dead(Suspicion::Frozen, Duration::from_secs(2))
    );
}

#[test]
fn an_idle_connection_has_no_deadline() {
    let mut liveness = liveness();
    liveness.on_in_use(at(0));
    assert_eq!(liveness.on_time(at(10_000), false, false), LivenessStep::Nothing);
    assert!(!liveness.is_beating());
    assert_eq!(liveness.next_deadline(false), None);
}

/// What the server sent meanwhile waits in the socket.
#[test]
fn a_check_that_was_frozen_leaves_time_to_read_before_anybody_is_dead() {
    let mut liveness = checked_at(5_000);
    assert_eq!(liveness.on_time(at(100_000), true, false), LivenessStep::Nothing);
    assert_eq!(liveness.next_deadline(false), Some(at(101_000)));
    assert!(liveness.on_bytes_read());
    assert_eq!(liveness.on_time(at(101_000), true, false), LivenessStep::Nothing);

    let mut dead = checked_at(5_000);
    assert_eq!(dead.on_time(at(100_000), true, false), LivenessStep::Nothing);
    assert_eq!(dead.on_time(at(101_000), true, false), DEAD_SILENT(101_000));
}
