//! Servers that fail, behind circuit breakers.

use std::rc::Rc;
use std::time::Duration;

use super::each_of;
use crate::channel::options::Preset;
use crate::engine::Channel;
use crate::observe::trail::Sent;
use crate::runtime::Driver;
use crate::simulation::calls::{Call, End, Plan};
use crate::simulation::channels::{address, listed};
use crate::simulation::options::options;
use crate::simulation::server::{Answers, Script, Server};
use crate::simulation::world::World;
use crate::state::State;
use crate::status::Code;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
/// Five failures in a row, five seconds, one probe.
const BREAKER: &str = "{}";

fn failing() -> Answers {
    Answers { reset: 100, ..Answers::default() }
}

fn heals(server: &Server) {
    server.change(|script| script.answers = Answers::default());
}

impl World {
    fn failing_server(&self, number: u8) -> Server {
        self.server(&address(number), Script { answers: failing(), ..Script::default() })
    }

    fn broken(&self, servers: std::ops::RangeInclusive<u8>, breaker: &str, preset: Preset) -> Channel {
        self.channel(&listed(servers), &options(preset, [("linkspan.breaker", breaker.into())]))
    }

    /// One call after the other, one each ten milliseconds; how many of them a server got.
    async fn calls_for(&self, channel: &Channel, length: Duration) -> usize {
        let over = self.driver().now() + length;
        let mut calls = Vec::new();
        while self.driver().now() < over {
            let call = self.call(channel, Plan::default());
            call.end().await;
            calls.push(call);
            self.sleep(MILLISECOND * 10).await;
        }
        self.runs_of(&calls)
    }

    fn runs_of(&self, calls: &[Rc<Call>]) -> usize {
        calls.iter().filter(|call| !self.record().runs(call.id).is_empty()).count()
    }

    fn must_be(&self, what: &str, count: usize, wanted: usize) {
        if count != wanted {
            self.wrong(format_args!("{what}: {count}, not {wanted}"));
        }
    }
}

fn is_refused(end: &End) -> bool {
    end.code == Code::Unavailable
        && end.sent == Sent::NotSent
        && end.text.starts_with("the circuit breaker of every connected address is open (linkspan.breaker); ")
        && end.text.contains("; circuit breaker of 10.0.0.1:50051 open for ")
        && end.text.contains(" ms: 5 failures in a row, the last INTERNAL, next probe in ")
}

/// With either preset: pick_first and round_robin.
#[test]
fn a_server_that_fails_gets_five_calls_then_one_each_five_seconds_and_all_again_once_one_succeeds() {
    for preset in [Preset::Grpc, Preset::Resilient] {
        each_of(3, |world: World| async move {
            let server = world.failing_server(1);
            let channel = world.broken(1..=1, BREAKER, preset);
            world.must_be("calls until it opened", world.calls_for(&channel, MILLISECOND * 500).await, 5);
            let end = world.call(&channel, Plan::default()).end().await;
            if !is_refused(&end) {
                world.wrong(format_args!("not refused, or not told so: {end:?}"));
            }
            if channel.state(false) != State::TransientFailure || channel.metrics().breakers_open != 1 {
                world.wrong("the open breaker does not show");
            }
            world.must_be("calls while it is open", world.calls_for(&channel, SECOND * 4).await, 0);
            world.must_be("probes in the next ten seconds", world.calls_for(&channel, SECOND * 10).await, 2);
            heals(&server);
            let before = channel.metrics().calls_succeeded;
            world.calls_for(&channel, SECOND * 5).await;
            world.must_be("trips", usize::try_from(channel.metrics().breaker_trips).unwrap_or(0), 3);
            if channel.metrics().calls_succeeded - before < 10 || channel.state(false) != State::Ready {
                world.wrong("it does not close");
            }
            let told = channel.events(0);
            let has_told = |words: &str| told.iter().any(|event| event.cause.starts_with(words));
            if !has_told("the circuit breaker has opened: 5 failures") || !has_told("the circuit breaker has closed") {
                world.wrong(format_args!("the events do not say why: {told:?}"));
            }
        });
    }
}

#[test]
fn of_many_calls_that_come_when_the_open_time_is_over_as_many_as_allowed_probe() {
    each_of(3, |world: World| async move {
        let server = world.failing_server(1);
        let breaker = r#"{"halfOpenProbes": 3}"#;
        let channel = world.broken(1..=1, breaker, Preset::Resilient);
        world.calls_for(&channel, MILLISECOND * 200).await;
        for is_healed in [false, true] {
            if is_healed {
                heals(&server);
            }
            world.sleep(MILLISECOND * 5_500).await;
            let calls: Vec<_> = (0..50).map(|_| world.call(&channel, Plan::default())).collect();
            for call in &calls {
                call.end().await;
            }
            world.must_be("probes", world.runs_of(&calls), 3);
        }
        world.must_be("calls after it has closed", world.calls_for(&channel, MILLISECOND * 95).await, 8);
    });
}

#[test]
fn calls_that_wait_for_ready_wait_for_the_breaker_too_and_then_all_succeed() {
    each_of(3, |world: World| async move {
        let server = world.failing_server(1);
        let channel = world.broken(1..=1, BREAKER, Preset::Resilient);
        world.calls_for(&channel, MILLISECOND * 200).await;
        heals(&server);
        let patient = Plan { wait_for_ready: true, ..Plan::default() };
        let calls: Vec<_> = (0..50).map(|_| world.call(&channel, patient)).collect();
        let hasty = Plan { timeout: Some(SECOND), ..patient };
        let end = world.call(&channel, hasty).end().await;
        let is_told = end.text.contains("; circuit breaker of 10.0.0.1:50051 open for ");
        if end.code != Code::DeadlineExceeded || !is_told {
            world.wrong(format_args!("it does not say what it waited for: {end:?}"));
        }
        world.all_succeed(&calls).await;
    });
}

/// Nobody takes the place of a call whose caller loses interest but another one.
#[test]
fn a_probe_that_is_cancelled_or_never_answered_does_not_keep_the_breaker_half_open() {
    each_of(3, |world: World| async move {
        let server = world.failing_server(1);
        let channel = world.broken(1..=1, BREAKER, Preset::Resilient);
        world.calls_for(&channel, MILLISECOND * 200).await;
        server.change(|script| script.answers = Answers { never: 100, ..Answers::default() });
        world.sleep(SECOND * 5).await;
        let given_up = world.call(&channel, Plan::default());
        world.sleep(MILLISECOND * 100).await;
        given_up.cancel(world.driver().now());
        given_up.end().await;
        // A call without a deadline, to a server that says nothing.
        let endless = world.call(&channel, Plan { timeout: None, ..Plan::default() });
        world.sleep(MILLISECOND * 100).await;
        world.must_be("probes", world.runs_of(&[given_up, Rc::clone(&endless)]), 2);
        heals(&server);
        let patient = Plan { wait_for_ready: true, ..Plan::default() };
        let calls: Vec<_> = (0..10).map(|_| world.call(&channel, patient)).collect();
        world.all_succeed(&calls).await;
        endless.cancel(world.driver().now());
    });
}

#[test]
fn of_three_servers_the_one_that_fails_costs_few_calls_and_comes_back_when_it_is_well() {
    each_of(3, |world: World| async move {
        let server = world.failing_server(1);
        for number in 2..=3 {
            world.server(&address(number), Script::default());
        }
        let channel = world.broken(1..=3, BREAKER, Preset::Resilient);
        let calls = world.steady_calls(&channel, 100, SECOND * 21, Plan::default()).await;
        let mut failed = 0;
        for call in &calls {
            let end = call.end().await;
            failed += usize::from(end.code != Code::Ok);
            if end.code == Code::Unavailable {
                world.wrong(format_args!("refused while others are well: {}", end.text));
            }
        }
        // The fifth failure may come while one more is under way; then a probe after every five seconds.
        if !(8..=10).contains(&failed) {
            world.wrong(format_args!("{failed} calls failed"));
        }
        if channel.state(false) != State::Ready {
            world.wrong("the channel is not READY although two servers are well");
        }
        heals(&server);
        world.sleep(SECOND * 5).await;
        let calls = world.steady_calls(&channel, 100, SECOND * 3, Plan::default()).await;
        world.all_succeed(&calls).await;
        if channel.metrics().breakers_open > 0 {
            world.wrong("the breaker does not close");
        }
    });
}
