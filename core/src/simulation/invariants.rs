//! What holds in every world, whatever its servers and its network do.

use std::time::Duration;

use super::calls::{Call, End};
use super::world::World;
use crate::engine::Channel;
use crate::observe::trail::Sent;
use crate::runtime::simulated::Side;
use crate::state::State;
use crate::status::Code;
use crate::time::Time;

/// Checks a world whose channels were closed; `over` is when the grace was.
pub(super) fn check(world: &World, over: Time) {
    world.calls().iter().for_each(|call| check_call(world, call, over));
    world.channels().iter().for_each(|channel| check_states(world, channel));
    check_leaks(world);
    let over_limit = world.record().over_limit();
    if over_limit > 0 {
        world.wrong(format_args!("{over_limit} streams were opened above the server's limit"));
    }
}

/// An end in time is at the deadline exactly: time stands still while the engine works.
const SLACK: Duration = Duration::from_millis(1);

fn check_call(world: &World, call: &Call, over: Time) {
    let ends = call.ends();
    let id = call.id;
    let [end] = &ends[..] else {
        return world.wrong(format_args!("call {id} ended {} times", ends.len()));
    };
    // The deadline counts from when the loop takes the call in.
    let started = world.possible(call.started);
    let due = call.plan.timeout.map_or(over, |timeout| world.possible(over.min(started + timeout)));
    if end.at > due + SLACK {
        world.wrong(format_args!("call {id} ended {:?} after it was due", end.at.since(due)));
    }
    if !end.is_right {
        world.wrong(format_args!("call {id} got answers to other messages, or not all"));
    }
    let runs = world.record().runs(id).len();
    let most = world.most_runs(&call.plan);
    if runs > most {
        world.wrong(format_args!("call {id} ran {runs} times, and may {most}"));
    }
    if runs > end.attempts as usize {
        world.wrong(format_args!("call {id} ran {runs} times in {} attempts", end.attempts));
    }
    if end.code == Code::Ok && runs == 0 {
        world.wrong(format_args!("call {id} is OK and ran {runs} times"));
    }
    if end.sent != Sent::Processed && runs > 0 {
        world.wrong(format_args!("call {id} ran, and its end says {:?}", end.sent));
    }
    check_status(world, call, end);
}

fn check_status(world: &World, call: &Call, end: &End) {
    let id = call.id;
    if end.code != Code::Ok && end.is_local && !end.text.contains("phase ") && !call.was_cancelled() {
        let is_close = matches!(end.code, Code::Cancelled | Code::Unavailable) && end.text.contains("channel");
        if !is_close {
            world.wrong(format_args!("call {id} failed without a trail: {}", end.text));
        }
    }
    if end.code == Code::Internal && end.is_local && !end.text.contains("HTTP/2") && !end.text.contains("reset") {
        world.wrong(format_args!("call {id} found a bug: {}", end.text));
    }
    if end.code == Code::Cancelled && !call.was_cancelled() && !end.text.contains("closed") {
        world.wrong(format_args!("call {id} was cancelled by nobody: {}", end.text));
    }
    // [CONN-25]
    if end.is_local && end.sent == Sent::NotSent && end.text.starts_with("connection lost") {
        world.wrong(format_args!("call {id} failed with a connection it was not on: {}", end.text));
    }
    // [CONN-21], [CONN-22]
    let is_about_connecting = end.code == Code::Unavailable && end.sent == Sent::NotSent;
    if call.plan.wait_for_ready && is_about_connecting && !end.text.contains("closed") {
        world.wrong(format_args!("call {id} waits for ready and failed: {}", end.text));
    }
}

/// [CONN-3]
fn check_states(world: &World, channel: &Channel) {
    use State::{Connecting, Idle, Ready, Shutdown, TransientFailure};
    let mut state = Idle;
    for event in channel.events(0) {
        if event.from != state {
            world.wrong(format_args!("a change from {} follows {state}: {event}", event.from));
        }
        let is_legal = matches!(
            (event.from, event.to),
            (Idle, Connecting)
                | (Connecting, Ready | TransientFailure | Idle)
                | (Ready, Idle | TransientFailure | Connecting)
                | (TransientFailure, Ready | Idle | Connecting)
                | (Idle | Connecting | Ready | TransientFailure, Shutdown)
        );
        if !is_legal {
            world.wrong(format_args!("no legal change: {event}"));
        }
        state = event.to;
    }
}

/// [CONN-155]
fn check_leaks(world: &World) {
    if !world.loop_is_over() {
        world.wrong("the loop does not end although every channel is closed");
    }
    let alive = world.driver().alive(Side::Engine);
    let panics = alive.panics() + world.driver().alive(Side::Others).panics();
    if panics > 0 {
        world.wrong(format_args!("{panics} tasks panicked"));
    }
    // The loop's own, which gives completions out, is dropped with the loop.
    let left = [
        ("tasks", alive.tasks().saturating_sub(1)),
        ("timers", alive.timers()),
        ("sockets", world.driver().network().engine_sockets()),
    ];
    for (what, count) in left {
        if count > 0 {
            world.wrong(format_args!("{count} {what} are left"));
        }
    }
    for channel in world.channels() {
        let metrics = channel.metrics();
        let left = [
            ("calls in flight", metrics.calls_in_flight),
            ("queued calls", metrics.calls_queued),
            ("subchannels", metrics.subchannels),
            ("connections", metrics.connections.len() as u64),
        ];
        for (what, count) in left {
            if count > 0 {
                world.wrong(format_args!("the channel still shows {count} {what}"));
            }
        }
    }
}
