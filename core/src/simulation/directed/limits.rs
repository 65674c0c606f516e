//! More calls than a channel, or an address, may have in flight.

use std::rc::Rc;
use std::time::Duration;

use super::each_of;
use crate::channel::options::{OptionValue, Preset};
use crate::engine::Channel;
use crate::observe::trail::Sent;
use crate::runtime::Driver;
use crate::simulation::calls::{Call, Plan};
use crate::simulation::channels::{address, listed};
use crate::simulation::options::options;
use crate::simulation::server::{Answers, Script, Server};
use crate::simulation::world::World;
use crate::status::Code;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const OF_CHANNEL: &str = "linkspan.max_concurrent_requests";
const OF_ADDRESS: &str = "linkspan.max_concurrent_requests_per_address";

impl World {
    /// Servers that answer after so long.
    fn servers_after(&self, numbers: std::ops::RangeInclusive<u8>, length: Duration) -> Vec<Server> {
        let answers = Answers { after: (length, length), ..Answers::default() };
        let script = Script { answers, ..Script::default() };
        numbers.map(|number| self.server(&address(number), script.clone())).collect()
    }

    fn limited<const N: usize>(&self, servers: u8, set: [(&str, OptionValue); N]) -> Channel {
        self.channel(&listed(1..=servers), &options(Preset::Resilient, set))
    }

    /// Unary calls and streams in turn.
    fn hundred(&self, channel: &Channel) -> Vec<Rc<Call>> {
        let messages = |number| (number % 2 == 1).then_some(3);
        (0..100).map(|number| self.call(channel, Plan { messages: messages(number), ..Plan::default() })).collect()
    }

    /// The servers got the calls in the order in which they were made.
    fn must_have_run_in_order(&self, calls: &[Rc<Call>]) {
        let ran: Vec<_> = calls.iter().filter_map(|call| self.record().runs(call.id).first().copied()).collect();
        if ran.len() < calls.len() || !ran.is_sorted() {
            self.wrong(format_args!("not each in its turn: {ran:?}"));
        }
    }
}

#[test]
fn a_hundred_callers_of_a_channel_with_room_for_ten_are_ten_at_a_time_in_their_order_and_all_succeed() {
    each_of(3, |world: World| async move {
        let servers = world.servers_after(1..=1, MILLISECOND * 50);
        let channel = world.limited(1, [(OF_CHANNEL, 10.into())]);
        let calls = world.hundred(&channel);
        world.sleep(MILLISECOND * 20).await;
        let metrics = channel.metrics();
        if (metrics.calls_in_flight, metrics.calls_queued, metrics.max_concurrent_requests) != (100, 90, Some(10)) {
            world.wrong(format_args!("the numbers do not show it: {metrics:?}"));
        }
        world.all_succeed(&calls).await;
        if servers[0].most_running() != 10 {
            world.wrong(format_args!("{} calls at once", servers[0].most_running()));
        }
        world.must_have_run_in_order(&calls);
    });
}

/// A call that is sent again keeps its place.
#[test]
fn calls_that_a_server_refuses_now_and_then_are_not_more_than_the_limit() {
    each_of(3, |world: World| async move {
        let answers = Answers { after: (MILLISECOND, MILLISECOND * 50), refused: 20, ..Answers::default() };
        let server = world.server(&address(1), Script { answers, ..Script::default() });
        let channel = world.limited(1, [(OF_CHANNEL, 10.into())]);
        let calls = world.hundred(&channel);
        world.all_succeed(&calls).await;
        if server.most_running() > 10 || channel.metrics().retries == 0 {
            let retries = channel.metrics().retries;
            world.wrong(format_args!("{} calls at once, {retries} retries", server.most_running()));
        }
    });
}

#[test]
fn each_address_has_as_many_calls_as_it_may_and_all_succeed_with_every_policy() {
    for (policy, running) in [("round_robin", [5, 5, 5]), ("least_request", [5, 5, 5]), ("pick_first", [5, 0, 0])] {
        each_of(3, |world: World| async move {
            let servers = world.servers_after(1..=3, MILLISECOND * 50);
            let channel = world.limited(3, [(OF_ADDRESS, 5.into()), ("linkspan.lb_policy", policy.into())]);
            channel.state(true);
            // All are connected.
            world.sleep(SECOND).await;
            let calls = world.hundred(&channel);
            world.all_succeed(&calls).await;
            let most: Vec<_> = servers.iter().map(Server::most_running).collect();
            if most != running {
                world.wrong(format_args!("{policy}: {most:?} calls at once"));
            }
            if policy == "pick_first" {
                world.must_have_run_in_order(&calls);
            }
        });
    }
}

#[test]
fn a_slow_address_takes_its_share_and_no_more_and_the_others_take_the_rest() {
    each_of(3, |world: World| async move {
        let slow = world.servers_after(1..=1, SECOND * 8);
        world.servers_after(2..=3, MILLISECOND);
        let channel = world.limited(3, [(OF_ADDRESS, 5.into())]);
        channel.state(true);
        world.sleep(SECOND).await;
        let calls = world.steady_calls(&channel, 100, SECOND * 5, Plan::default()).await;
        world.all_succeed(&calls).await;
        let late = |call: &&Rc<Call>| call.ends().iter().any(|end| end.at.since(call.started) > MILLISECOND * 50);
        let late = calls.iter().filter(late).count();
        if (slow[0].most_running(), late) != (5, 5) {
            world.wrong(format_args!("{} at the slow one at once, {late} late", slow[0].most_running()));
        }
    });
}

#[test]
fn a_call_that_waits_goes_to_an_address_that_is_connected_meanwhile() {
    each_of(3, |world: World| async move {
        world.servers_after(1..=1, SECOND * 8);
        let channel = world.limited(2, [(OF_ADDRESS, 1.into())]);
        let calls: Vec<_> = (0..2).map(|_| world.call(&channel, Plan::default())).collect();
        world.sleep(SECOND * 2).await;
        world.servers_after(2..=2, MILLISECOND);
        let end = calls[1].end().await;
        if end.code != Code::Ok || end.at.since(calls[1].started) > SECOND * 4 {
            world.wrong(format_args!("it went on waiting: {end:?}"));
        }
        world.all_succeed(&calls).await;
    });
}

/// The third address is not there, so that a pick may find the full one first and last.
#[test]
fn a_call_in_line_waits_for_an_address_that_is_checked_and_not_for_one_that_is_full() {
    each_of(4, |world: World| async move {
        let never = Answers { never: 100, ..Answers::default() };
        let script = Script { answers: never, ..Script::default() };
        let servers = [1, 2].map(|number| world.server(&address(number), script.clone()));
        let channel = world.limited(3, [(OF_ADDRESS, 1.into())]);
        channel.state(true);
        world.sleep(SECOND).await;
        let endless = world.call(&channel, Plan { timeout: None, ..Plan::default() });
        let silent = world.call(&channel, Plan { timeout: Some(MILLISECOND * 500), ..Plan::default() });
        world.sleep(MILLISECOND * 100).await;
        servers.iter().for_each(|server| server.change(|script| script.answers = Answers::default()));
        let waiting = world.call(&channel, Plan::default());
        silent.end().await;
        let end = waiting.end().await;
        if end.code != Code::Ok || end.at.since(waiting.started) > SECOND {
            world.wrong(format_args!("it waited for the wrong one: {end:?}"));
        }
        endless.cancel(world.driver().now());
    });
}

/// One call after the other fills the addresses, and none of them ends: who waited here would wait for ever.
#[test]
fn a_call_finds_the_one_address_that_has_room_with_every_policy() {
    const SERVERS: u8 = 8;
    for policy in ["round_robin", "least_request", "weighted_round_robin"] {
        each_of(5, |world: World| async move {
            let script = Script { answers: Answers { never: 100, ..Answers::default() }, ..Script::default() };
            let servers: Vec<_> = (1..=SERVERS).map(|number| world.server(&address(number), script.clone())).collect();
            let channel = world.limited(SERVERS, [(OF_ADDRESS, 1.into()), ("linkspan.lb_policy", policy.into())]);
            channel.state(true);
            world.sleep(SECOND).await;
            let plan = Plan { timeout: None, ..Plan::default() };
            let endless: Vec<_> = servers.iter().map(|_| world.call(&channel, plan)).collect();
            world.sleep(MILLISECOND * 100).await;
            let running = endless.iter().filter(|call| !world.record().runs(call.id).is_empty()).count();
            if running < servers.len() {
                world.wrong(format_args!("{policy}: {running} of {} addresses are found", servers.len()));
            }
            endless.iter().for_each(|call| call.cancel(world.driver().now()));
        });
    }
}

/// A probe without end takes all the room of the first address, whose breaker asks for another one after five seconds more.
#[test]
fn an_address_that_is_full_and_to_be_probed_does_not_hold_calls_up_that_others_have_room_for() {
    each_of(3, |world: World| async move {
        let never = Answers { never: 100, ..Answers::default() };
        let failing = Answers { reset: 100, ..Answers::default() };
        let server = world.server(&address(1), Script { answers: failing, ..Script::default() });
        world.servers_after(2..=2, MILLISECOND);
        let breaker = ("linkspan.breaker", r#"{"consecutiveFailures": 1}"#.into());
        let channel = world.limited(2, [(OF_ADDRESS, 1.into()), breaker]);
        channel.state(true);
        world.sleep(SECOND).await;
        for _ in 0..2 {
            world.call(&channel, Plan::default()).end().await;
        }
        server.change(|script| script.answers = never);
        world.sleep(SECOND * 5).await;
        let probe = world.call(&channel, Plan { timeout: None, ..Plan::default() });
        world.sleep(SECOND * 6).await;
        if channel.metrics().breakers_open != 1 || server.most_running() != 1 || !probe.ends().is_empty() {
            world.wrong("no probe runs");
        }
        for _ in 0..4 {
            let call = world.call(&channel, Plan::default());
            let end = call.end().await;
            if end.code != Code::Ok || end.at.since(call.started) > MILLISECOND * 50 {
                world.wrong(format_args!("it waited for the full one: {end:?}"));
            }
        }
        probe.cancel(world.driver().now());
    });
}

/// [CONN-154]: at once, and not when the calls that run have ended.
#[test]
fn calls_that_wait_at_a_limit_end_when_the_channel_is_closed_and_those_that_run_go_on() {
    for limit in [OF_CHANNEL, OF_ADDRESS] {
        each_of(3, |world: World| async move {
            world.servers_after(1..=1, SECOND * 3);
            let channel = world.limited(1, [(limit, 2.into())]);
            world.must_succeed(&channel, Plan::default()).await;
            let running: Vec<_> = (0..2).map(|_| world.call(&channel, Plan::default())).collect();
            let waiting: Vec<_> = (0..4).map(|_| world.call(&channel, Plan::default())).collect();
            world.sleep(MILLISECOND * 500).await;
            channel.close(None);
            let closed = world.driver().now();
            for call in &waiting {
                let end = call.end().await;
                if end.code != Code::Unavailable || end.at != closed || !end.text.contains("closed") {
                    world.wrong(format_args!("{limit}: {end:?}"));
                }
            }
            world.all_succeed(&running).await;
        });
    }
}

fn told_by(limit: &str) -> &'static str {
    match limit {
        OF_CHANNEL => "limit reached: 2 of 2 calls in flight (linkspan.max_concurrent_requests)",
        _ => "limit reached: 2 of 2 calls in flight to each address (linkspan.max_concurrent_requests_per_address)",
    }
}

#[test]
fn beyond_the_queue_calls_fail_at_once_and_say_which_limit_and_how_many_wait() {
    for limit in [OF_CHANNEL, OF_ADDRESS] {
        each_of(3, |world: World| async move {
            world.servers_after(1..=1, SECOND);
            let channel = world.limited(1, [(limit, 2.into()), ("linkspan.max_queued_calls", 3.into())]);
            world.must_succeed(&channel, Plan::default()).await;
            let calls: Vec<_> = (0..6).map(|_| world.call(&channel, Plan::default())).collect();
            let end = calls[5].end().await;
            let words = format!("{}, and 3 calls are waiting already (linkspan.max_queued_calls); ", told_by(limit));
            let is_at_once = end.at == calls[5].started;
            if end.code != Code::ResourceExhausted || !end.text.starts_with(&words) || !is_at_once {
                world.wrong(format_args!("{end:?}"));
            }
            if channel.metrics().calls_queued != 3 {
                world.wrong(format_args!("{} are said to wait", channel.metrics().calls_queued));
            }
            world.all_succeed(&calls[..5]).await;
            world.must_have_run_in_order(&calls[..5]);
        });
    }
}

#[test]
fn a_deadline_that_passes_at_a_limit_says_so_and_the_next_in_the_line_goes_on() {
    for limit in [OF_CHANNEL, OF_ADDRESS] {
        each_of(3, |world: World| async move {
            world.servers_after(1..=1, SECOND * 3);
            let channel = world.limited(1, [(limit, 2.into())]);
            world.must_succeed(&channel, Plan::default()).await;
            let mut calls: Vec<_> = (0..2).map(|_| world.call(&channel, Plan::default())).collect();
            let hasty = world.call(&channel, Plan { timeout: Some(SECOND), ..Plan::default() });
            let given_up = world.call(&channel, Plan::default());
            calls.extend((0..2).map(|_| world.call(&channel, Plan::default())));
            let end = hasty.end().await;
            let words = format!("deadline exceeded; phase queue; {}, 3 other calls waiting; not sent", told_by(limit));
            if (end.code, end.sent) != (Code::DeadlineExceeded, Sent::NotSent) || end.text != words {
                world.wrong(format_args!("{end:?}"));
            }
            given_up.cancel(world.driver().now());
            world.all_succeed(&calls).await;
            world.must_have_run_in_order(&calls);
        });
    }
}

#[test]
fn calls_in_line_go_on_when_the_address_is_lost_and_comes_back_and_fail_fast_when_it_does_not() {
    each_of(3, |world: World| async move {
        let servers = world.servers_after(1..=1, SECOND);
        let channel = world.limited(1, [(OF_ADDRESS, 2.into())]);
        world.must_succeed(&channel, Plan::default()).await;
        let running: Vec<_> = (0..2).map(|_| world.call(&channel, Plan::default())).collect();
        let patient = Plan { wait_for_ready: true, ..Plan::default() };
        let waiting: Vec<_> = (0..4).map(|_| world.call(&channel, patient)).collect();
        let hasty = world.call(&channel, Plan::default());
        world.sleep(MILLISECOND * 500).await;
        servers[0].kill();
        world.sleep(SECOND).await;
        for call in running.iter().chain([&hasty]) {
            let end = call.end().await;
            if end.code != Code::Unavailable {
                world.wrong(format_args!("{end:?}"));
            }
        }
        servers[0].restart();
        world.all_succeed(&waiting).await;
        world.must_have_run_in_order(&waiting);
        if servers[0].most_running() > 2 {
            world.wrong(format_args!("{} calls at once", servers[0].most_running()));
        }
    });
}
