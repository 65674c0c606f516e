//! When calls are made again, and when hedges are: by the clock, exactly.

use std::time::Duration;

use super::every_seed;
use crate::channel::options::Preset;
use crate::engine::Channel;
use crate::runtime::simulated::Path;
use crate::simulation::calls::{Call, Plan};
use crate::simulation::channels::{address, listed};
use crate::simulation::hosted::{Conduct, servers};
use crate::simulation::options::options;
use crate::simulation::server::{Answers, Script, Server};
use crate::simulation::world::World;
use crate::state::State;
use crate::status::Code;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
/// One way to the server; what it says at once is there after two.
const LATENCY: Duration = Duration::from_millis(1);
/// What the engine and the server take besides.
const SLACK: Duration = Duration::from_micros(100);

const RETRIES: &str = r#"{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 5, "initialBackoff": "1s", "maxBackoff": "4s",
    "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}]}"#;
const HEDGES: &str = r#"{"methodConfig": [{"name": [{}], "hedgingPolicy": {"maxAttempts": 4, "hedgingDelay": "0.3s",
    "nonFatalStatusCodes": ["UNAVAILABLE"]}}]}"#;

const PATIENCE: Plan = Plan { timeout: Some(Duration::from_secs(60)), ..Plan::NONE };

fn failing(pushback: Option<&'static str>) -> Answers {
    Answers { after: (Duration::ZERO, Duration::ZERO), errors: 100, error: (14, pushback), ..Answers::default() }
}

impl World {
    /// A server on an even path, and a channel with this service config that is connected.
    async fn policed(&self, config: &str, answers: Answers) -> (Server, Channel) {
        self.lets_run(5);
        let path = Path { latency: LATENCY, jitter: Duration::ZERO, ..Path::default() };
        self.driver().network().set_path(&address(1), path);
        let server = self.server(&address(1), Script::default());
        let channel = self.channel(&listed([1]), &options(Preset::Grpc, [("grpc.service_config", config.into())]));
        self.must_succeed(&channel, PATIENCE).await;
        server.change(|script| script.answers = answers);
        (server, channel)
    }

    /// How long after the one before the server got each attempt.
    fn gaps(&self, call: &Call) -> Vec<Duration> {
        self.record().runs(call.id).windows(2).map(|pair| pair[1].since(pair[0])).collect()
    }

    /// Each wait must be so long, give or take this share of it; the way there and back is no part of it.
    fn must_be_apart(&self, call: &Call, wanted: &[Duration], share: f64) {
        let gaps = self.gaps(call);
        let is_right = |gap: &Duration, wanted: &Duration| {
            let way = LATENCY * 2;
            (wanted.mul_f64(1.0 - share) + way..=wanted.mul_f64(1.0 + share) + way + SLACK).contains(gap)
        };
        if gaps.len() != wanted.len() || !gaps.iter().zip(wanted).all(|(gap, wanted)| is_right(gap, wanted)) {
            self.wrong(format_args!("attempts are {gaps:?} apart, and should be {wanted:?}"));
        }
    }

    /// The call must have ended with this code so long after its start.
    async fn must_end(&self, call: &Call, code: Code, after: Duration) {
        let end = call.end().await;
        let took = end.at.since(call.started);
        if end.code != code || took < after || took > after + SLACK {
            self.wrong(format_args!("{:?} after {took:?}, and not after {after:?}: {}", end.code, end.text));
        }
    }
}

/// [RPOL-20], [RPOL-21], [RETRY-7]
#[test]
fn waits_grow_up_to_the_longest_and_are_a_fifth_off_at_the_most() {
    every_seed(100, |world: World| async move {
        let (_server, channel) = world.policed(RETRIES, failing(None)).await;
        let call = world.call(&channel, PATIENCE);
        call.end().await;
        world.must_be_apart(&call, &[SECOND, SECOND * 2, SECOND * 4, SECOND * 4], 0.2);
    });
}

/// [PUSH-02], [PUSH-04], [RETRY-10]
#[test]
fn a_pushback_is_waited_for_to_the_millisecond() {
    every_seed(10, |world: World| async move {
        let (_server, channel) = world.policed(RETRIES, failing(Some("250"))).await;
        let call = world.call(&channel, PATIENCE);
        call.end().await;
        world.must_be_apart(&call, &[MILLISECOND * 250; 4], 0.0);
    });
}

/// [PUSH-02]
#[test]
fn after_a_pushback_the_backoff_starts_over() {
    every_seed(10, |world: World| async move {
        let (server, channel) = world.policed(RETRIES, failing(None)).await;
        let call = world.call(&channel, PATIENCE);
        // In the first wait, which is a second: the second attempt is pushed back, the others are not.
        world.sleep(MILLISECOND * 500).await;
        server.change(|script| script.answers = failing(Some("3000")));
        world.sleep(SECOND).await;
        server.change(|script| script.answers = failing(None));
        call.end().await;
        let gaps = world.gaps(&call);
        let starts_over = |gap: &Duration| (MILLISECOND * 802..=MILLISECOND * 1_203).contains(gap);
        if gaps.len() != 4
            || !starts_over(&gaps[2])
            || gaps[1] < SECOND * 3 + LATENCY * 2
            || gaps[1] > SECOND * 3 + LATENCY * 2 + SLACK
        {
            world.wrong(format_args!("attempts are {gaps:?} apart"));
        }
    });
}

/// [RPOL-25], [RETRY-8], [DL-04]
#[test]
fn a_deadline_in_a_wait_is_kept_to_the_moment_and_nothing_is_sent_any_more() {
    every_seed(10, |world: World| async move {
        let (_server, channel) = world.policed(RETRIES, failing(None)).await;
        let call = world.call(&channel, Plan { timeout: Some(MILLISECOND * 500), ..Plan::NONE });
        world.must_end(&call, Code::DeadlineExceeded, MILLISECOND * 500).await;
        world.sleep(SECOND * 10).await;
        world.must_be_apart(&call, &[], 0.0);
    });
}

/// [HEDGE-20], [DL-04]
#[test]
fn hedges_are_a_delay_apart() {
    every_seed(10, |world: World| async move {
        let answers = Answers { after: (Duration::ZERO, Duration::ZERO), never: 100, ..Answers::default() };
        let (server, channel) = world.policed(HEDGES, answers).await;
        let before = server.most_running();
        let call = world.call(&channel, Plan { timeout: Some(SECOND * 5), ..Plan::NONE });
        world.must_end(&call, Code::DeadlineExceeded, SECOND * 5).await;
        let gaps = world.gaps(&call);
        if gaps != [MILLISECOND * 300; 3] || server.most_running() != before.max(4) {
            world.wrong(format_args!("hedges are {gaps:?} apart"));
        }
    });
}

/// [HEDGE-23], [HEDGE-26]
#[test]
fn a_failed_hedge_is_followed_at_once_or_as_its_pushback_says() {
    every_seed(10, |world: World| async move {
        let (server, channel) = world.policed(HEDGES, failing(None)).await;
        let at_once = world.call(&channel, PATIENCE);
        at_once.end().await;
        world.must_be_apart(&at_once, &[Duration::ZERO; 3], 0.0);
        server.change(|script| script.answers = failing(Some("700")));
        let later = world.call(&channel, PATIENCE);
        later.end().await;
        world.must_be_apart(&later, &[MILLISECOND * 700; 3], 0.0);
    });
}

/// [UPD-01], [RETRY-9], [THR-23]: four of ten tokens are spent, so forty of a hundred are.
#[test]
fn other_rules_of_throttling_leave_the_share_of_tokens_that_is_there() {
    let config = |tokens: u32| {
        let throttling = format!(r#"{{"retryThrottling": {{"maxTokens": {tokens}, "tokenRatio": 0.1}}, "#);
        RETRIES.replacen('{', &throttling, 1).replace("\"maxAttempts\": 5", "\"maxAttempts\": 2")
    };
    every_seed(3, move |world: World| async move {
        world.lets_run(2);
        let server = world.server(&address(1), Script::default());
        let told = world.told();
        told.does(Conduct::Says(Ok(servers([1], Some(&config(10))))));
        let channel = world.told_channel(&told, options(Preset::Grpc, []));
        world.must_succeed(&channel, PATIENCE).await;
        server.change(|script| script.answers = failing(None));
        let mut attempts = Vec::new();
        for call in 0..8 {
            if call == 2 {
                told.says(servers([1], Some(&config(100))));
                world.sleep(SECOND).await;
            }
            attempts.push(world.call(&channel, PATIENCE).end().await.attempts);
        }
        // Ten, six, then sixty of a hundred: the ninth failure leaves fifty-one, the tenth fifty.
        if attempts != [2, 2, 2, 2, 2, 2, 2, 1] {
            world.wrong(format_args!("attempts: {attempts:?}"));
        }
    });
}

/// [INT-03]
#[test]
fn a_channel_with_a_call_between_two_attempts_is_not_idle() {
    every_seed(3, |world: World| async move {
        world.lets_run(5);
        let server = world.server(&address(1), Script::default());
        let idle = ("grpc.client_idle_timeout_ms", 1_000.into());
        let slow = RETRIES.replace("\"1s\"", "\"10s\"").replace("\"4s\"", "\"10s\"");
        let channel =
            world.channel(&listed([1]), &options(Preset::Grpc, [("grpc.service_config", slow.as_str().into()), idle]));
        world.must_succeed(&channel, PATIENCE).await;
        server.change(|script| script.answers = failing(None));
        let call = world.call(&channel, PATIENCE);
        world.sleep(SECOND * 5).await;
        server.change(|script| script.answers = Answers::default());
        if channel.state(false) != State::Ready {
            world.wrong(format_args!("the channel is {:?} while a call waits", channel.state(false)));
        }
        call.end().await;
        if world.record().connections() != 1 {
            world.wrong(format_args!("{} connections for a call and its second attempt", world.record().connections()));
        }
    });
}

/// [INT-07]: one call's five failures in a row open the breaker, and nobody but the breaker ends the next call.
#[test]
fn every_attempt_tells_its_endpoint_how_it_ended() {
    every_seed(3, |world: World| async move {
        world.lets_run(5);
        let server = world.server(&address(1), Script::default());
        let set = [("grpc.service_config", RETRIES.into()), ("linkspan.breaker", "{}".into())];
        let channel = world.channel(&listed([1]), &options(Preset::Grpc, set));
        world.must_succeed(&channel, PATIENCE).await;
        let before = server.runs();
        server.change(|script| script.answers = failing(None));
        world.call(&channel, PATIENCE).end().await;
        let metrics = channel.metrics();
        if (server.runs() - before, metrics.breaker_trips) != (5, 1) {
            world.wrong(format_args!("{} runs, {} trips", server.runs() - before, metrics.breaker_trips));
        }
    });
}
