//! Whether a channel waited as long as it must between connects to one address.

use std::collections::BTreeMap;
use std::time::Duration;

use super::callers::RESET;
use super::shape::Shape;
use crate::address::Address;
use crate::runtime::simulated::Dial;
use crate::simulation::world::World;
use crate::state::State;
use crate::time::Time;

/// Growth and jitter of the specification; worlds do not change them.
const MULTIPLIER: f64 = 1.6;
const JITTER: f64 = 0.2;
/// Rounding of times to nanoseconds.
const ROUNDING: Duration = Duration::from_micros(1);

/// [CONN-50] to [CONN-52], [CONN-55], and the dial gate, from below: what forgets a wait is left out, so that what remains must hold.
pub(super) fn check(world: &World, shape: &Shape) {
    // Without the gate two channels have a wait each, and a name's answers take addresses away and bring them back.
    let has_one_wait_each = shape.channels == 1 && !shape.is_named && !world.driver().journal().has(RESET);
    if shape.probe_interval.is_none() && !has_one_wait_each {
        return;
    }
    let dials = world.driver().network().dials();
    let forgotten = forgotten_at(world, shape, &dials);
    let mut before: BTreeMap<&Address, (&Dial, i32)> = BTreeMap::new();
    for dial in &dials {
        let is_forgotten = |since: Time| forgotten.iter().any(|at| (since..=dial.started).contains(at));
        let failures = match before.get(&dial.address) {
            Some((earlier, failures))
                if has_failed(earlier, dial.started, shape.channels) && !is_forgotten(earlier.started) =>
            {
                let least = shape.probe_interval.unwrap_or_else(|| least_wait(shape, *failures));
                let waited = dial.started.since(earlier.started);
                if waited + ROUNDING < least {
                    let address = &dial.address;
                    world
                        .wrong(format_args!("{address} was dialed {waited:?} after failure {failures}, not {least:?}"));
                }
                failures + 1
            }
            _ => 0,
        };
        before.insert(&dial.address, (dial, failures));
    }
}

/// The shortest wait after so many failures and one more.
fn least_wait(shape: &Shape, failures: i32) -> Duration {
    let grown = shape.initial_backoff.mul_f64(MULTIPLIER.powi(failures)).min(shape.max_backoff);
    grown.mul_f64(1.0 - JITTER)
}

/// When waits were forgotten: a connection opened, and the addresses not chosen are let go ([CONN-64]); one that was open became usable, and
/// opens the gate; the channel went IDLE ([CONN-58]), which the gate does not mind.
fn forgotten_at(world: &World, shape: &Shape, dials: &[Dial]) -> Vec<Time> {
    let opened = dials.iter().filter_map(|dial| dial.ended.filter(|(_, is_open)| *is_open)).map(|(at, _)| at);
    let events = world.channels().into_iter().flat_map(|channel| channel.events(0));
    let has_gate = shape.probe_interval.is_some();
    let told = events.filter(|event| event.to == if has_gate { State::Ready } else { State::Idle });
    // What was decided before a freeze is done after it.
    let frozen = world.freezes().into_iter().map(|(_, to)| to);
    // A connection that becomes usable opens the gate, and changes no state where there are others or a breaker is open.
    let greeted = world.driver().network().greetings().into_iter().filter(|_| has_gate);
    opened.chain(told.map(|event| Time::from_start(event.at))).chain(frozen).chain(greeted).collect()
}

/// Of an address that was good two channels may dial at once; only who dials after a failure must have waited.
fn has_failed(dial: &Dial, before: Time, channels: usize) -> bool {
    let is_earlier = channels == 1 || dial.started < before;
    is_earlier && dial.ended.is_some_and(|(at, is_open)| !is_open && at <= before)
}
