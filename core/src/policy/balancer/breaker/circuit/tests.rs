use super::*;

const BAD: Verdict = Verdict::Failed(Code::Unavailable);
const GOOD: Verdict = Verdict::Succeeded;

fn at(seconds: u64) -> Time {
    Time::from_start(Duration::from_secs(seconds))
}

fn circuit(options: BreakerOptions) -> Circuit {
    Circuit::new(Rc::new(options))
}

/// Opens after three failures in a row for five seconds; two calls probe.
fn strict() -> Circuit {
    circuit(BreakerOptions {
        consecutive_failures: Some(3),
        minimum_requests: 1_000,
        half_open_probes: 2,
        ..BreakerOptions::default()
    })
}

/// A call that is let through and ends at once. Whether that is news.
fn call(circuit: &mut Circuit, now: Time, verdict: Verdict) -> bool {
    assert!(circuit.admits());
    let turn = circuit.on_admitted();
    circuit.on_ended(now, turn, verdict)
}

fn calls(circuit: &mut Circuit, count: usize, now: Time, verdict: Verdict) {
    for _ in 0..count {
        call(circuit, now, verdict);
    }
}

/// One that opened at a hundred seconds and is half-open since.
fn half_open() -> Circuit {
    let mut circuit = strict();
    calls(&mut circuit, 3, at(100), BAD);
    circuit.on_time(at(105));
    circuit
}

fn why(circuit: &Circuit) -> &str {
    match circuit.position() {
        Position::Open { why, .. } | Position::HalfOpen { why, .. } => why,
        Position::Closed => "closed",
    }
}

#[test]
fn so_many_failures_in_a_row_open_it_and_a_success_between_them_does_not_let_it_come_to_that() {
    let mut circuit = strict();
    for verdict in [BAD, BAD, GOOD, BAD, BAD] {
        assert!(!call(&mut circuit, at(1), verdict));
    }
    assert!(call(&mut circuit, at(2), Verdict::Failed(Code::Internal)));
    assert!(!circuit.admits());
    assert_eq!(why(&circuit), "3 failures in a row, the last INTERNAL");
    assert_eq!(circuit.next_deadline(), Some(at(7)));
}

#[test]
fn the_ratio_opens_it_once_there_were_enough_calls_in_the_window() {
    let options = BreakerOptions { consecutive_failures: None, minimum_requests: 10, ..BreakerOptions::default() };
    let mut circuit = circuit(options);
    for second in 0..9 {
        assert!(!call(&mut circuit, at(second), if second % 2 == 0 { BAD } else { GOOD }), "nine are too few");
    }
    assert!(call(&mut circuit, at(9), BAD));
    assert_eq!(why(&circuit), "6 of 10 calls failed within 10 s, the last UNAVAILABLE");
}

#[test]
fn failures_that_the_window_has_passed_do_not_open_it() {
    let options = BreakerOptions { consecutive_failures: None, minimum_requests: 4, ..BreakerOptions::default() };
    let mut circuit = circuit(options);
    calls(&mut circuit, 3, at(1), BAD);
    calls(&mut circuit, 4, at(20), GOOD);
    assert!(!call(&mut circuit, at(21), BAD), "one of five");
    assert!(circuit.admits());
}

#[test]
fn after_the_open_time_so_many_probes_are_let_through_and_close_it_when_all_succeed() {
    let mut circuit = half_open();
    let probes = [circuit.on_admitted(), circuit.on_admitted()];
    assert!(!circuit.admits(), "two at once");
    circuit.on_ended(at(106), probes[0], GOOD);
    assert!(!circuit.admits(), "no third: two are enough");
    assert!(circuit.on_ended(at(106), probes[1], GOOD));
    assert_eq!(circuit.position(), &Position::Closed);
    // It begins anew: what opened it is forgotten.
    assert!(!call(&mut circuit, at(107), BAD));
}

#[test]
fn a_probe_that_fails_opens_it_for_the_open_time_and_it_is_told_since_when_nothing_went() {
    let mut circuit = half_open();
    assert!(call(&mut circuit, at(106), BAD));
    let why = "a probe failed with UNAVAILABLE".to_owned();
    assert_eq!(circuit.position(), &Position::Open { since: at(100), until: at(111), why });
}

#[test]
fn a_probe_that_proves_nothing_gives_its_place_to_another() {
    let mut circuit = half_open();
    let probe = circuit.on_admitted();
    circuit.on_admitted();
    assert!(!circuit.admits());
    assert!(circuit.on_left(probe));
    assert!(circuit.admits());
}

/// A stream may go on for days.
#[test]
fn probes_that_take_longer_than_the_open_time_let_others_probe_and_count_all_the_same() {
    let mut circuit = half_open();
    let slow = [circuit.on_admitted(), circuit.on_admitted()];
    circuit.on_time(at(105));
    assert_eq!(circuit.next_deadline(), Some(at(110)));
    circuit.on_time(at(110));
    assert!(circuit.admits());
    for probe in slow {
        circuit.on_ended(at(113), probe, GOOD);
    }
    assert_eq!(circuit.position(), &Position::Closed);
}

/// A channel without calls sleeps.
#[test]
fn nobody_is_woken_while_no_probe_runs() {
    let mut circuit = half_open();
    assert_eq!(circuit.next_deadline(), None);
    let probe = circuit.on_admitted();
    circuit.on_time(at(200));
    assert_eq!(circuit.next_deadline(), Some(at(205)));
    circuit.on_left(probe);
    assert_eq!(circuit.next_deadline(), None);
    circuit.on_admitted();
    circuit.on_time(at(300));
    circuit.on_time(at(305));
    assert_eq!(circuit.next_deadline(), None, "what runs on takes nobody's place");
}

#[test]
fn calls_of_an_earlier_turn_say_nothing_about_this_one() {
    let mut circuit = strict();
    let early = circuit.on_admitted();
    calls(&mut circuit, 3, at(100), BAD);
    assert!(!circuit.on_ended(at(101), early, GOOD));
    circuit.on_time(at(105));
    assert!(!circuit.on_ended(at(106), early, BAD), "it was no probe");
    assert!(!circuit.on_left(early));
    assert!(circuit.admits());
}
