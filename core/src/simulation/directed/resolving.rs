//! When a name is asked for, and what becomes of a channel whose name has no answer.

use std::io;
use std::time::Duration;

use super::every_seed;
use crate::channel::options::Preset;
use crate::runtime::simulated::Answer;
use crate::simulation::calls::Plan;
use crate::simulation::channels::{NAMED, address, ip};
use crate::simulation::options::options;
use crate::simulation::server::Script;
use crate::simulation::world::World;
use crate::state::State;
use crate::status::Code;

const SECOND: Duration = Duration::from_secs(1);

/// A call that waits for a name without an answer.
const PATIENT: Plan = Plan { timeout: Some(Duration::from_secs(20)), wait_for_ready: true, ..Plan::NONE };

fn no_answer() -> Answer {
    Answer::failure(io::ErrorKind::NotFound, Duration::from_millis(1))
}

impl World {
    /// How long after the other each look-up began.
    pub(super) fn between_lookups(&self) -> Vec<f64> {
        let lookups = self.driver().network().lookups();
        lookups.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64()).collect()
    }

    fn lookups(&self, wanted: usize, when: &str) {
        let lookups = self.driver().network().lookups().len();
        if lookups != wanted {
            self.wrong(format_args!("asked {lookups} times {when}"));
        }
    }
}

/// [NAME-40], [NAME-42]
#[test]
fn a_name_is_asked_for_at_first_need_and_not_again_while_all_is_well() {
    every_seed(10, |world: World| async move {
        let _server = world.server(&address(1), Script::default());
        world.name_is([1]);
        let channel = world.channel(NAMED, &options(Preset::Grpc, []));
        world.sleep(SECOND * 100).await;
        world.lookups(0, "before there was a call");
        world.steady_calls(&channel, 1, SECOND * 300, Plan::default()).await;
        world.lookups(1, "in 300 s of calls");
    });
}

/// [NAME-43], [NAME-50]: the connection is lost every other second, and each time a look-up is wanted.
#[test]
fn wishes_for_a_look_up_wait_for_thirty_seconds_after_the_last_and_become_one() {
    every_seed(10, |world: World| async move {
        let server = world.server(&address(1), Script::default());
        // An answer that takes its time: the interval runs from the start.
        world.answer(Answer::of([ip(1)], SECOND * 5));
        let channel = world.channel(NAMED, &options(Preset::Grpc, []));
        for _ in 0..50 {
            let _ = world.call(&channel, Plan::default()).end().await;
            server.cut();
            world.sleep(SECOND * 2).await;
        }
        let between = world.between_lookups();
        if between.len() != 3 || between.iter().any(|seconds| !(30.0..32.5).contains(seconds)) {
            world.wrong(format_args!("asked again after {between:?} s"));
        }
    });
}

/// [NAME-44]
#[test]
fn a_name_without_an_answer_is_asked_for_again_after_a_backoff_that_an_answer_resets() {
    every_seed(10, |world: World| async move {
        let server = world.server(&address(1), Script::default());
        world.answer(no_answer());
        let channel = world.channel(NAMED, &options(Preset::Grpc, []));
        let failed = world.call(&channel, Plan::default()).end().await;
        if failed.code != Code::Unavailable {
            world.wrong(format_args!("a call ended {:?}: {}", failed.code, failed.text));
        }
        let _ = world.call(&channel, PATIENT).end().await;
        let mut expected = 1.0;
        for waited in world.between_lookups() {
            // The answer takes a millisecond, and the wait begins after it.
            if !(expected * 0.8..expected * 1.2 + 0.1).contains(&waited) {
                world.wrong(format_args!("asked again after {waited} s, where {expected} s was the backoff"));
            }
            expected *= 1.6;
        }
        world.name_is([1]);
        world.must_succeed(&channel, PATIENT).await;
        // The next failure begins at a second again.
        world.answer(no_answer());
        world.sleep(SECOND * 30).await;
        let before = world.driver().network().lookups().len();
        server.cut();
        world.sleep(SECOND * 2).await;
        let again = world.driver().network().lookups().len() - before;
        if again != 2 {
            world.wrong(format_args!("asked {again} times in 2 s after an answer had reset the backoff"));
        }
    });
}

/// [NAME-45]
#[test]
fn an_answer_without_addresses_is_none() {
    every_seed(10, |world: World| async move {
        world.name_is([]);
        let channel = world.channel(NAMED, &options(Preset::Grpc, []));
        let failed = world.call(&channel, Plan::default()).end().await;
        if failed.code != Code::Unavailable || !failed.text.contains("no addresses") {
            world.wrong(format_args!("a call ended {:?}: {}", failed.code, failed.text));
        }
        let _ = world.call(&channel, PATIENT).end().await;
        let between = world.between_lookups();
        if between.len() < 3 || !(0.8..1.3).contains(&between[0]) || !(1.28..2.0).contains(&between[1]) {
            world.wrong(format_args!("asked again after {between:?} s"));
        }
    });
}

/// [NAME-46], [LB-17]
#[test]
fn addresses_stay_in_use_when_their_name_has_no_answer_any_more() {
    every_seed(10, |world: World| async move {
        let server = world.server(&address(1), Script::default());
        world.name_is([1]);
        let channel = world.channel(NAMED, &options(Preset::Grpc, []));
        world.must_succeed(&channel, Plan::default()).await;
        world.answer(no_answer());
        world.sleep(SECOND * 40).await;
        server.cut();
        world.sleep(SECOND).await;
        if world.driver().network().lookups().len() < 2 {
            world.wrong("a lost connection did not ask for the name");
        }
        world.must_succeed(&channel, Plan::default()).await;
        if channel.events(0).iter().any(|event| event.to == State::TransientFailure) {
            world.wrong("the channel was TRANSIENT_FAILURE");
        }
    });
}

/// How long addresses serve while their name has no answer.
const STALE: &str = "linkspan.dns_stale_ms";

/// [NAME-46]
#[test]
fn a_channel_with_a_connection_goes_on_however_long_its_name_has_no_answer() {
    every_seed(4, |world: World| async move {
        let _server = world.server(&address(1), Script::default());
        world.name_is([1]);
        let channel = world.channel(NAMED, &options(Preset::Resilient, []));
        world.must_succeed(&channel, Plan::default()).await;
        world.answer(no_answer());
        world.steady_calls(&channel, 1, SECOND * 1_000, Plan::default()).await;
        world.must_succeed(&channel, Plan::default()).await;
        if world.driver().network().lookups().len() < 5 {
            world.wrong("the name was not asked for");
        }
    });
}

/// [NAME-46]: the addresses serve for as long as the option says, from the first look-up that failed.
#[test]
fn addresses_are_forgotten_when_their_name_had_no_answer_for_too_long_and_come_back_with_one() {
    every_seed(10, |world: World| async move {
        let server = world.server(&address(1), Script::default());
        world.name_is([1]);
        let stale = [(STALE, 100_000.into()), ("linkspan.dns_refresh_ms", 10_000.into())];
        let channel = world.channel(NAMED, &options(Preset::Resilient, stale));
        world.must_succeed(&channel, Plan::default()).await;
        world.answer(no_answer());
        // The first look-up that fails is at most 11 s away.
        world.steady_calls(&channel, 1, SECOND * 95, Plan::default()).await;
        server.cut();
        world.sleep(SECOND).await;
        world.must_succeed(&channel, Plan::default()).await;

        world.sleep(SECOND * 20).await;
        world.must_succeed(&channel, Plan::default()).await;
        server.cut();
        world.sleep(SECOND).await;
        let failed = world.call(&channel, Plan::default()).end().await;
        let told = "what was found before served for 100.0 s more (linkspan.dns_stale_ms)";
        if failed.code != Code::Unavailable || !failed.text.contains(told) {
            world.wrong(format_args!("a call ended {:?}: {}", failed.code, failed.text));
        }
        // The look-ups go on, at most two minutes apart.
        world.name_is([1]);
        world.sleep(SECOND * 145).await;
        world.must_succeed(&channel, Plan::default()).await;
    });
}

/// [NAME-46]: a circuit breaker that is open for five seconds is no reason to let go of its connection.
#[test]
fn a_channel_that_fails_with_a_connection_keeps_its_addresses_however_long_its_name_has_no_answer() {
    every_seed(4, |world: World| async move {
        let server = world.server(&address(1), Script::default());
        world.name_is([1]);
        let set =
            [(STALE, 100_000.into()), ("linkspan.dns_refresh_ms", 10_000.into()), ("linkspan.breaker", "{}".into())];
        let channel = world.channel(NAMED, &options(Preset::Resilient, set));
        world.must_succeed(&channel, Plan::default()).await;
        world.answer(no_answer());
        world.steady_calls(&channel, 1, SECOND * 150, Plan::default()).await;
        server.change(|script| script.answers.reset = 100);
        for _ in 0..6 {
            world.call(&channel, Plan::default()).end().await;
        }
        if channel.state(false) != State::TransientFailure {
            world.wrong("the breaker did not open");
        }
        server.change(|script| script.answers.reset = 0);
        world.sleep(SECOND * 6).await;
        world.must_succeed(&channel, Plan::default()).await;
        if world.record().connections() != 1 {
            world.wrong("the connection was let go");
        }
    });
}

/// [NAME-46]
#[test]
fn addresses_serve_for_ever_or_not_at_all_where_the_option_says_so() {
    every_seed(4, |world: World| async move {
        let server = world.server(&address(1), Script::default());
        world.name_is([1]);
        let with = |stale: i32| options(Preset::Grpc, [(STALE, stale.into())]);
        let [patient, strict] = [i32::MAX, 0].map(|stale| world.channel(NAMED, &with(stale)));
        for channel in [&patient, &strict] {
            world.must_succeed(channel, Plan::default()).await;
        }
        world.sleep(SECOND * 30).await;
        world.answer(no_answer());
        for _ in 0..3 {
            server.cut();
            world.sleep(SECOND * 1_000).await;
            world.must_succeed(&patient, Plan::default()).await;
            let failed = world.call(&strict, Plan::default()).end().await;
            if failed.code != Code::Unavailable || !failed.text.starts_with("DNS resolution failed") {
                world.wrong(format_args!("a call ended {:?}: {}", failed.code, failed.text));
            }
        }
    });
}

/// [NAME-47]
#[test]
fn a_look_up_without_an_end_is_given_up_and_tried_again() {
    every_seed(4, |world: World| async move {
        let _server = world.server(&address(1), Script::default());
        world.answer(Answer::of([ip(1)], SECOND * 100_000));
        for (preset, limit) in [(Preset::Grpc, "120.0 s"), (Preset::Resilient, "30.0 s")] {
            let channel = world.channel(NAMED, &options(preset, []));
            let failed = world.call(&channel, Plan { timeout: None, ..Plan::default() }).end().await;
            let told = format!("no answer within {limit} (grpc.dns_ares_query_timeout)");
            if failed.code != Code::Unavailable || !failed.text.contains(&told) {
                world.wrong(format_args!("a call ended {:?}: {}", failed.code, failed.text));
            }
        }
        let unlimited = options(Preset::Grpc, [("grpc.dns_ares_query_timeout", 0.into())]);
        let channel = world.channel(NAMED, &unlimited);
        let waiting = Plan { timeout: Some(SECOND * 10_000), ..Plan::default() };
        let failed = world.call(&channel, waiting).end().await;
        if failed.code != Code::DeadlineExceeded {
            world.wrong(format_args!("a call ended {:?}: {}", failed.code, failed.text));
        }
    });
}

/// [NAME-43]: an answer that tells how long it is good is asked for again when that is over, in use and not too often.
#[test]
fn an_answer_is_asked_for_again_when_its_time_is_over() {
    const MIN: &str = "grpc.dns_min_time_between_resolutions_ms";
    // How long answers are good, how long there is between two look-ups at least, and how often the name is asked for in 100 s of calls.
    for (life, min, asked) in [(20.0, 1_000, 5..=6), (20.0, 50_000, 3..=3), (0.0, 0, 90..=102), (1_000.0, 0, 1..=1)] {
        every_seed(4, |world: World| {
            let asked = asked.clone();
            async move {
                let _server = world.server(&address(1), Script::default());
                world.answer(Answer::of([ip(1)], Duration::from_millis(1)).valid_for(Duration::from_secs_f64(life)));
                // The answer's own time holds, not the interval of the preset.
                let channel = world.channel(NAMED, &options(Preset::Resilient, [(MIN, min.into())]));
                world.steady_calls(&channel, 2, SECOND * 101, Plan::default()).await;
                let lookups = world.driver().network().lookups().len();
                if !asked.contains(&lookups) {
                    world.wrong(format_args!("asked {lookups} times with answers of {life} s and {min} ms in between"));
                }
                // Nobody calls any more.
                world.sleep(SECOND * 300).await;
                let later = world.driver().network().lookups().len() - lookups;
                if later > 2 {
                    world.wrong(format_args!("asked {later} times when nobody called"));
                }
            }
        });
    }
}

/// [NAME-51]
#[test]
fn a_channel_that_goes_idle_waits_for_no_answer() {
    every_seed(10, |world: World| async move {
        let _server = world.server(&address(1), Script::default());
        world.answer(Answer::of([ip(1)], SECOND * 100));
        let channel = world.channel(NAMED, &options(Preset::Grpc, [("grpc.client_idle_timeout_ms", 1_000.into())]));
        let _ = world.call(&channel, Plan { timeout: Some(SECOND * 5), ..Plan::default() }).end().await;
        world.sleep(SECOND * 200).await;
        let now = channel.events(0).last().map(|event| event.to);
        if now != Some(State::Idle) {
            world.wrong(format_args!("the channel is {now:?}"));
        }
        world.name_is([1]);
        world.must_succeed(&channel, Plan::default()).await;
        world.lookups(2, "for two calls with a sleep in between");
    });
}

/// [NAME-21], [NAME-48]
#[test]
fn addresses_are_never_asked_for() {
    every_seed(4, |world: World| async move {
        let server = world.server(&address(1), Script::default());
        for target in ["dns:///10.0.0.1:50051", "ipv4:10.0.0.1:50051"] {
            let channel = world.channel(target, &options(Preset::Resilient, []));
            world.must_succeed(&channel, Plan::default()).await;
            server.cut();
            world.sleep(SECOND * 60).await;
            world.must_succeed(&channel, Plan::default()).await;
        }
        world.lookups(0, "for targets that name nothing");
    });
}
