use proptest::prelude::*;

use super::*;

fn at(seconds: f64) -> Time {
    Time::from_start(Duration::from_secs_f64(seconds))
}

/// When the server is asked again after each of these streams, from when to when they lasted and whether there was an answer.
fn asked_again(streams: &[(f64, f64, bool)]) -> Vec<f64> {
    let mut watch = HealthWatch::new(at(streams[0].0));
    let mut times = Vec::new();
    for (from, to, answers) in streams {
        watch.on_asked_again(at(*from));
        if *answers {
            watch.on_answer();
        }
        let WatchEnd::AskAgain(time) = watch.on_ended(at(*to), Code::Unavailable, 0.5) else { panic!("for good") };
        times.push((time.since_start().as_secs_f64() * 1e3).round() / 1e3);
    }
    times
}

/// [LB-123]
#[test]
fn a_server_that_never_answers_is_asked_more_and_more_seldom() {
    let mut from = 0.0;
    let mut streams = Vec::new();
    for wait in [1.0, 1.6, 2.56, 4.096] {
        streams.push((from, from + 0.1, false));
        from += 0.1 + wait;
    }
    assert_eq!(asked_again(&streams), [1.1, 2.8, 5.46, 9.656]);
    let mut watch = HealthWatch::new(at(0.0));
    let ends: Vec<_> = (0..100).map(|_| watch.on_ended(at(0.0), Code::Unknown, 1.0)).collect();
    assert_eq!(ends[0], WatchEnd::AskAgain(at(1.2)), "a fifth later at most");
    assert_eq!(ends[99], WatchEnd::AskAgain(at(144.0)), "two minutes and a fifth of them");
}

/// [LB-123]
#[test]
fn after_an_answer_the_next_question_is_due_at_once_and_waits_start_anew() {
    let streams = [(0.0, 0.0, false), (1.0, 1.0, false), (2.6, 60.0, true), (60.0, 60.0, false), (61.0, 61.0, false)];
    assert_eq!(asked_again(&streams), [1.0, 2.6, 60.0, 61.0, 62.6]);
}

#[test]
fn a_server_that_ends_every_stream_with_its_answer_is_not_asked_without_a_pause() {
    let streams = [(0.0, 0.1, true), (0.1, 0.2, true), (1.2, 1.3, true), (2.3, 9.0, true), (9.0, 9.1, true)];
    assert_eq!(asked_again(&streams), [0.1, 1.2, 2.3, 9.0, 9.1]);
}

/// [LB-122], [LB-123]
#[test]
fn only_unimplemented_is_for_good() {
    for code in Code::ALL {
        let end = HealthWatch::new(at(0.0)).on_ended(at(0.0), code, 0.5);
        let wanted = if code == Code::Unimplemented { WatchEnd::NotTold } else { WatchEnd::AskAgain(at(1.0)) };
        assert_eq!(end, wanted, "{code:?}");
    }
}

fn said(message: &[u8]) -> Option<(String, bool)> {
    ServingStatus::read(message).map(|status| (status.to_string(), status.is_serving()))
}

/// [LB-121], [HC-6]
#[test]
fn serving_is_healthy_and_nothing_else_is() {
    let table: [(&[u8], &str, bool); 10] = [
        (&[8, 1], "SERVING", true),
        (&[], "UNKNOWN", false),
        (&[8, 0], "UNKNOWN", false),
        (&[8, 2], "NOT_SERVING", false),
        (&[8, 3], "SERVICE_UNKNOWN", false),
        (&[8, 4], "status 4", false),
        (&[8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], "status 18446744073709551615", false),
        // The last one counts, and a longer form is the same number.
        (&[8, 2, 8, 0x81, 0], "SERVING", true),
        // Fields of later versions: a number, eight bytes, a text, four bytes.
        (&[16, 9, 8, 1], "SERVING", true),
        (&[17, 1, 2, 3, 4, 5, 6, 7, 8, 26, 2, b'o', b'k', 37, 1, 2, 3, 4, 8, 1], "SERVING", true),
    ];
    for (message, name, is_serving) in table {
        assert_eq!(said(message), Some((name.to_owned(), is_serving)), "{message:?}");
    }
}

/// [LB-124], [HC-20]
#[test]
fn what_is_no_answer_is_not_read_as_one() {
    let table: [&[u8]; 14] = [
        &[8],
        &[8, 0x80],
        &[0x88],
        // Eleven bytes, and more than 64 bits.
        &[8, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0],
        &[8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2],
        // The status as a text.
        &[10, 1, 1],
        // Fields that no message has: number 0, groups, types that there are not.
        &[0, 1],
        &[19, 20],
        &[22, 1],
        &[23, 1],
        // Cut short.
        &[8, 1, 17, 1, 2],
        &[8, 1, 26, 3, 1],
        &[26, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        // A number of a field beyond all there may be.
        &[0x88, 0x80, 0x80, 0x80, 0x80, 1, 1],
    ];
    for message in table {
        assert_eq!(said(message), None, "{message:?}");
    }
}

#[test]
fn a_question_has_the_service_in_field_one() {
    assert_eq!(request(""), b"");
    assert_eq!(request("svc"), b"\x0a\x03svc");
    assert_eq!(request(&"x".repeat(127))[..3], *b"\x0a\x7fx");
    assert_eq!(request(&"x".repeat(128))[..4], *b"\x0a\x80\x01x");
    assert_eq!(request(&"x".repeat(16_384))[..5], *b"\x0a\x80\x80\x01x");
}

proptest! {
    /// [LB-124]
    #[test]
    fn any_bytes_are_read_or_refused(message in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = said(&message);
    }

    #[test]
    fn any_status_is_read_back(number in any::<u64>()) {
        let mut message = vec![8];
        let mut rest = number;
        while rest > 0x7f {
            message.push(u8::try_from(rest & 0x7f).expect("seven bits") | 0x80);
            rest >>= 7;
        }
        message.push(u8::try_from(rest).expect("seven bits"));
        prop_assert_eq!(ServingStatus::read(&message), Some(ServingStatus(number)));
    }
}
